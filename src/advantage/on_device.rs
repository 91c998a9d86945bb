//! Estimators and whitening by the kernels of a device, in f32: what training runs, held to the f64
//! of this room.

use super::post::{PostProcessing, PostReport, white_values};
use super::rule::{apply_rule, check_rule, fold_seed};
use super::statistics::{RewardStatistics, spread};
use super::{AdvantageError, AdvantageEstimator, GroupAdvantages, GroupRewards, RewardBatch};
use crate::kernel::Kernels;
use crate::kernel::group_advantage::RolloutAdvantages;
use crate::kernel::group_baseline::{GroupBaselines, GroupTable, LARGEST_GROUP, NO_PIVOT};
use crate::kernel::group_rule::{GroupRule, PivotDraws};
use crate::kernel::groups::{group_advantages, whitened};
use crate::kernel::whiten::LARGEST_TABLE;

/// The largest reward whose group statistics stay finite in f32.
const LARGEST_REWARD: f64 = 1e36;

/// The largest advantage whose square, summed over the tokens of any step, stays finite in f32.
const LARGEST_WHITENED: f64 = 1e14;

/// How much of a group's spread may be lost where its rewards are rounded to f32.
const LOST_TO_ROUNDING: f64 = 1e-3;

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

/// Applies an estimator's rule to every group by the group kernels on `device` where
/// [`kernel_rule`] finds that they can, and on the host elsewhere.
///
/// Errors: a setting out of range, or rewards that [`RewardBatch::check`] refuses.
pub fn rule_on<B: Kernels>(
    estimator: &impl AdvantageEstimator,
    batch: &RewardBatch,
    device: &B::Device,
) -> Result<Vec<GroupAdvantages>, AdvantageError> {
    match kernel_rule(estimator, batch) {
        Some(rule) => apply_rule_on::<B>(&rule, batch, device),
        None => apply_rule(&estimator.rule(), batch),
    }
}

/// The rule by which the group kernels compute this batch; none where the host does.
///
/// The host does it for an estimator that needs the whole batch, for a group of more than
/// [`LARGEST_GROUP`] rollouts, and for rewards that f32 does not hold: beyond 1e36, or so much larger
/// than their differences that rounding would lose these.
pub fn kernel_rule(estimator: &impl AdvantageEstimator, batch: &RewardBatch) -> Option<GroupRule> {
    let rule = estimator.group_rule()?;
    let fits = |group: &GroupRewards| {
        (1..=LARGEST_GROUP).contains(&group.rewards.len()) && f32_holds(group, rule.equal_tol)
    };
    // An epsilon that f32 rounds to zero would divide by zero.
    let divides = rule.eps >= f64::from(f32::MIN_POSITIVE);
    (divides && !batch.groups.is_empty() && batch.groups.iter().all(fits)).then_some(rule)
}

fn f32_holds(group: &GroupRewards, equal_tol: f64) -> bool {
    let rewards = group.scored();
    let largest = largest(&rewards);
    // NaN is left to the checks of the host.
    largest <= LARGEST_REWARD && (spread(&rewards) <= equal_tol || is_told_apart(&rewards))
}

/// Whether the values keep their differences where they are rounded to f32.
fn is_told_apart(values: &[f64]) -> bool {
    largest(values) * f64::from(f32::EPSILON) <= LOST_TO_ROUNDING * spread(values)
}

/// The largest absolute value; NaN where there is one.
fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |largest, value| match value.is_nan() {
        true => f64::NAN,
        false if value.abs() > largest => value.abs(),
        false => largest,
    })
}

fn apply_rule_on<B: Kernels>(
    rule: &GroupRule,
    batch: &RewardBatch,
    device: &B::Device,
) -> Result<Vec<GroupAdvantages>, AdvantageError> {
    check_rule(rule)?;
    batch.check()?;
    let table = PaddedTable::new(&batch.groups);
    let draws = PivotDraws { seed: fold_seed(batch.seed), first_group: 0 };
    // Clipping comes after masks and whitening, and reports how many it touched.
    let results = group_advantages::<B>(&table.as_table(), rule, draws, f32::INFINITY, device);
    let groups = batch.groups.iter().enumerate();
    Ok(groups.map(|(p, group)| one_group(rule, group, p, table.g, &results)).collect())
}

