//! The kernels under `Autodiff`: each forward pass records its hand-written gradient.

use std::fmt::Debug;
use std::marker::PhantomData;
use std::sync::Arc;

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::tensor::TensorMetadata;
use burn::tensor::backend::AutodiffBackend;
use burn::tensor::ops::FloatTensor;

use super::group_rule::{GroupRule, PivotDraws};
use super::{
    AttentionPlan, DeviceMemory, Kernels, Rotary, Sampling, TokenWeighting, TrainingKernels,
};

type Tracked<B> = FloatTensor<Autodiff<B>>;

/// An operation that knows the gradient of its `N` float inputs.
trait Differentiable<B: TrainingKernels, const N: usize>: Clone + Debug + Send + 'static {
    /// Gradients of the inputs from that of the output; `needs` says which are wanted.
    fn gradients(self, dout: FloatTensor<B>, needs: [bool; N]) -> [Option<FloatTensor<B>>; N];
}

/// The one Burn `Backward` step behind all of them: its state is the operation itself.
#[derive(Debug)]
struct Step<O>(PhantomData<O>);

impl<B: TrainingKernels, O: Differentiable<B, N>, const N: usize> Backward<B, N> for Step<O> {
    type State = O;

    fn backward(self, ops: Ops<O, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dout = grads.consume::<B>(&ops.node);
        let needs = std::array::from_fn(|i| ops.parents[i].is_some());
        let gradients = ops.state.gradients(dout, needs);
        for (parent, gradient) in ops.parents.into_iter().zip(gradients) {
            if let (Some(node), Some(gradient)) = (parent, gradient) {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}

/// Puts `output` on the graph behind `inputs`.
fn record<B, C, O, const N: usize>(
    inputs: [&Tracked<B>; N],
    operation: O,
    output: FloatTensor<B>,
) -> Tracked<B>
where
    B: TrainingKernels,
    C: CheckpointStrategy,
    O: Differentiable<B, N>,
{
    let nodes = inputs.map(|input| input.node.clone());
    match Step::<O>(PhantomData).prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish(operation, output),
        OpsKind::UnTracked(prep) => prep.finish(output),
    }
}

#[derive(Debug, Clone)]
struct Linear<T> {
    x: T,
    weight: T,
}

impl<B: TrainingKernels> Differentiable<B, 2> for Linear<FloatTensor<B>> {
    fn gradients(self, dy: FloatTensor<B>, needs: [bool; 2]) -> [Option<FloatTensor<B>>; 2] {
        B::project_backward(&self.x, &self.weight, &dy, needs)
    }
}

#[derive(Debug, Clone)]
struct RmsNorm<T> {
    x: T,
    gamma: T,
    epsilon: f32,
}

impl<B: TrainingKernels> Differentiable<B, 2> for RmsNorm<FloatTensor<B>> {
    fn gradients(self, dy: FloatTensor<B>, _: [bool; 2]) -> [Option<FloatTensor<B>>; 2] {
        B::rms_norm_backward(&self.x, &self.gamma, self.epsilon, &dy).map(Some)
    }
}

#[derive(Debug, Clone)]
struct SwiGlu<T> {
    gate: T,
    up: T,
}

impl<B: TrainingKernels> Differentiable<B, 2> for SwiGlu<FloatTensor<B>> {
    fn gradients(self, dy: FloatTensor<B>, _: [bool; 2]) -> [Option<FloatTensor<B>>; 2] {
        B::swiglu_backward(&self.gate, &self.up, &dy).map(Some)
    }
}

#[derive(Debug, Clone)]
struct Rope(Rotary);

impl<B: TrainingKernels> Differentiable<B, 1> for Rope {
    fn gradients(self, dy: FloatTensor<B>, _: [bool; 1]) -> [Option<FloatTensor<B>>; 1] {
        [Some(B::rope_backward(dy, &self.0))]
    }
}

#[derive(Debug, Clone)]
struct Attention<T> {
    qkv: [T; 3],
    saved: [T; 2],
    plan: AttentionPlan,
}

impl<B: TrainingKernels> Differentiable<B, 3> for Attention<FloatTensor<B>> {
    fn gradients(self, dout: FloatTensor<B>, _: [bool; 3]) -> [Option<FloatTensor<B>>; 3] {
        B::packed_attention_backward(self.qkv.each_ref(), &self.plan, self.saved.each_ref(), &dout)
            .map(Some)
    }
}

#[derive(Debug, Clone)]
struct TokenLogprob<T> {
    inputs: [T; 2],
    saved: [T; 2],
    tokens: Arc<[u32]>,
    temperature: f32,
}

impl<B: TrainingKernels> Differentiable<B, 2> for TokenLogprob<FloatTensor<B>> {
    fn gradients(self, dout: FloatTensor<B>, _: [bool; 2]) -> [Option<FloatTensor<B>>; 2] {
        let (inputs, saved) = (self.inputs.each_ref(), self.saved.each_ref());
        B::token_logprob_backward(inputs, &self.tokens, self.temperature, saved, &dout).map(Some)
    }
}

#[derive(Debug, Clone)]
struct LogitLogprob<T> {
    logits: T,
    saved: [T; 2],
    tokens: Arc<[u32]>,
    temperature: f32,
}

impl<B: TrainingKernels> Differentiable<B, 1> for LogitLogprob<FloatTensor<B>> {
    fn gradients(self, dout: FloatTensor<B>, _: [bool; 1]) -> [Option<FloatTensor<B>>; 1] {
        let saved = self.saved.each_ref();
        let (tokens, temperature) = (&self.tokens, self.temperature);
        [Some(B::logit_logprob_backward(&self.logits, tokens, temperature, saved, &dout))]
    }
}

#[derive(Debug, Clone)]
struct GatherRows {
    index: Arc<[u32]>,
    rows: usize,
}

impl<B: TrainingKernels> Differentiable<B, 1> for GatherRows {
    fn gradients(self, dout: FloatTensor<B>, _: [bool; 1]) -> [Option<FloatTensor<B>>; 1] {
        [Some(B::gather_rows_backward(&dout, &self.index, self.rows))]
    }
}

impl<B: TrainingKernels, C: CheckpointStrategy> Kernels for Autodiff<B, C> {
    fn project(x: &Tracked<B>, weight: &Tracked<B>) -> Tracked<B> {
        let y = B::project(&x.primitive, &weight.primitive);
        let saved = Linear { x: x.primitive.clone(), weight: weight.primitive.clone() };
        record::<B, C, _, _>([x, weight], saved, y)
    }

    fn rms_norm(x: &Tracked<B>, gamma: &Tracked<B>, epsilon: f32) -> Tracked<B> {
        let y = B::rms_norm(&x.primitive, &gamma.primitive, epsilon);
        let saved = RmsNorm { x: x.primitive.clone(), gamma: gamma.primitive.clone(), epsilon };
        record::<B, C, _, _>([x, gamma], saved, y)
    }

    fn swiglu(gate: &Tracked<B>, up: &Tracked<B>) -> Tracked<B> {
        let y = B::swiglu(&gate.primitive, &up.primitive);
        let saved = SwiGlu { gate: gate.primitive.clone(), up: up.primitive.clone() };
        record::<B, C, _, _>([gate, up], saved, y)
    }

    fn rope(x: Tracked<B>, rotary: &Rotary) -> Tracked<B> {
        // Not through `record`: the input is given up, so that it is turned in place.
        let nodes = [x.node.clone()];
        let y = B::rope(x.primitive, rotary);
        let step = Step::<Rope>(PhantomData);
        match Backward::<B, 1>::prepare::<C>(step, nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(Rope(rotary.clone()), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn packed_attention([q, k, v]: [&Tracked<B>; 3], plan: &AttentionPlan) -> [Tracked<B>; 2] {
        let qkv = [&q.primitive, &k.primitive, &v.primitive];
        let [out, lse] = B::packed_attention(qkv, plan);
        let saved = [out.clone(), lse.clone()];
        let operation = Attention { qkv: qkv.map(Clone::clone), saved, plan: plan.clone() };
        [record::<B, C, _, _>([q, k, v], operation, out), Self::from_inner(lse)]
    }

    fn token_logprob(
        hidden: &Tracked<B>,
        head: &Tracked<B>,
        tokens: &[u32],
        temperature: f32,
    ) -> [Tracked<B>; 2] {
        let [out, lse] = B::token_logprob(&hidden.primitive, &head.primitive, tokens, temperature);
        let operation = TokenLogprob {
            inputs: [hidden.primitive.clone(), head.primitive.clone()],
            saved: [out.clone(), lse.clone()],
            tokens: tokens.into(),
            temperature,
        };
        [record::<B, C, _, _>([hidden, head], operation, out), Self::from_inner(lse)]
    }

    fn logit_logprob(logits: &Tracked<B>, tokens: &[u32], temperature: f32) -> [Tracked<B>; 2] {
        let [out, lse] = B::logit_logprob(&logits.primitive, tokens, temperature);
        let operation = LogitLogprob {
            logits: logits.primitive.clone(),
            saved: [out.clone(), lse.clone()],
            tokens: tokens.into(),
            temperature,
        };
        [record::<B, C, _, _>([logits], operation, out), Self::from_inner(lse)]
    }

    // Advantages and weights are constants to the gradient.
    fn token_weights(
        advantages: &Tracked<B>,
        lengths: &[u32],
        tokens: usize,
        weighting: TokenWeighting,
    ) -> [Tracked<B>; 2] {
        B::token_weights(&advantages.primitive, lengths, tokens, weighting).map(Self::from_inner)
    }

    fn group_baseline(table: [&Tracked<B>; 3], rule: &GroupRule, draws: PivotDraws) -> Tracked<B> {
        Self::from_inner(B::group_baseline(table.map(|t| &t.primitive), rule, draws))
    }

    fn group_advantage(
        table: [&Tracked<B>; 2],
        baselines: &Tracked<B>,
        clip: f32,
    ) -> [Tracked<B>; 2] {
        let table = table.map(|tensor| &tensor.primitive);
        B::group_advantage(table, &baselines.primitive, clip).map(Self::from_inner)
    }

    fn whiten(advantages: &Tracked<B>, tokens: &Tracked<B>) -> Tracked<B> {
        Self::from_inner(B::whiten(&advantages.primitive, &tokens.primitive))
    }

    fn gather_rows(x: &Tracked<B>, index: &[u32]) -> Tracked<B> {
        let out = B::gather_rows(&x.primitive, index);
        let operation = GatherRows { index: index.into(), rows: x.shape()[0] };
        record::<B, C, _, _>([x], operation, out)
    }

    // A cache is written while generating, which nobody differentiates.
    fn write_rows(x: Tracked<B>, index: &[u32], rows: &Tracked<B>) -> Tracked<B> {
        Self::from_inner(B::write_rows(x.primitive, index, &rows.primitive))
    }

    fn sample(logits: &Tracked<B>, uniforms: &[f32], sampling: Sampling) -> Tracked<B> {
        Self::from_inner(B::sample(&logits.primitive, uniforms, sampling))
    }

    fn device_memory(device: &Self::Device) -> Option<DeviceMemory> {
        B::device_memory(device)
    }
}
