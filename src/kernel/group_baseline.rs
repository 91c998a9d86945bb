//! Baseline, scale, signal and pivot of every group: the CPU twin of `shaders/group_baseline.wgsl`.
//!
//! Written as the shader is: f32, one group at a time, loops over the group and no sort (a middle
//! value is found by counting), so that the two can be read side by side.

use crate::kernel::group_rule::{
    Baseline, EpsMode, EvenMedian, GroupRule, MadZeroFallback, PivotDraws, PivotTie, Scale,
};

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
pub fn group_baseline(table: &GroupTable, rule: &GroupRule, draws: PivotDraws) -> GroupBaselines {
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

struct Group<'a> {
    rewards: &'a [f32],
    valid: &'a [u32],
    lengths: &'a [u32],
    rule: &'a GroupRule,
}

impl Group<'_> {
    fn write_row(&self, draw: u32, out: &mut GroupBaselines) {
        let (mut count, mut lowest, mut highest) = (0u32, f32::MAX, f32::MIN);
        for (_, reward) in self.scored() {
            count += 1;
            lowest = lowest.min(reward);
            highest = highest.max(reward);
        }
        let unit = unit_for(lowest.abs().max(highest.abs()));
        let mean = self.mean(count, unit);
        let baseline = self.baseline(count, unit, mean);
        let pivot = self.pivot(count, baseline, draw);
        let has_spread = highest - lowest > self.rule.equal_tol as f32;
        let has_signal =
            has_spread && self.scored().any(|(i, reward)| i as u32 != pivot && reward != baseline);
        out.baseline_p.push(baseline);
        out.scale_p.push(self.scale(count, unit, mean, baseline));
        out.signal_p.push(u32::from(has_signal));
        out.pivot_p.push(pivot);
    }

    fn scored(&self) -> impl Iterator<Item = (usize, f32)> {
        (0..self.rewards.len()).filter(|&i| self.valid[i] != 0).map(|i| (i, self.rewards[i]))
    }

    /// Two passes: the second adds the mean residue that rounding left in the first.
    fn mean(&self, count: u32, unit: f32) -> f32 {
        if count == 0 {
            return 0.0;
        }
        let mut sum = 0.0;
        for (_, reward) in self.scored() {
            sum += reward * unit;
        }
        let first = sum / count as f32;
        let mut residue = 0.0;
        for (_, reward) in self.scored() {
            residue += reward * unit - first;
        }
        (first + residue / count as f32) / unit
    }

    fn baseline(&self, count: u32, unit: f32, mean: f32) -> f32 {
        match self.rule.baseline {
            Baseline::Mean | Baseline::LeaveOneOut => mean,
            Baseline::Median => self.median(count, |reward| reward),
            Baseline::LengthWeighted => self.length_weighted(unit, mean),
        }
    }

    /// The weighted mean as the mean plus weighted deviations, which cancel less.
    fn length_weighted(&self, unit: f32, mean: f32) -> f32 {
        let (mut tokens, mut sum) = (0.0, 0.0);
        for (i, reward) in self.scored() {
            tokens += self.lengths[i] as f32;
            sum += self.lengths[i] as f32 * (reward * unit - mean * unit);
        }
        if tokens == 0.0 { mean } else { mean + sum / tokens / unit }
    }

    fn median(&self, count: u32, key: impl Fn(f32) -> f32) -> f32 {
        if count == 0 {
            return 0.0;
        }
        let lower = self.order_statistic((count - 1) / 2, &key);
        match self.rule.even_median {
            EvenMedian::Lower => lower,
            EvenMedian::MeanOfTwo => 0.5 * lower + 0.5 * self.order_statistic(count / 2, &key),
        }
    }

    /// The value with at most `k` values below it and more than `k` not above it.
    fn order_statistic(&self, k: u32, key: impl Fn(f32) -> f32) -> f32 {
        let mut found = 0.0;
        for (_, candidate) in self.scored() {
            let value = key(candidate);
            let (mut below, mut not_above) = (0u32, 0u32);
            for (_, other) in self.scored() {
                below += u32::from(key(other) < value);
                not_above += u32::from(key(other) <= value);
            }
            if below <= k && k < not_above {
                found = value;
            }
        }
        found
    }

    fn scale(&self, count: u32, unit: f32, mean: f32, baseline: f32) -> f32 {
        let divisor = match self.rule.scale {
            Scale::None => 1.0,
            Scale::Std => self.with_eps(self.deviation(count, unit, mean)),
            Scale::StdMedian => self.with_eps(self.deviation(count, unit, baseline)),
            Scale::MeanAbsDev => self.with_eps(self.mean_abs_dev(count, unit, baseline)),
            Scale::Mad => self.mad_scale(count, unit, mean, baseline),
        };
        if self.rule.baseline == Baseline::LeaveOneOut && count >= 2 {
            divisor * (count - 1) as f32 / count as f32
        } else {
            divisor
        }
    }

    fn mad_scale(&self, count: u32, unit: f32, mean: f32, baseline: f32) -> f32 {
        let mad = self.median(count, |reward| (reward - baseline).abs());
        if mad > 0.0 {
            return self.with_eps(mad * self.rule.mad_factor as f32);
        }
        match self.rule.mad_zero {
            MadZeroFallback::Std => self.with_eps(self.deviation(count, unit, mean)),
            MadZeroFallback::MeanAbsDev => self.with_eps(self.mean_abs_dev(count, unit, baseline)),
            MadZeroFallback::One => 1.0,
            MadZeroFallback::Eps => self.with_eps(0.0),
        }
    }

    fn with_eps(&self, divisor: f32) -> f32 {
        match self.rule.eps_mode {
            EpsMode::Add => divisor + self.rule.eps as f32,
            EpsMode::Floor => divisor.max(self.rule.eps as f32),
        }
    }

    fn deviation(&self, count: u32, unit: f32, centre: f32) -> f32 {
        if count < 2 {
            return 0.0;
        }
        let mut squares = 0.0;
        for (_, reward) in self.scored() {
            let distance = (reward - centre) * unit;
            squares += distance * distance;
        }
        (squares / (count - 1) as f32).sqrt() / unit
    }

    fn mean_abs_dev(&self, count: u32, unit: f32, centre: f32) -> f32 {
        if count == 0 {
            return 0.0;
        }
        let mut sum = 0.0;
        for (_, reward) in self.scored() {
            sum += ((reward - centre) * unit).abs();
        }
        sum / count as f32 / unit
    }

    /// A group without any valid reward drops its first rollout, so that g - 1 are always kept.
    fn pivot(&self, count: u32, baseline: f32, draw: u32) -> u32 {
        let Some(tie) = self.rule.pivot else {
            return NO_PIVOT;
        };
        if count == 0 {
            return 0;
        }
        let reach = self.pivot_reach(baseline);
        let tied = || self.scored().filter(|(_, reward)| (reward - baseline).abs() <= reach);
        let (mut pivot, mut seen) = (NO_PIVOT, 0u32);
        let drawn = draw % tied().count() as u32;
        for (i, _) in tied() {
            let better = pivot == NO_PIVOT
                || match tie {
                    PivotTie::First => false,
                    PivotTie::Shortest => self.lengths[i] < self.lengths[pivot as usize],
                    PivotTie::Longest => self.lengths[i] > self.lengths[pivot as usize],
                    PivotTie::Random => seen == drawn,
                };
            if better {
                pivot = i as u32;
            }
            seen += 1;
        }
        pivot
    }

    /// How far from the baseline a reward may lie and still be the pivot. Only an averaged median
    /// has no reward at distance zero; there the two nearest tie up to rounding.
    fn pivot_reach(&self, baseline: f32) -> f32 {
        let mut closest = f32::MAX;
        for (_, reward) in self.scored() {
            closest = closest.min((reward - baseline).abs());
        }
        (self.rule.tie_tol as f32).max(closest * 1.00001)
    }
}

