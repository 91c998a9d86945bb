//! One group as the shader computes it: f32, loops over the group and no sort (a middle value is found by
//! counting), so that the two can be read side by side.

use super::{GroupBaselines, NO_PIVOT};
use crate::kernel::group_rule::{
    Baseline, EpsMode, EvenMedian, GroupRule, MadZeroFallback, PivotTie, Scale,
};

pub(super) struct Group<'a> {
    pub rewards: &'a [f32],
    pub valid: &'a [u32],
    pub lengths: &'a [u32],
    pub rule: &'a GroupRule,
}

impl Group<'_> {
    pub fn write_row(&self, draw: u32, out: &mut GroupBaselines) {
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
