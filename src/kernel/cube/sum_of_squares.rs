//! The sum of squares on a device, in an order that is always the same: Burn's own sum adds with atomics
//! where there are some.

use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::tensor::empty;
use super::{GpuForm, ROW_UNITS, a_cube_each, alone, array, cube_sum};
use crate::kernel::ops::sum_of_squares::SumOfSquares;

/// Units that share the sum of a tensor's squares; each strides over it.
const SUMMING: usize = 1 << 14;

#[cube(launch)]
fn squares_kernel(x: &Array<f32>, sums: &mut Array<f32>, count: u32, units: u32) {
    let unit = ABSOLUTE_POS;
    if unit >= units as usize {
        terminate!();
    }
    let mut sum = 0.0f32;
    let mut at = unit;
    while at < count as usize {
        sum += x[at] * x[at];
        at += units as usize;
    }
    sums[unit] = sum;
}

#[cube(launch)]
fn sum_kernel(sums: &Array<f32>, total: &mut Array<f32>, count: u32) {
    let mut shared = SharedMemory::<f32>::new(ROW_UNITS);
    let mut sum = 0.0f32;
    let mut at = UNIT_POS as usize;
    while at < count as usize {
        sum += sums[at];
        at += ROW_UNITS;
    }
    let sum = cube_sum(sum, &mut shared);
    if UNIT_POS == 0 {
        total[0] = sum;
    }
}

impl GpuForm<1, 1> for SumOfSquares {
    fn cubecl<R: CubeRuntime>(&self, [x]: [CubeTensor<R>; 1]) -> [CubeTensor<R>; 1] {
        let (total, count, client) = (empty(&x, [1]), x.meta.num_elements(), &x.client);
        let summing = count.clamp(1, SUMMING);
        let sums = empty(&x, [summing]);
        let (cubes, units) = alone(client, summing);
        let (count, summing) = (count as u32, summing as u32);
        squares_kernel::launch(client, cubes, units, array(&x), array(&sums), count, summing);
        let (cubes, units) = a_cube_each(1);
        sum_kernel::launch(client, cubes, units, array(&sums), array(&total), summing);
        [total]
    }
}
