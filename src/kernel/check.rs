//! Every operation of the room on small inputs, so that two backends can be held against each other.

use burn::backend::Autodiff;
use burn::tensor::{Tensor, TensorData};

use super::group_rule::{Baseline, GroupRule, PivotDraws, PivotTie, Scale, pivot_draw};
use super::{
    AdamW, AttentionPlan, Kernels, Rotary, Sampling, Span, TokenWeighting, TrainingKernels,
};

/// What an operation gave: its name and all of its numbers, gradients included.
pub type Outcome = (&'static str, Vec<f32>);

/// How far two backends are apart in one operation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// The operation.
    pub operation: &'static str,
    /// Largest |a − b| over the reference's largest |b|; infinite where a number is not finite.
    pub largest: f32,
}

/// Runs every operation, forwards and backwards, on `device`.
pub fn outcomes<B: TrainingKernels>(device: &B::Device) -> Vec<Outcome> {
    let bench = Bench::<B> { device };
    vec![
        ("linear", bench.linear()),
        ("rms_norm", bench.rms_norm()),
        ("swiglu", bench.swiglu()),
        ("rope", bench.rope()),
        ("attention", bench.attention()),
        ("attention with a cache", bench.cached_attention()),
        ("gather_rows", bench.gather_rows()),
        ("write_rows", bench.write_rows()),
        ("token_logprob", bench.token_logprob()),
        ("logit_logprob", bench.logit_logprob()),
        ("sample: tokens", bench.sample(0)),
        ("sample: log-probabilities", bench.sample(1)),
        ("group_baseline", bench.group_baseline()),
        ("group_advantage", bench.group_advantage()),
        ("whiten", bench.whiten()),
        ("token_weights", bench.token_weights()),
        ("sum_of_squares", bench.sum_of_squares()),
        ("adamw_step", bench.adamw_step()),
    ]
}

/// Holds the outcomes of one backend against those of the reference, operation by operation.
pub fn differences(outcomes: &[Outcome], reference: &[Outcome]) -> Vec<Difference> {
    assert_eq!(outcomes.len(), reference.len(), "the outcomes of one list of operations");
    let pairs = outcomes.iter().zip(reference);
    let difference = |((operation, got), (_, want)): (&Outcome, &Outcome)| Difference {
        operation,
        largest: largest_difference(got, want),
    };
    pairs.map(difference).collect()
}

fn largest_difference(got: &[f32], want: &[f32]) -> f32 {
    let size = want.iter().fold(0.0_f32, |size, number| size.max(number.abs()));
    let all_finite = got.iter().chain(want).all(|number| number.is_finite());
    if got.len() != want.len() || !all_finite {
        return f32::INFINITY;
    }
    let distances = got.iter().zip(want).map(|(got, want)| (got - want).abs());
    distances.fold(0.0, f32::max) / if size > 0.0 { size } else { 1.0 }
}

struct Bench<'a, B: TrainingKernels> {
    device: &'a B::Device,
}

type Tracked<B, const D: usize> = Tensor<Autodiff<B>, D>;

const N: usize = 70;
const WIDTH: usize = 96;

