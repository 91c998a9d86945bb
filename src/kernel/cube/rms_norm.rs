//! Root-mean-square normalisation on a device: a cube a row.

use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::tensor::{dims, empty, empty_like, zeros};
use super::{ROW_UNITS, a_cube_each, alone, array, cube_sum};

/// The inverse root mean square of one row, for all units of its cube.
#[cube]
fn inverse_rms(x: &Array<f32>, first: usize, width: usize, epsilon: f32) -> f32 {
    let mut shared = SharedMemory::<f32>::new(ROW_UNITS);
    let mut sum = 0.0f32;
    let mut i = UNIT_POS as usize;
    while i < width {
        sum += x[first + i] * x[first + i];
        i += ROW_UNITS;
    }
    let mean = cube_sum(sum, &mut shared) / width as f32;
    1.0 / (mean + epsilon).sqrt()
}

#[cube(launch)]
fn forward_kernel(
    x: &Array<f32>,
    gamma: &Array<f32>,
    y: &mut Array<f32>,
    epsilon: f32,
    rows: u32,
    width: u32,
) {
    let row = CUBE_POS;
    if row >= rows as usize {
        terminate!();
    }
    let width = width as usize;
    let first = row * width;
    let scale = inverse_rms(x, first, width, epsilon);
    let mut i = UNIT_POS as usize;
    while i < width {
        y[first + i] = x[first + i] * scale * gamma[i];
        i += ROW_UNITS;
    }
}

/// `γ · x / √(mean(x²) + ε)`.
pub fn forward<R: CubeRuntime>(
    x: &CubeTensor<R>,
    gamma: &CubeTensor<R>,
    epsilon: f32,
) -> CubeTensor<R> {
    let ([n, d], y) = (dims(x), empty_like(x));
    if n > 0 {
        let (cubes, units) = a_cube_each(n);
        let (x_arg, gamma) = (array(x), array(gamma));
        forward_kernel::launch(
            &x.client,
            cubes,
            units,
            x_arg,
            gamma,
            array(&y),
            epsilon,
            n as u32,
            d as u32,
        );
    }
    y
}

#[cube(launch)]
fn input_gradient_kernel(
    x: &Array<f32>,
    gamma: &Array<f32>,
    dy: &Array<f32>,
    dx: &mut Array<f32>,
    scales: &mut Array<f32>,
    epsilon: f32,
    rows: u32,
    width: u32,
) {
    let row = CUBE_POS;
    if row >= rows as usize {
        terminate!();
    }
    let width = width as usize;
    let first = row * width;
    let scale = inverse_rms(x, first, width, epsilon);
    let mut along = 0.0f32;
    let mut i = UNIT_POS as usize;
    while i < width {
        along += x[first + i] * gamma[i] * dy[first + i];
        i += ROW_UNITS;
    }
    let mut shared = SharedMemory::<f32>::new(ROW_UNITS);
    let along = cube_sum(along, &mut shared) * scale * scale * scale / width as f32;
    let mut i = UNIT_POS as usize;
    while i < width {
        dx[first + i] = dy[first + i] * gamma[i] * scale - x[first + i] * along;
        i += ROW_UNITS;
    }
    if UNIT_POS == 0 {
        scales[row] = scale;
    }
}

/// Rows that one unit sums in a column before the sums are summed.
const BLOCK: usize = 64;

#[cube(launch)]
fn block_sums_kernel(
    x: &Array<f32>,
    dy: &Array<f32>,
    scales: &Array<f32>,
    sums: &mut Array<f32>,
    rows: u32,
    width: u32,
) {
    let at = ABSOLUTE_POS;
    let (rows, width) = (rows as usize, width as usize);
    let (block, column) = (at / width, at % width);
    let first = block * BLOCK;
    if first >= rows {
        terminate!();
    }
    let mut sum = 0.0f32;
    for row in first..min(first + BLOCK, rows) {
        sum += x[row * width + column] * scales[row] * dy[row * width + column];
    }
    sums[at] = sum;
}

#[cube(launch)]
fn column_sums_kernel(sums: &Array<f32>, dgamma: &mut Array<f32>, blocks: u32, width: u32) {
    let column = ABSOLUTE_POS;
    let width = width as usize;
    if column >= width {
        terminate!();
    }
    let mut sum = 0.0f32;
    for block in 0..blocks as usize {
        sum += sums[block * width + column];
    }
    dgamma[column] = sum;
}

/// Gradients of `x` and `γ`.
pub fn backward<R: CubeRuntime>(
    x: &CubeTensor<R>,
    gamma: &CubeTensor<R>,
    epsilon: f32,
    dy: &CubeTensor<R>,
) -> [CubeTensor<R>; 2] {
    let ([n, d], client) = (dims(x), &x.client);
    if n == 0 {
        return [empty_like(x), zeros(x, [d])];
    }
    let [dx, scales, dgamma] = [empty_like(x), empty(x, [n]), empty(x, [d])];
    let (rows, width) = (n as u32, d as u32);
    let (cubes, units) = a_cube_each(n);
    input_gradient_kernel::launch(
        client,
        cubes,
        units,
        array(x),
        array(gamma),
        array(dy),
        array(&dx),
        array(&scales),
        epsilon,
        rows,
        width,
    );
    let blocks = n.div_ceil(BLOCK);
    let sums = empty(x, [blocks, d]);
    let (cubes, units) = alone(client, blocks * d);
    let (x, dy, scales) = (array(x), array(dy), array(&scales));
    block_sums_kernel::launch(client, cubes, units, x, dy, scales, array(&sums), rows, width);
    let (cubes, units) = alone(client, d);
    let (sums, blocks) = (array(&sums), blocks as u32);
    column_sums_kernel::launch(client, cubes, units, sums, array(&dgamma), blocks, width);
    [dx, dgamma]
}