/// A power of two that brings rewards of this size where squares neither overflow nor vanish; a
/// power of two because it rounds nothing.
fn unit_for(largest: f32) -> f32 {
    const TINY: f32 = f32::from_bits(0x2B80_0000); // 2^-40
    const HUGE: f32 = f32::from_bits(0x5380_0000); // 2^40
    const DOWN: f32 = f32::from_bits(0x1780_0000); // 2^-80
    const UP: f32 = f32::from_bits(0x6780_0000); // 2^80
    if largest > HUGE {
        DOWN
    } else if largest < TINY {
        UP
    } else {
        1.0
    }
}

#[cfg(feature = "wgpu")]
pub(super) mod wgsl {
    use crate::kernel::cube::tensor::{contiguous, dims, empty};
    use crate::kernel::group_rule::{GroupRule, PivotDraws};
    use crate::kernel::wgsl::{CubeTensor, Shader};

    const SHADER: Shader = Shader {
        name: "group_baseline",
        source: include_str!("../../shaders/group_baseline.wgsl"),
        lanes: 64,
    };

    /// Rows `[p, 4]` of rewards, valid and lengths, all `[p, g]`.
    pub fn launch(table: [&CubeTensor; 3], rule: &GroupRule, draws: PivotDraws) -> CubeTensor {
        let [rewards, valid, lengths] = table.map(contiguous);
        let [p, g] = dims(&rewards);
        assert!((1..=super::LARGEST_GROUP).contains(&g), "groups of {g} rollouts");
        assert!(dims(&valid) == [p, g] && dims(&lengths) == [p, g], "one table's shape is another");
        let rows = empty(&rewards, [p, 4]);
        // A lane for each group, or a workgroup where the groups are larger than that.
        let workgroups = if g <= SHADER.lanes { p.div_ceil(SHADER.lanes) } else { p };
        let tensors = [&rewards, &valid, &lengths, &rows];
        SHADER.run(workgroups, &tensors, &info(p, g, rule, draws));
        rows
    }

    fn info(p: usize, g: usize, rule: &GroupRule, draws: PivotDraws) -> [u32; 14] {
        [
            p as u32,
            g as u32,
            draws.seed,
            draws.first_group,
            rule.baseline as u32,
            rule.scale as u32,
            rule.eps_mode as u32,
            (rule.eps as f32).to_bits(),
            (rule.mad_factor as f32).to_bits(),
            rule.mad_zero as u32,
            rule.even_median as u32,
            (rule.equal_tol as f32).to_bits(),
            rule.pivot.map_or(0, |tie| 1 + tie as u32),
            (rule.tie_tol as f32).to_bits(),
        ]
    }
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
        group_baseline(&table, &rule, PivotDraws::default())
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
        let got = group_baseline(&table, &rule, PivotDraws::default());
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
        let got = group_baseline(&table, &rule, PivotDraws::default());
        assert_eq!((got.pivot_p[0], got.signal_p[0]), (2, 0));
    }
}
