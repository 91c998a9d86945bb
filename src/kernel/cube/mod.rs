//! The kernels on CubeCL's runtimes: Vulkan, Metal, DX12, GL and CUDA.
//!
//! Group baselines, advantages, token weights and log-probabilities are WGSL on wgpu (the shaders of
//! `shaders/`); everything else is written once in CubeCL's own kernel language and compiled for
//! whatever the device takes. Matrix products are Burn's. One unit of work writes one place, in a
//! fixed order, so that a step gives the same numbers every time; no kernel uses atomics, subgroups
//! or relies on their size.

mod attention;
mod backend;
mod elementwise;
#[cfg(any(test, feature = "cuda"))]
pub(super) mod forms;
mod fusion;
mod rms_norm;
mod rows;
mod sample;
pub(super) mod tensor;
mod token_logprob;

use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;
use cubecl::calculate_cube_count_elemwise;
use cubecl::prelude::*;

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
    let handle = client.create_from_slice(bytemuck::cast_slice(numbers));
    // SAFETY: the buffer was made from exactly these numbers.
    unsafe { ArrayArg::from_raw_parts(handle, numbers.len()) }
}

/// How to start `units` units that work alone.
fn alone<R: CubeRuntime>(client: &ComputeClient<R>, units: usize) -> (CubeCount, CubeDim) {
    let dim = CubeDim::new_1d(256);
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
