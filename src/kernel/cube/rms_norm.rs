//! Root-mean-square normalisation on a device: a cube a row.

use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::tensor::{dims, empty, empty_if, empty_like, nothing, zeros};
use super::{GpuForm, ROW_UNITS, a_cube_each, alone, array, cube_sum};
use crate::kernel::ops::rms_norm::{RmsNorm, RmsNormBackward};

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

impl GpuForm<2, 1> for RmsNorm {
    fn cubecl<R: CubeRuntime>(&self, [x, gamma]: [CubeTensor<R>; 2]) -> [CubeTensor<R>; 1] {
        let ([n, d], y) = (dims(&x), empty_like(&x));
        if n > 0 {
            let (cubes, units) = a_cube_each(n);
            let (of_x, gamma, of_y) = (array(&x), array(&gamma), array(&y));
            let (rows, width) = (n as u32, d as u32);
            forward_kernel::launch(
                &x.client,
                cubes,
                units,
                of_x,
                gamma,
                of_y,
                self.epsilon,
                rows,
                width,
            );
        }
        [y]
    }
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
    #[comptime] of_x: bool,
) {
    let row = CUBE_POS;
    if row >= rows as usize {
        terminate!();
    }
    let width = width as usize;
    let first = row * width;
    let scale = inverse_rms(x, first, width, epsilon);
    if comptime!(of_x) {
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

impl GpuForm<3, 2> for RmsNormBackward {
    fn cubecl<R: CubeRuntime>(&self, [x, gamma, dy]: [CubeTensor<R>; 3]) -> [CubeTensor<R>; 2] {
        let ([n, d], [of_x, of_gamma]) = (dims(&x), self.needs);
        if n == 0 {
            return [empty_if(of_x, &x), if of_gamma { zeros(&x, [d]) } else { nothing(&x) }];
        }
        let (dx, scales) = (empty_if(of_x, &x), empty(&x, [n]));
        let (cubes, units) = a_cube_each(n);
        input_gradient_kernel::launch(
            &x.client,
            cubes,
            units,
            array(&x),
            array(&gamma),
            array(&dy),
            array(&dx),
            array(&scales),
            self.epsilon,
            n as u32,
            d as u32,
            of_x,
        );
        let dgamma = if of_gamma { scale_gradient(&x, &dy, &scales) } else { nothing(&x) };
        [dx, dgamma]
    }
}

fn scale_gradient<R: CubeRuntime>(
    x: &CubeTensor<R>,
    dy: &CubeTensor<R>,
    scales: &CubeTensor<R>,
) -> CubeTensor<R> {
    let ([n, d], client) = (dims(x), &x.client);
    let (blocks, width) = (n.div_ceil(BLOCK), d as u32);
    let [sums, dgamma] = [empty(x, [blocks, d]), empty(x, [d])];
    let (cubes, units) = alone(client, blocks * d);
    let (x, dy, scales) = (array(x), array(dy), array(scales));
    block_sums_kernel::launch(client, cubes, units, x, dy, scales, array(&sums), n as u32, width);
    let (cubes, units) = alone(client, d);
    let (sums, blocks) = (array(&sums), blocks as u32);
    column_sums_kernel::launch(client, cubes, units, sums, array(&dgamma), blocks, width);
    dgamma
}
