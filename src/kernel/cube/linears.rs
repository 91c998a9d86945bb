//! Three linear maps of one x on a device: one launch where rows are few.

use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;

use super::few_rows::{are_few, three_products};
use super::tensor::dims;
use super::{GpuForm, run};
use crate::kernel::ops::linear::Linear;
use crate::kernel::ops::linears::Linears;

impl GpuForm<4, 3> for Linears {
    fn cubecl<R: CubeRuntime>(&self, [x, a, b, c]: [CubeTensor<R>; 4]) -> [CubeTensor<R>; 3] {
        let ([n, _], [of_a, of_b, of_c]) = (dims(&x), self.weights);
        if are_few(n) {
            return three_products(&x, [(of_a, &a), (of_b, &b), (of_c, &c)]);
        }
        [(of_a, a), (of_b, b), (of_c, c)].map(|(weight, elements)| {
            let [product] = run(&Linear { weight }, [x.clone(), elements]);
            product
        })
    }
}
