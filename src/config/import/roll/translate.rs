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

/// The ratio's scope, which only the clipped surrogate has.
pub(super) fn importance_sampling(import: &mut Import, path: &str, value: &Value) {
    if !is_ppo(import) {
        let reason = "pg_variant chose a loss whose ratio is per token";
        return import.say(path, Fate::Harmless(reason.into()));
    }
    import.put(path, value.clone());
    import.say(path, Fate::Used);
}

/// The policy-gradient variants by their names here.
pub(super) fn pg_variant(import: &mut Import, path: &str, value: &Value) {
    let kind = match value.as_str() {
        Some("vanilla") => "policy_gradient",
        Some("ppo") => "clipped_surrogate",
        Some(known @ ("tis" | "topr" | "cispo" | "kimi15")) => known,
        _ => return import.say(path, Fate::Changes("not a variant that is known here".into())),
    };
    import.put("policy_loss.kind", json!(kind));
    if kind == "cispo" {
        // ROLL's bounds for it are fixed.
        import.put("policy_loss.pg_clip_low", json!(0.1));
        import.put("policy_loss.pg_clip_high", json!(0.1));
    }
    import.say(path, Fate::Renamed("policy_loss".into()));
}

/// ROLL's bound on a ratio where none is given.
const CLIP: f64 = 0.2;

/// The bound on both sides, which ROLL reads unless it is told to read two.
pub(super) fn clip(import: &mut Import, path: &str, value: &Value) {
    if !is_ppo(import) {
        return import.say(path, Fate::Harmless(OTHER_LOSS.into()));
    }
    if has_range(import) {
        let reason = "pg_clip_low and pg_clip_high are read, as use_pg_clip_range says";
        return import.say(path, Fate::Harmless(reason.into()));
    }
    import.put(path, value.clone());
    import.say(path, Fate::Used);
}

/// Separate bounds, which ROLL only reads when it is told to.
pub(super) fn clip_bound(import: &mut Import, path: &str, value: &Value) {
    if !is_ppo(import) {
        return import.say(path, Fate::Harmless(OTHER_LOSS.into()));
    }
    if has_range(import) {
        import.put(path, value.clone());
        return import.say(path, Fate::Used);
    }
    import.say(path, Fate::Harmless("use_pg_clip_range is not true".into()));
}

/// Which of the bounds are read; those that are left out are ROLL's.
pub(super) fn clip_range(import: &mut Import, path: &str, value: &Value) {
    if *value == json!(true) && is_ppo(import) {
        for key in ["pg_clip_low", "pg_clip_high"] {
            if import.look_up(key).is_none() {
                import.put(key, json!(CLIP));
            }
        }
    }
    let reason = "pg_clip_low and pg_clip_high are read where it is true, pg_clip where it is not";
    import.say(path, Fate::Harmless(reason.into()));
}

/// The dual clip, whose constant ROLL takes from `pg_clip` whichever bounds are read.
pub(super) fn dual_clip(import: &mut Import, path: &str, value: &Value) {
    if !is_ppo(import) {
        return import.say(path, Fate::Harmless(OTHER_LOSS.into()));
    }
    import.put(path, value.clone());
    if *value == json!(true) {
        let clip = import.look_up("pg_clip").and_then(|clip| clip.as_f64()).unwrap_or(CLIP);
        import.put("dual_clip_c", json!(1.0 + 2.0 * clip));
    }
    import.say(path, Fate::Used);
}

const OTHER_LOSS: &str = "pg_variant chose a loss that does not read it";

fn has_range(import: &Import) -> bool {
    import.look_up("use_pg_clip_range") == Some(json!(true))
}