fn one_group(
    rule: &GroupRule,
    group: &GroupRewards,
    p: usize,
    g: usize,
    (rows, rollouts): &(GroupBaselines, RolloutAdvantages),
) -> GroupAdvantages {
    let places = p * g..p * g + group.rewards.len();
    let pivot = rows.pivot_p[p];
    GroupAdvantages {
        baseline: f64::from(rows.baseline_p[p]),
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
pub(super) struct PaddedTable {
    g: usize,
    rewards_pg: Vec<f32>,
    valid_pg: Vec<u32>,
    lengths_pg: Vec<u32>,
}

impl PaddedTable {
    /// A table as wide as the largest group.
    pub(super) fn new(groups: &[GroupRewards]) -> Self {
        let g = groups.iter().map(|group| group.rewards.len()).max().unwrap_or(0);
        let mut table = Self { g, rewards_pg: vec![], valid_pg: vec![], lengths_pg: vec![] };
        for group in groups {
            for i in 0..g {
                let reward = group.rewards.get(i).copied().flatten();
                table.rewards_pg.push(reward.unwrap_or_default() as f32);
                table.valid_pg.push(u32::from(reward.is_some()));
                table.lengths_pg.push(group.lengths.get(i).map_or(0, |&length| length as u32));
            }
        }
        table
    }

    /// What the kernels see of it.
    pub(super) fn as_table(&self) -> GroupTable<'_> {
        let Self { g, rewards_pg, valid_pg, lengths_pg } = self;
        GroupTable { g: *g, rewards_pg, valid_pg, lengths_pg }
    }
}

impl PostProcessing {
    /// [`PostProcessing::apply`] with the whitening computed by its kernel on `device`.
    ///
    /// Clipping stays on the host: it comes last, and counts what it touches. So does the whitening of
    /// values that f32 does not hold, of values that are all the same (their mean's rounding would be
    /// whitened to noise), of more than a million rollouts, and of rollouts without loss tokens, which the kernel leaves as they are.
    pub fn apply_on<B: Kernels>(
        &self,
        groups: Vec<GroupAdvantages>,
        batch: &RewardBatch,
        device: &B::Device,
    ) -> (Vec<GroupAdvantages>, PostReport) {
        self.apply_with(groups, batch, |values, tokens| {
            let fits = largest(values) <= LARGEST_WHITENED && is_told_apart(values);
            let fits = fits && values.len() <= LARGEST_TABLE;
            match fits && tokens.iter().all(|&count| count > 0) {
                true => Some(whitened_on::<B>(values, tokens, device)),
                false => white_values(values, tokens),
            }
        })
    }
}

fn whitened_on<B: Kernels>(values: &[f64], tokens: &[usize], device: &B::Device) -> Vec<f64> {
    let values: Vec<f32> = values.iter().map(|&value| value as f32).collect();
    let tokens: Vec<u32> = tokens.iter().map(|&count| count as u32).collect();
    let white = whitened::<B>(&values, &tokens, device);
    white.into_iter().map(f64::from).collect()
}

#[cfg(test)]
mod tests {
    use burn::backend::NdArray;

    use super::*;
    use crate::advantage::{Estimator, GroupMeanBatchStd, Grpo, McGrpo, Reinforce};
    use crate::kernel::group_rule::{
        Baseline, EpsMode, EvenMedian, MadZeroFallback, PivotTie, Scale,
    };

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
    fn the_host_computes_what_f32_or_one_group_alone_cannot() {
        let binary = RewardBatch::from_rewards([vec![Some(1.0), Some(0.0), None]]);
        let kernels = |estimator: Estimator, batch: &RewardBatch| {
            let device = Default::default();
            let got = estimate_on::<NdArray>(&estimator, batch, &device).unwrap();
            let by_kernels = kernel_rule(&estimator, batch).is_some();
            assert!(by_kernels || got == estimator.estimate(batch).unwrap());
            by_kernels
        };
        assert!(kernels(Estimator::default(), &binary));
        assert!(!kernels(Estimator::GroupMeanBatchStd(GroupMeanBatchStd::default()), &binary));
        let no_eps = Grpo { eps: 1e-60, ..Grpo::default() };
        assert!(!kernels(Estimator::Grpo(no_eps), &binary));
        for rewards in [
            vec![Some(2e36), Some(0.0)],
            vec![Some(1e6), Some(1e6 + 0.01)],
            (0..1025).map(|i| Some(f64::from(i % 2))).collect(),
        ] {
            let batch = RewardBatch::from_rewards([rewards, vec![Some(1.0)]]);
            assert!(!kernels(Estimator::default(), &batch));
        }
        let equal = RewardBatch::from_rewards([vec![Some(1e6); 4]]);
        assert!(kernels(Estimator::default(), &equal));
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
            post.apply_on::<NdArray>(groups.clone(), batch, &Default::default());
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
    fn values_that_are_all_the_same_or_huge_are_whitened_in_f64() {
        for value in [0.1, 1e30] {
            let rewards = [Some(value), Some(if value > 1.0 { -value } else { value }), None];
            let batch = RewardBatch::from_rewards([rewards.to_vec(), rewards.to_vec()]);
            let [on_device, on_host] = whitened_both_ways(&batch, None);
            assert_eq!(on_device, on_host);
        }
    }
}
