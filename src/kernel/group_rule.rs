//! What a group's baseline and scale are: the settings that `group_baseline` runs on, in any precision.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Everything that turns the rewards of one group into its baseline, scale and pivot.
///
/// ```text
/// advantage = (reward - baseline) / scale        scale = x + eps  or  max(x, eps)
/// ```
///
/// Units: `eps`, `equal_tol` and `tie_tol` are rewards.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GroupRule {
    /// What is subtracted from every reward.
    pub baseline: Baseline,
    /// What the difference is divided by, before `eps`.
    pub scale: Scale,
    /// How `eps` keeps the division finite.
    pub eps_mode: EpsMode,
    /// The epsilon of the scale.
    pub eps: f64,
    /// What the MAD is multiplied by: 1 or 1.4826 (consistent with a normal distribution's deviation).
    pub mad_factor: f64,
    /// What replaces a MAD of zero.
    pub mad_zero: MadZeroFallback,
    /// Which value is the median of an even count.
    pub even_median: EvenMedian,
    /// A group whose largest and smallest reward differ by no more has no signal.
    pub equal_tol: f64,
    /// Whether one rollout at the baseline leaves the group, and which one of several.
    pub pivot: Option<PivotTie>,
    /// Rewards this close to the baseline count as equal to it when the pivot is chosen.
    pub tie_tol: f64,
}

impl Default for GroupRule {
    fn default() -> Self {
        Self {
            baseline: Baseline::Mean,
            scale: Scale::None,
            eps_mode: EpsMode::Add,
            eps: 1e-4,
            mad_factor: 1.0,
            mad_zero: MadZeroFallback::Std,
            even_median: EvenMedian::Lower,
            equal_tol: 1e-6,
            pivot: None,
            tie_tol: 0.0,
        }
    }
}

/// What is subtracted from every reward of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Baseline {
    /// The mean of the group.
    Mean,
    /// The median of the group.
    Median,
    /// The mean of the *other* rollouts: `r - mean of others = n / (n - 1) * (r - mean)`, so the
    /// mean is reported as the baseline and `(n - 1) / n` goes into the scale.
    LeaveOneOut,
    /// The mean weighted by the rollouts' loss tokens; the plain mean where all have none.
    LengthWeighted,
}

/// What a reward's distance from the baseline is divided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// Nothing: a scale of exactly one, without epsilon.
    None,
    /// The standard deviation about the mean, with Bessel's correction.
    Std,
    /// The root of the summed squares about the baseline over `n - 1`.
    StdMedian,
    /// The median absolute distance from the baseline, times the factor.
    Mad,
    /// The mean absolute distance from the baseline.
    MeanAbsDev,
}

/// What replaces a median absolute deviation of zero (always so for binary rewards).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MadZeroFallback {
    /// The standard deviation about the mean.
    Std,
    /// The mean absolute distance from the baseline.
    MeanAbsDev,
    /// Exactly one, without epsilon.
    One,
    /// Nothing, so that the epsilon alone divides: the authors' released behaviour, advantages of
    /// a thousand at their epsilon of 1e-3.
    Eps,
}

/// How the epsilon enters a scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EpsMode {
    /// `x + eps`
    Add,
    /// `max(x, eps)`
    Floor,
}

/// Which value is the median of an even count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EvenMedian {
    /// The lower of the two middle values.
    Lower,
    /// The mean of the two middle values.
    MeanOfTwo,
}

/// Which of several rollouts at the median is the pivot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PivotTie {
    /// The one with the smallest index.
    First,
    /// The one with the fewest loss tokens, the first of several.
    Shortest,
    /// The one with the most loss tokens, the first of several.
    Longest,
    /// One drawn by `pivot_draw` from the seed and the group's place in the batch.
    Random,
}

/// Where the draws among tied pivots come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct PivotDraws {
    /// The step's seed.
    pub seed: u32,
    /// Place in the batch of the first group of the table.
    pub first_group: u32,
}

impl PivotDraws {
    /// The draw of the table's group `p`.
    pub fn of(self, p: usize) -> u32 {
        pivot_draw(self.seed, self.first_group.wrapping_add(p as u32))
    }
}

/// A hash of (seed, group) that draws the pivot among ties; u32 only, so that a shader can do it.
///
/// Source: the PCG-RXS-M-XS output function (Jarzynski and Olano, 2020, "Hash functions for GPU rendering").
pub fn pivot_draw(seed: u32, group: u32) -> u32 {
    pcg(seed.wrapping_add(pcg(group)))
}

fn pcg(input: u32) -> u32 {
    let state = input.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
    let word = ((state >> ((state >> 28) + 4)) ^ state).wrapping_mul(277_803_737);
    (word >> 22) ^ word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_cover_every_tie_and_depend_on_seed_and_group() {
        let draws: Vec<u32> = (0..300).map(|group| pivot_draw(7, group) % 3).collect();
        for tie in 0..3 {
            let count = draws.iter().filter(|&&draw| draw == tie).count();
            assert!((70..=130).contains(&count), "tie {tie} drawn {count} times of 300");
        }
        let other_seed: Vec<u32> = (0..300).map(|group| pivot_draw(8, group) % 3).collect();
        assert_ne!(draws, other_seed);
    }
}
