//! Operations that Burn does not have or does slowly, as an extension of its `Backend` trait.
//!
//! An operation is a value: a type in a file of its own in `kernel/ops` that says its name, its shapes,
//! its CPU body and its gradient; its form for GPUs is in `kernel/cube`, some with a shader in `shaders/`.
//! [`Kernels::run`] is what a backend must bring, written once for each kind of backend in
//! `kernel/backend`; the functions below are what the rest of the program calls, on any backend, with or
//! without autodiff.
//!
//! Tokens are packed: activations are `[n, width]` over all tokens of all rows, without padding.
//! What belongs together is said by an [`AttentionPlan`].

mod backend;
pub mod check;
mod codes;
mod counts;
mod cpu;
#[cfg(feature = "cube")]
mod cube;
pub mod group_rule;
pub mod groups;
mod memory;
pub mod op;
mod ops;
mod precision;
pub mod stored;
#[cfg(test)]
mod tests;
mod uploaded;

use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;
use burn::tensor::{Tensor, TensorPrimitive};

pub use codes::{WORDS as WORDS_OF_CODES, words_of as words_of_codes};
pub use counts::{CannotCount, count_launches, draws_tokens, executed};
pub use cpu::tasks::compute_on_this_thread;
pub use memory::{DeviceMemory, read_bandwidth};
pub use op::Op;
pub use ops::*;
pub use precision::{ComputeDtype, NoSuchPrecision, compute_in};
pub use uploaded::Table;

/// The backend of every graphics API, with Burn's fusion.
#[cfg(feature = "wgpu")]
pub type Graphics = burn::backend::Wgpu;

/// The backend of NVIDIA's CUDA, with Burn's fusion.
#[cfg(feature = "cuda")]
pub type Cuda = burn::backend::Cuda;

/// A backend that runs this program's operations.
pub trait Kernels: Backend {
    /// Whether its tensors lie in this process, so that what is asked for is computed at once and reading
    /// it costs nothing.
    const IS_HOST: bool = false;

    /// Runs an operation. Inputs that it may write over are changed in place where they are unshared.
    fn run<T: Op<I, O>, const I: usize, const O: usize>(
        op: T,
        inputs: [FloatTensor<Self>; I],
    ) -> [FloatTensor<Self>; O];

    /// The panels of a weight `[output, input]`; none where this backend gains nothing by them, which is
    /// wherever it is differentiated and on GPUs.
    fn packed(weight: FloatTensor<Self>) -> Option<FloatTensor<Self>> {
        let _ = weight;
        None
    }

    /// As the function [`device_memory`].
    fn device_memory(device: &Self::Device) -> Option<DeviceMemory>;

    /// Whether this backend's products of f32 can be computed like this.
    fn can_compute_in(dtype: ComputeDtype, device: &Self::Device) -> bool;

    /// As the function [`executed`].
    fn executed(device: &Self::Device) -> Option<Vec<String>>;
}

/// What the device holds for this process, once it has done all that it was given; `None` where its
/// tensors lie in the process itself, whose own memory tells.
pub fn device_memory<B: Kernels>(device: &B::Device) -> Option<DeviceMemory> {
    B::device_memory(device)
}

fn float<B: Backend, const D: usize>(tensor: FloatTensor<B>) -> Tensor<B, D> {
    Tensor::from_primitive(TensorPrimitive::Float(tensor))
}

fn primitive<B: Backend, const D: usize>(tensor: &Tensor<B, D>) -> FloatTensor<B> {
    tensor.clone().into_primitive().tensor()
}
