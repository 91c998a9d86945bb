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

#[cfg(feature = "wgpu")]
pub(super) mod wgsl {
    use crate::kernel::cube::tensor::{contiguous, dims, empty};
    use crate::kernel::wgsl::{CubeTensor, Shader};

    const SHADER: Shader = Shader {
        name: "group_advantage",
        source: include_str!("../../shaders/group_advantage.wgsl"),
        lanes: 256,
    };

    /// Advantages and keep mask `[p, g]` of rewards and valid `[p, g]` and rows `[p, 4]`.
    pub fn launch(table: [&CubeTensor; 2], rows: &CubeTensor, clip: f32) -> [CubeTensor; 2] {
        let [rewards, valid] = table.map(contiguous);
        let (rows, [p, g]) = (contiguous(rows), dims(&rewards));
        assert!(dims(&valid) == [p, g] && dims(&rows) == [p, 4], "tables of other shapes");
        let [advantages, keep] = [(); 2].map(|()| empty(&rewards, [p, g]));
        let tensors = [&rewards, &valid, &rows, &advantages, &keep];
        // Shaders need not know infinity, so that no clip is said aside.
        let info = [p as u32, g as u32, u32::from(clip.is_finite()), clip.to_bits()];
        SHADER.run_each(p * g, &tensors, &info);
        [advantages, keep]
    }
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
}
