//! Estimators and whitening by the kernels of a device, in f32: what training runs, held to the f64
//! of this room.

use super::post::{PostProcessing, PostReport};
use super::rule::{apply_rule, check_rule, fold_seed};
use super::statistics::{RewardStatistics, median, token_moments};
use super::{AdvantageError, AdvantageEstimator, GroupAdvantages, GroupRewards, RewardBatch};
use crate::kernel::Kernels;
use crate::kernel::group_advantage::RolloutAdvantages;
use crate::kernel::group_baseline::{GroupBaselines, GroupTable, LARGEST_GROUP, NO_PIVOT};
use crate::kernel::group_rule::{EvenMedian, GroupRule, PivotDraws};
use crate::kernel::groups::{group_advantages, whitened};
use crate::kernel::whiten::LARGEST_TABLE;

/// Where the squares of advantages begin to crowd f32, and far above the 1e-8 that whitening adds.
const MILLION: f64 = 1e6;

/// [`AdvantageEstimator::estimate`] with the rule computed by [`rule_on`].
///
/// Errors: those of [`AdvantageEstimator::estimate`].
pub fn estimate_on<B: Kernels>(
    estimator: &impl AdvantageEstimator,
    batch: &RewardBatch,
    device: &B::Device,
) -> Result<Vec<GroupAdvantages>, AdvantageError> {
    estimator.finish(rule_on::<B>(estimator, batch, device)?, batch)
}

/// Applies an estimator's rule to every group: by the group kernels on `device` in f32, or on the host
/// in f64 for an estimator that [`finishes`](AdvantageEstimator::finishes). The numbers of a batch have
/// no part in that.
///
/// Errors: a setting out of range, rewards that [`RewardBatch::check`] refuses, or a group of more than
/// [`LARGEST_GROUP`] rollouts.
pub fn rule_on<B: Kernels>(
    estimator: &impl AdvantageEstimator,
    batch: &RewardBatch,
    device: &B::Device,
) -> Result<Vec<GroupAdvantages>, AdvantageError> {
    match estimator.group_rule() {
        Some(rule) => apply_rule_on::<B>(&rule, batch, device),
        None => apply_rule(&estimator.rule(), batch),
    }
}

fn apply_rule_on<B: Kernels>(
    rule: &GroupRule,
    batch: &RewardBatch,
    device: &B::Device,
) -> Result<Vec<GroupAdvantages>, AdvantageError> {
    check_rule(rule)?;
    batch.check()?;
    check_sizes(batch)?;
    if batch.groups.is_empty() {
        return Ok(Vec::new());
    }
    let table = PaddedTable::new(&batch.groups);
    let draws = PivotDraws { seed: fold_seed(batch.seed), first_group: 0 };
    // Clipping comes after masks and whitening, and reports how many it touched.
    let results = group_advantages::<B>(&table.as_table(), rule, draws, f32::INFINITY, device);
    let groups = batch.groups.iter().enumerate();
    Ok(groups.map(|(p, group)| one_group(rule, group, p, &table, &results)).collect())
}

/// Refuses groups that no kernel takes.
fn check_sizes(batch: &RewardBatch) -> Result<(), AdvantageError> {
    let sizes = batch.groups.iter().map(|group| group.rewards.len()).enumerate();
    match sizes.into_iter().find(|(_, size)| *size > LARGEST_GROUP) {
        Some((group, size)) => Err(AdvantageError::LargeGroup { group, size, most: LARGEST_GROUP }),
        None => Ok(()),
    }
}

fn one_group(
    rule: &GroupRule,
    group: &GroupRewards,
    p: usize,
    table: &PaddedTable,
    (rows, rollouts): &(GroupBaselines, RolloutAdvantages),
) -> GroupAdvantages {
    let places = p * table.g..p * table.g + group.rewards.len();
    let pivot = rows.pivot_p[p];
    // Told with the digits that it was computed with.
    let baseline = (table.centre_p[p] + f64::from(rows.baseline_p[p])) as f32;
    GroupAdvantages {
        baseline: baseline.into(),
        scale: f64::from(rows.scale_p[p]),
        pivot: (pivot != NO_PIVOT).then_some(pivot as usize),
        advantages: rollouts.advantages_pg[places.clone()].iter().map(|&a| a.into()).collect(),
        kept: rollouts.keep_pg[places].iter().map(|&keep| keep != 0).collect(),
        scored: group.rewards.iter().map(Option::is_some).collect(),
        has_signal: rows.signal_p[p] != 0,
        statistics: RewardStatistics::of(&group.scored(), rule.even_median),
    }
}

