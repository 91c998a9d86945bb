//! Operations under Burn's fusion: each is one of its own in the stream, run on the inner backend when
//! its turn comes.

use std::fmt;
use std::marker::PhantomData;

use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;
use burn::tensor::{DType, TensorMetadata};
use burn_fusion::stream::{Operation, OperationStreams};
use burn_fusion::{Fusion, FusionBackend};
use burn_ir::{CustomOpIr, HandleContainer, OperationIr, TensorIr};

use crate::kernel::{ComputeDtype, DeviceMemory, Kernels, Op};

/// An operation that waits in the stream, and where its inputs and outputs are.
struct Pending<B, T, const I: usize, const O: usize> {
    op: T,
    places: CustomOpIr,
    backend: PhantomData<fn() -> B>,
}

impl<B, T, const I: usize, const O: usize> fmt::Debug for Pending<B, T, I, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.places.id)
    }
}

impl<B, T, const I: usize, const O: usize> Operation<B::FusionRuntime> for Pending<B, T, I, O>
where
    B: FusionBackend + Kernels,
    T: Op<I, O>,
{
    fn execute(&self, handles: &mut HandleContainer<B::Handle>) {
        let places = &self.places;
        let inputs = std::array::from_fn(|i| handles.get_float_tensor::<B>(&places.inputs[i]));
        let outputs = B::run(self.op.clone(), inputs);
        for (place, output) in places.outputs.iter().zip(outputs) {
            handles.register_float_tensor::<B>(&place.id, output);
        }
    }
}

impl<B: FusionBackend + Kernels> Kernels for Fusion<B> {
    fn run<T: Op<I, O>, const I: usize, const O: usize>(
        op: T,
        inputs: [FloatTensor<Self>; I],
    ) -> [FloatTensor<Self>; O] {
        let client = inputs[0].client.clone();
        let streams = OperationStreams::with_inputs(&inputs);
        let shapes = op.shapes(inputs.each_ref().map(TensorMetadata::shape).each_ref());
        let outputs =
            shapes.map(|shape| TensorIr::uninit(client.create_empty_handle(), shape, DType::F32));
        let places = CustomOpIr::new(T::NAME, &inputs.map(|input| input.into_ir()), &outputs);
        let backend = PhantomData::<fn() -> B>;
        let pending = Pending::<B, T, I, O> { op, places: places.clone(), backend };
        let outputs = client.register(streams, OperationIr::Custom(places), pending);
        match <[_; O]>::try_from(outputs) {
            Ok(outputs) => outputs,
            Err(outputs) => unreachable!("{} outputs of {O}", outputs.len()),
        }
    }

    fn device_memory(device: &Self::Device) -> Option<DeviceMemory> {
        B::device_memory(device)
    }

    fn can_compute_in(dtype: ComputeDtype, device: &Self::Device) -> bool {
        B::can_compute_in(dtype, device)
    }

    fn executed(device: &Self::Device) -> Option<Vec<String>> {
        // What still waits in the stream is executed first. A device that failed has its own ways to say so.
        let _ = Self::sync(device);
        B::executed(device)
    }
}
