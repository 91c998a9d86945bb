//! Keys of ROLL whose value decides what becomes of them.

use serde_json::{Value, json};

use super::{Fate, Import};

/// Estimators that are here, and why others are not.
pub(super) fn adv_estimator(import: &mut Import, path: &str, value: &Value) {
    let name = value.as_str().unwrap_or_default();
    let reason = match name {
        "grpo" | "reinforce" => {
            import.put(path, value.clone());
            return import.say(path, Fate::Used);
        }
        "gae" => "needs a critic, and no method here has one",
        _ => "is for agents in an environment, which are not here",
    };
    import.say(path, Fate::Changes(format!("{name} {reason}; grpo stands in for it")));
}

/// The bound on rewards, which ROLL puts on what is already a z-score under grpo.
pub(super) fn reward_clip(import: &mut Import, path: &str, value: &Value) {
    let Some(limit) = value.as_f64() else { return import.say(path, Fate::Harmless("off".into())) };
    if import.look_up("adv_estimator") == Some(&json!("reinforce")) {
        import.put(path, value.clone());
        return import.say(path, Fate::Used);
    }
    let group = import.look_up("num_return_sequences_in_group").and_then(Value::as_f64);
    let group = group.unwrap_or(1.0).max(1.0);
    let most = (group - 1.0) / group.sqrt();
    let fate = match limit >= most {
        true => Fate::Harmless(format!(
            "under grpo ROLL clips z-scores, which never exceed {most:.2} in a group of {group}"
        )),
        false => Fate::Changes(format!(
            "under grpo ROLL clips z-scores at {limit}; here a clip would bound the rewards themselves, so it is \
             left out, and advantage_clip: {limit} comes near it"
        )),
    };
    import.say(path, fate);
}

/// The column with the prompt, which ROLL reads where a line has no conversation; here it is one of both.
pub(super) fn prompt_column(import: &mut Import, path: &str, value: &Value) {
    let messages = import.look_up("actor_train.data_args.messages");
    if messages.is_some_and(|messages| !messages.is_null()) {
        let reason =
            "the conversations of data.messages_column are read, and lines without one are refused";
        return import.say(path, Fate::Changes(reason.into()));
    }
    import.put("data.prompt_column", value.clone());
    import.say(path, Fate::Renamed("data.prompt_column".into()));
}

