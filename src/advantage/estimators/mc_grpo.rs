//! MC-GRPO: the median of one rollout more as the baseline; that rollout then leaves.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::advantage::error::at_least_two;
use crate::advantage::estimator::check_settings;
use crate::advantage::{AdvantageError, AdvantageEstimator, GroupAdvantages, RewardBatch};
use crate::kernel::group_rule::{
    Baseline, EpsMode, EvenMedian, GroupRule, MadZeroFallback, PivotTie, Scale,
};

/// Median baseline over g + 1 rollouts; one of those at the median, the pivot, leaves everything
/// after this, so that g reach the loss.
///
/// ```text
/// a = (r - median) / scale
/// ```
///
/// Differs from the authors' release, which divides by MAD + 1e-3 (advantages of a thousand for
/// binary rewards, whose MAD is always zero in odd groups): that is
/// `{scale: mad, mad_zero_fallback: eps, eps: 1e-3}` here.
/// Source: arXiv 2601.22582.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct McGrpo {
    /// What the distance from the median is divided by.
    pub scale: Scale,
    /// The epsilon of the scale.
    pub eps: f64,
    /// Whether epsilon is added to the scale or is its floor.
    pub eps_mode: EpsMode,
    /// Factor of the MAD: 1, or 1.4826 for consistency with a normal distribution's deviation.
    pub mad_factor: f64,
    /// What replaces a MAD of zero.
    pub mad_zero_fallback: MadZeroFallback,
    /// The median of an even count; unset, even group sizes are refused at the start of a run, and
    /// a group made even by an unscored rollout takes the lower.
    pub even_median: Option<EvenMedian>,
    /// Which of several rollouts at the median leaves.
    pub pivot_tie: PivotTie,
    /// Rewards this close to the median count as equal to it.
    pub tie_tol: f64,
    /// A group whose rewards differ by no more gives exactly zero.
    pub equal_tol: f64,
    /// Multiplies a group's advantages by rollouts / non-zero advantages, as the authors' GSM8K trainer does.
    pub group_alpha: bool,
}

impl Default for McGrpo {
    fn default() -> Self {
        Self {
            scale: Scale::Std,
            eps: 1e-4,
            eps_mode: EpsMode::Add,
            mad_factor: 1.0,
            mad_zero_fallback: MadZeroFallback::Std,
            even_median: None,
            pivot_tie: PivotTie::First,
            tie_tol: 0.0,
            equal_tol: 1e-6,
            group_alpha: false,
        }
    }
}

impl AdvantageEstimator for McGrpo {
    fn name(&self) -> &'static str {
        "mc_grpo"
    }

    fn rule(&self) -> GroupRule {
        GroupRule {
            baseline: Baseline::Median,
            scale: self.scale,
            eps_mode: self.eps_mode,
            eps: self.eps,
            mad_factor: self.mad_factor,
            mad_zero: self.mad_zero_fallback,
            even_median: self.even_median.unwrap_or(EvenMedian::Lower),
            equal_tol: self.equal_tol,
            pivot: Some(self.pivot_tie),
            tie_tol: self.tie_tol,
        }
    }

    fn finishes(&self) -> bool {
        self.group_alpha
    }

    fn finish(
        &self,
        groups: Vec<GroupAdvantages>,
        _batch: &RewardBatch,
    ) -> Result<Vec<GroupAdvantages>, AdvantageError> {
        match self.group_alpha {
            true => Ok(groups.into_iter().map(scale_by_share_of_signal).collect()),
            false => Ok(groups),
        }
    }

    fn rollouts_per_prompt(&self, g: usize) -> usize {
        g + 1
    }

    fn validate(&self, g: usize) -> Result<(), AdvantageError> {
        check_settings(self)?;
        odd_count(self.name(), g, self.even_median)
    }
}

/// Refuses a median over an even number of rollouts unless the config says which median is meant.
pub(super) fn odd_count(
    estimator: &'static str,
    g: usize,
    even_median: Option<EvenMedian>,
) -> Result<(), AdvantageError> {
    at_least_two(estimator, g)?;
    match (g + 1).is_multiple_of(2) && even_median.is_none() {
        true => Err(AdvantageError::GroupSize {
            estimator,
            g,
            reason: "the median is taken over one rollout more, an even number, and no single \
                     rollout holds it; use an even group size, or set even_median to lower or \
                     mean_of_two",
        }),
        false => Ok(()),
    }
}

