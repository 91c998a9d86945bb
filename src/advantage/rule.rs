//! A [`GroupRule`] applied to a batch in f64: what the group kernels do in f32 on a device.

use super::statistics::{RewardStatistics, deviation, mean_distance, median_distance};
use super::{AdvantageError, GroupAdvantages, GroupRewards, RewardBatch};
use crate::kernel::group_rule::{
    Baseline, EpsMode, GroupRule, MadZeroFallback, PivotTie, Scale, pivot_draw,
};

/// Computes the advantages of every group under one rule.
///
/// ```text
/// advantage = (reward - baseline) / scale      0 without signal, for the unscored and for the pivot
/// ```
///
/// Errors: a setting out of range, or rewards that [`RewardBatch::check`] refuses.
pub fn apply_rule(
    rule: &GroupRule,
    batch: &RewardBatch,
) -> Result<Vec<GroupAdvantages>, AdvantageError> {
    check_rule(rule)?;
    batch.check()?;
    let seed = fold_seed(batch.seed);
    let groups = batch.groups.iter().enumerate();
    Ok(groups.map(|(p, group)| one_group(rule, group, pivot_draw(seed, p as u32))).collect())
}

/// The 32 bits of a seed that the pivot's draw sees, in a shader too.
pub(super) fn fold_seed(seed: u64) -> u32 {
    (seed ^ (seed >> 32)) as u32
}

/// Refuses tolerances, factors and epsilons that would divide by zero or select everything.
pub(super) fn check_rule(rule: &GroupRule) -> Result<(), AdvantageError> {
    let positive = |key, value: f64| match value.is_finite() && value > 0.0 {
        true => Ok(()),
        false => Err(AdvantageError::setting(key, value, "it must be a finite number above 0")),
    };
    let not_negative = |key, value: f64| match value.is_finite() && value >= 0.0 {
        true => Ok(()),
        false => Err(AdvantageError::setting(key, value, "it must be a finite number, 0 or above")),
    };
    let in_f32 = |key, value: f64| {
        let range = f64::from(f32::MIN_POSITIVE)..=f64::from(f32::MAX);
        match range.contains(&value) {
            true => Ok(()),
            false => Err(AdvantageError::setting(
                key,
                value,
                "f32, which groups are computed in, holds 1.2e-38 to 3.4e38; use a number between",
            )),
        }
    };
    positive("eps", rule.eps)?;
    in_f32("eps", rule.eps)?;
    positive("mad_factor", rule.mad_factor)?;
    in_f32("mad_factor", rule.mad_factor)?;
    not_negative("equal_tol", rule.equal_tol)?;
    not_negative("tie_tol", rule.tie_tol)
}

fn one_group(rule: &GroupRule, group: &GroupRewards, draw: u32) -> GroupAdvantages {
    let scored = group.scored();
    let statistics = RewardStatistics::of(&scored, rule.even_median);
    let baseline = baseline(rule, group, &statistics);
    let scale = scale(rule, &scored, &statistics, baseline);
    let pivot = rule.pivot.map(|tie| choose_pivot(tie, rule.tie_tol, group, baseline, draw));
    let has_spread = statistics.spread > rule.equal_tol;
    let advantage = |(i, reward): (usize, &Option<f64>)| match reward {
        Some(reward) if has_spread && pivot != Some(i) => (reward - baseline) / scale,
        _ => 0.0,
    };
    let advantages: Vec<f64> = group.rewards.iter().enumerate().map(advantage).collect();
    GroupAdvantages {
        baseline,
        scale,
        pivot,
        has_signal: advantages.iter().any(|&advantage| advantage != 0.0),
        advantages,
        kept: (0..group.rewards.len()).map(|i| pivot != Some(i)).collect(),
        scored: group.rewards.iter().map(Option::is_some).collect(),
        statistics,
    }
}

fn baseline(rule: &GroupRule, group: &GroupRewards, statistics: &RewardStatistics) -> f64 {
    match rule.baseline {
        Baseline::Mean | Baseline::LeaveOneOut => statistics.mean,
        Baseline::Median => statistics.median,
        Baseline::LengthWeighted => length_weighted_mean(group, statistics.mean),
    }
}

fn length_weighted_mean(group: &GroupRewards, mean: f64) -> f64 {
    let pairs = group.rewards.iter().zip(&group.lengths);
    let scored = pairs.filter_map(|(reward, &length)| reward.map(|r| (r, length as f64)));
    let (sum, tokens) = scored.fold((0.0, 0.0), |(sum, tokens), (reward, length)| {
        (sum + reward * length, tokens + length)
    });
    if tokens == 0.0 { mean } else { sum / tokens }
}

fn scale(rule: &GroupRule, scored: &[f64], statistics: &RewardStatistics, baseline: f64) -> f64 {
    let divisor = match rule.scale {
        Scale::None => 1.0,
        Scale::Std => with_eps(rule, statistics.std),
        Scale::StdMedian => with_eps(rule, deviation(scored, baseline)),
        Scale::MeanAbsDev => with_eps(rule, mean_distance(scored, baseline)),
        Scale::Mad => mad_scale(rule, scored, statistics, baseline),
    };
    let count = scored.len() as f64;
    match rule.baseline {
        Baseline::LeaveOneOut if count >= 2.0 => divisor * (count - 1.0) / count,
        _ => divisor,
    }
}

