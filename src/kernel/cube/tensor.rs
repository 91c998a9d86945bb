//! Tensors of a device as its kernels take them: contiguous inputs, new outputs, numbers of the host,
//! a grid in two dimensions.

use burn::tensor::{DType, Shape, TensorMetadata};
use burn_cubecl::CubeRuntime;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::into_data_sync;
use burn_cubecl::ops::numeric::zeros_client;
use burn_cubecl::tensor::CubeTensor;
use cubecl::CubeCount;
use cubecl::client::ComputeClient;
use cubecl::server::Handle;

use crate::readback::traffic::{self, Crossing};

/// The most workgroups that WebGPU lets a dispatch have in one dimension.
const WIDEST_GRID: usize = 65_535;

/// A grid of at least so many workgroups, and hardly more.
pub(in crate::kernel) fn grid(workgroups: usize) -> CubeCount {
    let rows = workgroups.div_ceil(WIDEST_GRID);
    CubeCount::Static(workgroups.div_ceil(rows.max(1)) as u32, rows as u32, 1)
}

/// The tensor in row-major order without gaps; copied only where it is a strided view.
pub(in crate::kernel) fn contiguous<R: CubeRuntime>(tensor: &CubeTensor<R>) -> CubeTensor<R> {
    assert!(tensor.dtype == DType::F32, "the kernels take f32, not {:?}", tensor.dtype);
    into_contiguous(tensor.clone())
}

/// A tensor of f32 beside `like`, its elements yet to be written.
pub(in crate::kernel) fn empty<R: CubeRuntime, const D: usize>(
    like: &CubeTensor<R>,
    shape: [usize; D],
) -> CubeTensor<R> {
    unwritten(like, Shape::new(shape))
}

/// One of the same shape.
pub(in crate::kernel) fn empty_like<R: CubeRuntime>(like: &CubeTensor<R>) -> CubeTensor<R> {
    unwritten(like, like.meta.shape().clone())
}

fn unwritten<R: CubeRuntime>(like: &CubeTensor<R>, shape: Shape) -> CubeTensor<R> {
    let bytes = shape.num_elements() * size_of::<f32>();
    // A device has no buffer of no bytes.
    let buffer = like.client.empty(bytes.max(size_of::<f32>()));
    let (client, device) = (like.client.clone(), like.device.clone());
    CubeTensor::new_contiguous(client, device, shape, buffer, DType::F32)
}

/// A tensor of f32 beside `like` with these elements.
pub(in crate::kernel) fn tensor_of<R: CubeRuntime>(
    like: &CubeTensor<R>,
    shape: impl Into<Shape>,
    values: &[f32],
) -> CubeTensor<R> {
    if values.is_empty() {
        return unwritten(like, shape.into());
    }
    let buffer = send(&like.client, values);
    let (client, device) = (like.client.clone(), like.device.clone());
    CubeTensor::new_contiguous(client, device, shape.into(), buffer, DType::F32)
}

/// A gradient that nobody needs: a tensor of no elements.
pub(in crate::kernel) fn nothing<R: CubeRuntime>(like: &CubeTensor<R>) -> CubeTensor<R> {
    empty(like, [0])
}

/// A tensor like `like`, or of no elements where nobody needs it.
pub(in crate::kernel) fn empty_if<R: CubeRuntime>(
    needs: bool,
    like: &CubeTensor<R>,
) -> CubeTensor<R> {
    if needs { empty_like(like) } else { nothing(like) }
}

/// The elements in row-major order, read back.
pub(in crate::kernel) fn floats<R: CubeRuntime>(tensor: &CubeTensor<R>) -> Vec<f32> {
    if tensor.meta.num_elements() == 0 {
        return Vec::new();
    }
    match into_data_sync(contiguous(tensor)).into_vec() {
        Ok(values) => {
            traffic::note(Crossing::Readback(size_of_val(&values[..])));
            values
        }
        Err(error) => panic!("a tensor of f32 reads back as such: {error:?}"),
    }
}

/// Numbers of four bytes as a tensor beside `like`; never empty, because no binding may be.
pub(in crate::kernel) fn numbers<R: CubeRuntime, N: bytemuck::Pod + Default>(
    like: &CubeTensor<R>,
    numbers: &[N],
) -> CubeTensor<R> {
    const { assert!(size_of::<N>() == size_of::<u32>()) };
    let one = [N::default()];
    let numbers = if numbers.is_empty() { &one } else { numbers };
    let (client, device) = (like.client.clone(), like.device.clone());
    let (buffer, shape) = (send(&client, numbers), Shape::new([numbers.len()]));
    CubeTensor::new_contiguous(client, device, shape, buffer, DType::U32)
}

/// A buffer of these numbers: every upload of a kernel goes through here.
pub(in crate::kernel) fn send<R: CubeRuntime, N: bytemuck::Pod>(
    client: &ComputeClient<R>,
    numbers: &[N],
) -> Handle {
    traffic::note(Crossing::Upload(size_of_val(numbers)));
    client.create_from_slice(bytemuck::cast_slice(numbers))
}

/// A tensor of zeros beside `like`.
pub(in crate::kernel) fn zeros<R: CubeRuntime, const D: usize>(
    like: &CubeTensor<R>,
    shape: [usize; D],
) -> CubeTensor<R> {
    let (client, device) = (like.client.clone(), like.device.clone());
    // CUDA pads the rows of what Burn makes, and the kernels take rows without gaps.
    into_contiguous(zeros_client(client, device, Shape::new(shape), DType::F32))
}

/// The tensor in row-major order without gaps, to be written to: itself where nobody else holds it.
pub(in crate::kernel) fn writable<R: CubeRuntime>(tensor: CubeTensor<R>) -> CubeTensor<R> {
    let tensor = into_contiguous(tensor);
    match tensor.can_mut() {
        true => tensor,
        false => into_contiguous(tensor.copy()),
    }
}

/// The sizes of a tensor that has so many dimensions.
pub(in crate::kernel) fn dims<R: CubeRuntime, const D: usize>(
    tensor: &CubeTensor<R>,
) -> [usize; D] {
    tensor.shape().dims()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_holds_every_workgroup_and_no_dimension_is_too_wide() {
        for workgroups in [1, 65_535, 65_536, 70_000, 131_071, 1_000_000_000] {
            let CubeCount::Static(x, y, 1) = grid(workgroups) else { panic!("a grid of two") };
            let (x, y) = (x as usize, y as usize);
            assert!(x <= WIDEST_GRID && y <= WIDEST_GRID, "{x} × {y}");
            assert!((workgroups..workgroups + y).contains(&(x * y)), "{x} × {y}");
        }
    }
}
