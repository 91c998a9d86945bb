//! ROLL's keys of the loss and of the importance ratio, several of which decide what another means.

use serde_json::{Value, json};

use super::{Fate, Import};

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
        let clip = import.look_up("pg_clip").and_then(Value::as_f64).unwrap_or(CLIP);
        import.put("dual_clip_c", json!(1.0 + 2.0 * clip));
    }
    import.say(path, Fate::Used);
}

const OTHER_LOSS: &str = "pg_variant chose a loss that does not read it";

fn has_range(import: &Import) -> bool {
    import.look_up("use_pg_clip_range") == Some(&json!(true))
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
