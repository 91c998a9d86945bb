//! Rotary position embedding on a device: a unit for each pair of elements.

use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::tensor::empty_like;
use super::{GpuForm, alone, array};
use crate::kernel::ops::rope::Rope;

#[cube(launch)]
fn rotate_kernel(
    x: &Array<f32>,
    cos: &Array<f32>,
    sin: &Array<f32>,
    y: &mut Array<f32>,
    width: u32,
    half: u32,
    sign: f32,
    pairs: u32,
) {
    let pair = ABSOLUTE_POS;
    if pair >= pairs as usize {
        terminate!();
    }
    let (width, half) = (width as usize, half as usize);
    let (token, place) = (pair / (width / 2), pair % (width / 2));
    let (head, i) = (place / half, place % half);
    let low = token * width + head * 2 * half + i;
    let (a, b) = (x[low], x[low + half]);
    let (c, s) = (cos[token * half + i], sin[token * half + i] * sign);
    y[low] = a * c - b * s;
    y[low + half] = b * c + a * s;
}

impl GpuForm<1, 1> for Rope {
    fn cubecl<R: CubeRuntime>(&self, [x]: [CubeTensor<R>; 1]) -> [CubeTensor<R>; 1] {
        let (y, count, client) = (empty_like(&x), x.meta.num_elements(), &x.client);
        if count > 0 {
            let (pairs, rotary) = (count / 2, &self.rotary);
            let (cubes, units) = alone(client, pairs);
            rotate_kernel::launch(
                client,
                cubes,
                units,
                array(&x),
                rotary.cos().beside(&x).into_array_arg(),
                rotary.sin().beside(&x).into_array_arg(),
                array(&y),
                (count / rotary.tokens()) as u32,
                (rotary.head_dim() / 2) as u32,
                if self.inverse { -1.0 } else { 1.0 },
                pairs as u32,
            );
        }
        [y]
    }
}
