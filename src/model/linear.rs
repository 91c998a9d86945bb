//! What a layer is made of: linear maps and norms, and how their parameters begin and are read.

use burn::module::{Module, Param, ParamId};
use burn::tensor::{DType, Tensor, backend::Backend};

use crate::kernel::{self, Kernels, PackedWeight, Weight};

/// `y = x·Wᵀ + b`, with a bias only where the family has one.
#[derive(Module, Debug)]
pub(super) struct Linear<B: Backend> {
    weight: Param<Tensor<B, 2>>,
    bias: Option<Param<Tensor<B, 1>>>,
    /// The weight once more, in a decoder for inference.
    packed: Option<PackedWeight<B>>,
}

impl<B: Backend> Linear<B> {
    /// A map of `shape`, `[output, input]`, without values yet.
    pub(super) fn new(shape: [usize; 2], bias: bool, device: &B::Device) -> Self {
        let weight = parameter(shape, device);
        Self { weight, bias: bias.then(|| parameter([shape[0]], device)), packed: None }
    }

    /// Whether it adds a bias.
    pub(super) fn has_bias(&self) -> bool {
        self.bias.is_some()
    }
}

impl<B: Kernels> Linear<B> {
    /// `[n, output]` of `x` `[n, input]`.
    pub(super) fn forward(&self, x: &Tensor<B, 2>) -> Tensor<B, 2> {
        self.with_bias(self.as_weight().linear(x))
    }

    /// Three maps of one `x` `[n, input]`.
    pub(super) fn forward_all(maps: [&Self; 3], x: &Tensor<B, 2>) -> [Tensor<B, 2>; 3] {
        let mut outputs = kernel::linears(x, maps.map(Self::as_weight)).into_iter();
        maps.map(|map| match outputs.next() {
            Some(y) => map.with_bias(y),
            None => unreachable!("an output for each map"),
        })
    }

    /// The weight alone, as products take it.
    pub(super) fn as_weight(&self) -> Weight<'_, B> {
        match &self.packed {
            Some(packed) => Weight::Packed(packed),
            None => Weight::Rows(self.matrix()),
        }
    }

    fn with_bias(&self, y: Tensor<B, 2>) -> Tensor<B, 2> {
        match &self.bias {
            Some(bias) => y + in_f32(bias).unsqueeze(),
            None => y,
        }
    }

    /// Packs the weight.
    pub(super) fn pack(&mut self) {
        self.packed = PackedWeight::of(&self.matrix());
    }

    /// The matrix `[output, input]`.
    pub(super) fn matrix(&self) -> Tensor<B, 2> {
        in_f32(&self.weight)
    }
}

/// RMSNorm with a factor a channel, which some families store less 1.
#[derive(Module, Debug)]
pub(super) struct Norm<B: Backend> {
    weight: Param<Tensor<B, 1>>,
    epsilon: f64,
    offset: f64,
}

impl<B: Backend> Norm<B> {
    /// A norm over `width` channels, without values yet; `offset` is added to the stored factors.
    pub(super) fn new(width: usize, [epsilon, offset]: [f64; 2], device: &B::Device) -> Self {
        Self { weight: parameter([width], device), epsilon, offset }
    }

    /// Channels over which it goes.
    pub(super) fn width(&self) -> usize {
        self.weight.dims()[0]
    }
}

impl<B: Kernels> Norm<B> {
    /// `x` `[n, width]`, every row by itself.
    pub(super) fn forward(&self, x: &Tensor<B, 2>) -> Tensor<B, 2> {
        kernel::rms_norm(x, &self.gamma(), self.epsilon as f32)
    }

    /// `x + y` `[n, width]`, and that sum normalised.
    pub(super) fn forward_sum(&self, x: Tensor<B, 2>, y: Tensor<B, 2>) -> [Tensor<B, 2>; 2] {
        kernel::add_norm(x, y, &self.gamma(), self.epsilon as f32)
    }

    fn gamma(&self) -> Tensor<B, 1> {
        let stored = in_f32(&self.weight);
        if self.offset == 0.0 { stored } else { stored + self.offset }
    }
}

/// A parameter as the kernels take it. A frozen one may be stored in 16 bits; then only the weight at
/// hand is there twice.
pub(super) fn in_f32<B: Backend, const D: usize>(weight: &Param<Tensor<B, D>>) -> Tensor<B, D> {
    let weight = weight.val();
    match weight.dtype() {
        DType::F32 => weight,
        _ => weight.cast(DType::F32),
    }
}

/// A parameter that has a shape and no values yet; they come with `Decoder::with_values`.
pub(super) fn parameter<B: Backend, const D: usize>(
    shape: [usize; D],
    device: &B::Device,
) -> Param<Tensor<B, D>> {
    let zeros = move |device: &B::Device, trainable| {
        Tensor::zeros(shape, device).set_require_grad(trainable)
    };
    Param::uninitialized(ParamId::new(), zeros, device.clone(), true, shape.into())
}