/// Groups as the kernels take them: in f32, shorter ones padded with rollouts that never count.
///
/// Each group is centred in f64 before it is rounded, so that f32 holds what rewards differ by however
/// large they are themselves. The centre is the lower median: a reward of the group, so that rewards
/// at it are exactly 0, and one that no outlier moves.
pub(super) struct PaddedTable {
    pub(super) g: usize,
    /// What was subtracted from each group; 0 where nothing was scored.
    pub(super) centre_p: Vec<f64>,
    rewards_pg: Vec<f32>,
    valid_pg: Vec<u32>,
    lengths_pg: Vec<u32>,
}

impl PaddedTable {
    /// A table as wide as the largest group.
    pub(super) fn new(groups: &[GroupRewards]) -> Self {
        let g = groups.iter().map(|group| group.rewards.len()).max().unwrap_or(0);
        let mut table =
            Self { g, centre_p: vec![], rewards_pg: vec![], valid_pg: vec![], lengths_pg: vec![] };
        for group in groups {
            let centre = median(&group.scored(), EvenMedian::Lower);
            table.centre_p.push(centre);
            for i in 0..g {
                let reward = group.rewards.get(i).copied().flatten();
                table.rewards_pg.push(reward.map_or(0.0, |reward| (reward - centre) as f32));
                table.valid_pg.push(u32::from(reward.is_some()));
                table.lengths_pg.push(group.lengths.get(i).map_or(0, |&length| length as u32));
            }
        }
        table
    }

    /// What the kernels see of it.
    pub(super) fn as_table(&self) -> GroupTable<'_> {
        let Self { g, rewards_pg, valid_pg, lengths_pg, .. } = self;
        GroupTable { g: *g, rewards_pg, valid_pg, lengths_pg }
    }
}

impl PostProcessing {
    /// [`PostProcessing::apply`] with the whitening computed by its kernel on `device`.
    ///
    /// Clipping stays on the host: it comes last, and counts what it touches.
    ///
    /// Errors: more rollouts in a step than the kernel takes, about a million.
    pub fn apply_on<B: Kernels>(
        &self,
        groups: Vec<GroupAdvantages>,
        batch: &RewardBatch,
        device: &B::Device,
    ) -> Result<(Vec<GroupAdvantages>, PostReport), AdvantageError> {
        let rollouts: usize = groups.iter().map(|group| group.advantages.len()).sum();
        if self.whiten_advantages && rollouts > LARGEST_TABLE {
            let reason = "a step of so many rollouts cannot be whitened; at most 1,048,576 can: use \
                          fewer prompts or smaller groups, or leave whiten_advantages out";
            return Err(AdvantageError::setting("rollouts of a step", rollouts, reason));
        }
        let white = |values: &[f64], tokens: &[usize]| whitened_on::<B>(values, tokens, device);
        Ok(self.apply_with(groups, batch, white))
    }
}

/// Values that each stand for so many tokens, whitened by the kernel of a device; nothing where
/// nothing changes.
///
/// The host takes the mean off in f64, so that f32 holds what values differ by, and brings values
/// beyond a million to about that size, by a power of two, so that f32 holds their squares.
fn whitened_on<B: Kernels>(
    values: &[f64],
    tokens: &[usize],
    device: &B::Device,
) -> Option<Vec<f64>> {
    let (mean, _) = token_moments(values, tokens)?;
    let largest = values.iter().fold(0.0f64, |largest, value| largest.max((value - mean).abs()));
    let unit = if largest > MILLION { (20.0 - largest.log2().ceil()).exp2() } else { 1.0 };
    let centred: Vec<f32> = values.iter().map(|value| ((value - mean) * unit) as f32).collect();
    let counts: Vec<u32> = tokens.iter().map(|&count| count as u32).collect();
    let white = whitened::<B>(&centred, &counts, device).into_iter().map(f64::from);
    let kept = values.iter().zip(tokens).zip(white);
    Some(kept.map(|((&value, &count), white)| if count == 0 { value } else { white }).collect())
}

