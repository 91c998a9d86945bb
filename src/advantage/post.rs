//! What may happen to advantages before the loss: whitening over tokens, then clipping.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::statistics::token_moments;
use super::{AdvantageError, GroupAdvantages, RewardBatch};

/// ROLL's `whiten_advantages` and `advantage_clip`, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PostProcessing {
    /// Whether advantages are brought to mean 0 and deviation 1 over the step's loss tokens.
    pub whiten_advantages: bool,
    /// The largest absolute advantage.
    pub advantage_clip: Option<f64>,
}

/// What the post-processing did.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct PostReport {
    /// Share of the kept, scored rollouts whose advantage was clipped.
    pub clipped_fraction: f64,
}

impl PostProcessing {
    /// Whitens and clips the advantages of one step's groups, given in the batch's order.
    ///
    /// Whitening re-centres groups without signal too, as ROLL's does; their `has_signal` stays false.
    pub fn apply(
        &self,
        groups: Vec<GroupAdvantages>,
        batch: &RewardBatch,
    ) -> (Vec<GroupAdvantages>, PostReport) {
        self.apply_with(groups, batch, white_values)
    }

    /// The same with a whitening of one's own: of values and what each counts to the whitened values,
    /// or nothing where nothing changes.
    pub(super) fn apply_with(
        &self,
        groups: Vec<GroupAdvantages>,
        batch: &RewardBatch,
        white: impl Fn(&[f64], &[usize]) -> Option<Vec<f64>>,
    ) -> (Vec<GroupAdvantages>, PostReport) {
        assert!(groups.len() == batch.groups.len(), "advantages of another batch");
        let lengths: Vec<&[usize]> = batch.groups.iter().map(|g| g.lengths.as_slice()).collect();
        let groups = match self.whiten_advantages {
            true => whiten_with(groups, &lengths, white),
            false => groups,
        };
        match self.advantage_clip {
            Some(limit) => clip(groups, limit),
            None => (groups, PostReport::default()),
        }
    }

    /// Refuses a clip that is not above zero.
    pub fn validate(&self) -> Result<(), AdvantageError> {
        match self.advantage_clip {
            Some(limit) if limit.is_nan() || limit <= 0.0 => {
                let reason =
                    "it is the largest absolute advantage; use a number above 0 or leave it out";
                Err(AdvantageError::setting("advantage_clip", limit, reason))
            }
            _ => Ok(()),
        }
    }
}

/// Brings advantages to mean 0 and deviation 1 over the loss tokens of the kept, scored rollouts.
///
/// ```text
/// a' = (a - mean) / sqrt(var + 1e-8)      var over tokens with Bessel's correction, in two passes
/// ```
///
/// With fewer than two such tokens nothing changes, nor does a rollout without any.
pub(super) fn whiten(groups: Vec<GroupAdvantages>, lengths: &[&[usize]]) -> Vec<GroupAdvantages> {
    whiten_with(groups, lengths, white_values)
}

fn whiten_with(
    mut groups: Vec<GroupAdvantages>,
    lengths: &[&[usize]],
    white: impl Fn(&[f64], &[usize]) -> Option<Vec<f64>>,
) -> Vec<GroupAdvantages> {
    let (mut values, mut tokens) = (Vec::new(), Vec::new());
    for (group, lengths) in groups.iter().zip(lengths) {
        for i in counted(group) {
            values.push(group.advantages[i]);
            tokens.push(lengths[i]);
        }
    }
    let Some(white) = white(&values, &tokens) else {
        return groups;
    };
    let mut white = white.into_iter();
    for group in &mut groups {
        for (i, value) in counted(group).into_iter().zip(white.by_ref()) {
            group.advantages[i] = value;
        }
    }
    groups
}

/// The rollouts whose tokens count.
fn counted(group: &GroupAdvantages) -> Vec<usize> {
    (0..group.advantages.len()).filter(|&i| group.kept[i] && group.scored[i]).collect()
}

/// Values that each stand for so many tokens, whitened in f64.
pub(super) fn white_values(values: &[f64], tokens: &[usize]) -> Option<Vec<f64>> {
    let (mean, std) = token_moments(values, tokens)?;
    let deviation = (std * std + 1e-8).sqrt();
    let white = |(&value, &count): (&f64, &usize)| match count {
        0 => value,
        _ => (value - mean) / deviation,
    };
    Some(values.iter().zip(tokens).map(white).collect())
}

