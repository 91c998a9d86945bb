//! Matrix products: those of a few rows are in `few_rows`, those with weights in few bits in `stored_product`, all others
//! are Burn's.

use burn::tensor::DType;
use burn_cubecl::CubeRuntime;
use burn_cubecl::kernel::cast;
use burn_cubecl::kernel::matmul::{MatmulStrategy, matmul};
use burn_cubecl::tensor::CubeTensor;
use cubek::matmul::definition::{MatmulElems, MatmulGlobalElems, MatmulSetupError};
use cubek::matmul::launch::{Strategy, launch_ref};
use cubek::matmul::routines::BlueprintStrategy;
use cubek::std::InputBinding;

use super::few_rows::are_few;
use super::stored::as_rows;
use super::stored_product::stored_product;
use super::tensor::{dims, empty, zeros};
use super::{GpuForm, few_rows, is_cuda};
use crate::kernel::ops::linear::{Linear, LinearInputGradient, LinearWeightGradient};
use crate::kernel::ops::weight::Layout;
use crate::kernel::precision::{ComputeDtype, rounds_to};

impl GpuForm<2, 1> for Linear {
    fn cubecl<R: CubeRuntime>(&self, [x, weight]: [CubeTensor<R>; 2]) -> [CubeTensor<R>; 1] {
        let [n, _] = dims(&x);
        [match (are_few(n), self.weight) {
            (true, layout) => few_rows::product(&x, (layout, &weight)),
            (false, Layout::Stored { storage, output, input }) if rounds_to(ComputeDtype::F32) => {
                stored_product(&x, &weight, storage, [output, input], false)
            }
            // Kernels that round are Burn's, which take a weight as a whole.
            (false, layout) => product(x, transposed(as_rows(layout, weight))),
        }]
    }
}

impl GpuForm<2, 1> for LinearInputGradient {
    fn cubecl<R: CubeRuntime>(&self, [dy, weight]: [CubeTensor<R>; 2]) -> [CubeTensor<R>; 1] {
        [match self.weight {
            Layout::Stored { storage, output, input } if rounds_to(ComputeDtype::F32) => {
                stored_product(&dy, &weight, storage, [output, input], true)
            }
            layout => product(dy, as_rows(layout, weight)),
        }]
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
    // Of what times kernels and takes the fastest, some round to TF32 on CUDA. Elsewhere none does.
    let product = match is_cuda(&lhs.client) {
        _ if rounds_to(ComputeDtype::F16) => rounded_product(lhs, rhs, DType::F16),
        true if rounds_to(ComputeDtype::Bf16) => rounded_product(lhs, rhs, DType::BF16),
        true if !rounds_to(ComputeDtype::Tf32) => strict_product(lhs, rhs),
        _ => matmul(lhs, rhs, None, MatmulStrategy::default(), DType::F32),
    };
    match product {
        Ok(product) => product,
        Err(error) => panic!("no matrix product for {n} × {inner} × {columns}: {error:?}"),
    }
}

/// `lhs · rhs` by a kernel that uses no tensor core, whose every multiplication and sum is of f32. It is the
/// one that Burn takes where there are no tensor cores.
pub(in crate::kernel) fn strict_product<R: CubeRuntime>(
    lhs: CubeTensor<R>,
    rhs: CubeTensor<R>,
) -> Result<CubeTensor<R>, MatmulSetupError> {
    let out = empty(&lhs, [lhs.meta.shape()[0], rhs.meta.shape()[1]]);
    let (client, dtype) = (lhs.client.clone(), DType::F32.into());
    let globals = MatmulGlobalElems { lhs: dtype, rhs: dtype, out: dtype };
    launch_ref(
        &Strategy::SimpleUnit(BlueprintStrategy::default()),
        &client,
        InputBinding::new(lhs.binding(), dtype),
        InputBinding::new(rhs.binding(), dtype),
        out.clone().binding(),
        &mut MatmulElems::from_globals(&globals),
    )?;
    Ok(out)
}

/// `lhs · rhs` of factors that are rounded to a type of 16 bits, which tensor cores take; sums are f32.
pub(in crate::kernel) fn rounded_product<R: CubeRuntime>(
    lhs: CubeTensor<R>,
    rhs: CubeTensor<R>,
    dtype: DType,
) -> Result<CubeTensor<R>, MatmulSetupError> {
    let (lhs, rhs) = (cast(lhs, dtype), cast(rhs, dtype));
    matmul(lhs, rhs, None, MatmulStrategy::default(), DType::F32)
}

fn transposed<R: CubeRuntime>(mut tensor: CubeTensor<R>) -> CubeTensor<R> {
    tensor.meta.swap(0, 1);
    tensor
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strict_product_names_no_kernel_of_tensor_cores() {
        let name = Strategy::SimpleUnit(BlueprintStrategy::default()).to_string();
        assert!(name.contains("simple_unit") && !name.contains("mma"), "{name}");
    }
}