#[cfg(test)]
mod tests {
    use burn::backend::NdArray;

    use super::*;
    use crate::advantage::{Estimator, GroupMeanBatchStd, Grpo, McGrpo, Reinforce};
    use crate::kernel::group_rule::{Baseline, EpsMode, MadZeroFallback, PivotTie, Scale};

    /// Every combination of settings that names one of its choices.
    fn rules() -> Vec<GroupRule> {
        use Baseline::*;
        let mut rules = vec![GroupRule::default()];
        let mut spread = |apply: &dyn Fn(GroupRule) -> Vec<GroupRule>| {
            rules = rules.iter().copied().flat_map(apply).collect();
        };
        spread(&|rule| {
            [Mean, Median, LeaveOneOut, LengthWeighted]
                .map(|baseline| GroupRule { baseline, ..rule })
                .into()
        });
        spread(&|rule| {
            [Scale::None, Scale::Std, Scale::StdMedian, Scale::Mad, Scale::MeanAbsDev]
                .map(|scale| GroupRule { scale, ..rule })
                .into()
        });
        spread(&|rule| {
            use MadZeroFallback::*;
            [Std, MeanAbsDev, One, Eps].map(|mad_zero| GroupRule { mad_zero, ..rule }).into()
        });
        spread(&|rule| {
            let ties = [PivotTie::First, PivotTie::Shortest, PivotTie::Longest, PivotTie::Random];
            let pivots = [None].into_iter().chain(ties.map(Some));
            pivots.map(|pivot| GroupRule { pivot, ..rule }).collect()
        });
        spread(&|rule| {
            let floor = GroupRule { eps_mode: EpsMode::Floor, mad_factor: 1.4826, ..rule };
            let of_two = GroupRule { even_median: EvenMedian::MeanOfTwo, eps: 0.01, ..rule };
            vec![rule, floor, of_two]
        });
        rules
    }

    /// Groups of all lengths: binary, tied, with an outlier, missing, negative, equal, unscored.
    fn batch() -> RewardBatch {
        let rewards: [&[f64]; 9] = [
            &[1.0, 0.0],
            &[0.0, 1.0, 1.0, 0.0, 0.0],
            &[2.0, 1.5, 0.0],
            &[0.3, 0.1, 100.0, 0.2],
            &[0.5, f64::NAN, 0.25, 1.0, f64::NAN, 0.75],
            &[-3.0, -1.5, -2.25, -10.0, -1.5],
            &[0.5; 7],
            &[f64::NAN; 3],
            &[1e30, -1e30, 5e29, 0.0],
        ];
        let scored = |reward: &f64| (!reward.is_nan()).then_some(*reward);
        let mut batch =
            RewardBatch::from_rewards(rewards.map(|of| of.iter().map(scored).collect()));
        for (p, group) in batch.groups.iter_mut().enumerate() {
            let length = |i| (i * i + 3 * p) % 7;
            group.lengths = (0..group.rewards.len()).map(length).collect();
        }
        RewardBatch { seed: 1 << 40 | 9, ..batch }
    }

    fn on_the_cpu(rule: &GroupRule, batch: &RewardBatch) -> Vec<GroupAdvantages> {
        apply_rule_on::<NdArray>(rule, batch, &Default::default()).unwrap()
    }

    /// The largest absolute value.
    fn largest(values: &[f64]) -> f64 {
        values.iter().fold(0.0, |largest, value| largest.max(value.abs()))
    }

    fn assert_near(got: f64, want: f64, slack: f64, place: &str) {
        let allowed = slack + 2e-6 * want.abs();
        assert!((got - want).abs() <= allowed, "{got} is not {want} within {allowed}: {place}");
    }

