//! A step of AdamW on a device: a unit an element, in place where nobody else holds the tensors.

use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::tensor::writable;
use super::{GpuForm, alone, array, upload};
use crate::kernel::AdamW;
use crate::kernel::ops::adamw::Factors;

#[cube(launch)]
fn adamw_kernel(
    weight: &mut Array<f32>,
    first: &mut Array<f32>,
    second: &mut Array<f32>,
    gradient: &Array<f32>,
    hyper: &Array<f32>,
    count: u32,
) {
    let at = ABSOLUTE_POS;
    if at >= count as usize {
        terminate!();
    }
    let g = gradient[at] * hyper[5];
    let m = hyper[1] * first[at] + (1.0 - hyper[1]) * g;
    let v = hyper[2] * second[at] + (1.0 - hyper[2]) * g * g;
    let update = m * hyper[6] / ((v * hyper[7]).sqrt() + hyper[3]);
    let w = weight[at];
    first[at] = m;
    second[at] = v;
    weight[at] = w - hyper[0] * (hyper[4] * w + update);
}

impl GpuForm<4, 3> for AdamW {
    fn cubecl<R: CubeRuntime>(
        &self,
        [weight, first, second, gradient]: [CubeTensor<R>; 4],
    ) -> [CubeTensor<R>; 3] {
        let (count, client) = (gradient.meta.num_elements(), &gradient.client);
        let [weight, first, second] = [weight, first, second].map(writable);
        if count > 0 {
            let (cubes, units) = alone(client, count);
            adamw_kernel::launch(
                client,
                cubes,
                units,
                weight.clone().into_array_arg(),
                first.clone().into_array_arg(),
                second.clone().into_array_arg(),
                array(&gradient),
                upload(client, &hyper_parameters(*self)),
                count as u32,
            );
        }
        [weight, first, second]
    }
}

/// The numbers of a step in the order the kernel reads them, with Adam's two bias corrections.
pub(super) fn hyper_parameters(hyper: AdamW) -> [f32; 8] {
    let Factors { hyper, correction_1, correction_2 } = hyper.factors();
    [
        hyper.learning_rate,
        hyper.beta_1,
        hyper.beta_2,
        hyper.epsilon,
        hyper.weight_decay,
        hyper.grad_scale,
        correction_1,
        correction_2,
    ]
}
