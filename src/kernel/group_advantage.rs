//! Advantages of every rollout from its group's row: the CPU twin of `shaders/group_advantage.wgsl`.

use crate::kernel::group_baseline::{GroupBaselines, GroupTable};

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
pub fn group_advantage(
    table: &GroupTable,
    baselines: &GroupBaselines,
    clip: f32,
) -> RolloutAdvantages {
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

/// Lanes of the workgroup that sums for the whitening.
const LANES: usize = 256;

/// Whitens advantages over their loss tokens, with Bessel's correction.
///
/// ```text
/// mean = sum(l * a) / sum(l)    var = sum(l * (a - mean)^2) / (sum(l) - 1)
/// a'   = (a - mean) / sqrt(var + 1e-8)
/// ```
///
/// Shapes: all [p, g]; a rollout of weight 0 (padding, unscored, pivot) is left at what it is. With
/// fewer than two tokens nothing changes.
pub fn whiten(advantages_pg: &[f32], tokens_pg: &[u32]) -> Vec<f32> {
    assert!(advantages_pg.len() == tokens_pg.len(), "one token count for each advantage");
    let tokens = lane_sum(tokens_pg.len(), |i| tokens_pg[i] as f32);
    if tokens < 2.0 {
        return advantages_pg.to_vec();
    }
    let weighted = |i: usize| tokens_pg[i] as f32 * advantages_pg[i];
    let mean = lane_sum(tokens_pg.len(), weighted) / tokens;
    let squared = |i: usize| tokens_pg[i] as f32 * (advantages_pg[i] - mean).powi(2);
    let variance = lane_sum(tokens_pg.len(), squared) / (tokens - 1.0);
    let deviation = (variance + 1e-8).sqrt();
    (0..tokens_pg.len())
        .map(|i| match tokens_pg[i] {
            0 => advantages_pg[i],
            _ => (advantages_pg[i] - mean) / deviation,
        })
        .collect()
}

/// Sums as one workgroup does: every lane strides over the values, then halves meet. A single
/// running f32 sum would lose the small terms among a million.
fn lane_sum(count: usize, value: impl Fn(usize) -> f32) -> f32 {
    let mut sums = [0.0f32; LANES];
    for i in 0..count {
        sums[i % LANES] += value(i);
    }
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            sums[lane] += sums[lane + half];
        }
        half /= 2;
    }
    sums[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::group_baseline::{NO_PIVOT, group_baseline};
    use crate::kernel::group_rule::{Baseline, GroupRule, PivotDraws, PivotTie, Scale};

    #[test]
    fn equal_rewards_give_exactly_zero_and_others_the_z_score() {
        let rewards = [0.1, 0.1, 1.0, 0.0];
        let table =
            GroupTable { g: 2, rewards_pg: &rewards, valid_pg: &[1; 4], lengths_pg: &[1; 4] };
        let rule = GroupRule { scale: Scale::Std, ..GroupRule::default() };
        let got = group_advantage(
            &table,
            &group_baseline(&table, &rule, PivotDraws::default()),
            f32::INFINITY,
        );
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
        let got =
            group_advantage(&table, &group_baseline(&table, &rule, PivotDraws::default()), 1.0);
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
        let got = group_advantage(&table, &rows, f32::INFINITY);
        assert_eq!(got.advantages_pg, [1e30, -1e30]);
    }

    #[test]
    fn whitening_weighs_rollouts_by_their_tokens() {
        let got = whiten(&[1.0, -1.0, 9.0], &[3, 1, 0]);
        // mean 0.5, variance (3 * 0.25 + 2.25) / 3 = 1
        assert!((got[0] - 0.5).abs() < 1e-6 && (got[1] + 1.5).abs() < 1e-6);
        assert_eq!(got[2], 9.0);
    }

    #[test]
    fn a_single_token_is_not_whitened() {
        assert_eq!(whiten(&[3.0, 4.0], &[1, 0]), [3.0, 4.0]);
    }

    #[test]
    fn a_million_small_terms_are_all_summed() {
        let count = 1_000_003;
        let error = |sum: f32| (f64::from(sum) - 0.1 * count as f64).abs();
        let running = (0..count).fold(0.0f32, |sum, _| sum + 0.1);
        let lanes = lane_sum(count, |_| 0.1);
        // 256 lanes of 3,900 terms may each be off by 3,900 half-ulps of 390, in all by 15.
        assert!(error(lanes) < 15.0 && error(running) > 500.0, "{lanes} and {running}");
    }
}