impl<B: TrainingKernels> Bench<'_, B> {
    fn noise<const D: usize>(&self, shape: [usize; D], seed: u32) -> Tensor<B, D> {
        Tensor::from_data(TensorData::new(noise(shape.iter().product(), seed), shape), self.device)
    }

    fn tracked<const D: usize>(&self, shape: [usize; D], seed: u32) -> Tracked<B, D> {
        Tensor::from_inner(self.noise(shape, seed)).require_grad()
    }

    /// The numbers of `out`, and the gradients of `inputs` for a loss that weighs them differently.
    fn with_gradients<const I: usize, const O: usize>(
        &self,
        inputs: Vec<Tracked<B, I>>,
        out: Tracked<B, O>,
    ) -> Vec<f32> {
        let weights: Tensor<B, O> = self.noise(out.dims(), 99);
        let mut numbers = read(out.clone().inner());
        let gradients = (out * Tensor::from_inner(weights)).sum().backward();
        for input in inputs {
            numbers.extend(input.grad(&gradients).map(read).unwrap_or_default());
        }
        numbers
    }

    fn linear(&self) -> Vec<f32> {
        let (x, weight) = (self.tracked([N, WIDTH], 1), self.tracked([130, WIDTH], 2));
        let y = super::linear(&x, &weight);
        self.with_gradients(vec![x, weight], y)
    }

    fn rms_norm(&self) -> Vec<f32> {
        let (x, gamma) = (self.tracked([N, WIDTH], 3), self.tracked([WIDTH], 4));
        let y = super::rms_norm(&x, &gamma, 1e-5);
        let mut numbers = self.with_gradients(vec![x.clone()], y);
        let y = super::rms_norm(&x, &gamma, 1e-5);
        numbers.extend(self.with_gradients(vec![gamma], y));
        numbers
    }

    fn swiglu(&self) -> Vec<f32> {
        let (gate, up) = (self.tracked([N, WIDTH], 5), self.tracked([N, WIDTH], 6));
        let y = super::swiglu(&gate, &up);
        self.with_gradients(vec![gate, up], y)
    }

    fn rope(&self) -> Vec<f32> {
        let positions: Vec<u32> = (0..N as u32).map(|i| i * 13 % 500).collect();
        let x = self.tracked([N, WIDTH], 7);
        let y = super::rope(x.clone(), &Rotary::new(&positions, 32, 10_000.0));
        self.with_gradients(vec![x], y)
    }

    /// Two groups that share their prompts: a prompt longer than a tile, short and long rows.
    fn attention(&self) -> Vec<f32> {
        let spans = vec![
            span(0..40, 0..0, 0..40),
            span(40..45, 0..40, 40..45),
            span(45..46, 0..40, 45..46),
            span(46..50, 0..0, 46..50),
            span(50..N, 46..50, 50..N),
        ];
        let plan = AttentionPlan::new(spans, 4, 2, 24);
        let [q, k, v] = [(96, 8), (48, 9), (48, 10)].map(|(w, s)| self.tracked([N, w], s));
        let out = super::attention(&q, &k, &v, &plan);
        self.with_gradients(vec![q, k, v], out)
    }

    fn cached_attention(&self) -> Vec<f32> {
        let spans = vec![span(0..1, 0..100, 100..103), span(1..2, 0..100, 110..111)];
        let plan = AttentionPlan::new(spans, 2, 1, 80);
        let (q, k, v) =
            (self.noise([2, 160], 11), self.noise([120, 80], 12), self.noise([120, 80], 13));
        read(super::attention(&q, &k, &v, &plan))
    }

    fn gather_rows(&self) -> Vec<f32> {
        let x = self.tracked([9, WIDTH], 14);
        let index: Vec<u32> = (0..N as u32).map(|i| i * 5 % 8).collect();
        let y = super::gather_rows(&x, &index);
        self.with_gradients(vec![x], y)
    }

    fn write_rows(&self) -> Vec<f32> {
        let (x, rows) = (self.noise([9, WIDTH], 15), self.noise([3, WIDTH], 16));
        let mut numbers = read(super::write_rows(x.clone(), &[7, 0, 4], &rows));
        numbers.extend(read(x));
        numbers
    }

    fn token_logprob(&self) -> Vec<f32> {
        let (hidden, head) = (self.tracked([N, WIDTH], 17), self.tracked([301, WIDTH], 18));
        let [logps, entropies] = super::token_logprob(&hidden, &head, &tokens(301), 0.7);
        let both = Tensor::stack::<2>(vec![logps, entropies], 1);
        self.with_gradients(vec![hidden, head], both)
    }

    fn logit_logprob(&self) -> Vec<f32> {
        let logits = self.tracked([N, 301], 19);
        let [logps, entropies] = super::logit_logprob(&logits, &tokens(301), 0.7);
        let both = Tensor::stack::<2>(vec![logps, entropies], 1);
        self.with_gradients(vec![logits], both)
    }

    /// Greedy, drawn and truncated; uniforms that lie well inside a token's share.
    fn sample(&self, column: usize) -> Vec<f32> {
        let logits = self.noise([N, 301], 20) * 4.0;
        let uniforms: Vec<f32> = noise(N, 21).iter().map(|x| 0.5 + 0.49 * x).collect();
        let truncated = Sampling { top_k: 20, top_p: 0.9, ..Sampling::default() };
        [Sampling::greedy(), Sampling::default(), truncated]
            .into_iter()
            .flat_map(|sampling| {
                read(super::sample(&logits, &uniforms, sampling).narrow(1, column, 1))
            })
            .collect()
    }

    fn rewards(&self) -> [Tensor<B, 2>; 3] {
        let rewards = noise(12 * 6, 22).into_iter().map(|x| (2.0 * x).round());
        let rewards = TensorData::new(rewards.collect::<Vec<f32>>(), [12, 6]);
        let valid: Vec<f32> = (0..72).map(|i| if i % 11 == 5 { 0.0 } else { 1.0 }).collect();
        let lengths: Vec<f32> = (0..72).map(|i| (1 + i * 7 % 13) as f32).collect();
        let table = |values| TensorData::new(values, [12, 6]);
        [rewards, table(valid), table(lengths)].map(|data| Tensor::from_data(data, self.device))
    }

    fn baselines(&self, baseline: Baseline, scale: Scale) -> Tensor<B, 2> {
        let pivot = (baseline == Baseline::Median).then_some(PivotTie::Random);
        let rule = GroupRule { baseline, scale, pivot, ..GroupRule::default() };
        let table = self.rewards().map(|tensor| tensor.into_primitive().tensor());
        super::float(B::group_baseline(table.each_ref(), &rule, PivotDraws::default()))
    }

    fn group_baseline(&self) -> Vec<f32> {
        let baselines =
            [Baseline::Mean, Baseline::Median, Baseline::LeaveOneOut, Baseline::LengthWeighted];
        let scales = [Scale::None, Scale::Std, Scale::StdMedian, Scale::Mad, Scale::MeanAbsDev];
        let pairs = baselines.into_iter().flat_map(|b| scales.map(|s| (b, s)));
        pairs.flat_map(|(baseline, scale)| read(self.baselines(baseline, scale))).collect()
    }

    fn group_advantage(&self) -> Vec<f32> {
        let [rewards, valid, _] = self.rewards().map(|tensor| tensor.into_primitive().tensor());
        let baselines = self.baselines(Baseline::Median, Scale::Mad).into_primitive().tensor();
        let both = B::group_advantage([&rewards, &valid], &baselines, 1.5);
        both.into_iter().flat_map(|tensor| read(super::float::<B, 2>(tensor))).collect()
    }

    fn whiten(&self) -> Vec<f32> {
        let [_, _, lengths] = self.rewards().map(|tensor| tensor.into_primitive().tensor());
        let advantages = self.noise([12, 6], 23).into_primitive().tensor();
        read(super::float::<B, 2>(B::whiten(&advantages, &lengths)))
    }

    fn token_weights(&self) -> Vec<f32> {
        let weighting = TokenWeighting { factor: 0.3, per_row_length: true };
        let advantages = self.noise([5, 1], 24);
        let both = super::token_weights(&advantages, &[3, 0, 7, 1, 9], 9, weighting);
        both.into_iter().flat_map(read).collect()
    }

    fn sum_of_squares(&self) -> Vec<f32> {
        read(super::sum_of_squares(&self.noise([N, WIDTH], 25)) / (N * WIDTH) as f32)
    }

    fn adamw_step(&self) -> Vec<f32> {
        let hyper = AdamW {
            learning_rate: 0.1,
            beta_1: 0.9,
            beta_2: 0.99,
            epsilon: 1e-8,
            weight_decay: 0.01,
            grad_scale: 0.5,
            step: 3,
        };
        let gradient: Tensor<B, 1> = self.noise([N * WIDTH], 26);
        let moments = [self.noise([N * WIDTH], 27), self.noise([N * WIDTH], 28).powi_scalar(2)];
        let weight = self.noise([N, WIDTH], 29);
        // The weight is held by somebody else too, who must not see it change.
        let (stepped, moments) = super::adamw_step(hyper, weight.clone(), moments, &gradient);
        let mut numbers = read(stepped);
        numbers.extend(read(weight));
        numbers.extend(moments.into_iter().flat_map(read));
        numbers
    }
}

