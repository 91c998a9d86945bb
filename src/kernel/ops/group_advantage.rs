//! Advantages of every rollout from its group's row; the CPU body is the reference of
//! `shaders/group_advantage.wgsl`.

use burn::tensor::{Shape, Tensor};

use super::group_baseline::{GroupBaselines, GroupTable, baselines};
use crate::kernel::check::{Case, Visitor, group_table};
use crate::kernel::group_rule::{Baseline, GroupRule, PivotDraws, PivotTie, Scale};
use crate::kernel::op::Elements;
use crate::kernel::{Kernels, Op, float, primitive};

/// Advantages and keep mask `[p, g]` of rewards and valid `[p, g]` and the rows `[p, 4]` of
/// [`group_baseline`](super::group_baseline::group_baseline).
pub fn group_advantage<B: Kernels>(
    [rewards, valid]: [&Tensor<B, 2>; 2],
    rows: &Tensor<B, 2>,
    clip: f32,
) -> [Tensor<B, 2>; 2] {
    let inputs = [rewards, valid, rows].map(primitive);
    B::run(GroupAdvantage { clip }, inputs).map(float)
}

/// Advantages and keep mask `[p, g]` of rewards and valid `[p, g]` and rows `[p, 4]`.
#[derive(Debug, Clone)]
pub struct GroupAdvantage {
    /// The largest advantage; infinite where nothing is clipped.
    pub clip: f32,
}

impl Op<3, 2> for GroupAdvantage {
    const NAME: &'static str = "group_advantage";

    fn shapes(&self, [rewards, ..]: [&Shape; 3]) -> [Shape; 2] {
        [rewards, rewards].map(Shape::clone)
    }

    fn cpu(&self, [rewards, valid, rows]: [Elements; 3]) -> [Vec<f32>; 2] {
        let ([_, g], valid) = (rewards.dims(), valid.counts());
        let table = GroupTable { g, rewards_pg: &rewards, valid_pg: &valid, lengths_pg: &valid };
        let out = advantages(&table, &GroupBaselines::from_rows(&rows), self.clip);
        [out.advantages_pg, out.keep_pg.iter().map(|keep| *keep as f32).collect()]
    }
}

/// The row of `group_advantage` in the list of operations.
pub fn visit(visitor: &mut impl Visitor) {
    let [rewards, valid, lengths] = group_table();
    let pivot = Some(PivotTie::Random);
    let (baseline, scale) = (Baseline::Median, Scale::Mad);
    let rule = GroupRule { baseline, scale, pivot, ..GroupRule::default() };
    let (valid_pg, lengths_pg) = (valid.counts(), lengths.counts());
    let table =
        GroupTable { g: 6, rewards_pg: &rewards, valid_pg: &valid_pg, lengths_pg: &lengths_pg };
    let rows = baselines(&table, &rule, PivotDraws::default()).to_rows();
    let rows = Elements::new(rows, Shape::new([12, 4]));
    visitor.visit(Case::new(
        "group_advantage",
        GroupAdvantage { clip: 1.5 },
        [rewards, valid, rows],
    ));
}

/// One value for each rollout, in the table's order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RolloutAdvantages {
    /// Clipped advantages; exactly 0 for an invalid rollout, a pivot and a group without signal.
    pub advantages_pg: Vec<f32>,
    /// 0 for a pivot, 1 for all others (padding included: it has no row to keep).
    pub keep_pg: Vec<u32>,
}

/// Computes advantages and the keep mask.
///
/// ```text
/// advantage = clamp((reward - baseline) / scale, -clip, clip)
/// ```
///
/// Shapes: table and result [p, g]. `clip` is infinite where nothing is clipped. Panics if the rows
/// do not belong to the table.
pub fn advantages(table: &GroupTable, baselines: &GroupBaselines, clip: f32) -> RolloutAdvantages {
    let g = table.g;
    let p = baselines.baseline_p.len();
    assert!(table.rewards_pg.len() == p * g, "{p} rows for {} rewards", table.rewards_pg.len());
    let mut out = RolloutAdvantages::default();
    for index in 0..p * g {
        let group = index / g;
        let is_pivot = baselines.pivot_p[group] == (index % g) as u32;
        let has_value = table.valid_pg[index] != 0 && baselines.signal_p[group] != 0 && !is_pivot;
        let mut advantage = 0.0;
        if has_value {
            let distance = table.rewards_pg[index] - baselines.baseline_p[group];
            advantage = (distance / baselines.scale_p[group]).clamp(-clip, clip);
        }
        out.advantages_pg.push(advantage);
        out.keep_pg.push(u32::from(!is_pivot));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::group_baseline::NO_PIVOT;

    #[test]
    fn equal_rewards_give_exactly_zero_and_others_the_z_score() {
        let rewards = [0.1, 0.1, 1.0, 0.0];
        let table =
            GroupTable { g: 2, rewards_pg: &rewards, valid_pg: &[1; 4], lengths_pg: &[1; 4] };
        let rule = GroupRule { scale: Scale::Std, ..GroupRule::default() };
        let got =
            advantages(&table, &baselines(&table, &rule, PivotDraws::default()), f32::INFINITY);
        assert_eq!(got.advantages_pg[..2], [0.0, 0.0]);
        assert!((got.advantages_pg[2] - 0.707_007).abs() < 1e-6);
        assert_eq!(got.advantages_pg[2], -got.advantages_pg[3]);
    }

    #[test]
    fn a_pivot_is_not_kept_and_padding_never_counts() {
        let rewards = [2.0, 1.5, 0.0, f32::NAN];
        let table = GroupTable {
            g: 4,
            rewards_pg: &rewards,
            valid_pg: &[1, 1, 1, 0],
            lengths_pg: &[1, 1, 1, 0],
        };
        let rule = GroupRule {
            baseline: Baseline::Median,
            pivot: Some(PivotTie::First),
            ..GroupRule::default()
        };
        let got = advantages(&table, &baselines(&table, &rule, PivotDraws::default()), 1.0);
        assert_eq!(got.advantages_pg, [0.5, 0.0, -1.0, 0.0]);
        assert_eq!(got.keep_pg, [1, 0, 1, 1]);
    }

    #[test]
    fn an_infinite_clip_leaves_huge_advantages() {
        let table =
            GroupTable { g: 2, rewards_pg: &[1e30, -1e30], valid_pg: &[1; 2], lengths_pg: &[1; 2] };
        let rows = GroupBaselines {
            baseline_p: vec![0.0],
            scale_p: vec![1.0],
            signal_p: vec![1],
            pivot_p: vec![NO_PIVOT],
        };
        let got = advantages(&table, &rows, f32::INFINITY);
        assert_eq!(got.advantages_pg, [1e30, -1e30]);
    }
}
