//! The kernels under Burn's fusion: each is an operation of its own in the stream, run on the inner
//! backend when its turn comes.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use burn::tensor::ops::FloatTensor;
use burn::tensor::{DType, Shape, TensorMetadata};
use burn_fusion::stream::{Operation, OperationStreams};
use burn_fusion::{Fusion, FusionBackend};
use burn_ir::{CustomOpIr, HandleContainer, OperationIr, TensorIr};

use crate::kernel::group_rule::{GroupRule, PivotDraws};
use crate::kernel::{
    AdamW, AttentionPlan, DeviceMemory, Kernels, Rotary, Sampling, TokenWeighting, TrainingKernels,
};

/// An operation that waits in the stream, and what it does with its inputs.
struct Deferred<B, F> {
    operation: CustomOpIr,
    run: F,
    backend: PhantomData<fn() -> B>,
}

impl<B, F> fmt::Debug for Deferred<B, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.operation.id)
    }
}

impl<B, F> Operation<B::FusionRuntime> for Deferred<B, F>
where
    B: FusionBackend,
    F: Fn(Vec<FloatTensor<B>>) -> Vec<FloatTensor<B>> + Send + Sync,
{
    fn execute(&self, handles: &mut HandleContainer<B::Handle>) {
        let inputs = self.operation.inputs.iter().map(|input| handles.get_float_tensor::<B>(input));
        let outputs = (self.run)(inputs.collect());
        for (place, output) in self.operation.outputs.iter().zip(outputs) {
            handles.register_float_tensor::<B>(&place.id, output);
        }
    }
}

/// Puts an operation into the stream: tensors of the given shapes from `inputs`, which are given up.
fn defer<B: FusionBackend, const N: usize, const M: usize>(
    name: &'static str,
    inputs: [FloatTensor<Fusion<B>>; N],
    shapes: [Shape; M],
    run: impl Fn([FloatTensor<B>; N]) -> [FloatTensor<B>; M] + Send + Sync + 'static,
) -> [FloatTensor<Fusion<B>>; M] {
    let client = inputs[0].client.clone();
    let streams = OperationStreams::with_inputs(&inputs);
    let outputs =
        shapes.map(|shape| TensorIr::uninit(client.create_empty_handle(), shape, DType::F32));
    let operation = CustomOpIr::new(name, &inputs.map(|input| input.into_ir()), &outputs);
    let run = move |inputs: Vec<FloatTensor<B>>| match <[_; N]>::try_from(inputs) {
        Ok(inputs) => run(inputs).into(),
        Err(inputs) => unreachable!("{} inputs of {N}", inputs.len()),
    };
    let deferred =
        Deferred { operation: operation.clone(), run, backend: PhantomData::<fn() -> B> };
    let outputs = client.register(streams, OperationIr::Custom(operation), deferred);
    match <[_; M]>::try_from(outputs) {
        Ok(outputs) => outputs,
        Err(outputs) => unreachable!("{} outputs of {M}", outputs.len()),
    }
}

/// The same for one output.
fn defer_one<B: FusionBackend, const N: usize>(
    name: &'static str,
    inputs: [FloatTensor<Fusion<B>>; N],
    shape: Shape,
    run: impl Fn([FloatTensor<B>; N]) -> FloatTensor<B> + Send + Sync + 'static,
) -> FloatTensor<Fusion<B>> {
    let [output] = defer::<B, N, 1>(name, inputs, [shape], move |inputs| [run(inputs)]);
    output
}

fn owned<T: Clone, const N: usize>(tensors: [&T; N]) -> [T; N] {
    tensors.map(Clone::clone)
}

impl<B: FusionBackend + Kernels> Kernels for Fusion<B> {
    fn project(x: &FloatTensor<Self>, weight: &FloatTensor<Self>) -> FloatTensor<Self> {
        let shape = Shape::new([x.shape()[0], weight.shape()[0]]);
        defer_one::<B, 2>("project", owned([x, weight]), shape, |[x, w]| B::project(&x, &w))
    }

