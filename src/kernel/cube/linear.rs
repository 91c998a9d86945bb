//! Matrix products, which are Burn's.

use burn::tensor::DType;
use burn_cubecl::CubeRuntime;
use burn_cubecl::kernel::matmul::{MatmulStrategy, matmul};
use burn_cubecl::tensor::CubeTensor;

use super::GpuForm;
use super::tensor::{dims, zeros};
use crate::kernel::ops::linear::{Layout, Linear, LinearInputGradient, LinearWeightGradient};

impl GpuForm<2, 1> for Linear {
    fn cubecl<R: CubeRuntime>(&self, [x, weight]: [CubeTensor<R>; 2]) -> [CubeTensor<R>; 1] {
        assert!(self.weight == Layout::Rows, "a GPU packs no weights");
        [product(x, transposed(weight))]
    }
}

impl GpuForm<2, 1> for LinearInputGradient {
    fn cubecl<R: CubeRuntime>(&self, [dy, weight]: [CubeTensor<R>; 2]) -> [CubeTensor<R>; 1] {
        [product(dy, weight)]
    }
}

impl GpuForm<2, 1> for LinearWeightGradient {
    fn cubecl<R: CubeRuntime>(&self, [dy, x]: [CubeTensor<R>; 2]) -> [CubeTensor<R>; 1] {
        [product(transposed(dy), x)]
    }
}

/// `lhs · rhs`, of no rows where `lhs` has none.
fn product<R: CubeRuntime>(lhs: CubeTensor<R>, rhs: CubeTensor<R>) -> CubeTensor<R> {
    let ([n, inner], [_, columns]) = (dims(&lhs), dims(&rhs));
    if n * inner * columns == 0 {
        return zeros(&lhs, [n, columns]);
    }
    match matmul(lhs, rhs, None, MatmulStrategy::default(), DType::F32) {
        Ok(product) => product,
        Err(error) => panic!("no matrix product for {n} × {inner} × {columns}: {error:?}"),
    }
}

fn transposed<R: CubeRuntime>(mut tensor: CubeTensor<R>) -> CubeTensor<R> {
    tensor.meta.swap(0, 1);
    tensor
}
