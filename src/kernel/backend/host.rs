//! CPU backends seen as slices: an operation runs by its CPU body.

use std::borrow::Cow;

use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;
use burn::tensor::{Shape, TensorMetadata};

use crate::kernel::cpu::gemm;
use crate::kernel::op::Elements;
use crate::kernel::ops::weight;
use crate::kernel::{ComputeDtype, DeviceMemory, Kernels, Op};

/// A backend whose float tensors are f32 slices in this process.
pub trait Host: Backend {
    /// The elements in row-major order; copied only where the tensor is a strided view.
    fn read(tensor: &FloatTensor<Self>) -> Cow<'_, [f32]>;

    /// The same for good; without a copy where nobody else holds them.
    fn take(tensor: FloatTensor<Self>) -> Vec<f32>;

    /// A tensor that takes the elements over without a copy.
    fn wrap(elements: Vec<f32>, shape: Shape) -> FloatTensor<Self>;
}

impl<H: Host> Kernels for H {
    const IS_HOST: bool = true;

    fn run<T: Op<I, O>, const I: usize, const O: usize>(
        op: T,
        inputs: [FloatTensor<H>; I],
    ) -> [FloatTensor<H>; O] {
        let shapes = inputs.each_ref().map(TensorMetadata::shape);
        let shapes_out = op.shapes(shapes.each_ref());
        let mut places = 0..I;
        let mut held =
            inputs.map(|tensor| Held::<H>::new(tensor, places.next() < Some(T::IN_PLACE)));
        let elements = paired(held.each_mut(), shapes)
            .map(|(held, shape)| Elements::new(held.elements(), shape));
        let outputs = op.cpu(elements);
        #[cfg(test)]
        ran::note(T::NAME, outputs.iter().map(Vec::len).sum());
        paired(outputs, shapes_out).map(|(output, shape)| H::wrap(output, shape))
    }

    fn packed(weight: FloatTensor<H>) -> Option<FloatTensor<H>> {
        let [output, input] = weight.shape().dims();
        let panels = weight::packed(&H::read(&weight), output, input);
        let shape = Shape::new([panels.len()]);
        Some(H::wrap(panels, shape))
    }

    fn can_compute_in(dtype: ComputeDtype, _: &Self::Device) -> bool {
        match dtype {
            ComputeDtype::F32 => true,
            ComputeDtype::Tf32 | ComputeDtype::F16 | ComputeDtype::Auto => false,
            ComputeDtype::Bf16 => gemm::has_bf16(),
        }
    }

    fn device_memory(_: &Self::Device) -> Option<DeviceMemory> {
        None
    }

    fn executed(_: &Self::Device) -> Option<Vec<String>> {
        None
    }
}

fn paired<A, B, const N: usize>(left: [A; N], right: [B; N]) -> [(A, B); N] {
    let mut right = right.into_iter();
    left.map(|left| match right.next() {
        Some(right) => (left, right),
        None => unreachable!("two arrays of one length"),
    })
}

/// An input that is only looked at, or one that was given up.
enum Held<H: Host> {
    Lent(FloatTensor<H>),
    Given(Vec<f32>),
}

impl<H: Host> Held<H> {
    fn new(tensor: FloatTensor<H>, is_given: bool) -> Self {
        if is_given { Self::Given(H::take(tensor)) } else { Self::Lent(tensor) }
    }

    fn elements(&mut self) -> Cow<'_, [f32]> {
        match self {
            Self::Lent(tensor) => H::read(tensor),
            Self::Given(elements) => Cow::Owned(std::mem::take(elements)),
        }
    }
}

#[cfg(feature = "ndarray")]
mod nd {
    use burn::backend::ndarray::NdArrayTensor;

    use super::*;

    impl Host for burn::backend::NdArray {
        fn read(tensor: &FloatTensor<Self>) -> Cow<'_, [f32]> {
            let NdArrayTensor::F32(storage) = tensor else {
                panic!("the CPU kernels take f32 tensors")
            };
            let view = storage.view();
            match view.to_slice() {
                Some(slice) => Cow::Borrowed(slice),
                None => Cow::Owned(view.iter().copied().collect()),
            }
        }

        fn take(tensor: FloatTensor<Self>) -> Vec<f32> {
            let NdArrayTensor::F32(storage) = tensor else {
                panic!("the CPU kernels take f32 tensors")
            };
            match storage.into_shared().try_into_owned_nocopy() {
                Ok(array) if array.is_standard_layout() => {
                    let count = array.len();
                    let (mut elements, start) = array.into_raw_vec_and_offset();
                    // A view may be a part of what its buffer holds.
                    elements.truncate(start.unwrap_or(0) + count);
                    elements.drain(..start.unwrap_or(0));
                    elements
                }
                Ok(array) => array.iter().copied().collect(),
                Err(shared) => shared.iter().copied().collect(),
            }
        }

        fn wrap(elements: Vec<f32>, shape: Shape) -> FloatTensor<Self> {
            match ndarray::ArrayD::from_shape_vec(shape.to_vec(), elements) {
                Ok(array) => array.into_shared().into(),
                Err(error) => panic!("elements do not fill the shape: {error}"),
            }
        }
    }
}

#[cfg(feature = "flex")]
impl Host for burn::backend::Flex {
    fn read(tensor: &FloatTensor<Self>) -> Cow<'_, [f32]> {
        match tensor.as_slice() {
            Some(slice) => Cow::Borrowed(slice),
            None => Cow::Owned(tensor.to_contiguous().storage::<f32>().to_vec()),
        }
    }

    fn take(tensor: FloatTensor<Self>) -> Vec<f32> {
        match tensor.into_data().into_vec() {
            Ok(elements) => elements,
            Err(error) => panic!("the CPU kernels take f32 tensors: {error:?}"),
        }
    }

    fn wrap(elements: Vec<f32>, shape: Shape) -> FloatTensor<Self> {
        burn::backend::flex::FlexTensor::from_data(burn::tensor::TensorData::new(elements, shape))
    }
}

/// What this thread ran on a CPU backend, for the tests: name and number of elements computed.
#[cfg(test)]
pub(in crate::kernel) mod ran {
    use std::cell::RefCell;

    thread_local!(static RAN: RefCell<Vec<(&'static str, usize)>> = const { RefCell::new(Vec::new()) });

    pub(super) fn note(name: &'static str, elements: usize) {
        RAN.with_borrow_mut(|ran| ran.push((name, elements)));
    }

    /// What was run since the last call.
    pub fn take() -> Vec<(&'static str, usize)> {
        RAN.take()
    }
}
