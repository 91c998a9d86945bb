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
    import.say(path, Fate::Ignored(format!("{name} {reason}; grpo stands in for it")));
}

/// The ratio's scope, which only the clipped surrogate has.
pub(super) fn importance_sampling(import: &mut Import, path: &str, value: &Value) {
    if variant(import).is_some_and(|variant| variant != "ppo") {
        let reason = "pg_variant chose a loss whose ratio is per token";
        return import.say(path, Fate::Ignored(reason.into()));
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
        _ => return import.say(path, Fate::Ignored("not a variant that is known here".into())),
    };
    import.put("policy_loss.kind", json!(kind));
    if kind == "cispo" {
        // ROLL's bounds for it are fixed.
        import.put("policy_loss.pg_clip_low", json!(0.1));
        import.put("policy_loss.pg_clip_high", json!(0.1));
    }
    import.say(path, Fate::Renamed("policy_loss".into()));
}

/// Separate bounds, which ROLL only reads when it is told to.
pub(super) fn clip_bound(import: &mut Import, path: &str, value: &Value) {
    if import.look_up("use_pg_clip_range") == Some(json!(true)) {
        import.put(path, value.clone());
        return import.say(path, Fate::Used);
    }
    import.say(path, Fate::Ignored("use_pg_clip_range is not true".into()));
}

/// What to do with `pg_clip` where separate bounds are read.
pub(super) fn clip_range(import: &mut Import, path: &str, value: &Value) {
    if *value == json!(true) {
        import.run.remove("pg_clip");
    }
    import
        .say(path, Fate::Ignored("pg_clip_low and pg_clip_high count where they are given".into()));
}

/// The length of a completion as what is left of a sequence.
pub(super) fn sequence_length(import: &mut Import, path: &str, value: &Value) {
    let prompt = import.look_up("prompt_length").and_then(|value| value.as_u64()).unwrap_or(1024);
    match value.as_u64() {
        Some(sequence) if import.look_up("response_length").is_none() && sequence > prompt => {
            import.put("response_length", json!(sequence - prompt));
            import.say(path, Fate::Renamed("response_length".into()));
        }
        _ => import.say(path, Fate::Ignored("response_length says it".into())),
    }
}

/// DAPO's replacement of filtered prompts.
pub(super) fn additional_prompts(import: &mut Import, path: &str, value: &Value) {
    if *value == json!(true) {
        import.put("dynamic_sampling", json!({"max_rounds": 4}));
        return import.say(path, Fate::Renamed("dynamic_sampling".into()));
    }
    import.say(path, Fate::Ignored("off, as dynamic_sampling is here".into()));
}

/// The learning rate's schedule.
pub(super) fn schedule(import: &mut Import, path: &str, value: &Value) {
    let name = value.as_str().unwrap_or_default();
    let schedule = match name {
        "linear" | "cosine" | "constant" => name,
        "constant_with_warmup" => "constant",
        "cosine_with_min_lr" => "cosine",
        _ => return import.say(path, Fate::Ignored("not a schedule that is known here".into())),
    };
    import.put("optimizer.schedule", json!(schedule));
    import.say(path, Fate::Renamed("optimizer.schedule".into()));
}

/// The first file of problems.
pub(super) fn file_name(import: &mut Import, path: &str, value: &Value) {
    let first = value.as_array().map_or(Some(value), |files| files.first());
    if let Some(first) = first.filter(|first| first.is_string()) {
        import.put("data.path", import.resolved(first));
    }
    import.say(path, Fate::Renamed("data.path".into()));
}

/// A worker that scores, as the reward function nearest to it.
pub(super) fn reward(import: &mut Import, path: &str, value: &Value) {
    let worker = value.as_str().unwrap_or_default();
    let reward = match worker {
        _ if worker.ends_with("MathRuleRewardWorker") => json!({"kind": "number"}),
        _ => {
            let reason = "no reward here is like it; the rewards list has exact in its place";
            return import.say(path, Fate::Ignored(reason.into()));
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
        _ => return import.say(path, Fate::Ignored("no filter".into())),
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

/// The loss that a pipeline chooses, if it does.
fn variant(import: &Import) -> Option<String> {
    let chosen =
        import.look_up("actor_train.pg_variant").or_else(|| import.look_up("pg_variant"))?;
    chosen.as_str().map(str::to_owned)
}