    #[test]
    fn the_kernels_and_the_f64_estimators_agree_on_every_rule() {
        let (rules, batch) = (rules(), batch());
        assert_eq!(rules.len(), 4 * 5 * 4 * 5 * 3);
        for rule in &rules {
            let pairs = on_the_cpu(rule, &batch).into_iter().zip(apply_rule(rule, &batch).unwrap());
            for ((got, want), group) in pairs.zip(&batch.groups) {
                let place = format!("{:?} under {rule:?}", group.rewards);
                let rounding = 4.0 * largest(&group.scored()) * f64::from(f32::EPSILON);
                assert_near(got.baseline, want.baseline, rounding, &place);
                assert_near(got.scale, want.scale, rounding, &place);
                for (&got, &want_a) in got.advantages.iter().zip(&want.advantages) {
                    let slack = rounding / want.scale * (1.0 + want_a.abs());
                    assert_near(got, want_a, slack, &place);
                    assert!(want_a != 0.0 || got.abs() <= slack, "{place}");
                }
                let facts = |group: GroupAdvantages| {
                    (group.pivot, group.kept, group.scored, group.has_signal, group.statistics)
                };
                assert_eq!(facts(got), facts(want), "{place}");
            }
        }
    }

    #[test]
    fn ragged_groups_are_padded_with_rollouts_that_never_count() {
        let batch = batch();
        for rule in rules().iter().filter(|rule| rule.pivot != Some(PivotTie::Random)).step_by(7) {
            let together = on_the_cpu(rule, &batch);
            for (group, together) in batch.groups.iter().zip(together) {
                let alone = RewardBatch { groups: vec![group.clone()], ..RewardBatch::default() };
                assert_eq!(on_the_cpu(rule, &alone), [together], "{rule:?}");
            }
        }
    }

    #[test]
    fn the_host_computes_only_estimators_that_are_more_than_a_rule() {
        let batch = RewardBatch::from_rewards([
            vec![Some(1.0), Some(0.0), None],
            vec![Some(1e6), Some(1e6 + 0.01)],
            vec![Some(1e6); 4],
        ]);
        let on_device = |estimator: &Estimator| {
            estimate_on::<NdArray>(estimator, &batch, &Default::default()).unwrap()
        };
        let batch_std = Estimator::GroupMeanBatchStd(GroupMeanBatchStd::default());
        assert_eq!(on_device(&batch_std), batch_std.estimate(&batch).unwrap());
        for estimator in [Estimator::default(), Estimator::McGrpo(McGrpo::default())] {
            let (got, want) = (on_device(&estimator), estimator.estimate(&batch).unwrap());
            let scales = |groups: &[GroupAdvantages]| {
                groups.iter().map(|group| group.scale).collect::<Vec<f64>>()
            };
            assert_ne!(scales(&got), scales(&want), "the kernel did not compute it");
            let is_f32 = |scale: &f64| f64::from(*scale as f32) == *scale;
            assert!(scales(&got).iter().all(is_f32), "{got:?}");
        }
    }

    #[test]
    fn a_small_spread_around_any_number_keeps_its_advantages() {
        let spread = [0.0, 0.25, 0.5, 1.0, -2.0];
        let at = |centre: f64| {
            let rewards = spread.iter().map(|reward| Some(centre + reward)).collect();
            let batch = RewardBatch::from_rewards([rewards]);
            estimate_on::<NdArray>(&Estimator::default(), &batch, &Default::default()).unwrap()
        };
        let near_zero = at(0.0).remove(0);
        for centre in [1e6, -3e7, 1e12] {
            let far = at(centre).remove(0);
            assert_eq!(far.advantages, near_zero.advantages, "around {centre}");
            assert_eq!((far.scale, far.has_signal), (near_zero.scale, true), "around {centre}");
        }
    }

