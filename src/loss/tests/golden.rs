//! Every loss, KL and aggregation against PyTorch autograd in f64, pads poisoned and added.
//!
//! `tests/fixtures/losses/make_losses.py` made the values.

use burn::tensor::Tensor;
use serde::Deserialize;

use super::support::{TestBackend, assert_close, floats, gradient, row_weights, tensor_of};
use crate::loss::{Aggregation, Denominators, KlEstimator, PolicyLoss, TokenBatch};

type Rows = Vec<Vec<f64>>;

#[derive(Deserialize)]
struct Golden {
    logps_bt: Rows,
    old_logps_bt: Rows,
    reference_logps_bt: Rows,
    row_advantages_b1: Rows,
    token_advantages_bt: Rows,
    mask_bt: Rows,
    max_length: usize,
    policy_losses: Vec<PolicyCase>,
    kls: Vec<KlCase>,
}

#[derive(Deserialize)]
struct PolicyCase {
    policy_loss: PolicyLoss,
    advantages: String,
    #[serde(flatten)]
    expected: Expected,
}

#[derive(Deserialize)]
struct KlCase {
    kl_loss_type: KlEstimator,
    #[serde(flatten)]
    expected: Expected,
}

#[derive(Deserialize)]
struct Expected {
    loss_agg_mode: Aggregation,
    values_bt: Rows,
    loss: f64,
    gradient_bt: Rows,
}

/// What a pad holds, and how many columns of pads are added.
const PADDINGS: [(Option<f64>, usize); 5] = [
    (None, 0),
    (Some(f64::NAN), 0),
    (Some(f64::NEG_INFINITY), 3),
    (Some(f64::INFINITY), 1),
    (Some(-1e30), 2),
];

impl Golden {
    fn load() -> Self {
        let text = include_str!("../../../tests/fixtures/losses/losses.json");
        serde_json::from_str(text).unwrap()
    }

    /// Rows with their pads replaced and further pads behind them.
    fn padded(&self, rows: &Rows, (pad, columns): (Option<f64>, usize)) -> Rows {
        let padded_row = |(row, mask_t): (&Vec<f64>, &Vec<f64>)| {
            let kept = row.iter().zip(mask_t).map(|(&value, &mask)| match pad {
                Some(pad) if mask == 0.0 => pad,
                _ => value,
            });
            kept.chain(vec![pad.unwrap_or(0.0); columns]).collect()
        };
        rows.iter().zip(&self.mask_bt).map(padded_row).collect()
    }

    fn tokens(
        &self,
        logps_bt: Tensor<TestBackend, 2>,
        advantages: &str,
        padding: (Option<f64>, usize),
    ) -> TokenBatch<TestBackend> {
        let advantages = match advantages {
            "row" => self.row_advantages_b1.clone(),
            _ => self.padded(&self.token_advantages_bt, padding),
        };
        let mask_bt = self.padded(&self.mask_bt, (Some(0.0), padding.1));
        TokenBatch::new(logps_bt, matrix(&advantages), matrix(&mask_bt))
            .with_old_logps(matrix(&self.padded(&self.old_logps_bt, padding)))
            .with_reference_logps(matrix(&self.padded(&self.reference_logps_bt, padding)))
    }

    fn row_weights_b1(&self, mode: Aggregation) -> Tensor<TestBackend, 2> {
        let lengths: Vec<usize> = self
            .mask_bt
            .iter()
            .map(|mask_t| mask_t.iter().filter(|&&mask| mask > 0.0).count())
            .collect();
        let step = Denominators::of_step(&lengths, self.max_length);
        let weights = row_weights(mode, &lengths, &step);
        tensor_of(weights, [lengths.len(), 1])
    }

    /// Compares value, loss and gradient under every padding.
    fn check(
        &self,
        expected: &Expected,
        advantages: &str,
        values_of: impl Fn(&TokenBatch<TestBackend>) -> Tensor<TestBackend, 2>,
    ) {
        for padding in PADDINGS {
            let values_of = |logps_bt| values_of(&self.tokens(logps_bt, advantages, padding));
            let loss_of = |logps_bt| {
                (values_of(logps_bt) * self.row_weights_b1(expected.loss_agg_mode)).sum()
            };
            let logps_bt = matrix(&self.padded(&self.logps_bt, padding));
            let zeros_behind = |rows| self.padded(rows, (Some(0.0), padding.1)).concat();
            assert_close(
                &floats(values_of(logps_bt.clone())),
                &zeros_behind(&expected.values_bt),
                1e-11,
            );
            assert_close(&floats(loss_of(logps_bt.clone())), &[expected.loss], 1e-11);
            assert_close(&gradient(logps_bt, loss_of), &zeros_behind(&expected.gradient_bt), 1e-11);
        }
    }
}

fn matrix(rows: &Rows) -> Tensor<TestBackend, 2> {
    tensor_of(rows.concat(), [rows.len(), rows[0].len()])
}

#[test]
fn policy_losses_and_their_gradients_are_those_of_pytorch_whatever_the_pads_hold() {
    let golden = Golden::load();
    for case in &golden.policy_losses {
        golden.check(&case.expected, &case.advantages, |tokens| {
            case.policy_loss.token_losses(tokens).losses_bt
        });
    }
}

#[test]
fn kls_and_their_gradients_are_those_of_pytorch_whatever_the_pads_hold() {
    let golden = Golden::load();
    for case in &golden.kls {
        golden.check(&case.expected, "row", |tokens| case.kl_loss_type.token_kls_bt(tokens));
    }
}

#[test]
fn every_loss_and_every_aggregation_has_a_golden() {
    let golden = Golden::load();
    let names = golden.policy_losses.iter().map(|case| case.policy_loss.name());
    let names: std::collections::BTreeSet<_> = names.collect();
    let expected = [
        "cispo",
        "clipped_surrogate",
        "gmpo",
        "gspo",
        "kimi15",
        "policy_gradient",
        "sapo",
        "tis",
        "topr",
    ];
    assert!(names.into_iter().eq(expected));
}

#[test]
fn extreme_log_ratios_on_loss_tokens_give_finite_losses_and_gradients() {
    let extremes = vec![vec![-1e30, -1e4, -200.0, -0.1, 0.0]; 2];
    let old_bt = vec![vec![-0.1, 0.0, -0.1, -200.0, -1e4]; 2];
    for case in &Golden::load().policy_losses {
        let slopes = gradient(matrix(&extremes), |logps_bt| {
            let advantages_b1 = matrix(&vec![vec![2.0], vec![-2.0]]);
            let tokens = TokenBatch::new(logps_bt, advantages_b1, matrix(&vec![vec![1.0; 5]; 2]))
                .with_old_logps(matrix(&old_bt));
            let losses_bt = case.policy_loss.token_losses(&tokens).losses_bt;
            assert!(floats(losses_bt.clone()).iter().all(|loss| loss.is_finite()));
            losses_bt.sum()
        });
        let finite = slopes.iter().all(|slope| slope.is_finite());
        assert!(finite, "{}: {slopes:?}", case.policy_loss.name());
    }
}
