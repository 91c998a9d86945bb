//! What the tests of this room share: a backend in `f64`, and gradients against differences.

use burn::backend::{Autodiff, NdArray};
use burn::tensor::{DType, Tensor, TensorData};

use crate::loss::*;

/// Differences of `f32` are too coarse to tell a wrong gradient, so tests run in `f64`.
pub(crate) type TestBackend = Autodiff<NdArray>;

/// Every loss with its defaults; the policy gradient is the second.
pub(crate) fn all_losses() -> [PolicyLoss; 9] {
    [
        PolicyLoss::default(),
        PolicyLoss::PolicyGradient(PolicyGradient::default()),
        PolicyLoss::Gspo(Gspo::default()),
        PolicyLoss::Cispo(Cispo::default()),
        PolicyLoss::Sapo(Sapo::default()),
        PolicyLoss::Gmpo(Gmpo::default()),
        PolicyLoss::Tis(Tis::default()),
        PolicyLoss::Topr(Topr::default()),
        PolicyLoss::Kimi15(Kimi15::default()),
    ]
}

/// A tensor of rows that all have the same length.
pub(crate) fn tensor<const B: usize, const T: usize>(
    rows: [[f64; T]; B],
) -> Tensor<TestBackend, 2> {
    tensor_of(rows.concat(), [B, T])
}

/// A tensor of values in row order.
pub(crate) fn tensor_of(values: Vec<f64>, shape: [usize; 2]) -> Tensor<TestBackend, 2> {
    let device = Default::default();
    Tensor::from_data(TensorData::new(values, shape), (&device, DType::F64))
}

/// The values of a tensor in row order.
pub(crate) fn floats<const D: usize>(tensor: Tensor<TestBackend, D>) -> Vec<f64> {
    tensor.into_data().to_vec().unwrap()
}

/// Compares value by value, absolutely for small values and relatively for large ones.
pub(crate) fn assert_close(actual: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(actual.len(), expected.len());
    for (a, e) in actual.iter().zip(expected) {
        let limit = tolerance * e.abs().max(1.0);
        assert!((a - e).abs() <= limit, "{actual:?} is not {expected:?}: {a} against {e}");
    }
}

/// Gradient of a scalar function with respect to log-probabilities.
pub(crate) fn gradient(
    logps_bt: Tensor<TestBackend, 2>,
    loss: impl Fn(Tensor<TestBackend, 2>) -> Tensor<TestBackend, 1>,
) -> Vec<f64> {
    let logps_bt = logps_bt.require_grad();
    let gradients = loss(logps_bt.clone()).backward();
    let gradient_bt = logps_bt.grad(&gradients).unwrap();
    gradient_bt.into_data().to_vec().unwrap()
}

/// Central differences of a scalar function.
pub(crate) fn differences(
    logps_bt: Tensor<TestBackend, 2>,
    loss: impl Fn(Tensor<TestBackend, 2>) -> Tensor<TestBackend, 1>,
) -> Vec<f64> {
    const STEP: f64 = 1e-5;
    let shape = logps_bt.dims();
    let values = floats(logps_bt);
    let loss_at = |index: usize, shift: f64| {
        let mut shifted = values.clone();
        shifted[index] += shift;
        floats(loss(tensor_of(shifted, shape)))[0]
    };
    (0..values.len())
        .map(|index| (loss_at(index, STEP) - loss_at(index, -STEP)) / (2.0 * STEP))
        .collect()
}

/// Checks the gradient of a function without stop-gradients against its differences.
pub(crate) fn assert_gradient_is_the_slope(
    logps_bt: Tensor<TestBackend, 2>,
    loss: impl Fn(Tensor<TestBackend, 2>) -> Tensor<TestBackend, 1>,
) {
    let slopes = differences(logps_bt.clone(), &loss);
    assert_close(&gradient(logps_bt, &loss), &slopes, 1e-8);
}

/// What a token of each row weighs; 0 for a row without loss tokens.
pub(crate) fn row_weights(
    mode: Aggregation,
    row_lengths: &[usize],
    step: &Denominators,
) -> Vec<f64> {
    let (factor, per_row_length) = mode.token_weight(step);
    let of_row = |&length: &usize| match (length, per_row_length) {
        (0, _) => 0.0,
        (_, true) => factor / length as f64,
        (_, false) => factor,
    };
    row_lengths.iter().map(of_row).collect()
}
