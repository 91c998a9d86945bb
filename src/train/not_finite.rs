//! Gradients that are not finite: the optimiser step is left out, and several on end are the end of the run.

use serde_json::{Value, json};

use super::advantages::{StepAdvantages, ValuedGroup};

/// Optimiser steps on end that may be left out. One may be a batch with a strange completion; a third in a row is a policy
/// that has diverged, since each was of another batch.
pub(super) const MOST_ON_END: u64 = 3;

/// All that a step was trained on, to be looked at by hand: of each group the prompt and of each completion its tokens,
/// their log-probabilities when they were drawn, text, reward and advantage.
pub(super) fn batch(advantages: &StepAdvantages) -> Value {
    Value::Array(advantages.train.iter().map(group).collect())
}

fn group(group: &ValuedGroup) -> Value {
    let prompt = &group.scored.rollout.prompt;
    let completions = group.scored.completions().zip(&group.advantages.advantages);
    let completions = completions.map(|((completion, scored), advantage)| {
        json!({
            "text": scored.text,
            "ids": completion.ids,
            "logps": completion.logps,
            "reward": scored.score.total,
            "rewards": scored.score.each,
            "advantage": advantage,
        })
    });
    json!({
        "problem": prompt.problem,
        "prompt_ids": &prompt.ids[..],
        "completions": completions.collect::<Vec<_>>(),
    })
}
