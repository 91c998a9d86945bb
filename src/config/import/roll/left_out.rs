//! What a pipeline leaves out, where ROLL's default is not ours or has to be known.

use serde_json::{Map, Value, json};

use super::{Fate, Import, length::RESPONSE};
use crate::config::{CheckpointBlock, default_response_length};

/// Writes out what a pipeline does not say.
pub(super) fn complete(import: &mut Import) {
    for (path, value) in defaults() {
        if !import.has(path) {
            import.say(path, Fate::Defaulted(value.to_string()));
            import.put(path, value);
        }
    }
    unlike_ours(import);
    limits(import);
    domains(import);
    data_and_rewards(import);
}

/// What a run cannot be without.
fn data_and_rewards(import: &mut Import) {
    import.put("data.kind", json!("roll"));
    import.put("data.answer_column", json!("ground_truth"));
    for (path, stand_in) in [
        ("data.path", json!("problems.jsonl")),
        ("model.path", json!("model")),
        ("rewards", json!([{"kind": "exact"}])),
    ] {
        if !import.has(path) {
            let reason =
                format!("nothing in the pipeline says it, and {stand_in} stands in for it");
            import.put(path, stand_in);
            import.say(path, Fate::Changes(reason));
        }
    }
}

/// What ROLL does where a pipeline says nothing, and that has to be known.
fn unlike_ours(import: &mut Import) {
    if import.look_up("adv_estimator").is_none() {
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
}

/// Rewards of several domains, which are told apart in ROLL.
fn domains(import: &mut Import) {
    let rewards = import.pipeline.get("rewards").and_then(Value::as_object);
    let domains: Vec<&str> = rewards.into_iter().flat_map(Map::keys).map(String::as_str).collect();
    if domains.len() > 1 {
        let names = domains.join(", ");
        let reason = format!(
            "{names} judge their own domains in ROLL; here every reward judges every problem"
        );
        import.say("rewards", Fate::Changes(reason));
    }
}

/// The longest completion and the checkpoints that stay, of which ours are not ROLL's.
fn limits(import: &mut Import) {
    if !import.has(RESPONSE) {
        let length = default_response_length();
        let reason = format!(
            "left out, with sequence_length and max_new_tokens; ROLL does not start without, and here a completion \
             ends after {length} tokens"
        );
        import.put(RESPONSE, json!(length));
        import.say(RESPONSE, Fate::Changes(reason));
    }
    if !import.has("checkpoint.keep") {
        let keep = CheckpointBlock::default().keep;
        let reason = format!(
            "ROLL keeps every checkpoint where it is 0 or left out; here the newest {keep} stay, as checkpoint.keep says"
        );
        import.put("checkpoint.keep", json!(keep));
        import.say("max_ckpt_to_keep", Fate::Changes(reason));
    }
}

/// ROLL's defaults where ours differ.
fn defaults() -> [(&'static str, Value); 10] {
    [
        ("seed", json!(42)),
        ("rollout_batch_size", json!(128)),
        ("num_return_sequences_in_group", json!(1)),
        ("prompt_length", json!(1024)),
        ("kl_loss_coef", json!(0.0)),
        ("loss_agg_mode", json!("seq-mean-token-mean")),
        ("optimizer.learning_rate", json!(5e-5)),
        ("optimizer.schedule", json!("linear")),
        ("eval.every_steps", json!(10)),
        ("sampling.temperature", json!(0.95)),
    ]
}