fn clip(groups: Vec<GroupAdvantages>, limit: f64) -> (Vec<GroupAdvantages>, PostReport) {
    let (mut clipped, mut rollouts) = (0usize, 0usize);
    let clipped_group = |mut group: GroupAdvantages| {
        for (i, advantage) in group.advantages.iter().enumerate() {
            let counts = group.kept[i] && group.scored[i];
            rollouts += usize::from(counts);
            clipped += usize::from(counts && advantage.abs() > limit);
        }
        group.advantages.iter_mut().for_each(|a| *a = a.clamp(-limit, limit));
        group
    };
    let groups = groups.into_iter().map(clipped_group).collect();
    (groups, PostReport { clipped_fraction: clipped as f64 / rollouts.max(1) as f64 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advantage::{AdvantageEstimator, DrGrpo, McGrpo};

    fn batch(rewards: Vec<Option<f64>>, lengths: Vec<usize>) -> RewardBatch {
        let mut batch = RewardBatch::from_rewards([rewards]);
        batch.groups[0].lengths = lengths;
        batch
    }

    fn whitened(batch: &RewardBatch, estimator: &dyn AdvantageEstimator) -> Vec<f64> {
        let post = PostProcessing { whiten_advantages: true, advantage_clip: None };
        post.apply(estimator.estimate(batch).unwrap(), batch).0.remove(0).advantages
    }

    #[test]
    fn whitening_counts_tokens_and_leaves_the_unscored_alone() {
        let batch = batch(vec![Some(2.0), Some(0.0), None], vec![3, 1, 50]);
        let got = whitened(&batch, &DrGrpo::default());
        // 1, 1, 1, -1: mean .5, variance 3 / 3
        assert!((got[0] - 0.5).abs() < 1e-7 && (got[1] + 1.5).abs() < 1e-7);
        assert_eq!(got[2], 0.0);
    }

    #[test]
    fn the_pivots_tokens_do_not_count() {
        let rewards = vec![Some(2.0), Some(1.0), Some(0.0)];
        let few = whitened(&batch(rewards.clone(), vec![3, 1, 1]), &McGrpo::default());
        let many = whitened(&batch(rewards, vec![3, 90, 1]), &McGrpo::default());
        assert_eq!(few, many);
    }

    #[test]
    fn a_group_that_has_no_signal_is_moved_by_whitening_and_still_has_none() {
        let mut batch = RewardBatch::from_rewards([vec![Some(1.0); 2], vec![Some(3.0), Some(0.0)]]);
        batch.groups[1].lengths = vec![3, 1];
        let post = PostProcessing { whiten_advantages: true, advantage_clip: Some(5.0) };
        let (groups, _) = post.apply(DrGrpo::default().estimate(&batch).unwrap(), &batch);
        assert!(groups[0].advantages.iter().all(|&advantage| advantage < 0.0));
        assert_eq!([groups[0].has_signal, groups[1].has_signal], [false, true]);
    }

    #[test]
    fn a_single_token_is_not_whitened() {
        let batch = batch(vec![Some(2.0), Some(0.0)], vec![1, 0]);
        assert_eq!(whitened(&batch, &DrGrpo::default()), [1.0, -1.0]);
    }

    #[test]
    fn clipping_reports_the_share_it_touched() {
        let batch = batch(vec![Some(8.0), Some(0.0), Some(1.0), Some(-1.0)], vec![1; 4]);
        let post = PostProcessing { whiten_advantages: false, advantage_clip: Some(2.0) };
        let (groups, report) = post.apply(DrGrpo::default().estimate(&batch).unwrap(), &batch);
        assert_eq!(groups[0].advantages, [2.0, -2.0, -1.0, -2.0]);
        assert_eq!(report.clipped_fraction, 0.5);
    }

    #[test]
    fn a_clip_of_zero_is_refused() {
        let post = PostProcessing { whiten_advantages: false, advantage_clip: Some(0.0) };
        assert!(post.validate().unwrap_err().to_string().starts_with("advantage_clip is 0"));
    }
}