    fn rms_norm(
        x: &FloatTensor<Self>,
        gamma: &FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self> {
        defer_one::<B, 2>("rms_norm", owned([x, gamma]), x.shape(), move |[x, gamma]| {
            B::rms_norm(&x, &gamma, epsilon)
        })
    }

    fn swiglu(gate: &FloatTensor<Self>, up: &FloatTensor<Self>) -> FloatTensor<Self> {
        let run = |[gate, up]: [FloatTensor<B>; 2]| B::swiglu(&gate, &up);
        defer_one::<B, 2>("swiglu", owned([gate, up]), gate.shape(), run)
    }

    fn rope(x: FloatTensor<Self>, rotary: &Rotary) -> FloatTensor<Self> {
        let (shape, rotary) = (x.shape(), rotary.clone());
        defer_one::<B, 1>("rope", [x], shape, move |[x]| B::rope(x, &rotary))
    }

    fn packed_attention(
        qkv: [&FloatTensor<Self>; 3],
        plan: &AttentionPlan,
    ) -> [FloatTensor<Self>; 2] {
        let (shape, plan) = (qkv[0].shape(), plan.clone());
        let lse = Shape::new([shape[0], plan.heads()]);
        defer::<B, 3, 2>("packed_attention", owned(qkv), [shape, lse], move |qkv| {
            B::packed_attention(qkv.each_ref(), &plan)
        })
    }

    fn token_logprob(
        hidden: &FloatTensor<Self>,
        head: &FloatTensor<Self>,
        tokens: &[u32],
        temperature: f32,
    ) -> [FloatTensor<Self>; 2] {
        let (shapes, tokens) = (logprob_shapes(tokens.len()), Arc::<[u32]>::from(tokens));
        defer::<B, 2, 2>("token_logprob", owned([hidden, head]), shapes, move |[hidden, head]| {
            B::token_logprob(&hidden, &head, &tokens, temperature)
        })
    }

    fn logit_logprob(
        logits: &FloatTensor<Self>,
        tokens: &[u32],
        temperature: f32,
    ) -> [FloatTensor<Self>; 2] {
        let (shapes, tokens) = (logprob_shapes(tokens.len()), Arc::<[u32]>::from(tokens));
        defer::<B, 1, 2>("logit_logprob", [logits.clone()], shapes, move |[logits]| {
            B::logit_logprob(&logits, &tokens, temperature)
        })
    }

    fn token_weights(
        advantages: &FloatTensor<Self>,
        lengths: &[u32],
        tokens: usize,
        weighting: TokenWeighting,
    ) -> [FloatTensor<Self>; 2] {
        let shape = Shape::new([lengths.len(), tokens]);
        let (shapes, lengths) = ([shape.clone(), shape], Arc::<[u32]>::from(lengths));
        defer::<B, 1, 2>("token_weights", [advantages.clone()], shapes, move |[advantages]| {
            B::token_weights(&advantages, &lengths, tokens, weighting)
        })
    }

    fn group_baseline(
        table: [&FloatTensor<Self>; 3],
        rule: &GroupRule,
        draws: PivotDraws,
    ) -> FloatTensor<Self> {
        let (shape, rule) = (Shape::new([table[0].shape()[0], 4]), *rule);
        defer_one::<B, 3>("group_baseline", owned(table), shape, move |table| {
            B::group_baseline(table.each_ref(), &rule, draws)
        })
    }

    fn group_advantage(
        [rewards, valid]: [&FloatTensor<Self>; 2],
        baselines: &FloatTensor<Self>,
        clip: f32,
    ) -> [FloatTensor<Self>; 2] {
        let (shape, inputs) = (rewards.shape(), owned([rewards, valid, baselines]));
        let shapes = [shape.clone(), shape];
        defer::<B, 3, 2>("group_advantage", inputs, shapes, move |[rewards, valid, baselines]| {
            B::group_advantage([&rewards, &valid], &baselines, clip)
        })
    }

    fn whiten(advantages: &FloatTensor<Self>, tokens: &FloatTensor<Self>) -> FloatTensor<Self> {
        let (shape, inputs) = (advantages.shape(), owned([advantages, tokens]));
        defer_one::<B, 2>("whiten", inputs, shape, |[advantages, tokens]| {
            B::whiten(&advantages, &tokens)
        })
    }

    fn gather_rows(x: &FloatTensor<Self>, index: &[u32]) -> FloatTensor<Self> {
        let shape = Shape::new([index.len(), x.shape()[1]]);
        let index = Arc::<[u32]>::from(index);
        defer_one::<B, 1>("gather_rows", [x.clone()], shape, move |[x]| B::gather_rows(&x, &index))
    }

    fn write_rows(
        x: FloatTensor<Self>,
        index: &[u32],
        rows: &FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let (shape, index) = (x.shape(), Arc::<[u32]>::from(index));
        defer_one::<B, 2>("write_rows", [x, rows.clone()], shape, move |[x, rows]| {
            B::write_rows(x, &index, &rows)
        })
    }

    fn sample(
        logits: &FloatTensor<Self>,
        uniforms: &[f32],
        sampling: Sampling,
    ) -> FloatTensor<Self> {
        let shape = Shape::new([uniforms.len(), 2]);
        let uniforms = Arc::<[f32]>::from(uniforms);
        defer_one::<B, 1>("sample", [logits.clone()], shape, move |[logits]| {
            B::sample(&logits, &uniforms, sampling)
        })
    }

    fn device_memory(device: &Self::Device) -> Option<DeviceMemory> {
        B::device_memory(device)
    }
}

fn logprob_shapes(n: usize) -> [Shape; 2] {
    [Shape::new([n, 2]), Shape::new([n])]
}

impl<B: FusionBackend + TrainingKernels> TrainingKernels for Fusion<B> {
    fn project_backward(
        x: &FloatTensor<Self>,
        weight: &FloatTensor<Self>,
        dy: &FloatTensor<Self>,
        needs: [bool; 2],
    ) -> [Option<FloatTensor<Self>>; 2] {
        let gradient = |input: usize| {
            let shape = [x, weight][input].shape();
            let only = [input == 0, input == 1];
            defer_one::<B, 3>(
                "project_backward",
                owned([x, weight, dy]),
                shape,
                move |[x, w, dy]| match B::project_backward(&x, &w, &dy, only) {
                    [Some(gradient), _] | [_, Some(gradient)] => gradient,
                    [None, None] => unreachable!("one gradient was asked for"),
                },
            )
        };
        [0, 1].map(|input| needs[input].then(|| gradient(input)))
    }

