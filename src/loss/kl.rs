//! Estimators of the KL divergence from the policy to the reference, one value a token.

use burn::tensor::{Tensor, backend::Backend};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{LossError, TokenBatch};

/// The negative log ratio at which k3 is 10.
const K3_LOWEST_X: f64 = -2.610_868_638_149_876;

/// How the KL of a sampled token is estimated, from x = log π − log π_ref.
///
/// ```text
/// k1         x
/// k2         x² / 2
/// k3         exp(−x) + x − 1
/// abs        |x|
/// full       Σ_v π_v · log(π_v / π_ref,v), computed by the caller
/// k1_k2grad  value of k1, gradient of k2
/// k3_k2grad  value of k3, gradient of k2
/// k3_ratio   ρ · k3, with ρ = π / π_old and its gradient kept
/// ```
///
/// As a term of the loss, k1 has an expected gradient of zero, k3 that of the *forward* KL; k2, the
/// `_k2grad` forms and, off-policy too, k3_ratio have that of the reverse KL.
///
/// k3 grows as exp(−x): a token that the reference holds e^19 times as likely as the policy would own
/// the step. Below x = −2.61, where k3 is 10, its value stays 10 and its slope stays what it is there,
/// so such a token is pulled back like its neighbours. Upwards k3 grows as x, and a policy that ran
/// away is pulled back with a slope below 1.
///
/// Sources: Schulman 2020, "Approximating KL divergence"; DeepSeek-AI 2025, arXiv 2512.02556
/// (k3_ratio); the bound of 10 is verl's, ROLL's and OpenRLHF's, which give no slope beyond it. ROLL's names `kl`, `mse` and verl's `low_var_kl`, `k1+`, `k3+` are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KlEstimator {
    /// The log ratio: unbiased, often negative; for the reward, not for the loss.
    #[serde(alias = "kl")]
    K1,
    /// Half its square: right gradient, biased value.
    #[serde(alias = "mse")]
    K2,
    /// Never negative, unbiased value, biased gradient; what GRPO published.
    #[default]
    #[serde(alias = "low_var_kl")]
    K3,
    /// Its absolute value.
    Abs,
    /// The exact sum over the vocabulary.
    Full,
    /// k1 to look at, k2 to learn from.
    #[serde(rename = "k1_k2grad", alias = "k1+")]
    K1K2Grad,
    /// k3 to look at, k2 to learn from.
    #[serde(rename = "k3_k2grad", alias = "k3+")]
    K3K2Grad,
    /// k3 corrected for samples of an older policy.
    K3Ratio,
}

impl KlEstimator {
    /// KL of each token in nats, `[b, t]`, 0 outside the mask.
    ///
    /// Panics when the batch lacks what the estimator needs: exact KLs for `full`, reference
    /// log-probabilities for all others.
    pub fn token_kls_bt<B: Backend>(self, tokens: &TokenBatch<B>) -> Tensor<B, 2> {
        if self == Self::Full {
            let Some(exact_kls_bt) = tokens.exact_kls_bt() else {
                panic!("the `full` KL was asked for without exact KLs");
            };
            return exact_kls_bt;
        }
        let Some(log_ratios_bt) = tokens.reference_log_ratios_bt() else {
            panic!("a KL was asked for without reference log-probabilities");
        };
        match self {
            Self::K3Ratio => tokens.log_ratios_bt().exp() * k3(log_ratios_bt),
            _ => self.of_log_ratios(log_ratios_bt),
        }
    }

    /// Refuses an estimator that constrains nothing when it stands in the loss.
    pub fn check_in_loss(self) -> Result<(), LossError> {
        match self {
            Self::K1 => Err(LossError::KlWithoutGradient),
            _ => Ok(()),
        }
    }

    /// The estimate from one log ratio, on the host: for a penalty inside the reward.
    ///
    /// Panics for `full`, which no single token tells.
    pub fn of_log_ratio(self, x: f64) -> f64 {
        match self {
            Self::K1 | Self::K1K2Grad => x,
            Self::K2 => 0.5 * x * x,
            Self::Abs => x.abs(),
            Self::K3 | Self::K3K2Grad | Self::K3Ratio => {
                let x = x.max(K3_LOWEST_X);
                (-x).exp() + x - 1.0
            }
            Self::Full => panic!("the `full` KL cannot be told from one token"),
        }
    }

    fn of_log_ratios<B: Backend>(self, x: Tensor<B, 2>) -> Tensor<B, 2> {
        match self {
            Self::K1 => x,
            Self::K2 => k2(x),
            Self::Abs => x.abs(),
            Self::K1K2Grad => with_gradient_of(x.clone(), k2(x)),
            Self::K3K2Grad => with_gradient_of(k3(x.clone()), k2(x)),
            Self::K3 | Self::K3Ratio | Self::Full => k3(x),
        }
    }
}

