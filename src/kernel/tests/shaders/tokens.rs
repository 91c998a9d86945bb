//! The shaders of tokens and logits on shapes of every kind.

use burn::tensor::{Shape, TensorMetadata};
use burn_cubecl::ops::permute;

use super::{CubeTensor, Form, elements, floats, near};
use crate::kernel::Op;
use crate::kernel::cube::tensor::tensor_of;
use crate::kernel::op::Elements;
use crate::kernel::ops::logit_logprob::{LogitLogprob, LogitLogprobBackward};
use crate::kernel::ops::sample::tests::Tail;
use crate::kernel::ops::sample::{Sample, Sampling};
use crate::kernel::ops::token_weights::{TokenWeighting, TokenWeights};
use crate::random::Stream;

pub(super) fn check_token_weights(form: Form, device: &CubeTensor) -> f32 {
    let mut worst = 0.0f32;
    for [b, tokens] in [[0, 4], [1, 1], [3, 0], [1, 64], [63, 65], [1000, 7], [70_000, 9]] {
        let mut stream = Stream::new(29, b as u32);
        let lengths: Vec<u32> = (0..b).map(|_| stream.below(tokens as u64 + 1) as u32).collect();
        for (width, per_row_length) in [(1, false), (1, true), (tokens, false), (tokens, true)] {
            let advantages: Vec<f32> = (0..b * width).map(|_| stream.normal()).collect();
            let weighting = TokenWeighting { factor: 0.3, per_row_length };
            let on_device = tensor_of(device, [b, width], &advantages);
            let op = TokenWeights { lengths: lengths.clone().into(), tokens, weighting };
            let got = form.run(&op, [on_device]);
            assert!(got.iter().all(|tensor| tensor.shape().dims() == [b, tokens]));
            if b * tokens == 0 {
                continue;
            }
            let [weights, spread] = op.cpu([elements(&advantages, [b, width])]);
            let [got_weights, got_spread] = got.map(floats);
            assert_eq!(got_spread, spread);
            let tolerance = |i: usize| 4.0 * f32::EPSILON * weights[i];
            worst = worst.max(near(&format!("{b} × {tokens}"), &got_weights, &weights, tolerance));
        }
    }
    worst
}

const SHAPES_NV: [[usize; 2]; 8] = [
    [1, 1],
    [1, 2],
    [3, 7],
    [64, 257],
    [16, 50_257],
    [512, 50_257],
    [2, 262_144],
    // More rows than one dimension of a dispatch has workgroups.
    [70_000, 8],
];

/// Logits of which one row in four is nearly certain and one nearly flat.
struct Logits {
    shape: [usize; 2],
    values: Vec<f32>,
    tokens: Vec<u32>,
    temperature: f32,
}

impl Logits {
    fn new([n, v]: [usize; 2], temperature: f32) -> Self {
        let mut stream = Stream::new(31, (n + v) as u32);
        let mut values: Vec<f32> = (0..n * v).map(|_| 16.0 * stream.uniform() - 12.0).collect();
        for (row, values) in values.chunks_exact_mut(v).enumerate() {
            match row % 4 {
                0 => values[stream.index_below(v)] += 60.0,
                1 => values.iter_mut().for_each(|value| *value *= 1e-3),
                _ => {}
            }
        }
        let tokens = (0..n).map(|_| stream.index_below(v) as u32).collect();
        Self { shape: [n, v], values, tokens, temperature }
    }

    fn on(&self, device: &CubeTensor) -> CubeTensor {
        tensor_of(device, self.shape, &self.values)
    }

    fn elements(&self) -> Elements<'_> {
        elements(&self.values, self.shape)
    }

    fn op(&self) -> LogitLogprob {
        LogitLogprob { tokens: self.tokens.clone().into(), temperature: self.temperature }
    }

    fn backward_op(&self) -> LogitLogprobBackward {
        LogitLogprobBackward {
            tokens: self.tokens.clone().into(),
            temperature: self.temperature,
            first: 0,
        }
    }

    fn all() -> impl Iterator<Item = Self> {
        SHAPES_NV.into_iter().map(|shape| Self::new(shape, if shape[0] == 3 { 1.0 } else { 0.7 }))
    }
}

pub(super) fn check_logit_logprob(form: Form, device: &CubeTensor) -> f32 {
    let mut worst = 0.0f32;
    for logits in Logits::all() {
        let op = logits.op();
        let [out, lse] = form.run(&op, [logits.on(device)]).map(floats);
        let [want_out, want_lse] = op.cpu([logits.elements()]);
        let what = format!("{:?}", logits.shape);
        let tolerance = |i: usize| 1e-6 * (4.0 + want_lse[i].abs());
        worst = worst.max(near(&what, &lse, &want_lse, tolerance));
        worst = worst
            .max(near(&what, &out, &want_out, |i| tolerance(i / 2) + 1e-6 * want_out[i].abs()));
    }
    let none = tensor_of(device, [0, 4], &[]);
    let [out, lse] = form.run(&no_rows(), [none]);
    assert!(out.shape().dims() == [0, 2] && lse.shape().dims() == [0]);
    assert_views_are_read_by_their_strides(form, device);
    worst
}

