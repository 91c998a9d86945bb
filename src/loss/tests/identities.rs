//! What must hold between losses whatever the numbers are.

use burn::tensor::Tensor;
use proptest::prelude::*;

use super::support::{TestBackend, all_losses, assert_close, floats, gradient, tensor_of};
use crate::loss::*;

const ROWS: usize = 3;
const COLUMNS: usize = 4;

/// A random micro-batch whose log-ratios stay within ±0.5.
#[derive(Debug, Clone)]
struct Batch {
    logps_bt: Vec<f64>,
    log_ratios_bt: Vec<f64>,
    advantages_b1: Vec<f64>,
    lengths_b: Vec<usize>,
}

impl Batch {
    fn logps_bt(&self) -> Tensor<TestBackend, 2> {
        tensor_of(self.logps_bt.clone(), [ROWS, COLUMNS])
    }

    fn mask_bt(&self) -> Tensor<TestBackend, 2> {
        let mask_of = |&length: &usize| (0..COLUMNS).map(move |t| f64::from(u8::from(t < length)));
        let mask_bt = self.lengths_b.iter().flat_map(mask_of).collect();
        tensor_of(mask_bt, [ROWS, COLUMNS])
    }

    /// Tokens sampled by the current policy.
    fn fresh(&self, logps_bt: Tensor<TestBackend, 2>) -> TokenBatch<TestBackend> {
        let advantages_b1 = tensor_of(self.advantages_b1.clone(), [ROWS, 1]);
        TokenBatch::new(logps_bt, advantages_b1, self.mask_bt())
    }

    /// Tokens sampled by an older policy.
    fn stale(&self, logps_bt: Tensor<TestBackend, 2>) -> TokenBatch<TestBackend> {
        let log_ratios_bt = tensor_of(self.log_ratios_bt.clone(), [ROWS, COLUMNS]);
        self.fresh(logps_bt).with_old_logps(self.logps_bt() - log_ratios_bt)
    }

    fn fresh_gradient(&self, loss: &PolicyLoss) -> Vec<f64> {
        gradient(self.logps_bt(), |logps_bt| {
            loss.token_losses(&self.fresh(logps_bt)).losses_bt.sum()
        })
    }

    fn stale_gradient(&self, loss: &PolicyLoss) -> Vec<f64> {
        gradient(self.logps_bt(), |logps_bt| {
            loss.token_losses(&self.stale(logps_bt)).losses_bt.sum()
        })
    }
}

fn batches() -> impl Strategy<Value = Batch> {
    let floats = |range, count| prop::collection::vec(range, count);
    (
        floats(-8.0..-0.01, ROWS * COLUMNS),
        floats(-0.5..0.5, ROWS * COLUMNS),
        floats(-3.0..3.0, ROWS),
        prop::collection::vec(0..=COLUMNS, ROWS),
    )
        .prop_map(|(logps_bt, log_ratios_bt, advantages_b1, lengths_b)| Batch {
            logps_bt,
            log_ratios_bt,
            advantages_b1,
            lengths_b,
        })
}

/// A surrogate that clips no ratio within e^±0.5.
fn wide_surrogate() -> ClippedSurrogate {
    ClippedSurrogate { pg_clip_low: 0.9, pg_clip_high: 4.0, ..Default::default() }
}

/// Every loss, and GSPO in its other form.
fn every_loss() -> impl Iterator<Item = PolicyLoss> {
    let by_token = Gspo { token_gradient: true, ..Default::default() };
    all_losses().into_iter().chain([PolicyLoss::Gspo(by_token)])
}

/// One random generator state for all, so that a failure can be run again.
fn few_cases() -> ProptestConfig {
    ProptestConfig {
        cases: 32,
        failure_persistence: None,
        rng_seed: prop::test_runner::RngSeed::Fixed(7),
        ..Default::default()
    }
}

proptest! {
    #![proptest_config(few_cases())]

    #[test]
    fn on_fresh_samples_every_token_loss_has_the_gradient_of_the_policy_gradient(
        batch in batches()
    ) {
        let expected = batch.fresh_gradient(&PolicyLoss::PolicyGradient(PolicyGradient {}));
        for loss in every_loss() {
            assert_close(&batch.fresh_gradient(&loss), &expected, 1e-12);
        }
    }

    #[test]
    fn a_loss_that_scales_with_the_advantage_has_no_gradient_without_one(batch in batches()) {
        let batch = Batch { advantages_b1: vec![0.0; ROWS], ..batch };
        for loss in every_loss() {
            let gradient = batch.stale_gradient(&loss);
            let is_zero = gradient.iter().all(|slope| *slope == 0.0);
            let has_tokens = batch.lengths_b.iter().any(|length| *length > 0);
            assert_eq!(is_zero, loss.scales_with_advantage() || !has_tokens, "{loss:?}");
        }
    }

    #[test]
    fn on_fresh_samples_the_surrogate_of_centred_advantages_is_zero(batch in batches()) {
        let mean = batch.advantages_b1.iter().sum::<f64>() / ROWS as f64;
        let centred = batch.advantages_b1.iter().map(|advantage| advantage - mean).collect();
        let batch = Batch { advantages_b1: centred, lengths_b: vec![COLUMNS; ROWS], ..batch };
        let losses = ClippedSurrogate::default().token_losses(&batch.fresh(batch.logps_bt()));
        assert_close(&floats(losses.losses_bt.sum()), &[0.0], 1e-12);
    }

    #[test]
    fn where_nothing_is_clipped_cispo_has_the_gradient_of_the_surrogate(batch in batches()) {
        let surrogate = batch.stale_gradient(&PolicyLoss::ClippedSurrogate(wide_surrogate()));
        let cispo = batch.stale_gradient(&PolicyLoss::Cispo(Cispo::default()));
        assert_close(&cispo, &surrogate, 1e-12);
    }

    #[test]
    fn sequences_of_one_token_make_gspo_the_token_surrogate(batch in batches()) {
        let batch = Batch { lengths_b: vec![1; ROWS], ..batch };
        let by_sequence = ClippedSurrogate {
            importance_sampling: ImportanceSampling::Seq,
            ..Default::default()
        };
        let by_token = PolicyLoss::ClippedSurrogate(ClippedSurrogate::default());
        let by_sequence = PolicyLoss::ClippedSurrogate(by_sequence);
        let losses = |loss: &PolicyLoss| {
            floats(loss.token_losses(&batch.stale(batch.logps_bt())).losses_bt)
        };
        assert_close(&losses(&by_sequence), &losses(&by_token), 1e-12);
        let gradients = (batch.stale_gradient(&by_sequence), batch.stale_gradient(&by_token));
        assert_close(&gradients.0, &gradients.1, 1e-12);
    }

    #[test]
    fn k3_is_never_negative_and_meets_k2_for_small_log_ratios(batch in batches(), scale in 1e-6..1e-3) {
        let log_ratios_bt = tensor_of(batch.log_ratios_bt.clone(), [ROWS, COLUMNS]);
        let kls = |estimator: KlEstimator, scale: f64| {
            let reference_bt = batch.logps_bt() - log_ratios_bt.clone() * scale;
            let tokens = batch.fresh(batch.logps_bt()).with_reference_logps(reference_bt);
            floats(estimator.token_kls_bt(&tokens))
        };
        prop_assert!(kls(KlEstimator::K3, 1.0).iter().all(|&kl| kl >= 0.0));
        let k2 = kls(KlEstimator::K2, scale);
        // The next term of the series is x³/6, with |x| at most half the scale.
        assert_close(&kls(KlEstimator::K3, scale), &k2, scale.powi(3) / 40.0 + 1e-14);
    }
}
