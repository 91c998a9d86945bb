//! Operations on CubeCL's runtimes: an operation runs by its GPU form.

use burn::tensor::DType;
use burn::tensor::backend::{Backend, DTypeUsage};
use burn::tensor::ops::FloatTensor;
use burn_cubecl::element::BoolElement;
use burn_cubecl::{CubeBackend, CubeRuntime};

use crate::kernel::{ComputeDtype, DeviceMemory, Kernels, Op, cube};

impl<R: CubeRuntime, BT: BoolElement> Kernels for CubeBackend<R, f32, i32, BT> {
    fn run<T: Op<I, O>, const I: usize, const O: usize>(
        op: T,
        inputs: [FloatTensor<Self>; I],
    ) -> [FloatTensor<Self>; O] {
        cube::run(&op, inputs)
    }

    fn device_memory(device: &Self::Device) -> Option<DeviceMemory> {
        let usage = R::client(device).memory_usage().ok()?;
        Some(DeviceMemory { in_use: usage.bytes_in_use, reserved: usage.bytes_reserved })
    }

    fn can_compute_in(dtype: ComputeDtype, device: &Self::Device) -> bool {
        match dtype {
            ComputeDtype::F32 => true,
            ComputeDtype::Auto => false,
            ComputeDtype::F16 => {
                let usage = Self::dtype_usage(device, DType::F16);
                usage.contains(DTypeUsage::Storage) && usage.contains(DTypeUsage::Arithmetic)
            }
            ComputeDtype::Tf32 | ComputeDtype::Bf16 => cube::is_cuda(&R::client(device)),
        }
    }

    fn executed(device: &Self::Device) -> Option<Vec<String>> {
        cube::executed::take(&R::client(device))
    }
}
