//! What a low-rank adapter adds, on a device: a product and a sum, which Burn has.

use burn::tensor::ops::FloatTensorOps;
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{CubeBackend, CubeRuntime};

use super::{GpuForm, run};
use crate::kernel::ops::add_linear::AddLinear;
use crate::kernel::ops::linear::Linear;

/// Burn's own operations on the tensors of a runtime; the type of its booleans makes no difference.
type Burn<R> = CubeBackend<R, f32, i32, u8>;

impl GpuForm<3, 1> for AddLinear {
    fn cubecl<R: CubeRuntime>(&self, [y, x, weight]: [CubeTensor<R>; 3]) -> [CubeTensor<R>; 1] {
        let x = Burn::<R>::float_mul_scalar(x, self.scale.into());
        let [product] = run(&Linear { weight: self.weight }, [x, weight]);
        [Burn::<R>::float_add(y, product)]
    }
}
