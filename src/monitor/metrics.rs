//! The lines of a run's logs: one training step, one evaluation, one sampled completion.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The metrics of one training step, written as one flat JSON object under TRL's metric names.
///
/// A number that is not finite becomes `null` in the file and is read back as NaN.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StepMetrics {
    /// Optimiser steps done, this one included.
    pub step: u64,
    /// Problems seen so far, divided by the size of the training part.
    #[serde(deserialize_with = "null_is_nan")]
    pub epoch: f64,
    /// Mean weighted reward over all rollouts.
    #[serde(deserialize_with = "null_is_nan")]
    pub reward: f64,
    /// Mean over groups of the standard deviation of the rewards within a group.
    #[serde(deserialize_with = "null_is_nan")]
    pub reward_std: f64,
    /// Share of groups whose rewards are all equal, which carry no gradient.
    #[serde(deserialize_with = "null_is_nan")]
    pub frac_reward_zero_std: f64,
    /// Mean of each reward function before weighting, by name; written as `rewards/<name>/mean`.
    #[serde(flatten, with = "reward_means")]
    pub reward_means: BTreeMap<String, f64>,
    /// Share of completions that are correct.
    #[serde(deserialize_with = "null_is_nan")]
    pub accuracy: f64,
    /// Mean divergence from the reference in nats per token; absent when no reference is used.
    pub kl: Option<f64>,
    /// Mean entropy of the policy in nats per token, over the rows that were differentiated.
    #[serde(deserialize_with = "null_is_nan")]
    pub entropy: f64,
    /// The loss; only its gradient means something.
    #[serde(deserialize_with = "null_is_nan")]
    pub loss: f64,
    /// Share of tokens whose importance ratio was clipped at the low bound.
    #[serde(rename = "clip_ratio/low_mean", deserialize_with = "null_is_nan")]
    pub clip_ratio_low: f64,
    /// Share of tokens whose importance ratio was clipped at the high bound.
    #[serde(rename = "clip_ratio/high_mean", deserialize_with = "null_is_nan")]
    pub clip_ratio_high: f64,
    /// Share of tokens clipped at either bound.
    #[serde(rename = "clip_ratio/region_mean", deserialize_with = "null_is_nan")]
    pub clip_ratio_region: f64,
    /// Mean completion length in tokens.
    #[serde(rename = "completions/mean_length", deserialize_with = "null_is_nan")]
    pub mean_length: f64,
    /// Shortest completion in tokens.
    #[serde(rename = "completions/min_length", deserialize_with = "null_is_nan")]
    pub min_length: f64,
    /// Longest completion in tokens.
    #[serde(rename = "completions/max_length", deserialize_with = "null_is_nan")]
    pub max_length: f64,
    /// Share of completions that ended at `response_length` instead of an EOS.
    #[serde(rename = "completions/clipped_ratio", deserialize_with = "null_is_nan")]
    pub clipped_ratio: f64,
    /// Mean length in tokens of the completions that ended with an EOS.
    #[serde(rename = "completions/mean_terminated_length", deserialize_with = "null_is_nan")]
    pub mean_terminated_length: f64,
    /// Share of rollouts whose advantage is exactly zero.
    #[serde(rename = "advantages/frac_zero", deserialize_with = "null_is_nan")]
    pub advantages_frac_zero: f64,
    /// Global gradient norm before clipping.
    #[serde(deserialize_with = "null_is_nan")]
    pub grad_norm: f64,
    /// Learning rate of this step.
    #[serde(deserialize_with = "null_is_nan")]
    pub learning_rate: f64,
    /// Seconds the whole step took.
    #[serde(rename = "step_time", deserialize_with = "null_is_nan")]
    pub step_secs: f64,
    /// Seconds spent generating.
    #[serde(rename = "time/rollout_secs", deserialize_with = "null_is_nan")]
    pub rollout_secs: f64,
    /// Seconds spent scoring completions.
    #[serde(rename = "time/reward_secs", deserialize_with = "null_is_nan")]
    pub reward_secs: f64,
    /// Seconds spent in forward, backward and optimiser.
    #[serde(rename = "time/update_secs", deserialize_with = "null_is_nan")]
    pub update_secs: f64,
    /// Generated tokens per second of rollout.
    #[serde(deserialize_with = "null_is_nan")]
    pub rollout_tokens_per_s: f64,
    /// Scored completions' tokens per second of reward.
    #[serde(deserialize_with = "null_is_nan")]
    pub reward_tokens_per_s: f64,
    /// Trained tokens per second of update.
    #[serde(deserialize_with = "null_is_nan")]
    pub update_tokens_per_s: f64,
    /// Prompt and completion tokens processed since the run began.
    pub num_tokens: u64,
    /// Whether the optimiser step was left out, as when a gradient is not finite.
    pub skipped: bool,
    /// Further metrics of an algorithm, written under the names given here.
    #[serde(flatten, with = "extra_metrics")]
    pub extra: BTreeMap<String, f64>,
}

