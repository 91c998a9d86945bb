//! How long a completion may be, which ROLL says by three keys.

use serde_json::{Value, json};

use super::{Fate, Import};

const SEQUENCE: &str = "sequence_length";
pub(super) const RESPONSE: &str = "response_length";
const NEW_TOKENS: &str = "actor_infer.generating_args.max_new_tokens";

/// The longest completion, which ROLL takes from `sequence_length`, or else from `response_length`, and
/// writes over `max_new_tokens`. With neither of them it does not start, and `max_new_tokens` stands in.
pub(super) fn completion_length(import: &mut Import, path: &str, value: &Value) {
    let fate = match longest_completion(import) {
        Some((from, length)) if from == path => {
            import.put(RESPONSE, length);
            if path == RESPONSE { Fate::Used } else { Fate::Renamed(RESPONSE.into()) }
        }
        _ if path == SEQUENCE => Fate::Changes(format!(
            "{value} leaves no token of a completion after prompt_length, and is left out"
        )),
        Some((from, length)) => {
            Fate::Harmless(format!("ROLL reads {from} in its place, which leaves {length} tokens"))
        }
        None => Fate::Changes(format!("{value} is no length of a completion, and is left out")),
    };
    import.say(path, fate);
}

/// The key that says how long a completion may be, and its length.
fn longest_completion(import: &Import) -> Option<(&'static str, Value)> {
    let prompt = import.look_up("prompt_length").and_then(Value::as_u64).unwrap_or(1024);
    let sequence = import.look_up(SEQUENCE).and_then(Value::as_u64);
    let left = sequence.and_then(|sequence| sequence.checked_sub(prompt));
    let given = |path: &'static str| {
        let value = import.look_up(path).filter(|value| value.as_f64() != Some(0.0))?;
        Some((path, value.clone()))
    };
    let left = left.filter(|left| *left > 0).map(|left| (SEQUENCE, json!(left)));
    left.or_else(|| given(RESPONSE)).or_else(|| given(NEW_TOKENS))
}
