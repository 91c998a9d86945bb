//! Three linear maps of one x on a device: one launch where rows are few.

use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;

use super::GpuForm;
use super::few_rows::{are_few, three_products};
use super::linear::product_with_transposed;
use super::stored::as_rows;
use super::tensor::dims;
use crate::kernel::ops::linears::Linears;

impl GpuForm<4, 3> for Linears {
    fn cubecl<R: CubeRuntime>(&self, [x, a, b, c]: [CubeTensor<R>; 4]) -> [CubeTensor<R>; 3] {
        let ([n, _], [of_a, of_b, of_c]) = (dims(&x), self.weights);
        let weights = [as_rows(of_a, a), as_rows(of_b, b), as_rows(of_c, c)];
        match are_few(n) {
            true => three_products(&x, &weights),
            false => weights.map(|weight| product_with_transposed(x.clone(), weight)),
        }
    }
}