/// The result of one evaluation on held-out problems.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct EvalMetrics {
    /// Optimiser steps done when it was measured; 0 is the policy before reinforcement learning.
    pub step: u64,
    /// Share of problems solved by the greedy completion.
    #[serde(rename = "eval/accuracy", deserialize_with = "null_is_nan")]
    pub accuracy: f64,
    /// Mean total reward of the greedy completions; absent where no reward applies to any.
    #[serde(rename = "eval/reward", default, skip_serializing_if = "Option::is_none")]
    pub reward: Option<f64>,
    /// Number of held-out problems.
    #[serde(rename = "eval/problems")]
    pub problems: u64,
    /// Share of problems solved by at least one of k samples; absent when only greedy was measured.
    #[serde(rename = "eval/pass_at_k")]
    pub pass_at_k: Option<f64>,
    /// Problems that a reward failed on and that count for nothing; absent where there is none.
    #[serde(rename = "eval/failed", default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<u64>,
}

/// One sampled completion, as written to `samples.jsonl`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SampleLine {
    /// The step it was sampled in.
    pub step: u64,
    /// Identifier of the problem.
    pub problem: String,
    /// The prompt as the model was given it, special tokens included.
    pub prompt: String,
    /// The completion as text, special tokens left out.
    pub completion: String,
    /// The expected answer; none where the problem has none.
    pub answer: Option<String>,
    /// What a reward that looks for an answer in the completion takes for it; none where none does or finds one.
    #[serde(default)]
    pub extracted: Option<String>,
    /// Weighted sum of the reward functions.
    #[serde(deserialize_with = "null_is_nan")]
    pub reward: f64,
    /// What each reward function gave; `None` where it does not apply.
    pub rewards: BTreeMap<String, Option<f64>>,
    /// The advantage that this rollout was trained with.
    #[serde(deserialize_with = "null_is_nan")]
    pub advantage: f64,
    /// Why generation ended: `eos` or `length`.
    pub finish: String,
    /// Completion length in tokens.
    pub tokens: u64,
    /// The text of each token, the end included, and its log-probability when it was drawn, in nats.
    #[serde(default)]
    pub token_logps: Vec<(String, f64)>,
}

fn null_is_nan<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

/// The function's name in a key of the form `rewards/<name>/mean`.
fn reward_name(key: &str) -> Option<&str> {
    key.strip_prefix("rewards/")?.strip_suffix("/mean")
}

mod reward_means {
    use super::*;

    pub fn serialize<S: Serializer>(
        means: &BTreeMap<String, f64>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer
            .collect_map(means.iter().map(|(name, mean)| (format!("rewards/{name}/mean"), mean)))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<String, f64>, D::Error> {
        let unclaimed = BTreeMap::<String, Option<f64>>::deserialize(deserializer)?;
        Ok(unclaimed
            .into_iter()
            .filter_map(|(key, mean)| {
                Some((reward_name(&key)?.to_owned(), mean.unwrap_or(f64::NAN)))
            })
            .collect())
    }
}

mod extra_metrics {
    use super::*;

