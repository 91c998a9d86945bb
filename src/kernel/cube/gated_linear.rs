//! Two linear maps and the gated activation of both on a device: one launch where rows are few.

use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;

use super::few_rows::{are_few, gated_product};
use super::tensor::dims;
use super::{GpuForm, run};
use crate::kernel::ops::gated_linear::GatedLinear;
use crate::kernel::ops::linear::Linear;
use crate::kernel::ops::swiglu::SwiGlu;

impl GpuForm<3, 1> for GatedLinear {
    fn cubecl<R: CubeRuntime>(&self, [x, gate, up]: [CubeTensor<R>; 3]) -> [CubeTensor<R>; 1] {
        let [n, _] = dims(&x);
        let weights = [(self.gate, gate), (self.up, up)];
        match (are_few(n), weights) {
            (true, [(of_gate, gate), (of_up, up)]) => {
                [gated_product(&x, (of_gate, &gate), (of_up, &up))]
            }
            (false, weights) => {
                let products = weights.map(|(weight, elements)| {
                    let [product] = run(&Linear { weight }, [x.clone(), elements]);
                    product
                });
                run(&SwiGlu, products)
            }
        }
    }
}