    #[test]
    fn what_f32_cannot_hold_is_refused_whatever_computes_it() {
        let estimate = |estimator: &Estimator, rewards: Vec<Option<f64>>| {
            let batch = RewardBatch::from_rewards([rewards, vec![Some(1.0), Some(0.0)]]);
            let refused = estimate_on::<NdArray>(estimator, &batch, &Default::default());
            refused.unwrap_err().to_string()
        };
        let no_eps = Estimator::Grpo(Grpo { eps: 1e-60, ..Grpo::default() });
        let grpo = Estimator::default();
        for (message, words) in [
            (estimate(&grpo, vec![Some(2e36), Some(0.0)]), "not a usable number"),
            (estimate(&no_eps, vec![Some(1.0), Some(0.0)]), "eps is 0.0000000000"),
            (estimate(&grpo, vec![Some(1.0); 1025]), "group 0 has 1025 rollouts"),
        ] {
            assert!(message.contains(words), "{message}");
        }
        assert!(grpo.validate(1025).unwrap_err().to_string().contains("at most 1024"));
        assert!(Estimator::McGrpo(McGrpo::default()).validate(1024).is_err());
        assert!(grpo.validate(1024).is_ok());
    }

    #[test]
    fn what_the_host_refuses_is_refused_with_the_same_words() {
        let rewards = |reward| RewardBatch::from_rewards([vec![Some(reward), Some(0.0)]]);
        let grpo = |eps| Estimator::Grpo(Grpo { eps, ..Grpo::default() });
        let negative = McGrpo { tie_tol: -1.0, ..McGrpo::default() };
        for (estimator, batch) in [
            (grpo(1e-4), rewards(f64::NAN)),
            (grpo(1e-4), rewards(f64::INFINITY)),
            (grpo(1e-4), RewardBatch::from_rewards([vec![], vec![Some(1.0)]])),
            (grpo(f64::INFINITY), rewards(1.0)),
            (grpo(-0.5), rewards(1.0)),
            (Estimator::McGrpo(negative), rewards(1.0)),
        ] {
            let on_device = estimate_on::<NdArray>(&estimator, &batch, &Default::default());
            let (got, want) = (on_device.unwrap_err(), estimator.estimate(&batch).unwrap_err());
            assert_eq!(got.to_string(), want.to_string());
        }
    }

    fn whitened_both_ways(batch: &RewardBatch, advantage_clip: Option<f64>) -> [Vec<f64>; 2] {
        let post = PostProcessing { whiten_advantages: true, advantage_clip };
        let groups = Reinforce {}.estimate(batch).unwrap();
        let (on_device, report) =
            post.apply_on::<NdArray>(groups.clone(), batch, &Default::default()).unwrap();
        let (on_host, reference) = post.apply(groups, batch);
        assert_eq!(report, reference);
        [on_device, on_host].map(|groups| {
            groups.into_iter().flat_map(|group| group.advantages).collect::<Vec<f64>>()
        })
    }

    #[test]
    fn whitening_by_the_kernel_is_that_of_f64_and_clipping_still_comes_last() {
        let mut batch = batch();
        batch.groups.pop();
        batch.groups.iter_mut().flat_map(|group| &mut group.lengths).for_each(|count| *count += 1);
        for clip in [None, Some(0.3)] {
            let [on_device, on_host] = whitened_both_ways(&batch, clip);
            for (got, want) in on_device.iter().zip(&on_host) {
                assert_near(*got, *want, 1e-6, "whitened");
            }
            assert_ne!(on_device, on_host, "the kernel did not compute it");
        }
    }

    #[test]
    fn values_that_are_all_the_same_or_huge_or_far_from_zero_are_whitened_as_in_f64() {
        for rewards in [[0.1, 0.1], [1e30, -1e30], [1e9, 1e9 + 0.5], [3e-9, 1e-9]] {
            let rewards: Vec<_> = rewards.map(Some).into_iter().chain([None]).collect();
            let batch = RewardBatch::from_rewards([rewards.clone(), rewards]);
            let [on_device, on_host] = whitened_both_ways(&batch, None);
            for (got, want) in on_device.iter().zip(&on_host) {
                assert_near(*got, *want, 1e-6, "whitened");
            }
        }
    }

    #[test]
    fn a_rollout_without_loss_tokens_is_left_as_it_is_by_both() {
        let mut batch = RewardBatch::from_rewards([vec![Some(3.0), Some(1.0), Some(7.0)]]);
        batch.groups[0].lengths = vec![2, 2, 0];
        for whitened in whitened_both_ways(&batch, None) {
            assert_eq!(whitened[2], 7.0);
            assert!((whitened[0] - 0.75f64.sqrt()).abs() < 1e-6, "{whitened:?}");
        }
    }
}
