//! Dropout on a device: a unit an element, by a mask that the host draws.

use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::tensor::empty_like;
use super::{GpuForm, alone, array, upload};
use crate::kernel::ops::dropout::Dropout;

#[cube(launch)]
fn dropout_kernel(x: &Array<f32>, mask: &Array<u32>, y: &mut Array<f32>, factor: f32, count: u32) {
    let at = ABSOLUTE_POS;
    if at >= count as usize {
        terminate!();
    }
    let bit = (mask[at / 32] >> (at % 32) as u32) & 1;
    if bit == 1 {
        y[at] = x[at] * factor;
    } else {
        y[at] = 0.0;
    }
}

impl GpuForm<1, 1> for Dropout {
    fn cubecl<R: CubeRuntime>(&self, [x]: [CubeTensor<R>; 1]) -> [CubeTensor<R>; 1] {
        let (y, count, client) = (empty_like(&x), x.meta.num_elements(), &x.client);
        if count > 0 {
            let ((cubes, units), mask) = (alone(client, count), upload(client, &self.mask(count)));
            let (from, to) = (array(&x), array(&y));
            dropout_kernel::launch(
                client,
                cubes,
                units,
                from,
                mask,
                to,
                self.factor(),
                count as u32,
            );
        }
        [y]
    }
}