/// The group's scale takes the factor, so that `(r - baseline) / scale` stays true.
fn scale_by_share_of_signal(mut group: GroupAdvantages) -> GroupAdvantages {
    let non_zero = group.advantages.iter().filter(|advantage| advantage.abs() > 1e-6).count();
    if non_zero > 0 {
        let alpha = group.advantages.len() as f64 / non_zero as f64;
        group.scale /= alpha;
        group.advantages.iter_mut().for_each(|advantage| *advantage *= alpha);
    }
    group
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(estimator: &McGrpo, rewards: &[f64]) -> (GroupAdvantages, Vec<f64>) {
        let batch = RewardBatch::from_rewards([rewards.iter().copied().map(Some).collect()]);
        let group = estimator.estimate(&batch).unwrap().remove(0);
        let pairs = group.advantages.iter().zip(&group.kept);
        let kept = pairs.filter(|(_, kept)| **kept).map(|(advantage, _)| *advantage).collect();
        (group, kept)
    }

    fn check(estimator: &McGrpo, rewards: &[f64], want: &[f64]) {
        let (_, got) = kept(estimator, rewards);
        assert_eq!(got.len(), want.len());
        for (got, want) in got.iter().zip(want) {
            let close = (got - want).abs() <= 6e-6 * want.abs().max(1.0);
            assert!(close, "{rewards:?} under {estimator:?} gives {got}, not {want}");
        }
    }

    fn none() -> McGrpo {
        McGrpo { scale: Scale::None, ..McGrpo::default() }
    }

    fn authors(group_alpha: bool) -> McGrpo {
        let mad_zero_fallback = MadZeroFallback::Eps;
        McGrpo { scale: Scale::Mad, eps: 1e-3, mad_zero_fallback, group_alpha, ..McGrpo::default() }
    }

    fn about_median() -> McGrpo {
        McGrpo { scale: Scale::StdMedian, ..McGrpo::default() }
    }

    /// Section 8 of the algorithm page: rewards, then kept advantages without scale, as the
    /// authors' math and GSM8K trainers give them, and over both deviations.
    const GOLDEN: &str = "
        2,1.5,0     | .5,-1.5        | .998004,-2.99401 | 1.49701,-4.49102 | .480338,-1.44101 | .447174,-1.34152
        0,1,2       | -1,1           | -.999001,.999001 | -1.4985,1.4985   | -.9999,.9999     | -.9999,.9999
        0,0,1       | 0,1            | 0,1000           | 0,3000           | 0,1.73175        | 0,1.41401
        0,1,1       | -1,0           | -1000,0          | -3000,0          | -1.73175,0       | -1.41401,0
        0,0,0,1,1   | 0,0,1,1        | 0,0,1000,1000    | 0,0,2500,2500    | 0,0,1.82541,1.82541 | 0,0,1.41401,1.41401
        0,1.5,2,2,0 | -1.5,.5,.5,-1.5 | -2.99401,.998004,.998004,-2.99401 | -3.74251,1.2475,1.2475,-3.74251 | -1.46371,.487902,.487902,-1.46371 | -1.34152,.447174,.447174,-1.34152";

    #[test]
    fn the_golden_vectors_of_the_algorithm_page_hold() {
        let columns = [none(), authors(false), authors(true), McGrpo::default(), about_median()];
        let numbers = |cell: &str| -> Vec<f64> {
            cell.split(',').map(|number| number.trim().parse().unwrap()).collect()
        };
        for line in GOLDEN.trim().lines() {
            let row: Vec<Vec<f64>> = line.split('|').map(numbers).collect();
            assert_eq!(row.len(), 1 + columns.len());
            for (column, want) in columns.iter().zip(&row[1..]) {
                check(column, &row[0], want);
            }
        }
    }

    #[test]
    fn the_other_fallbacks_of_a_zero_mad_keep_advantages_near_one() {
        let with = |mad_zero_fallback| McGrpo {
            scale: Scale::Mad,
            mad_zero_fallback,
            ..McGrpo::default()
        };
        check(&with(MadZeroFallback::Std), &[0.0, 0.0, 1.0], &[0.0, 1.73175]);
        check(&with(MadZeroFallback::One), &[0.0, 0.0, 1.0], &[0.0, 1.0]);
        check(&with(MadZeroFallback::MeanAbsDev), &[0.0, 0.0, 1.0], &[0.0, 2.9991]);
    }

    #[test]
    fn the_pivot_is_the_first_rollout_at_the_median() {
        for (rewards, pivot) in
            [([2.0, 1.5, 0.0], 1), ([0.0, 1.0, 2.0], 1), ([0.0, 0.0, 1.0], 0), ([0.0, 1.0, 1.0], 1)]
        {
            assert_eq!(kept(&none(), &rewards).0.pivot, Some(pivot));
        }
    }

    #[test]
    fn unscored_rollouts_stay_so_that_the_count_does() {
        let batch = RewardBatch::from_rewards([
            vec![Some(1.0), Some(0.0), None],
            vec![None, Some(5.0), None],
            vec![None, None, None],
        ]);
        let got = McGrpo::default().estimate(&batch).unwrap();
        let pivots: Vec<_> = got.iter().map(|group| group.pivot).collect();
        assert_eq!(pivots, [Some(1), Some(1), Some(0)]);
        assert!(got.iter().all(|group| group.kept.iter().filter(|&&kept| kept).count() == 2));
        assert!(got[1].advantages.iter().chain(&got[2].advantages).all(|&a| a == 0.0));
    }

    #[test]
    fn an_averaged_median_drops_the_nearest_rollout() {
        let estimator = McGrpo { even_median: Some(EvenMedian::MeanOfTwo), ..none() };
        let (group, kept) = kept(&estimator, &[0.0, 4.0, 1.0, 9.0]);
        assert_eq!((group.baseline, group.pivot), (2.5, Some(1)));
        assert_eq!(kept, [-2.5, -1.5, 6.5]);
    }

    #[test]
    fn an_odd_group_size_is_refused_until_the_median_is_said() {
        let message = McGrpo::default().validate(3).unwrap_err().to_string();
        assert!(message.contains("even_median"), "{message}");
        let said = McGrpo { even_median: Some(EvenMedian::Lower), ..McGrpo::default() };
        assert_eq!(said.validate(3), Ok(()));
    }
}
