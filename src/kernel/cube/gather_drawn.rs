//! Embeddings of tokens that a device drew: a unit an element.

use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::tensor::{dims, empty};
use super::{GpuForm, alone, array, upload};
use crate::kernel::ops::gather_drawn::GatherDrawn;

#[cube(launch)]
fn gather_drawn_kernel(
    x: &Array<f32>,
    drawn: &Array<f32>,
    index: &Array<u32>,
    out: &mut Array<f32>,
    width: u32,
    count: u32,
) {
    let at = ABSOLUTE_POS;
    if at >= count as usize {
        terminate!();
    }
    let width = width as usize;
    let token = u32::cast_from(drawn[index[at / width] as usize * 2]) as usize;
    out[at] = x[token * width + at % width];
}

impl GpuForm<2, 1> for GatherDrawn {
    fn cubecl<R: CubeRuntime>(&self, [x, drawn]: [CubeTensor<R>; 2]) -> [CubeTensor<R>; 1] {
        let ([_, width], rows) = (dims(&x), self.index.len());
        let (out, count) = (empty(&x, [rows, width]), rows * width);
        if count > 0 {
            let (client, (cubes, units)) = (&x.client, alone(&x.client, count));
            gather_drawn_kernel::launch(
                client,
                cubes,
                units,
                array(&x),
                array(&drawn),
                upload(client, &self.index),
                array(&out),
                width as u32,
                count as u32,
            );
        }
        [out]
    }
}
