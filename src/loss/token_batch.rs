//! The completion tokens of one micro-batch, cleaned once so that no loss has to think of padding.

use burn::tensor::{Bool, Tensor, backend::Backend};

/// Largest absolute log-ratio that reaches an `exp`; e²⁰ is far outside any trust region and far
/// inside `f32`, even when it is squared.
pub const LOG_RATIO_LIMIT: f64 = 20.0;

/// Log-probabilities, advantages and mask of the completion tokens of one micro-batch.
///
/// Everything handed over is set to 0 outside the mask *before* any arithmetic, so a pad may hold
/// NaN or an infinity without reaching a value or a gradient. NaN on a loss token reaches both.
#[derive(Debug, Clone)]
pub struct TokenBatch<B: Backend> {
    logps_bt: Tensor<B, 2>,
    old_logps_bt: Option<Tensor<B, 2>>,
    reference_logps_bt: Option<Tensor<B, 2>>,
    exact_kls_bt: Option<Tensor<B, 2>>,
    entropies_bt: Option<Tensor<B, 2>>,
    advantages_bt: Tensor<B, 2>,
    mask_bt: Tensor<B, 2>,
    outside_bt: Tensor<B, 2, Bool>,
}

impl<B: Backend> TokenBatch<B> {
    /// Takes log-probabilities of the current policy (temperature-scaled, carrying the gradient),
    /// advantages per row or per token, and a mask of 1 on loss tokens and 0 elsewhere.
    ///
    /// Shapes: `logps_bt`, `mask_bt` `[b, t]`; `advantages` `[b, 1]` or `[b, t]`.
    pub fn new(logps_bt: Tensor<B, 2>, advantages: Tensor<B, 2>, mask_bt: Tensor<B, 2>) -> Self {
        let outside_bt = mask_bt.clone().equal_elem(0.0);
        let advantages_bt = clean(advantages, &outside_bt, "advantages").detach();
        Self {
            logps_bt: clean(logps_bt, &outside_bt, "log-probabilities"),
            old_logps_bt: None,
            reference_logps_bt: None,
            exact_kls_bt: None,
            entropies_bt: None,
            advantages_bt,
            mask_bt,
            outside_bt,
        }
    }

    /// Adds the log-probabilities the tokens had when they were sampled, `[b, t]`; without them the
    /// current ones stand in, detached, and every importance ratio is exactly 1.
    pub fn with_old_logps(mut self, old_logps_bt: Tensor<B, 2>) -> Self {
        let old_logps_bt = clean(old_logps_bt, &self.outside_bt, "old log-probabilities");
        self.old_logps_bt = Some(old_logps_bt.detach());
        self
    }

    /// Adds the log-probabilities under the frozen reference, `[b, t]`.
    pub fn with_reference_logps(mut self, reference_logps_bt: Tensor<B, 2>) -> Self {
        let logps_bt = clean(reference_logps_bt, &self.outside_bt, "reference log-probabilities");
        self.reference_logps_bt = Some(logps_bt.detach());
        self
    }

    /// Adds the exact KL of policy to reference at each position, `[b, t]`, in nats, carrying the
    /// gradient; only [`KlEstimator::Full`](super::KlEstimator::Full) asks for it.
    pub fn with_exact_kls(mut self, exact_kls_bt: Tensor<B, 2>) -> Self {
        self.exact_kls_bt = Some(clean(exact_kls_bt, &self.outside_bt, "exact KLs"));
        self
    }

    /// Adds the entropy of the policy at each position, `[b, t]`, in nats, carrying the gradient
    /// where an entropy bonus is wanted.
    pub fn with_entropies(mut self, entropies_bt: Tensor<B, 2>) -> Self {
        self.entropies_bt = Some(clean(entropies_bt, &self.outside_bt, "entropies"));
        self
    }

    /// Log-probabilities of the current policy, `[b, t]`, 0 outside the mask.
    pub fn logps_bt(&self) -> Tensor<B, 2> {
        self.logps_bt.clone()
    }

    /// Advantages spread over the tokens, `[b, t]`, 0 outside the mask.
    pub fn advantages_bt(&self) -> Tensor<B, 2> {
        self.advantages_bt.clone()
    }

    /// 1 on loss tokens and 0 elsewhere, `[b, t]`.
    pub fn mask_bt(&self) -> Tensor<B, 2> {
        self.mask_bt.clone()
    }

    /// Entropies, if any were handed over, `[b, t]`, 0 outside the mask.
    pub fn entropies_bt(&self) -> Option<Tensor<B, 2>> {
        self.entropies_bt.clone()
    }