/// The matrices that have an adapter: `all-linear`, which is what is meant here where nothing is said, or names.
pub(super) fn lora_target(import: &mut Import, path: &str, value: &Value) {
    let names: Vec<&str> = match value {
        Value::String(text) => text.split(',').map(str::trim).collect(),
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if matches!(names[..], ["all-linear" | "all"]) {
        return import.say(path, Fate::Harmless("all matrices of a layer have an adapter".into()));
    }
    import.put("lora.targets", json!(names));
    import.say(path, Fate::Renamed("lora.targets".into()));
}

/// How many tokens may be drawn; -1 is all of them in ROLL, and 0 here.
pub(super) fn top_k(import: &mut Import, path: &str, value: &Value) {
    let all = value.as_i64().is_some_and(|count| count < 0);
    import.put("sampling.top_k", if all { json!(0) } else { value.clone() });
    import.say(path, Fate::Renamed("sampling.top_k".into()));
}

/// The warm-up as a share of the run.
pub(super) fn warmup_ratio(import: &mut Import, path: &str, value: &Value) {
    let count =
        |key: &str, default: f64| import.look_up(key).and_then(Value::as_f64).unwrap_or(default);
    let steps =
        value.as_f64().unwrap_or(0.0) * count("max_steps", 500.0) * count("ppo_epochs", 1.0);
    if import.look_up("actor_train.training_args.warmup_steps").is_none() {
        import.put("optimizer.warmup_steps", json!(steps.ceil() as u64));
    }
    import.say(path, Fate::Renamed("optimizer.warmup_steps".into()));
}

/// How many checkpoints stay; 0 is all of them in ROLL, of which `left_out` tells.
pub(super) fn checkpoints(import: &mut Import, path: &str, value: &Value) {
    if value.as_f64() != Some(0.0) {
        import.put("checkpoint.keep", value.clone());
        import.say(path, Fate::Renamed("checkpoint.keep".into()));
    }
}

/// The class of the pipeline, which is of RLVR or was refused.
pub(super) fn pipeline_class(import: &mut Import, path: &str, value: &Value) {
    let is_own = value.as_str().is_some_and(|class| class.starts_with("roll.pipeline.rlvr."));
    let fate = match is_own {
        true => Fate::Harmless("the pipeline that this program has".into()),
        false => Fate::Changes("a class that is not ROLL's; look what it does otherwise".into()),
    };
    import.say(path, fate);
}

/// DAPO's replacement of filtered prompts.
pub(super) fn additional_prompts(import: &mut Import, path: &str, value: &Value) {
    if *value == json!(true) {
        import.put("dynamic_sampling", json!({"max_rounds": 4}));
        return import.say(path, Fate::Renamed("dynamic_sampling".into()));
    }
    import.say(path, Fate::Harmless("off, as dynamic_sampling is here".into()));
}

/// The learning rate's schedule.
pub(super) fn schedule(import: &mut Import, path: &str, value: &Value) {
    let name = value.as_str().unwrap_or_default();
    let schedule = match name {
        "linear" | "cosine" | "constant" => name,
        "constant_with_warmup" => "constant",
        "cosine_with_min_lr" => "cosine",
        _ => {
            return import.say(
                path,
                Fate::Changes("not a schedule that is known here; it stays linear".into()),
            );
        }
    };
    import.put("optimizer.schedule", json!(schedule));
    import.say(path, Fate::Renamed("optimizer.schedule".into()));
}

/// The first file of problems.
pub(super) fn file_name(import: &mut Import, path: &str, value: &Value) {
    first_file(import, path, value, "data.path");
}

/// The first file of problems that are only measured by.
pub(super) fn held_out_file(import: &mut Import, path: &str, value: &Value) {
    first_file(import, path, value, "data.held_out_path");
}

/// Takes the first file and names those that are dropped.
fn first_file(import: &mut Import, path: &str, value: &Value, to: &str) {
    let one = std::slice::from_ref(value);
    let files = value.as_array().map_or(one, Vec::as_slice);
    let names: Vec<&str> = files.iter().filter_map(Value::as_str).collect();
    let Some((first, dropped)) = names.split_first() else {
        return import.say(path, Fate::Changes("names no file".into()));
    };
    import.put(to, json!(first));
    let fate = match dropped.is_empty() {
        true => Fate::Renamed(to.into()),
        false => Fate::Changes(format!(
            "{first} -> {to}, and dropped: {}; the rewards are those of one domain, and where they are right for \
             all files, {to} takes the list of them",
            dropped.join(", ")
        )),
    };
    import.say(path, fate);
}

/// A worker that scores, as the reward function nearest to it.
pub(super) fn reward(import: &mut Import, path: &str, value: &Value) {
    let worker = value.as_str().unwrap_or_default();
    let reward = match worker {
        _ if worker.ends_with("MathRuleRewardWorker") => json!({"kind": "number"}),
        _ => {
            let reason = "no reward here is like it; the rewards list has exact in its place";
            return import.say(path, Fate::Changes(reason.into()));
        }
    };
    match import.run.entry("rewards").or_insert_with(|| json!([])) {
        Value::Array(rewards) => rewards.push(reward),
        _ => unreachable!("only this function writes rewards"),
    }
    import.say(path, Fate::Renamed("rewards: [{kind: number}]".into()));
}

/// A filter on prompts.
pub(super) fn query_filter(import: &mut Import, path: &str, value: &Value) {
    let arg = |name: &str, default: f64| {
        value.pointer(&format!("/filter_args/{name}")).cloned().unwrap_or(json!(default))
    };
    let filter = match value["type"].as_str() {
        Some("mean_filter") => json!({
            "kind": "mean_filter",
            "threshold_down": arg("threshold_down", 0.0),
            "threshold_up": arg("threshold_up", 1.0),
        }),
        Some("std_filter") => {
            json!({"kind": "std_filter", "std_threshold": arg("std_threshold", 0.0)})
        }
        _ => return import.say(path, Fate::Harmless("no filter".into())),
    };
    import.put("query_filter", filter);
    import.say(path, Fate::Renamed("query_filter".into()));
}
