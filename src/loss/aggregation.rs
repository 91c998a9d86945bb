//! From token losses to one number: a weight per token, fixed for the whole optimiser step.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the losses of tokens become the loss of an optimiser step.
///
/// With ℓ_it the loss of token t of row i, n_i the loss tokens of row i, N the sequences with at
/// least one, and L the configured maximum completion length:
///
/// ```text
/// token-mean               Σ_it ℓ_it / Σ_i n_i
/// seq-mean-token-sum       Σ_i Σ_t ℓ_it / N
/// seq-mean-token-mean      Σ_i (Σ_t ℓ_it / n_i) / N
/// seq-mean-token-sum-norm  Σ_i Σ_t ℓ_it / L
/// dr-grpo                  Σ_i Σ_t ℓ_it / (L · N)
/// ```
///
/// The names are those of ROLL. Its `seq-mean-token-sum-norm` divides by the padded length of the
/// batch, and so changes with padding; here L is a constant. Like ROLL's it is not divided by the
/// number of sequences; `dr-grpo` is.
///
/// Sources: Yu et al. 2025, arXiv 2503.14476 (token mean over the step); Liu et al. 2025, arXiv
/// 2503.20783 (Dr. GRPO).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Aggregation {
    /// Every token counts the same.
    #[default]
    TokenMean,
    /// Every token counts the same, and the scale grows with length.
    SeqMeanTokenSum,
    /// Every sequence counts the same, so a token of a long one counts less.
    SeqMeanTokenMean,
    /// Token sums over a constant length.
    SeqMeanTokenSumNorm,
    /// Token sums over a constant length and the number of sequences.
    #[serde(alias = "dr_grpo")]
    DrGrpo,
}

/// What the sums of a step are divided by, counted over all its rows before any micro-batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Denominators {
    /// Loss tokens.
    pub tokens: f64,
    /// Sequences with at least one loss token.
    pub sequences: f64,
    /// Configured maximum completion length, in tokens.
    pub max_length: f64,
    /// What the loss is multiplied by: GPG's alpha, 1 for all others.
    pub alpha: f64,
}

impl Denominators {
    /// Counts a whole optimiser step, given the loss tokens of each of its rows.
    pub fn of_step(row_lengths: &[usize], max_length: usize) -> Self {
        assert!(max_length > 0, "the maximum completion length is 0");
        Self {
            tokens: row_lengths.iter().sum::<usize>() as f64,
            sequences: row_lengths.iter().filter(|&&length| length > 0).count() as f64,
            max_length: max_length as f64,
            alpha: 1.0,
        }
    }
}

impl Denominators {
    /// The same with every loss multiplied by `alpha`.
    pub fn scaled(self, alpha: f64) -> Self {
        Self { alpha, ..self }
    }
}

impl Aggregation {
    /// What a token of the step weighs, and whether that is further divided by the loss tokens of its
    /// row; the weighted sum over all tokens is the loss.
    ///
    /// The weights belong to the step that the denominators were counted over: the weighted sums of its
    /// micro-batches add up to the step's loss, whatever the split.
    pub fn token_weight(self, step: &Denominators) -> (f64, bool) {
        let per_row_length = self == Self::SeqMeanTokenMean;
        (step.alpha / self.divisor(step), per_row_length)
    }

    /// The name in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::TokenMean => "token-mean",
            Self::SeqMeanTokenSum => "seq-mean-token-sum",
            Self::SeqMeanTokenMean => "seq-mean-token-mean",
            Self::SeqMeanTokenSumNorm => "seq-mean-token-sum-norm",
            Self::DrGrpo => "dr-grpo",
        }
    }

    /// What the sum over a step's rows is divided by.
    pub fn divisor(self, step: &Denominators) -> f64 {
        match self {
            Self::TokenMean => step.tokens,
            Self::SeqMeanTokenSum | Self::SeqMeanTokenMean => step.sequences,
            Self::SeqMeanTokenSumNorm => step.max_length,
            Self::DrGrpo => step.max_length * step.sequences,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::tests::support::row_weights;

    const ALL: [Aggregation; 5] = [
        Aggregation::TokenMean,
        Aggregation::SeqMeanTokenSum,
        Aggregation::SeqMeanTokenMean,
        Aggregation::SeqMeanTokenSumNorm,
        Aggregation::DrGrpo,
    ];

    /// Rows of 1 and 3 tokens and an empty one; token losses 6 | 1, 2, 3 | none; L is 4.
    fn loss_of(mode: Aggregation) -> f64 {
        let row_sums = [6.0, 6.0, 0.0];
        let step = Denominators::of_step(&[1, 3, 0], 4);
        let weights = row_weights(mode, &[1, 3, 0], &step);
        weights.iter().zip(row_sums).map(|(w, sum)| w * sum).sum()
    }

    #[test]
    fn each_mode_divides_by_what_its_name_says() {
        let losses = ALL.map(loss_of);
        assert_eq!(losses, [3.0, 6.0, 4.0, 3.0, 1.5]);
    }

    #[test]
    fn empty_rows_weigh_nothing_and_are_not_counted() {
        for mode in ALL {
            let with_empty = Denominators::of_step(&[2, 0, 3], 8);
            let without = Denominators::of_step(&[2, 3], 8);
            let weights = row_weights(mode, &[2, 0, 3], &with_empty);
            let expected = row_weights(mode, &[2, 3], &without);
            assert_eq!(weights, [expected[0], 0.0, expected[1]], "{mode:?}");
        }
    }

    #[test]
    fn dropping_a_pivot_of_zero_advantage_matters_only_where_its_tokens_or_row_are_counted() {
        let unchanged = ALL.map(|mode| {
            let kept = row_weights(mode, &[2, 3], &Denominators::of_step(&[2, 3, 4], 8));
            let dropped = row_weights(mode, &[2, 3], &Denominators::of_step(&[2, 3], 8));
            kept == dropped
        });
        assert_eq!(unchanged, [false, false, false, true, false]);
    }

    #[test]
    fn modes_are_named_as_in_roll() {
        let names = ALL.map(|mode| serde_json::to_value(mode).unwrap());
        let expected = [
            "token-mean",
            "seq-mean-token-sum",
            "seq-mean-token-mean",
            "seq-mean-token-sum-norm",
            "dr-grpo",
        ];
        assert_eq!(names, expected);
        assert_eq!(ALL.map(Aggregation::name), expected);
    }
}
