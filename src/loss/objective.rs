//! The whole loss of a micro-batch: policy loss, KL and entropy, weighed by token.

use burn::tensor::{Tensor, backend::Backend};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::require;
use super::{Aggregation, KlEstimator, LossError, LossSums, PolicyLoss, TokenBatch};

/// A penalty on the distance to the reference, as a term of the loss.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KlTerm {
    /// How the KL of a token is estimated.
    #[serde(default)]
    pub kl_loss_type: KlEstimator,
    /// What it is multiplied by.
    pub kl_loss_coef: f64,
}

/// What the optimiser minimises.
///
/// ```text
/// L = Σ_it w_it · (c_rl · ℓ_it + c_kl · kl_it − c_H · H_it)
/// ```
///
/// with token weights w of [`Aggregation::token_weight`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Objective {
    /// The loss of a token, ℓ.
    pub policy_loss: PolicyLoss,
    /// How the losses of tokens become one number.
    pub loss_agg_mode: Aggregation,
    /// Factor on the policy loss, c_rl.
    pub rl_loss_coef: f64,
    /// Penalty on the distance to the reference, if any.
    pub kl: Option<KlTerm>,
    /// Factor on the entropy that is rewarded, c_H.
    pub entropy_loss_coef: f64,
}

/// The loss of one micro-batch and what there is to report of it.
#[derive(Debug, Clone)]
pub struct MicroBatchLoss<B: Backend> {
    /// The micro-batch's share of the step's loss, `[1]`, to be differentiated as it is.
    pub loss: Tensor<B, 1>,
    /// Sums to add to those of the step's other micro-batches.
    pub sums: LossSums<B>,
}

impl Default for Objective {
    fn default() -> Self {
        Self {
            policy_loss: PolicyLoss::default(),
            loss_agg_mode: Aggregation::default(),
            rl_loss_coef: 1.0,
            kl: None,
            entropy_loss_coef: 0.0,
        }
    }
}

impl Objective {
    /// The loss of a micro-batch, whose token weights `[b, t]` come from the denominators of the step.
    ///
    /// The gradients of all micro-batches of a step add up to the gradient of the step.
    pub fn loss<B: Backend>(
        &self,
        tokens: &TokenBatch<B>,
        weights_bt: Tensor<B, 2>,
    ) -> MicroBatchLoss<B> {
        let policy = self.policy_loss.token_losses(tokens);
        let kls_bt = self.token_kls_bt(tokens);
        let losses_bt = self.regularised(tokens, policy.losses_bt.clone(), kls_bt.clone());
        let loss = (losses_bt * weights_bt).sum();
        let sum = |values_bt: Option<Tensor<B, 2>>| match values_bt {
            Some(values_bt) => tokens.sum(values_bt),
            None => loss.clone().zeros_like(),
        };
        let sums = LossSums::new([
            loss.clone(),
            sum(Some(policy.losses_bt)),
            sum(kls_bt),
            sum(tokens.entropies_bt()),
            policy.clipped_low,
            policy.clipped_high,
        ]);
        MicroBatchLoss { loss, sums }
    }

    /// Whether the loss needs the log-probabilities of a reference.
    pub fn needs_reference(&self) -> bool {
        self.kl.is_some()
    }

    /// Whether the loss needs the exact KL at every position.
    pub fn needs_exact_kls(&self) -> bool {
        self.estimator() == Some(KlEstimator::Full)
    }

    /// Whether the loss needs entropies that carry a gradient.
    pub fn needs_entropies(&self) -> bool {
        self.entropy_loss_coef != 0.0
    }

    /// Whether rows without advantage have no part in the gradient, and belong in its divisor only.
    pub fn scales_with_advantage(&self) -> bool {
        self.policy_loss.scales_with_advantage() && self.kl.is_none() && !self.needs_entropies()
    }

    /// Refuses settings that cannot be meant, for so many passes over a batch in so many parts.
    pub fn check(&self, ppo_epochs: usize, mini_batches: usize) -> Result<(), LossError> {
        self.policy_loss.check(ppo_epochs, mini_batches)?;
        finite("rl_loss_coef", self.rl_loss_coef)?;
        finite("entropy_loss_coef", self.entropy_loss_coef)?;
        let Some(term) = &self.kl else { return Ok(()) };
        let coef = term.kl_loss_coef;
        require(
            coef >= 0.0 && coef.is_finite(),
            "kl_loss_coef",
            coef,
            "a finite number of at least 0",
        )?;
        term.kl_loss_type.check_in_loss()
    }

    fn estimator(&self) -> Option<KlEstimator> {
        self.kl.as_ref().map(|term| term.kl_loss_type)
    }