/// Beside a probability near 1 no smaller one is lost: neither in what is drawn nor in a log-probability.
pub(super) fn check_tail(form: Form, device: &CubeTensor) {
    let tail = Tail::new(151_936);
    let v = tail.logits.len();
    // From the beginning over the peak to the last number below 1.
    let uniforms: Vec<f32> =
        (0..48).map(|i| i as f32 / 48.0 + 0.01).chain([0.999, 0.99999, 1.0 - 6e-8]).collect();
    let rows: Vec<f32> = uniforms.iter().flat_map(|_| tail.logits.iter().copied()).collect();
    let sampling = Sampling::default();
    let op = Sample { uniforms: uniforms.clone().into(), sampling };
    let [drawn] = form.run(&op, [tensor_of(device, [uniforms.len(), v], &rows)]).map(floats);
    for (uniform, drawn) in uniforms.iter().zip(drawn.chunks_exact(2)) {
        tail.assert_drawn(*uniform, drawn[0] as usize, 1e-6);
    }
    let op = LogitLogprob { tokens: [v as u32 / 3].into(), temperature: 1.0 };
    let [out, _] = form.run(&op, [tensor_of(device, [1, v], &tail.logits)]).map(floats);
    let sum: f64 = tail.logits.iter().map(|z| f64::from(*z).exp()).sum();
    let exact = f64::from(tail.logits[v / 3]) - sum.ln();
    assert!((f64::from(out[0]) - exact).abs() < 2e-6, "{} against {exact}", out[0]);
}

fn assert_views_are_read_by_their_strides(form: Form, device: &CubeTensor) {
    let logits = Logits::new([3, 7], 1.0);
    let columns: Vec<f32> = (0..21).map(|i| logits.values[i % 3 * 7 + i / 3]).collect();
    let view = permute(tensor_of(device, [7, 3], &columns), &[1, 0]);
    let [got, want] = [view, logits.on(device)].map(|x| form.run(&logits.op(), [x]).map(floats));
    assert_eq!(got, want);
}

fn no_rows() -> LogitLogprob {
    LogitLogprob { tokens: [].into(), temperature: 1.0 }
}

pub(super) fn check_logit_logprob_backward(form: Form, device: &CubeTensor) -> f32 {
    let mut worst = 0.0f32;
    for logits in Logits::all() {
        let n = logits.shape[0];
        let [out, lse] = logits.op().cpu([logits.elements()]);
        let mut stream = Stream::new(37, n as u32);
        let dout: Vec<f32> = (0..n * 2).map(|_| stream.normal()).collect();
        let op = logits.backward_op();
        let given = [(&out, vec![n, 2]), (&lse, vec![n]), (&dout, vec![n, 2])];
        let [out_on, lse_on, dout_on] =
            given.each_ref().map(|(values, shape)| tensor_of(device, shape.clone(), values));
        let [got] = form.run(&op, [logits.on(device), out_on, lse_on, dout_on]).map(floats);
        let [out, lse, dout_here] =
            given.map(|(values, shape)| elements(values, Shape::from(shape)));
        let [want] = op.cpu([logits.elements(), out, lse, dout_here]);
        let tolerance = |i: usize| 1e-6 + 4e-6 * want[i].abs();
        worst = worst.max(near(&format!("{:?}", logits.shape), &got, &want, tolerance));
        if n == 3 {
            assert_is_slope(&logits, &dout, &got);
        }
    }
    let none = tensor_of(device, [0, 4], &[]);
    let [out, lse] = form.run(&no_rows(), [none.clone()]);
    let op = LogitLogprobBackward { tokens: [].into(), temperature: 1.0, first: 0 };
    let [gradient] = form.run(&op, [none, out.clone(), lse, out]);
    assert_eq!(gradient.shape().dims(), [0, 4]);
    worst
}

/// Compares gradients with central differences of the CPU reference.
fn assert_is_slope(logits: &Logits, dout: &[f32], gradient: &[f32]) {
    const STEP: f32 = 1e-2;
    for i in 0..logits.values.len() {
        let value = |by: f32| -> f32 {
            let mut moved = logits.values.clone();
            moved[i] += by;
            let [out, _] = logits.op().cpu([elements(&moved, logits.shape)]);
            out.iter().zip(dout).map(|(out, dout)| out * dout).sum()
        };
        let slope = (value(STEP) - value(-STEP)) / (2.0 * STEP);
        let error = (gradient[i] - slope).abs();
        assert!(error < 2e-3, "logit {i}: gradient {} against slope {slope}", gradient[i]);
    }
}