    fn rms_norm_backward(
        x: &FloatTensor<Self>,
        gamma: &FloatTensor<Self>,
        epsilon: f32,
        dy: &FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 2] {
        let (inputs, shapes) = (owned([x, gamma, dy]), [x.shape(), gamma.shape()]);
        defer::<B, 3, 2>("rms_norm_backward", inputs, shapes, move |[x, gamma, dy]| {
            B::rms_norm_backward(&x, &gamma, epsilon, &dy)
        })
    }

    fn swiglu_backward(
        gate: &FloatTensor<Self>,
        up: &FloatTensor<Self>,
        dy: &FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 2] {
        let (inputs, shapes) = (owned([gate, up, dy]), [gate.shape(), up.shape()]);
        defer::<B, 3, 2>("swiglu_backward", inputs, shapes, |[gate, up, dy]| {
            B::swiglu_backward(&gate, &up, &dy)
        })
    }

    fn rope_backward(dy: FloatTensor<Self>, rotary: &Rotary) -> FloatTensor<Self> {
        let (shape, rotary) = (dy.shape(), rotary.clone());
        defer_one::<B, 1>("rope_backward", [dy], shape, move |[dy]| B::rope_backward(dy, &rotary))
    }

    fn packed_attention_backward(
        [q, k, v]: [&FloatTensor<Self>; 3],
        plan: &AttentionPlan,
        [out, lse]: [&FloatTensor<Self>; 2],
        dout: &FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 3] {
        let (shapes, plan) = ([q.shape(), k.shape(), v.shape()], plan.clone());
        let inputs = owned([q, k, v, out, lse, dout]);
        defer::<B, 6, 3>("packed_attention_backward", inputs, shapes, move |inputs| {
            let [q, k, v, out, lse, dout] = inputs.each_ref();
            B::packed_attention_backward([q, k, v], &plan, [out, lse], dout)
        })
    }

    fn token_logprob_backward(
        [hidden, head]: [&FloatTensor<Self>; 2],
        tokens: &[u32],
        temperature: f32,
        [out, lse]: [&FloatTensor<Self>; 2],
        dout: &FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 2] {
        let (shapes, tokens) = ([hidden.shape(), head.shape()], Arc::<[u32]>::from(tokens));
        let inputs = owned([hidden, head, out, lse, dout]);
        defer::<B, 5, 2>("token_logprob_backward", inputs, shapes, move |inputs| {
            let [hidden, head, out, lse, dout] = inputs.each_ref();
            B::token_logprob_backward([hidden, head], &tokens, temperature, [out, lse], dout)
        })
    }

    fn logit_logprob_backward(
        logits: &FloatTensor<Self>,
        tokens: &[u32],
        temperature: f32,
        [out, lse]: [&FloatTensor<Self>; 2],
        dout: &FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let (shape, tokens) = (logits.shape(), Arc::<[u32]>::from(tokens));
        let inputs = owned([logits, out, lse, dout]);
        defer_one::<B, 4>("logit_logprob_backward", inputs, shape, move |inputs| {
            let [logits, out, lse, dout] = inputs.each_ref();
            B::logit_logprob_backward(logits, &tokens, temperature, [out, lse], dout)
        })
    }

    fn gather_rows_backward(
        dout: &FloatTensor<Self>,
        index: &[u32],
        rows: usize,
    ) -> FloatTensor<Self> {
        let shape = Shape::new([rows, dout.shape()[1]]);
        let index = Arc::<[u32]>::from(index);
        defer_one::<B, 1>("gather_rows_backward", [dout.clone()], shape, move |[dout]| {
            B::gather_rows_backward(&dout, &index, rows)
        })
    }

    fn sum_of_squares(x: &FloatTensor<Self>) -> FloatTensor<Self> {
        let shape = Shape::new([1]);
        defer_one::<B, 1>("sum_of_squares", [x.clone()], shape, |[x]| B::sum_of_squares(&x))
    }

    fn adamw_step(
        hyper: AdamW,
        weight: FloatTensor<Self>,
        [first, second]: [FloatTensor<Self>; 2],
        gradient: &FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 3] {
        let shapes = [weight.shape(), first.shape(), second.shape()];
        let inputs = [weight, first, second, gradient.clone()];
        defer::<B, 4, 3>("adamw_step", inputs, shapes, move |[weight, first, second, gradient]| {
            B::adamw_step(hyper, weight, [first, second], &gradient)
        })
    }
}
