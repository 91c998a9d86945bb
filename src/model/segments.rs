//! Gradient checkpointing by layer (Chen et al. 2016, arXiv 1604.06174): a pass that keeps the input of each layer
//! and computes the rest of it once more on the way back.

use burn::backend::Autodiff;
use burn::module::AutodiffModule;
use burn::tensor::Tensor;
use burn::tensor::backend::AutodiffBackend;

use super::packing::Packed;
use super::pass::Pass;
use super::{Decoder, UpdatePass};
use crate::kernel::Kernels;

/// Gradients as Burn gives them, by tensor.
pub type Gradients<B> = <Autodiff<B> as AutodiffBackend>::Gradients;

/// A forward pass that is to be differentiated.
#[derive(Debug)]
pub struct TrainingPass<B: Kernels> {
    hidden: Tensor<Autodiff<B>, 2>,
    segments: Option<Segments<B>>,
}

/// What a pass with checkpoints keeps.
#[derive(Debug)]
struct Segments<B: Kernels> {
    packed: Packed,
    /// The tables of its tokens: one set for the way there and back.
    pass: Pass,
    /// The residual stream before each layer,
    before: Vec<Tensor<B, 2>>,
    /// and after the last, where the pass was cut.
    after: Tensor<Autodiff<B>, 2>,
}

impl<B: Kernels> Decoder<Autodiff<B>> {
    /// A pass over packed tokens. With checkpoints it takes the memory of one layer at a time and of the residual
    /// stream between them, and the time of one more forward pass; values and gradients are the same.
    pub fn training_pass(&self, packed: &Packed, update: UpdatePass) -> TrainingPass<B> {
        if !update.has_checkpoints || self.depth() == 0 {
            return TrainingPass { hidden: self.forward_in(packed, update), segments: None };
        }
        let pass = self.pass(packed, update);
        let (before, after) = self.valid().stream(packed, &pass);
        let after = Tensor::from_inner(after).require_grad();
        let hidden = self.after_layers(&after);
        let segments = Segments { packed: packed.clone(), pass, before, after };
        TrainingPass { hidden, segments: Some(segments) }
    }
}

impl<B: Kernels> TrainingPass<B> {
    /// Hidden states `[n, d]` after the final norm.
    pub fn hidden(&self) -> &Tensor<Autodiff<B>, 2> {
        &self.hidden
    }

    /// Gradients of a loss that was made from the hidden states of this pass of `decoder`. A parameter's gradient is
    /// the sum of what it has in each of them, in their order.
    pub fn gradients(
        self,
        decoder: &Decoder<Autodiff<B>>,
        loss: &Tensor<Autodiff<B>, 1>,
    ) -> Vec<Gradients<B>> {
        let Self { hidden, segments } = self;
        let mut all = vec![loss.backward()];
        drop(hidden);
        let Some(Segments { packed, pass, mut before, after }) = segments else { return all };
        let mut of_stream = after.grad_remove(&mut all[0]);
        drop(after);
        // The gradient is taken for a layer alone: after the first it is the embedding's.
        while let Some(x) = before.pop() {
            let Some(gradient) = of_stream.take() else { break };
            let x = Tensor::from_inner(x).require_grad();
            let y = decoder.layer(before.len(), x.clone(), &pass);
            let mut gradients = back(&y, gradient);
            drop(y);
            of_stream = x.grad_remove(&mut gradients);
            all.push(gradients);
        }
        if let (true, Some(gradient)) = (decoder.trains_embedding(), of_stream) {
            all.push(back(&decoder.embeddings_of(&packed), gradient));
        }
        all
    }
}

/// Goes on backwards from `y`, whose gradient is given.
fn back<B: Kernels>(y: &Tensor<Autodiff<B>, 2>, gradient: Tensor<B, 2>) -> Gradients<B> {
    // The gradient of this sum by y is the given one, to the last bit.
    (y.clone() * Tensor::from_inner(gradient)).sum().backward()
}
