//! A sum and its root-mean-square norm on a device: a cube a row.

use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::tensor::{dims, empty_like};
use super::{GpuForm, ROW_UNITS, a_cube_each, array, cube_sum};
use crate::kernel::ops::add_norm::AddNorm;

#[cube(launch)]
fn add_norm_kernel(
    x: &Array<f32>,
    y: &Array<f32>,
    gamma: &Array<f32>,
    sum: &mut Array<f32>,
    normed: &mut Array<f32>,
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
    let mut shared = SharedMemory::<f32>::new(ROW_UNITS);
    let mut squares = 0.0f32;
    let mut i = UNIT_POS as usize;
    while i < width {
        let both = x[first + i] + y[first + i];
        sum[first + i] = both;
        squares += both * both;
        i += ROW_UNITS;
    }
    let mean = cube_sum(squares, &mut shared) / width as f32;
    let scale = 1.0 / (mean + epsilon).sqrt();
    // Each unit reads what it wrote itself.
    let mut i = UNIT_POS as usize;
    while i < width {
        normed[first + i] = sum[first + i] * scale * gamma[i];
        i += ROW_UNITS;
    }
}

impl GpuForm<3, 2> for AddNorm {
    fn cubecl<R: CubeRuntime>(&self, [x, y, gamma]: [CubeTensor<R>; 3]) -> [CubeTensor<R>; 2] {
        let ([n, d], [sum, normed]) = (dims(&x), [empty_like(&x), empty_like(&x)]);
        if n > 0 {
            let (cubes, units) = a_cube_each(n);
            add_norm_kernel::launch(
                &x.client,
                cubes,
                units,
                array(&x),
                array(&y),
                array(&gamma),
                array(&sum),
                array(&normed),
                self.epsilon,
                n as u32,
                d as u32,
            );
        }
        [sum, normed]
    }
}
