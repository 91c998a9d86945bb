//! Operations under `Autodiff`: a forward pass records one step whose state is the operation itself and
//! what it keeps; backward calls its hand-written gradient on the inner backend.

use std::fmt::Debug;
use std::marker::PhantomData;

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::tensor::TensorMetadata;
use burn::tensor::backend::AutodiffBackend;
use burn::tensor::ops::FloatTensor;

use crate::kernel::op::Saved;
use crate::kernel::{ComputeDtype, DeviceMemory, Kernels, Op};

/// The one Burn `Backward` step behind all operations.
#[derive(Debug)]
struct Step<T, const O: usize>(PhantomData<T>);

impl<B, T, const I: usize, const O: usize> Backward<B, I> for Step<T, O>
where
    B: Kernels,
    T: Op<I, O>,
{
    type State = (T, Saved<FloatTensor<B>, I, O>);

    fn backward(self, ops: Ops<Self::State, I>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dout = grads.consume::<B>(&ops.node);
        let needs = ops.parents.each_ref().map(Option::is_some);
        let (op, saved) = ops.state;
        let gradients = op.gradients::<B>(saved, dout, needs);
        for (parent, gradient) in ops.parents.into_iter().zip(gradients) {
            if let (Some(node), Some(gradient)) = (parent, gradient) {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}

impl<B: Kernels, C: CheckpointStrategy> Kernels for Autodiff<B, C> {
    const IS_HOST: bool = B::IS_HOST;

    fn run<T: Op<I, O>, const I: usize, const O: usize>(
        op: T,
        inputs: [FloatTensor<Self>; I],
    ) -> [FloatTensor<Self>; O] {
        let nodes = inputs.each_ref().map(|input| input.node.clone());
        let needs = nodes.each_ref().map(|node| !node.requirement.is_none());
        let inputs = inputs.map(|input| input.primitive);
        let Some(keeps) = T::keeps(needs) else {
            return B::run(op, inputs).map(Self::from_inner);
        };
        let step = Step::<T, O>(PhantomData);
        match Backward::<B, I>::prepare::<C>(step, nodes).compute_bound().stateful() {
            OpsKind::UnTracked(_) => B::run(op, inputs).map(Self::from_inner),
            OpsKind::Tracked(prep) => {
                let shapes = inputs.each_ref().map(TensorMetadata::shape);
                let saved = Saved::of(keeps, shapes, &inputs);
                let outputs = B::run(op.clone(), inputs);
                let mut first = Some((prep, (op, saved.and(&outputs))));
                outputs.map(|output| match first.take() {
                    Some((prep, state)) => prep.finish(state, output),
                    None => Self::from_inner(output),
                })
            }
        }
    }

    fn device_memory(device: &Self::Device) -> Option<DeviceMemory> {
        B::device_memory(device)
    }

    fn can_compute_in(dtype: ComputeDtype, device: &Self::Device) -> bool {
        B::can_compute_in(dtype, device)
    }

    fn executed(device: &Self::Device) -> Option<Vec<String>> {
        B::executed(device)
    }
}