fn span(
    queries: std::ops::Range<usize>,
    prefix: std::ops::Range<usize>,
    own: std::ops::Range<usize>,
) -> Span {
    Span { queries, prefix, own }
}

fn tokens(vocabulary: u32) -> Vec<u32> {
    (0..N as u32).map(|i| pivot_draw(30, i) % vocabulary).collect()
}

/// Numbers in (−1, 1) that are the same everywhere.
fn noise(count: usize, seed: u32) -> Vec<f32> {
    (0..count)
        .map(|i| (pivot_draw(seed, i as u32) >> 8) as f32 / (1u32 << 23) as f32 - 1.0)
        .collect()
}

fn read<B: Kernels, const D: usize>(tensor: Tensor<B, D>) -> Vec<f32> {
    tensor.into_data().iter().collect()
}

#[cfg(all(test, feature = "ndarray"))]
mod tests {
    use super::*;

    #[test]
    fn every_operation_gives_numbers_that_are_finite_and_not_all_zero() {
        for (operation, numbers) in outcomes::<burn::backend::NdArray>(&Default::default()) {
            assert!(numbers.iter().all(|number| number.is_finite()), "{operation}");
            assert!(numbers.iter().any(|number| *number != 0.0), "{operation}");
        }
    }

    #[test]
    fn a_difference_is_measured_against_the_largest_number_and_nan_is_never_small() {
        let reference = [("x", vec![0.001, -2.0])];
        let largest = |got: Vec<f32>| differences(&[("x", got)], &reference)[0].largest;
        assert_eq!(largest(vec![0.001, -2.0]), 0.0);
        assert_eq!(largest(vec![0.101, -2.0]), 0.05);
        assert_eq!(largest(vec![f32::NAN, -2.0]), f32::INFINITY);
        assert_eq!(largest(vec![0.001]), f32::INFINITY);
    }
}