/// The bound on rewards, which ROLL puts on what is already a z-score under grpo.
pub(super) fn reward_clip(import: &mut Import, path: &str, value: &Value) {
    let Some(limit) = value.as_f64() else { return import.say(path, Fate::Harmless("off".into())) };
    if import.look_up("adv_estimator") == Some(json!("reinforce")) {
        import.put(path, value.clone());
        return import.say(path, Fate::Used);
    }
    let group = import.look_up("num_return_sequences_in_group").and_then(|group| group.as_f64());
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

/// The folder of a run, which often has references that only ROLL's launcher knows.
pub(super) fn output_dir(import: &mut Import, path: &str, value: &Value) {
    import.put(path, value.clone());
    let unknown = value.as_str().is_some_and(|text| text.contains("${")) || value.is_null();
    import.say(
        path,
        match unknown {
            true => Fate::Changes(format!(
                "has a reference that points at nothing in this file: {value}; write the folder out"
            )),
            false => Fate::Used,
        },
    );
}

/// How many tokens may be drawn; -1 is all of them in ROLL, and 0 here.
pub(super) fn top_k(import: &mut Import, path: &str, value: &Value) {
    let all = value.as_i64().is_some_and(|count| count < 0);
    import.put("sampling.top_k", if all { json!(0) } else { value.clone() });
    import.say(path, Fate::Renamed("sampling.top_k".into()));
}

/// The warm-up as a share of the run.
pub(super) fn warmup_ratio(import: &mut Import, path: &str, value: &Value) {
    let count = |key: &str, default: f64| {
        import.look_up(key).and_then(|value| value.as_f64()).unwrap_or(default)
    };
    let steps =
        value.as_f64().unwrap_or(0.0) * count("max_steps", 500.0) * count("ppo_epochs", 1.0);
    if import.look_up("actor_train.training_args.warmup_steps").is_none() {
        import.put("optimizer.warmup_steps", json!(steps.ceil() as u64));
    }
    import.say(path, Fate::Renamed("optimizer.warmup_steps".into()));
}

/// The length of a completion as what is left of a sequence.
pub(super) fn sequence_length(import: &mut Import, path: &str, value: &Value) {
    let prompt = import.look_up("prompt_length").and_then(|value| value.as_u64()).unwrap_or(1024);
    match value.as_u64() {
        Some(sequence) if import.look_up("response_length").is_none() && sequence > prompt => {
            import.put("response_length", json!(sequence - prompt));
            import.say(path, Fate::Renamed("response_length".into()));
        }
        _ => import.say(path, Fate::Harmless("response_length says it".into())),
    }
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
    let names = files.iter().map(|file| import.resolved(file));
    let names: Vec<String> = names.filter_map(|file| file.as_str().map(str::to_owned)).collect();
    let Some((first, dropped)) = names.split_first() else {
        return import.say(path, Fate::Changes("names no file".into()));
    };
    import.put(to, json!(first));
    let fate = match dropped.is_empty() {
        true => Fate::Renamed(to.into()),
        false => Fate::Changes(format!(
            "{first} -> {to}, and dropped: {}; a run reads one file, so join them, and see that the rewards are \
             those of its domain",
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

/// What a run cannot be without.
pub(super) fn data_and_rewards(import: &mut Import) {
    import.put("data.kind", json!("jsonl"));
    import.put("data.answer_column", json!("ground_truth"));
    if !import.has("data.path") {
        import.put("data.path", json!("problems.jsonl"));
    }
    if !import.has("model.path") {
        import.put("model.path", json!("model"));
    }
    if !import.has("rewards") {
        import.put("rewards", json!([{"kind": "exact"}]));
    }
}

/// What ROLL does where a pipeline says nothing, and that has to be known.
pub(super) fn left_out(import: &mut Import) {
    if import.look_up("adv_estimator").is_none_or(|estimator| estimator.is_null()) {
        let reason = "left out, and ROLL's default gae needs a critic, which no method here has; grpo \
                      stands in for it, with num_return_sequences_in_group of at least 2";
        import.say("adv_estimator", Fate::Changes(reason.into()));
    }
    for (path, value) in [("sampling.top_p", json!(0.7)), ("sampling.top_k", json!(50))] {
        if !import.has(path) {
            let reason = format!(
                "left out, so ROLL's default {value} is on: tokens are drawn from fewer than the \
                 log-probabilities speak of, which biases the gradient; top_p 1 and top_k 0 do not"
            );
            import.put(path, value);
            import.say(path, Fate::Changes(reason));
        }
    }
    let rewards = import.look_up("rewards");
    let domains: Vec<String> =
        rewards.iter().filter_map(Value::as_object).flat_map(|all| all.keys().cloned()).collect();
    if domains.len() > 1 {
        let names = domains.join(", ");
        let reason = format!(
            "{names} judge their own domains in ROLL; here every reward judges every problem"
        );
        import.say("rewards", Fate::Changes(reason));
    }
}

/// Whether the loss is the clipped surrogate, which the keys of the ratio speak of.
fn is_ppo(import: &Import) -> bool {
    variant(import).is_none_or(|variant| variant == "ppo")
}

/// The loss that a pipeline chooses, if it does.
fn variant(import: &Import) -> Option<String> {
    let chosen =
        import.look_up("actor_train.pg_variant").or_else(|| import.look_up("pg_variant"))?;
    chosen.as_str().map(str::to_owned)
}
