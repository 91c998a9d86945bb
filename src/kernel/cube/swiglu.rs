//! The gated activation on a device: a unit an element.

use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::tensor::{empty_if, empty_like};
use super::{GpuForm, alone, array};
use crate::kernel::ops::swiglu::{SwiGlu, SwiGluBackward};

#[cube]
pub(super) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

#[cube(launch)]
fn swiglu_kernel(gate: &Array<f32>, up: &Array<f32>, y: &mut Array<f32>, count: u32) {
    let at = ABSOLUTE_POS;
    if at >= count as usize {
        terminate!();
    }
    y[at] = gate[at] * sigmoid(gate[at]) * up[at];
}

impl GpuForm<2, 1> for SwiGlu {
    fn cubecl<R: CubeRuntime>(&self, [gate, up]: [CubeTensor<R>; 2]) -> [CubeTensor<R>; 1] {
        let (y, count, client) = (empty_like(&gate), gate.meta.num_elements(), &gate.client);
        if count > 0 {
            let ((cubes, units), up) = (alone(client, count), array(&up));
            swiglu_kernel::launch(client, cubes, units, array(&gate), up, array(&y), count as u32);
        }
        [y]
    }
}

#[cube(launch)]
fn swiglu_backward_kernel(
    gate: &Array<f32>,
    up: &Array<f32>,
    dy: &Array<f32>,
    dgate: &mut Array<f32>,
    dup: &mut Array<f32>,
    count: u32,
    #[comptime] of_gate: bool,
    #[comptime] of_up: bool,
) {
    let at = ABSOLUTE_POS;
    if at >= count as usize {
        terminate!();
    }
    let g = gate[at];
    let s = sigmoid(g);
    if comptime!(of_up) {
        dup[at] = dy[at] * g * s;
    }
    if comptime!(of_gate) {
        dgate[at] = dy[at] * up[at] * s * (1.0 + g * (1.0 - s));
    }
}

impl GpuForm<3, 2> for SwiGluBackward {
    fn cubecl<R: CubeRuntime>(&self, [gate, up, dy]: [CubeTensor<R>; 3]) -> [CubeTensor<R>; 2] {
        let (count, client, [of_gate, of_up]) =
            (gate.meta.num_elements(), &gate.client, self.needs);
        let [dgate, dup] = self.needs.map(|needs| empty_if(needs, &gate));
        if count > 0 {
            let (cubes, units) = alone(client, count);
            swiglu_backward_kernel::launch(
                client,
                cubes,
                units,
                array(&gate),
                array(&up),
                array(&dy),
                array(&dgate),
                array(&dup),
                count as u32,
                of_gate,
                of_up,
            );
        }
        [dgate, dup]
    }
}
