//! What differs between a run and the checkpoint that it is to go on from.

use std::path::Path;

use super::RunError;
use super::inputs::Inputs;
use crate::config::{ChangedKey, RunConfig};

/// Keys, and blocks of them, that a run may go on under though they differ: how long it is, where it
/// runs and in what pieces, what is written, and how often.
const FREE: [&str; 10] = [
    "max_steps",
    "output_dir",
    "checkpoint",
    "tracking",
    "eval",
    "device.name",
    "device.micro_batch_tokens",
    "device.cache_tokens",
    "device.memory_mib",
    "gradient_checkpointing",
];

/// What a run is made from.
pub(super) struct Made<'a> {
    pub config: &'a RunConfig,
    pub inputs: &'a Inputs,
}

/// Checks that a run may go on from what was made by `before` up to `step`; a line on each thing that differs.
///
/// # Errors
/// Differences that change the run, unless `accepted`.
pub(super) fn check(
    folder: &Path,
    [before, now]: [&Made<'_>; 2],
    step: u64,
    accepted: bool,
) -> Result<Vec<String>, RunError> {
    let moved = |key: &ChangedKey| now.inputs.are_the_same_below(before.inputs, &key.key);
    let keys = now.config.changed_keys(before.config)?;
    // Which inputs an update leaves out follows from how it is cut.
    let is_cut =
        |key: &ChangedKey| key.key == "device.micro_batch_tokens" && has_dropout(now.config);
    let (free, bound): (Vec<_>, Vec<_>) =
        keys.into_iter().partition(|key| (is_free(&key.key) && !is_cut(key)) || moved(key));
    let mut refused: Vec<String> = bound.iter().map(ChangedKey::to_string).collect();
    refused.extend(now.inputs.changes(before.inputs));
    if !refused.is_empty() && !accepted {
        return Err(RunError::Changed { folder: folder.into(), changes: refused.join("; ") });
    }
    let all = free.iter().map(ChangedKey::to_string).chain(refused);
    let schedule = moved_schedule(now.config, before.config, step);
    Ok(all
        .map(|change| format!("changed    {change}, since step {step}"))
        .chain(schedule)
        .collect())
}

/// What another number of steps makes of a learning rate that follows them.
fn moved_schedule(now: &RunConfig, before: &RunConfig, step: u64) -> Option<String> {
    let rate = |config: &RunConfig| {
        let training = &config.training;
        let done = step * training.optimizer_steps() / training.max_steps.max(1);
        training.optimizer.learning_rate(done, training.optimizer_steps())
    };
    let (rate_before, rate_now) = (rate(before), rate(now));
    (now.training.max_steps != before.training.max_steps && rate_before != rate_now).then(|| {
        format!(
            "changed    the schedule of the learning rate ends at step {}: after step {step} the rate is {rate_now:.3e}, \
             where it was to be {rate_before:.3e}",
            now.training.max_steps
        )
    })
}

fn has_dropout(config: &RunConfig) -> bool {
    config.lora.as_ref().is_some_and(|lora| lora.dropout > 0.0)
}

fn is_free(key: &str) -> bool {
    let below = |free: &str| key.strip_prefix(free).is_some_and(|rest| rest.starts_with('.'));
    FREE.contains(&key) || FREE.iter().any(|free| below(free)) || is_way_of_reward(key)
}

/// Keys of a reward outside of this program that say how it is reached, not what it scores.
const WAY_OF_REWARD: [&str; 5] =
    ["timeout_seconds", "retries", "concurrency", "url", "api_key_env"];

fn is_way_of_reward(key: &str) -> bool {
    let of_one = key.strip_prefix("rewards.").and_then(|rest| rest.split_once('.'));
    of_one.is_some_and(|(_, key)| WAY_OF_REWARD.contains(&key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cadence_length_and_place_are_free_and_nothing_else_is() {
        for free in ["max_steps", "checkpoint.keep", "tracking.samples", "eval.problems"] {
            assert!(is_free(free), "{free}");
        }
        assert!(is_free("rewards.1.timeout_seconds") && is_free("rewards.12.url"));
        assert!(!is_free("rewards.1.prompt") && !is_free("rewards.1.parameters.url"));
        for bound in ["seed", "checkpoints", "device.reference_dtype", "model.path"] {
            assert!(!is_free(bound), "{bound}");
        }
    }
}
