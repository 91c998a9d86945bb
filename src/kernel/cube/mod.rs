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
mod fusion;
mod rms_norm;
mod rows;
mod sample;
mod token_logprob;

use burn::tensor::{DType, Shape};
use burn_cubecl::CubeRuntime;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use cubecl::calculate_cube_count_elemwise;
use cubecl::prelude::*;

/// Units of a cube that works on one row together; a power of two that every adapter allows.
const ROW_UNITS: usize = 64;
const HALVINGS: u32 = ROW_UNITS.ilog2();

/// An uninitialised f32 tensor beside `like`.
fn empty<R: CubeRuntime>(like: &CubeTensor<R>, shape: impl Into<Shape>) -> CubeTensor<R> {
    let (shape, client) = (shape.into(), like.client.clone());
    let bytes = shape.num_elements() * size_of::<f32>();
    // A device has no buffer of no bytes.
    let handle = client.empty(bytes.max(size_of::<f32>()));
    CubeTensor::new_contiguous(client, like.device.clone(), shape, handle, DType::F32)
}

/// A tensor of zeros beside `like`.
fn zeros<R: CubeRuntime>(like: &CubeTensor<R>, shape: impl Into<Shape>) -> CubeTensor<R> {
    let (client, device) = (like.client.clone(), like.device.clone());
    burn_cubecl::ops::numeric::zeros_client(client, device, shape.into(), DType::F32)
}

/// Row-major elements as a kernel's argument.
fn array<R: CubeRuntime>(tensor: &CubeTensor<R>) -> ArrayArg<R> {
    into_contiguous(tensor.clone()).into_array_arg()
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

/// How to start one cube of [`ROW_UNITS`] for each of `rows`, over two dimensions beyond 65,535.
fn a_cube_each(rows: usize) -> (CubeCount, CubeDim) {
    const LIMIT: usize = 65_535;
    let count = CubeCount::Static(rows.min(LIMIT) as u32, rows.div_ceil(LIMIT) as u32, 1);
    (count, CubeDim::new_1d(ROW_UNITS as u32))
}

/// The dimensions of a tensor of rank `D`.
fn dims<R: CubeRuntime, const D: usize>(tensor: &CubeTensor<R>) -> [usize; D] {
    tensor.meta.shape().dims()
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