fn k2<B: Backend>(x: Tensor<B, 2>) -> Tensor<B, 2> {
    x.clone() * x * 0.5
}

fn k3<B: Backend>(x: Tensor<B, 2>) -> Tensor<B, 2> {
    let bounded = x.clone().clamp_min(K3_LOWEST_X);
    let value = (-bounded.clone()).exp() + bounded - 1.0;
    let beyond = x.clamp_max(K3_LOWEST_X) * (1.0 - (-K3_LOWEST_X).exp());
    with_gradient_of(value.clone(), value + beyond)
}

/// The forward value of one tensor with the gradient of another.
fn with_gradient_of<B: Backend>(value: Tensor<B, 2>, gradient: Tensor<B, 2>) -> Tensor<B, 2> {
    gradient.clone() - gradient.detach() + value.detach()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::tests::support::{TestBackend, assert_close, assert_gradient_is_the_slope};
    use crate::loss::tests::support::{differences, floats, gradient, tensor};
    use KlEstimator::*;

    const LOG_RATIOS: [f64; 5] = [-2.0, -0.3, 1e-3, 0.4, 3.0];

    fn tokens(logps_bt: Tensor<TestBackend, 2>) -> TokenBatch<TestBackend> {
        TokenBatch::new(logps_bt, tensor([[1.0]]), tensor([[1.0; 5]]))
            .with_old_logps(tensor([[-3.5, -3.2, -3.1, -2.9, -2.8]]))
            .with_reference_logps(tensor([[-3.0; 5]]))
    }

    fn logps() -> Tensor<TestBackend, 2> {
        tensor([LOG_RATIOS.map(|x| x - 3.0)])
    }

    fn total(estimator: KlEstimator, logps_bt: Tensor<TestBackend, 2>) -> Tensor<TestBackend, 1> {
        estimator.token_kls_bt(&tokens(logps_bt)).sum()
    }

    #[test]
    fn values_are_those_of_the_formulas() {
        let k3 = LOG_RATIOS.map(|x: f64| (-x).exp_m1() + x);
        let values = |estimator: KlEstimator| floats(estimator.token_kls_bt(&tokens(logps())));
        assert_close(&values(K1), &LOG_RATIOS, 1e-12);
        assert_close(&values(K1K2Grad), &LOG_RATIOS, 1e-12);
        assert_close(&values(Abs), &LOG_RATIOS.map(f64::abs), 1e-12);
        assert_close(&values(K2), &LOG_RATIOS.map(|x| x * x / 2.0), 1e-12);
        assert_close(&values(K3), &k3, 1e-12);
        assert_close(&values(K3K2Grad), &k3, 1e-12);
    }

    #[test]
    fn k3_is_never_negative_and_is_k2_near_zero() {
        let k3 = floats(K3.token_kls_bt(&tokens(logps())));
        let k2 = floats(K2.token_kls_bt(&tokens(logps())));
        assert!(k3.iter().all(|&kl| kl >= 0.0), "{k3:?}");
        assert!((k3[2] / k2[2] - 1.0).abs() < 1e-3, "{k3:?} {k2:?}");
    }

    #[test]
    fn gradients_without_a_straight_through_are_slopes() {
        for estimator in [K1, K2, K3, Abs, K3Ratio] {
            assert_gradient_is_the_slope(logps(), |logps_bt| total(estimator, logps_bt));
        }
    }

    #[test]
    fn straight_through_estimators_have_the_slope_of_k2() {
        let slopes = differences(logps(), |logps_bt| total(K2, logps_bt));
        for estimator in [K1K2Grad, K3K2Grad] {
            let gradient = gradient(logps(), |logps_bt| total(estimator, logps_bt));
            assert_close(&gradient, &slopes, 1e-8);
        }
    }

    /// Over a vocabulary of three, the expected gradient of an estimator on samples of the policy
    /// is compared with the gradient of the exact reverse KL, with respect to the logits.
    #[test]
    fn in_the_loss_k2_has_the_gradient_of_the_reverse_kl_and_k1_none() {
        let (policy, reference) = ([0.5f64, 0.3, 0.2], [0.2f64, 0.2, 0.6]);
        let expected_gradient = |estimator: KlEstimator| {
            let per_token = gradient(tensor([policy.map(f64::ln)]), |logps_bt| {
                let tokens = TokenBatch::new(logps_bt, tensor([[1.0]]), tensor([[1.0; 3]]))
                    .with_reference_logps(tensor([reference.map(f64::ln)]));
                estimator.token_kls_bt(&tokens).sum()
            });
            through_softmax(policy, |v| policy[v] * per_token[v])
        };
        let log_ratio = |v: usize| (policy[v] / reference[v]).ln();
        let reverse_kl = through_softmax(policy, |v| policy[v] * log_ratio(v));
        let forward_kl = [0, 1, 2].map(|v| policy[v] - reference[v]);
        for estimator in [K2, K1K2Grad, K3K2Grad, K3Ratio] {
            assert_close(&expected_gradient(estimator), &reverse_kl, 1e-12);
        }
        assert_close(&expected_gradient(K1), &[0.0; 3], 1e-12);
        assert_close(&expected_gradient(K3), &forward_kl, 1e-12);
    }

    /// Chain rule from log-probabilities to logits: d log π_v / d z_u = [u = v] − π_u.
    fn through_softmax(policy: [f64; 3], slope: impl Fn(usize) -> f64) -> [f64; 3] {
        let total: f64 = (0..3).map(&slope).sum();
        [0, 1, 2].map(|u| slope(u) - policy[u] * total)
    }

    #[test]
    fn extreme_log_ratios_stay_finite_and_a_runaway_is_pulled_back() {
        let logps_bt = tensor([[-1e4, -200.0, -3.0, -0.1, 0.0]]);
        let reference_bt = tensor([[-0.1, -0.1, -3.0, -200.0, -1e4]]);
        for estimator in [K1, K2, K3, Abs, K1K2Grad, K3K2Grad, K3Ratio] {
            let slopes = gradient(logps_bt.clone(), |logps_bt| {
                let tokens = TokenBatch::new(logps_bt, tensor([[1.0]]), tensor([[1.0; 5]]))
                    .with_reference_logps(reference_bt.clone());
                let kls_bt = estimator.token_kls_bt(&tokens);
                assert!(floats(kls_bt.clone()).iter().all(|kl| kl.is_finite()));
                kls_bt.sum()
            });
            assert!(slopes.iter().all(|slope| slope.is_finite()), "{slopes:?}");
            assert!(slopes[3] > 0.0 && slopes[4] > 0.0, "{estimator:?}: {slopes:?}");
        }
    }

    /// By hand: exp(2.6) − 2.6 − 1 = 9.8637 is below the bound of 10; its slope is 1 − exp(2.6) = −12.464.
    #[test]
    fn one_token_far_below_the_reference_does_not_own_the_step() {
        let logps_bt = tensor([[-22.0, -5.6, -3.0, -0.5, -0.1]]);
        for estimator in [K3, K3Ratio] {
            let values = floats(estimator.token_kls_bt(&on_policy(logps_bt.clone())));
            assert!((values[0] - 10.0).abs() < 1e-6, "{estimator:?}: {values:?}");
            assert!((values[1] - 9.863_738).abs() < 1e-6, "{estimator:?}: {values:?}");
        }
        assert!((K3.of_log_ratio(-19.0) - 10.0).abs() < 1e-9);
        let slopes = gradient(logps_bt, |logps_bt| K3.token_kls_bt(&on_policy(logps_bt)).sum());
        assert!((slopes[1] + 12.463_738).abs() < 1e-6, "{slopes:?}");
        assert!(slopes[0] < slopes[1] && slopes[0] > -13.0, "{slopes:?}");
    }

    /// Tokens whose old log-probabilities are their own; those of the reference are −3.
    fn on_policy(logps_bt: Tensor<TestBackend, 2>) -> TokenBatch<TestBackend> {
        let old_bt = logps_bt.clone().detach();
        TokenBatch::new(logps_bt, tensor([[1.0]]), tensor([[1.0; 5]]))
            .with_old_logps(old_bt)
            .with_reference_logps(tensor([[-3.0; 5]]))
    }

    #[test]
    fn the_exact_kl_is_taken_as_given() {
        let tokens = TokenBatch::new(tensor([[-1.0, -1.0]]), tensor([[1.0]]), tensor([[1.0, 0.0]]))
            .with_exact_kls(tensor([[0.25, f64::NAN]]));
        assert_eq!(floats(Full.token_kls_bt(&tokens)), [0.25, 0.0]);
    }

    #[test]
    fn names_of_other_programs_are_understood() {
        let named = |name: &str| serde_json::from_value::<KlEstimator>(name.into()).unwrap();
        assert_eq!([named("kl"), named("mse"), named("low_var_kl")], [K1, K2, K3]);
        assert_eq!([named("k3_k2grad"), named("k3+")], [K3K2Grad; 2]);
        assert_eq!(named("k3_ratio"), K3Ratio);
    }
}
