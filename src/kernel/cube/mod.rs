//! The GPU forms of the operations, on CubeCL's runtimes: Vulkan, Metal, DX12, GL and CUDA.
//!
//! Group baselines, advantages, token weights and log-probabilities are WGSL on wgpu (the shaders of
//! `shaders/`); everything else is written once in CubeCL's own kernel language and compiled for
//! whatever the device takes. Matrix products are Burn's. One unit of work writes one place, in a
//! fixed order, so that a step gives the same numbers every time; no kernel uses atomics, subgroups
//! or relies on their size.

mod adamw;
mod adamw_q8;
mod add_linear;
mod add_norm;
mod attention;
mod decode_attention;
mod dropout;
pub(super) mod executed;
mod few_rows;
mod gated_linear;
mod gather_drawn;
mod gather_rows;
mod group_advantage;
mod group_baseline;
mod linear;
mod linears;
mod logit_logprob;
mod rms_norm;
mod rope;
mod rotate_into_cache;
mod sample;
mod shader;
mod stored;
mod stored_product;
mod sum_of_squares;
mod swiglu;
pub(super) mod tensor;
mod token_logprob;
mod token_weights;
mod whiten;
mod write_rows;

#[cfg(test)]
pub(super) use linear::{rounded_product, strict_product};

use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;
use cubecl::calculate_cube_count_elemwise;
use cubecl::prelude::*;

use super::Op;
use super::op::Elements;

/// How a GPU computes an operation.
pub trait GpuForm<const I: usize, const O: usize> {
    /// On any runtime: a kernel in CubeCL's language.
    fn cubecl<R: CubeRuntime>(&self, inputs: [CubeTensor<R>; I]) -> [CubeTensor<R>; O];

    /// On a runtime that takes WGSL: a hand-written shader, where there is one.
    fn wgsl<R: CubeRuntime>(&self, inputs: [CubeTensor<R>; I]) -> [CubeTensor<R>; O] {
        self.cubecl(inputs)
    }
}

/// Runs an operation in the form that the runtime takes.
pub(super) fn run<R: CubeRuntime, T: Op<I, O>, const I: usize, const O: usize>(
    op: &T,
    inputs: [CubeTensor<R>; I],
) -> [CubeTensor<R>; O] {
    // CubeCL calls its runtimes "wgpu<wgsl>", "wgpu<spirv>", "wgpu<msl>" and "cuda". All of wgpu's take
    // WGSL, whichever language they compile CubeCL's own kernels to.
    match R::name(&inputs[0].client).starts_with("wgpu") {
        true => op.wgsl(inputs),
        false => op.cubecl(inputs),
    }
}

/// Whether a runtime is NVIDIA's own.
pub(super) fn is_cuda<R: CubeRuntime>(client: &ComputeClient<R>) -> bool {
    R::name(client) == "cuda"
}

/// Runs an operation by its CPU body: for tables of a few thousand floats, which are read back and brought
/// to the device again.
fn through_host<R: CubeRuntime, T: Op<I, O>, const I: usize, const O: usize>(
    op: &T,
    inputs: [CubeTensor<R>; I],
) -> [CubeTensor<R>; O] {
    let mut shapes = op.shapes(inputs.each_ref().map(|input| input.meta.shape())).into_iter();
    let elements = inputs
        .each_ref()
        .map(|input| Elements::new(tensor::floats(input), input.meta.shape().clone()));
    op.cpu(elements).map(|values| match shapes.next() {
        Some(shape) => tensor::tensor_of(&inputs[0], shape, &values),
        None => unreachable!("a shape for each output"),
    })
}

/// Units of a cube, lanes of a workgroup, where nothing speaks for another number.
const LANES: usize = 256;

/// Units of a cube that works on one row together; a power of two that every adapter allows.
const ROW_UNITS: usize = 64;
const HALVINGS: u32 = ROW_UNITS.ilog2();

/// Row-major elements as a kernel's argument.
fn array<R: CubeRuntime>(tensor: &CubeTensor<R>) -> ArrayArg<R> {
    tensor::contiguous(tensor).into_array_arg()
}

/// Numbers of the host as a kernel's argument; never empty, because no binding may be.
fn upload<R: CubeRuntime, N: bytemuck::Pod + Default>(
    client: &ComputeClient<R>,
    numbers: &[N],
) -> ArrayArg<R> {
    let one = [N::default()];
    let numbers = if numbers.is_empty() { &one } else { numbers };
    let handle = tensor::send(client, numbers);
    // SAFETY: the buffer was made from exactly these numbers.
    unsafe { ArrayArg::from_raw_parts(handle, numbers.len()) }
}

/// How to start `units` units that work alone.
fn alone<R: CubeRuntime>(client: &ComputeClient<R>, units: usize) -> (CubeCount, CubeDim) {
    let dim = CubeDim::new_1d(LANES as u32);
    (calculate_cube_count_elemwise(client, units, dim), dim)
}

/// How to start one cube of [`ROW_UNITS`] for each of `rows`.
fn a_cube_each(rows: usize) -> (CubeCount, CubeDim) {
    (tensor::grid(rows), CubeDim::new_1d(ROW_UNITS as u32))
}

/// The sum over the units of a cube, given to all of them.
#[cube]
fn cube_sum(value: f32, shared: &mut SharedMemory<f32>) -> f32 {
    let unit = UNIT_POS as usize;
    shared[unit] = value;
    sync_cube();
    #[unroll]
    for halving in 1..HALVINGS + 1 {
        let half = comptime!(ROW_UNITS >> halving);
        if unit < half {
            let other = shared[unit + half];
            shared[unit] += other;
        }
        sync_cube();
    }
    let total = shared[0];
    sync_cube();
    total
}

/// The largest over the units of a cube, given to all of them.
#[cube]
fn cube_max(value: f32, shared: &mut SharedMemory<f32>) -> f32 {
    let unit = UNIT_POS as usize;
    shared[unit] = value;
    sync_cube();
    #[unroll]
    for halving in 1..HALVINGS + 1 {
        let half = comptime!(ROW_UNITS >> halving);
        if unit < half {
            let other = shared[unit + half];
            shared[unit] = max(shared[unit], other);
        }
        sync_cube();
    }
    let largest = shared[0];
    sync_cube();
    largest
}