fn mad_scale(
    rule: &GroupRule,
    scored: &[f64],
    statistics: &RewardStatistics,
    baseline: f64,
) -> f64 {
    let mad = median_distance(scored, baseline, rule.even_median);
    if mad > 0.0 {
        return with_eps(rule, mad * rule.mad_factor);
    }
    match rule.mad_zero {
        MadZeroFallback::Std => with_eps(rule, statistics.std),
        MadZeroFallback::MeanAbsDev => with_eps(rule, mean_distance(scored, baseline)),
        MadZeroFallback::One => 1.0,
        MadZeroFallback::Eps => with_eps(rule, 0.0),
    }
}

fn with_eps(rule: &GroupRule, divisor: f64) -> f64 {
    match rule.eps_mode {
        EpsMode::Add => divisor + rule.eps,
        EpsMode::Floor => divisor.max(rule.eps),
    }
}

/// A group without any scored rollout drops its first, so that g - 1 are always kept.
fn choose_pivot(
    tie: PivotTie,
    tie_tol: f64,
    group: &GroupRewards,
    baseline: f64,
    draw: u32,
) -> usize {
    let distances = group.rewards.iter().enumerate();
    let distances = distances.filter_map(|(i, r)| r.map(|r| (i, (r - baseline).abs())));
    let closest = distances.clone().map(|(_, distance)| distance).fold(f64::MAX, f64::min);
    // Only an averaged median has no reward at distance zero; there the two nearest tie up to rounding.
    let reach = tie_tol.max(closest * 1.00001);
    let tied: Vec<usize> = distances.filter(|(_, d)| *d <= reach).map(|(i, _)| i).collect();
    let chosen = match tie {
        PivotTie::First => tied.first(),
        PivotTie::Shortest => tied.iter().min_by_key(|&&i| group.lengths[i]),
        PivotTie::Longest => tied.iter().rev().max_by_key(|&&i| group.lengths[i]),
        PivotTie::Random => tied.get(draw as usize % tied.len().max(1)),
    };
    chosen.copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pivot_of(tie: PivotTie, lengths: Vec<usize>, seed: u64) -> usize {
        let rule = GroupRule { baseline: Baseline::Median, pivot: Some(tie), ..Default::default() };
        let rewards = vec![Some(0.0), Some(1.0), Some(0.0), None, Some(0.0)];
        let group = GroupRewards { rewards, lengths, each: vec![] };
        let batch = RewardBatch { groups: vec![group], seed, ..Default::default() };
        apply_rule(&rule, &batch).unwrap()[0].pivot.unwrap()
    }

    #[test]
    fn ties_at_the_median_are_broken_as_configured() {
        let lengths = vec![5, 1, 3, 1, 3];
        assert_eq!(pivot_of(PivotTie::First, lengths.clone(), 0), 0);
        assert_eq!(pivot_of(PivotTie::Shortest, lengths.clone(), 0), 2);
        assert_eq!(pivot_of(PivotTie::Longest, lengths, 0), 0);
        assert_eq!(pivot_of(PivotTie::Longest, vec![1, 9, 3, 9, 3], 0), 2);
    }

    #[test]
    fn a_random_tie_depends_on_the_seed_and_only_picks_the_tied() {
        let drawn: Vec<usize> =
            (0..50).map(|seed| pivot_of(PivotTie::Random, vec![1; 5], seed)).collect();
        assert!([0, 2, 4].iter().all(|tied| drawn.contains(tied)));
        assert!(!drawn.contains(&1) && !drawn.contains(&3));
        assert_eq!(pivot_of(PivotTie::Random, vec![1; 5], 7), drawn[7]);
    }

    #[test]
    fn settings_that_divide_by_zero_are_refused_by_name() {
        let batch = RewardBatch::from_rewards([vec![Some(1.0), Some(0.0)]]);
        let rule = GroupRule { eps: 0.0, ..Default::default() };
        let message = apply_rule(&rule, &batch).unwrap_err().to_string();
        assert_eq!(message, "eps is 0; it must be a finite number above 0");
        let rule = GroupRule { tie_tol: f64::NAN, ..Default::default() };
        assert!(apply_rule(&rule, &batch).unwrap_err().to_string().starts_with("tie_tol is NaN"));
    }

    #[test]
    fn a_floor_replaces_only_smaller_scales() {
        let rule = |eps| GroupRule {
            scale: Scale::Std,
            eps,
            eps_mode: EpsMode::Floor,
            ..Default::default()
        };
        let batch = RewardBatch::from_rewards([vec![Some(1.0), Some(0.0)]]);
        assert_eq!(apply_rule(&rule(1e-4), &batch).unwrap()[0].scale, 0.5f64.sqrt());
        assert_eq!(apply_rule(&rule(2.0), &batch).unwrap()[0].scale, 2.0);
    }
}
