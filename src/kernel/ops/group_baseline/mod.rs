//! Baseline, scale, signal and pivot of every group; the CPU body is the reference of
//! `shaders/group_baseline.wgsl`.

mod group;

use burn::tensor::{Shape, Tensor};

use self::group::Group;
use crate::kernel::check::{Case, Visitor, group_table};
use crate::kernel::group_rule::{Baseline, GroupRule, PivotDraws, PivotTie, Scale};
use crate::kernel::op::Elements;
use crate::kernel::{Kernels, Op, float, primitive};

/// Rows (baseline, scale, signal, pivot) `[p, 4]`, as [`GroupBaselines::to_rows`] has them, of rewards,
/// valid and lengths, all `[p, g]` with g at most [`LARGEST_GROUP`].
pub fn group_baseline<B: Kernels>(
    rewards_valid_lengths: [&Tensor<B, 2>; 3],
    rule: &GroupRule,
    draws: PivotDraws,
) -> Tensor<B, 2> {
    let op = GroupBaseline { rule: *rule, draws };
    let [rows] = B::run(op, rewards_valid_lengths.map(primitive));
    float(rows)
}

/// Rows `[p, 4]` of rewards, valid and lengths, all `[p, g]`.
#[derive(Debug, Clone)]
pub struct GroupBaseline {
    /// What baseline and scale are.
    pub rule: GroupRule,
    /// Where draws among tied pivots come from.
    pub draws: PivotDraws,
}

impl Op<3, 1> for GroupBaseline {
    const NAME: &'static str = "group_baseline";

    fn shapes(&self, [rewards, ..]: [&Shape; 3]) -> [Shape; 1] {
        [Shape::new([rewards[0], 4])]
    }

    fn cpu(&self, [rewards, valid, lengths]: [Elements; 3]) -> [Vec<f32>; 1] {
        let ([_, g], valid, lengths) = (rewards.dims(), valid.counts(), lengths.counts());
        let table = GroupTable { g, rewards_pg: &rewards, valid_pg: &valid, lengths_pg: &lengths };
        [baselines(&table, &self.rule, self.draws).to_rows()]
    }
}

/// The row of `group_baseline` in the list of operations: every baseline with every scale.
pub fn visit(visitor: &mut impl Visitor) {
    let all = [Baseline::Mean, Baseline::Median, Baseline::LeaveOneOut, Baseline::LengthWeighted];
    let scales = [Scale::None, Scale::Std, Scale::StdMedian, Scale::Mad, Scale::MeanAbsDev];
    for (baseline, scale) in all.into_iter().flat_map(|b| scales.map(|s| (b, s))) {
        let pivot = (baseline == Baseline::Median).then_some(PivotTie::Random);
        let rule = GroupRule { baseline, scale, pivot, ..GroupRule::default() };
        let op = GroupBaseline { rule, draws: PivotDraws::default() };
        visitor.visit(Case::new("group_baseline", op, group_table()));
    }
}

/// The pivot of a group that drops none.
pub const NO_PIVOT: u32 = u32::MAX;

/// The most rollouts a group may have.
pub const LARGEST_GROUP: usize = 1024;

/// Rewards of p groups of g rollouts, row by row; shorter groups are padded with invalid rollouts
/// at the end.
#[derive(Debug, Clone, Copy)]
pub struct GroupTable<'a> {
    /// Rollouts per group.
    pub g: usize,
    /// Finite rewards; what stands at an invalid place is never read.
    pub rewards_pg: &'a [f32],
    /// 1 where the reward counts, 0 where there is none.
    pub valid_pg: &'a [u32],
    /// Loss tokens of each rollout.
    pub lengths_pg: &'a [u32],
}

/// One row for each group.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct GroupBaselines {
    /// What is subtracted; 0 for a group without a valid reward.
    pub baseline_p: Vec<f32>,
    /// What the difference is divided by, epsilon included.
    pub scale_p: Vec<f32>,
    /// 1 where some kept advantage differs from zero.
    pub signal_p: Vec<u32>,
    /// The rollout that leaves the group, or [`NO_PIVOT`].
    pub pivot_p: Vec<u32>,
}

impl GroupBaselines {
    /// Rows (baseline, scale, signal, pivot) `[p, 4]` as a device holds them; no pivot is -1.
    pub fn to_rows(&self) -> Vec<f32> {
        let pivot = |pivot: u32| if pivot == NO_PIVOT { -1.0 } else { pivot as f32 };
        let row = |p: usize| {
            [self.baseline_p[p], self.scale_p[p], self.signal_p[p] as f32, pivot(self.pivot_p[p])]
        };
        (0..self.baseline_p.len()).flat_map(row).collect()
    }

    /// The same read back.
    pub fn from_rows(rows: &[f32]) -> Self {
        let mut out = Self::default();
        for row in rows.chunks_exact(4) {
            out.baseline_p.push(row[0]);
            out.scale_p.push(row[1]);
            out.signal_p.push(row[2] as u32);
            out.pivot_p.push(if row[3] < 0.0 { NO_PIVOT } else { row[3] as u32 });
        }
        out
    }
}