    pub fn serialize<S: Serializer>(
        extra: &BTreeMap<String, f64>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        extra.serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<String, f64>, D::Error> {
        let unclaimed = BTreeMap::<String, Option<f64>>::deserialize(deserializer)?;
        Ok(unclaimed
            .into_iter()
            .filter(|(key, _)| reward_name(key).is_none())
            .map(|(key, value)| (key, value.unwrap_or(f64::NAN)))
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn as_json(metrics: &StepMetrics) -> Value {
        serde_json::from_str(&serde_json::to_string(metrics).unwrap()).unwrap()
    }

    #[test]
    fn a_step_is_one_flat_object_under_trl_names() {
        let mut metrics = StepMetrics { step: 3, clipped_ratio: 0.25, ..StepMetrics::default() };
        metrics.reward_means.insert("exact".into(), 0.5);
        metrics.extra.insert("sampling/ratio_max".into(), 1.5);
        let line = as_json(&metrics);
        assert_eq!(line["step"], 3);
        assert_eq!(line["completions/clipped_ratio"], 0.25);
        assert_eq!(line["rewards/exact/mean"], 0.5);
        assert_eq!(line["sampling/ratio_max"], 1.5);
        assert!(line.as_object().unwrap().values().all(|value| !value.is_object()));
    }

    #[test]
    fn every_name_that_trl_users_plot_is_there() {
        let line = as_json(&StepMetrics::default());
        let names = "step epoch reward reward_std frac_reward_zero_std accuracy kl entropy loss \
            clip_ratio/low_mean clip_ratio/high_mean clip_ratio/region_mean \
            completions/mean_length completions/min_length completions/max_length \
            completions/clipped_ratio completions/mean_terminated_length advantages/frac_zero \
            grad_norm learning_rate step_time time/rollout_secs time/reward_secs time/update_secs \
            rollout_tokens_per_s reward_tokens_per_s update_tokens_per_s num_tokens skipped";
        let missing: Vec<_> = names.split_whitespace().filter(|n| line.get(n).is_none()).collect();
        assert!(missing.is_empty(), "missing {missing:?}");
    }

    #[test]
    fn numbers_that_are_not_finite_become_null() {
        let mut metrics = StepMetrics {
            loss: f64::NAN,
            grad_norm: f64::INFINITY,
            kl: Some(f64::NEG_INFINITY),
            ..StepMetrics::default()
        };
        metrics.reward_means.insert("exact".into(), f64::NAN);
        metrics.extra.insert("ratio".into(), f64::INFINITY);
        let line = as_json(&metrics);
        for key in ["loss", "grad_norm", "kl", "rewards/exact/mean", "ratio"] {
            assert_eq!(line.get(key), Some(&Value::Null), "{key}");
        }
    }

    #[test]
    fn a_written_step_reads_back_the_same() {
        let mut metrics =
            StepMetrics { step: 7, reward: 0.5, kl: Some(0.25), ..Default::default() };
        metrics.reward_means.insert("exact".into(), 0.5);
        metrics.extra.insert("ratio".into(), 2.0);
        let back: StepMetrics = serde_json::from_value(as_json(&metrics)).unwrap();
        assert_eq!(back, metrics);
    }

    #[test]
    fn null_reads_back_as_nan() {
        let mut line = as_json(&StepMetrics::default());
        line["loss"] = Value::Null;
        line["rewards/exact/mean"] = Value::Null;
        let back: StepMetrics = serde_json::from_value(line).unwrap();
        assert!(back.loss.is_nan() && back.reward_means["exact"].is_nan());
    }

    #[test]
    fn an_evaluation_line_has_its_own_names() {
        let line = EvalMetrics { step: 2, accuracy: 0.5, problems: 20, ..EvalMetrics::default() };
        assert_eq!(
            serde_json::to_value(line).unwrap(),
            json!({"step": 2, "eval/accuracy": 0.5, "eval/problems": 20, "eval/pass_at_k": null})
        );
    }
}
