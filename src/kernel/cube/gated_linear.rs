//! Two linear maps and the gated activation of both on a device: one launch where rows are few.

use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;

use super::few_rows::{are_few, gated_product};
use super::linear::product_with_transposed;
use super::stored::as_rows;
use super::tensor::dims;
use super::{GpuForm, run};
use crate::kernel::ops::gated_linear::GatedLinear;
use crate::kernel::ops::swiglu::SwiGlu;

impl GpuForm<3, 1> for GatedLinear {
    fn cubecl<R: CubeRuntime>(&self, [x, gate, up]: [CubeTensor<R>; 3]) -> [CubeTensor<R>; 1] {
        let [n, _] = dims(&x);
        let [gate, up] = [as_rows(self.gate, gate), as_rows(self.up, up)];
        match are_few(n) {
            true => [gated_product(&x, &gate, &up)],
            false => {
                let products = [gate, up].map(|weight| product_with_transposed(x.clone(), weight));
                run(&SwiGlu, products)
            }
        }
    }
}