    /// Exact KLs, if any were handed over, `[b, t]`, 0 outside the mask.
    pub fn exact_kls_bt(&self) -> Option<Tensor<B, 2>> {
        self.exact_kls_bt.clone()
    }

    /// Log importance ratios within ±[`LOG_RATIO_LIMIT`], `[b, t]`, 0 outside the mask.
    ///
    /// ```text
    /// Δ = clamp(log π − log π_old, −20, 20)
    /// ```
    ///
    /// The gradient flows through π only, and stops where the clamp holds.
    pub fn log_ratios_bt(&self) -> Tensor<B, 2> {
        let old_logps_bt = match &self.old_logps_bt {
            Some(old_logps_bt) => old_logps_bt.clone(),
            None => self.logps_bt().detach(),
        };
        (self.logps_bt() - old_logps_bt).clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT)
    }

    /// Whether log-probabilities under a reference were handed over.
    pub fn has_reference(&self) -> bool {
        self.reference_logps_bt.is_some()
    }

    /// Log ratios of policy to reference, `log π − log π_ref`, `[b, t]`, 0 outside the mask.
    pub fn reference_log_ratios_bt(&self) -> Option<Tensor<B, 2>> {
        let reference_logps_bt = self.reference_logps_bt.clone()?;
        Some(self.logps_bt() - reference_logps_bt)
    }

    /// Mean over the loss tokens of each row, `[b, 1]`; 0 for a row without any.
    pub fn row_means_b1(&self, values_bt: Tensor<B, 2>) -> Tensor<B, 2> {
        let lengths_b1 = self.mask_bt().sum_dim(1).clamp_min(1.0);
        self.masked(values_bt).sum_dim(1) / lengths_b1
    }

    /// Sum over the loss tokens, detached, `[1]`.
    pub fn sum(&self, values_bt: Tensor<B, 2>) -> Tensor<B, 1> {
        self.masked(values_bt.detach()).sum()
    }

    /// Number of loss tokens where the condition holds, `[1]`.
    pub fn count(&self, condition_bt: Tensor<B, 2, Bool>) -> Tensor<B, 1> {
        self.mask_bt().mask_fill(condition_bt.bool_not(), 0.0).sum()
    }

    /// The values with 0 outside the mask, `[b, t]`.
    pub fn masked(&self, values_bt: Tensor<B, 2>) -> Tensor<B, 2> {
        values_bt.mask_fill(self.outside_bt.clone(), 0.0)
    }
}

/// Multiplying by the mask would turn an infinite pad into NaN, so pads are replaced.
fn clean<B: Backend>(
    values: Tensor<B, 2>,
    outside_bt: &Tensor<B, 2, Bool>,
    name: &str,
) -> Tensor<B, 2> {
    let ([rows, columns], [b, t]) = (values.dims(), outside_bt.dims());
    assert!(
        rows == b && (columns == t || columns == 1),
        "{name} have shape [{rows}, {columns}] beside a mask of [{b}, {t}]"
    );
    values.expand([b, t]).mask_fill(outside_bt.clone(), 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::tests::support::{floats, tensor};

    #[test]
    fn without_old_log_probabilities_the_ratio_is_one() {
        let tokens =
            TokenBatch::new(tensor([[-1.5, -0.25]]), tensor([[1.0]]), tensor([[1.0, 1.0]]));
        assert_eq!(floats(tokens.log_ratios_bt()), [0.0, 0.0]);
    }

    #[test]
    fn log_ratios_are_bounded_and_zero_on_pads() {
        let tokens = TokenBatch::new(
            tensor([[-1.0, -1e30, -1.0, f64::NAN]]),
            tensor([[1.0]]),
            tensor([[1.0, 1.0, 1.0, 0.0]]),
        )
        .with_old_logps(tensor([[-1.5, -1.0, -1e30, f64::INFINITY]]));
        assert_eq!(floats(tokens.log_ratios_bt()), [0.5, -20.0, 20.0, 0.0]);
    }

    #[test]
    fn a_row_without_loss_tokens_has_mean_zero() {
        let tokens = TokenBatch::new(
            tensor([[-1.0, -2.0], [-3.0, -4.0]]),
            tensor([[1.0], [1.0]]),
            tensor([[1.0, 1.0], [0.0, 0.0]]),
        );
        assert_eq!(floats(tokens.row_means_b1(tokens.logps_bt())), [-1.5, 0.0]);
    }

    #[test]
    #[should_panic(expected = "advantages have shape [2, 1] beside a mask of [1, 2]")]
    fn advantages_of_other_rows_are_refused() {
        TokenBatch::new(tensor([[-1.0, -2.0]]), tensor([[1.0], [1.0]]), tensor([[1.0, 1.0]]));
    }
}