    /// A KL that is only looked at, because a reference is there, is k3.
    fn token_kls_bt<B: Backend>(&self, tokens: &TokenBatch<B>) -> Option<Tensor<B, 2>> {
        match self.estimator() {
            Some(estimator) => Some(estimator.token_kls_bt(tokens)),
            None if tokens.has_reference() => Some(KlEstimator::K3.token_kls_bt(tokens).detach()),
            None => None,
        }
    }

    fn regularised<B: Backend>(
        &self,
        tokens: &TokenBatch<B>,
        policy_losses_bt: Tensor<B, 2>,
        kls_bt: Option<Tensor<B, 2>>,
    ) -> Tensor<B, 2> {
        let mut losses_bt = policy_losses_bt * self.rl_loss_coef;
        if let (Some(term), Some(kls_bt)) = (&self.kl, kls_bt) {
            losses_bt = losses_bt + kls_bt * term.kl_loss_coef;
        }
        if self.needs_entropies() {
            let Some(entropies_bt) = tokens.entropies_bt() else {
                panic!("an entropy bonus was asked for without entropies");
            };
            losses_bt = losses_bt - entropies_bt * self.entropy_loss_coef;
        }
        losses_bt
    }
}

fn finite(key: &'static str, value: f64) -> Result<(), LossError> {
    require(value.is_finite(), key, value, "a finite number")
}

#[cfg(test)]
mod tests {
    use super::super::{Denominators, LossMetrics, PolicyGradient};
    use super::*;
    use crate::loss::tests::support::{TestBackend, assert_close, assert_gradient_is_the_slope};
    use crate::loss::tests::support::{floats, gradient, row_weights, tensor, tensor_of};

    const LENGTHS: [usize; 3] = [3, 1, 2];
    const LOGPS: [[f64; 3]; 3] = [[-1.0, -0.4, -2.0], [-0.7, -9.0, -9.0], [-3.0, -0.2, -9.0]];
    const MASK: [[f64; 3]; 3] = [[1.0, 1.0, 1.0], [1.0, 0.0, 0.0], [1.0, 1.0, 0.0]];
    const OLD: [[f64; 3]; 3] = [[-1.5, -0.1, -2.5], [-1.5, -9.0, -9.0], [-2.5, -0.3, -9.0]];
    const REFERENCE: [[f64; 3]; 3] = [[-0.8, -0.5, -2.2], [-0.9, -9.0, -9.0], [-2.0, -0.4, -9.0]];
    const ADVANTAGES: [f64; 3] = [1.0, -0.5, -0.8];

    fn objective(loss_agg_mode: Aggregation) -> Objective {
        Objective {
            loss_agg_mode,
            kl: Some(KlTerm { kl_loss_type: KlEstimator::K3, kl_loss_coef: 0.1 }),
            ..Default::default()
        }
    }

    fn rows(values: [[f64; 3]; 3], range: &std::ops::Range<usize>) -> Tensor<TestBackend, 2> {
        tensor_of(values[range.clone()].concat(), [range.len(), 3])
    }

    fn loss_of_rows(
        objective: &Objective,
        logps_bt: Tensor<TestBackend, 2>,
        range: std::ops::Range<usize>,
    ) -> MicroBatchLoss<TestBackend> {
        let advantages_b1 = tensor_of(ADVANTAGES[range.clone()].to_vec(), [range.len(), 1]);
        let tokens = TokenBatch::new(logps_bt, advantages_b1, rows(MASK, &range))
            .with_old_logps(rows(OLD, &range))
            .with_reference_logps(rows(REFERENCE, &range))
            .with_entropies(rows(LOGPS, &range).mul_scalar(-1.0));
        let step = Denominators::of_step(&LENGTHS, 4);
        let weights = row_weights(objective.loss_agg_mode, &LENGTHS[range.clone()], &step);
        let weights_bt = tensor_of(weights, [range.len(), 1]).expand([range.len(), 3]);
        objective.loss(&tokens, weights_bt)
    }

    /// Loss, gradient and metrics of a step cut into micro-batches.
    fn in_parts(
        objective: &Objective,
        parts: &[std::ops::Range<usize>],
    ) -> (f64, Vec<f64>, LossMetrics) {
        let losses: Vec<_> = parts
            .iter()
            .map(|range| loss_of_rows(objective, rows(LOGPS, range), range.clone()))
            .collect();
        let gradients = parts.iter().flat_map(|range| {
            gradient(rows(LOGPS, range), |logps_bt| {
                loss_of_rows(objective, logps_bt, range.clone()).loss
            })
        });
        let gradients = gradients.collect();
        let loss = losses.iter().map(|part| floats(part.loss.clone())[0]).sum();
        let sums = losses.into_iter().map(|part| part.sums);
        let sums = sums.reduce(LossSums::plus).unwrap();
        (loss, gradients, sums.read(&Denominators::of_step(&LENGTHS, 4), 6.0).unwrap())
    }