/// Computes baseline, scale, signal and pivot of every group in f32.
///
/// Shapes: the table is [p, g] with g at most [`LARGEST_GROUP`]; the result has p rows. Rewards may
/// be as large as 1e36 in absolute value. Panics if the table's slices are not p·g long.
pub fn baselines(table: &GroupTable, rule: &GroupRule, draws: PivotDraws) -> GroupBaselines {
    let GroupTable { g, rewards_pg, valid_pg, lengths_pg } = *table;
    assert!((1..=LARGEST_GROUP).contains(&g), "groups of {g}; 1 to {LARGEST_GROUP} are supported");
    assert!(rewards_pg.len() % g == 0, "{} rewards are not whole groups of {g}", rewards_pg.len());
    assert!(valid_pg.len() == rewards_pg.len() && lengths_pg.len() == rewards_pg.len());
    let mut out = GroupBaselines::default();
    for p in 0..rewards_pg.len() / g {
        let row = p * g..(p + 1) * g;
        let group = Group {
            rewards: &rewards_pg[row.clone()],
            valid: &valid_pg[row.clone()],
            lengths: &lengths_pg[row],
            rule,
        };
        group.write_row(draws.of(p), &mut out);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(rewards: &[f32], rule: GroupRule) -> GroupBaselines {
        let ones = vec![1; rewards.len()];
        let table = GroupTable {
            g: rewards.len(),
            rewards_pg: rewards,
            valid_pg: &ones,
            lengths_pg: &ones,
        };
        baselines(&table, &rule, PivotDraws::default())
    }

    fn close(got: f32, want: f32) {
        assert!((got - want).abs() <= 2e-6 * want.abs(), "got {got}, want {want}");
    }

    #[test]
    fn rewards_of_1e30_keep_a_finite_deviation() {
        let rule = GroupRule { scale: Scale::Std, ..GroupRule::default() };
        let got = run(&[1e30, -1e30, 0.0], rule);
        close(got.scale_p[0], 1e30);
        assert_eq!(got.signal_p, [1]);
    }

    #[test]
    fn tiny_rewards_keep_a_deviation_above_zero() {
        let rule =
            GroupRule { scale: Scale::Std, equal_tol: 0.0, eps: 1e-35, ..Default::default() };
        close(run(&[1e-30, -1e-30, 0.0], rule).scale_p[0], 1.00001e-30);
    }

    #[test]
    fn a_small_spread_far_from_zero_is_not_lost_to_rounding() {
        let rule = GroupRule { scale: Scale::Std, eps: 1e-9, ..GroupRule::default() };
        let rewards: Vec<f32> = (0..1024).map(|i| 4096.0 + (i % 2) as f32 * 0.5).collect();
        let got = run(&rewards, rule);
        close(got.baseline_p[0], 4096.25);
        close(got.scale_p[0], 0.25 * (1024.0f32 / 1023.0).sqrt());
    }

    #[test]
    fn the_second_pass_mends_what_the_first_mean_rounds_away() {
        let rewards: Vec<f32> = (0..1000).map(|i| 1000.1 + i as f32 * 0.001).collect();
        let mean = rewards.iter().map(|&reward| f64::from(reward)).sum::<f64>() / 1000.0;
        let got = run(&rewards, GroupRule::default()).baseline_p[0];
        // One unit in the last place is 6e-5 here; the first pass alone is off by four of them.
        assert!((f64::from(got) - mean).abs() < 6.2e-5, "got {got}, want {mean}");
    }

    #[test]
    fn an_odd_median_is_a_reward_and_its_first_holder_is_the_pivot() {
        let rule = GroupRule {
            baseline: Baseline::Median,
            pivot: Some(PivotTie::First),
            ..GroupRule::default()
        };
        let got = run(&[0.0, 1.5, 2.0, 2.0, 0.0], rule);
        assert_eq!((got.baseline_p[0], got.pivot_p[0]), (1.5, 1));
    }

    #[test]
    fn invalid_rewards_are_never_read() {
        let rule = GroupRule { scale: Scale::Std, ..GroupRule::default() };
        let table = GroupTable {
            g: 3,
            rewards_pg: &[1.0, f32::NAN, 0.0, f32::NAN, f32::NAN, f32::NAN],
            valid_pg: &[1, 0, 1, 0, 0, 0],
            lengths_pg: &[1; 6],
        };
        let got = baselines(&table, &rule, PivotDraws::default());
        assert_eq!(got.baseline_p, [0.5, 0.0]);
        assert_eq!(got.signal_p, [1, 0]);
        close(got.scale_p[0], 0.707_206_8);
        close(got.scale_p[1], 1e-4);
    }

    #[test]
    fn a_dropped_pivot_that_held_the_only_difference_leaves_no_signal() {
        let rule = GroupRule {
            baseline: Baseline::Median,
            pivot: Some(PivotTie::Longest),
            tie_tol: 2.0,
            ..GroupRule::default()
        };
        let table = GroupTable {
            g: 3,
            rewards_pg: &[0.0, 0.0, 1.0],
            valid_pg: &[1; 3],
            lengths_pg: &[1, 1, 9],
        };
        let got = baselines(&table, &rule, PivotDraws::default());
        assert_eq!((got.pivot_p[0], got.signal_p[0]), (2, 0));
    }
}
