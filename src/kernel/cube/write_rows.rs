//! Writing whole rows on a device: a unit an element, in place where nobody else holds the tensor.

use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::tensor::{dims, writable};
use super::{GpuForm, alone, array, upload};
use crate::kernel::ops::write_rows::WriteRows;

#[cube(launch)]
fn write_kernel(x: &mut Array<f32>, index: &Array<u32>, rows: &Array<f32>, width: u32, count: u32) {
    let at = ABSOLUTE_POS;
    if at >= count as usize {
        terminate!();
    }
    let width = width as usize;
    let row = index[at / width] as usize;
    x[row * width + at % width] = rows[at];
}

impl GpuForm<2, 1> for WriteRows {
    fn cubecl<R: CubeRuntime>(&self, [x, rows]: [CubeTensor<R>; 2]) -> [CubeTensor<R>; 1] {
        let (x, [count, width]) = (writable(x), dims(&rows));
        if count * width > 0 {
            let (cubes, units) = alone(&x.client, count * width);
            let (index, target) = (upload(&x.client, &self.index), x.clone().into_array_arg());
            let (rows, width, count) = (array(&rows), width as u32, (count * width) as u32);
            write_kernel::launch(&x.client, cubes, units, target, index, rows, width, count);
        }
        [x]
    }
}