    #[test]
    fn micro_batches_change_neither_loss_nor_gradient_nor_metrics() {
        use Aggregation::*;
        for mode in [TokenMean, SeqMeanTokenSum, SeqMeanTokenMean, SeqMeanTokenSumNorm, DrGrpo] {
            let whole = in_parts(&objective(mode), std::slice::from_ref(&(0..3)));
            for parts in [&[0..1, 1..3][..], &[0..2, 2..3], &[0..1, 1..2, 2..3]] {
                let split = in_parts(&objective(mode), parts);
                assert_close(&[split.0], &[whole.0], 1e-14);
                assert_close(&split.1, &whole.1, 1e-14);
                assert_close(&[split.2.kl, split.2.loss], &[whole.2.kl, whole.2.loss], 1e-14);
            }
        }
    }

    #[test]
    fn the_gradient_of_the_whole_objective_is_its_slope() {
        let objective = objective(Aggregation::SeqMeanTokenMean);
        assert_gradient_is_the_slope(tensor(LOGPS), |logps_bt| {
            loss_of_rows(&objective, logps_bt, 0..3).loss
        });
    }

    #[test]
    fn the_parts_of_the_objective_add_with_their_coefficients() {
        let mode = Aggregation::TokenMean;
        let loss =
            |objective: Objective| floats(loss_of_rows(&objective, tensor(LOGPS), 0..3).loss)[0];
        let plain = loss(Objective::default());
        let kl = in_parts(&objective(mode), std::slice::from_ref(&(0..3))).2.kl;
        let with_entropy =
            loss(Objective { rl_loss_coef: 2.0, entropy_loss_coef: 0.01, ..objective(mode) });
        let mean_entropy = (1.0 + 0.4 + 2.0 + 0.7 + 3.0 + 0.2) / 6.0;
        let expected = 2.0 * plain + 0.1 * kl - 0.01 * mean_entropy;
        assert_close(&[with_entropy], &[expected], 1e-12);
    }

    #[test]
    fn metrics_are_means_over_the_loss_tokens_of_the_step() {
        let (loss, _, metrics) = in_parts(&Objective::default(), &[0..2, 2..3]);
        let k3 = [-0.2f64, 0.1, 0.2, 0.2, -1.0, 0.2].map(|x| (-x).exp() + x - 1.0);
        assert_close(&[metrics.kl], &[k3.iter().sum::<f64>() / 6.0], 1e-12);
        assert_close(&[metrics.entropy], &[7.3 / 6.0], 1e-12);
        // Two good tokens rose by e^0.5 and one bad token fell by as much.
        assert_close(&[metrics.clip_high, metrics.clip_low], &[2.0 / 6.0, 1.0 / 6.0], 1e-12);
        assert_close(&[metrics.clip_region()], &[0.5], 1e-12);
        assert_close(&[metrics.loss, metrics.policy_loss], &[loss, loss], 1e-12);
    }

    #[test]
    fn settings_that_cannot_be_meant_are_refused() {
        let policy_gradient = Objective {
            policy_loss: PolicyLoss::PolicyGradient(PolicyGradient {}),
            ..Default::default()
        };
        assert_eq!(policy_gradient.check(1, 1), Ok(()));
        let reuse = policy_gradient.check(2, 1).unwrap_err().to_string();
        assert!(reuse.contains("ppo_epochs is 2"), "{reuse}");
        for (epochs, parts, keys) in [
            (2, 1, ["ppo_epochs is 2, but", "set ppo_epochs to 1"]),
            (1, 2, ["mini_batches is 2, but", "set mini_batches to 1"]),
            (
                3,
                2,
                [
                    "ppo_epochs is 3 and mini_batches is 2, but",
                    "set ppo_epochs and mini_batches to 1",
                ],
            ),
        ] {
            let reuse = policy_gradient.check(epochs, parts).unwrap_err().to_string();
            assert!(keys.iter().all(|key| reuse.contains(key)), "{reuse}");
        }
        let k1 = Objective {
            kl: Some(KlTerm { kl_loss_type: KlEstimator::K1, kl_loss_coef: 0.1 }),
            ..Default::default()
        };
        assert_eq!(k1.check(1, 1), Err(LossError::KlWithoutGradient));
    }
}
