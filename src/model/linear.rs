//! What a layer is made of: linear maps and norms, and how their parameters begin and are read.

use burn::module::{Module, Param, ParamId};
use burn::tensor::{DType, Tensor, backend::Backend};

use super::lora::{LoraConfig, UpdatePass};
use crate::kernel::stored::StoredWeight;
use crate::kernel::{self, Kernels, PackedWeight, Weight};

/// `y = x·Wᵀ + b`, with a bias only where the family has one; and a matrix from which rows are taken, as
/// embeddings are.
#[derive(Module, Debug)]
pub(super) struct Linear<B: Backend> {
    /// The matrix as a parameter,
    weight: Option<Param<Tensor<B, 2>>>,
    /// or frozen in few bits.
    stored: Option<StoredWeight<B>>,
    bias: Option<Param<Tensor<B, 1>>>,
    lora_a: Option<Factor<B>>,
    lora_b: Option<Factor<B>>,
    lora_scale: f64,
    lora_dropout: f64,
    /// Its number among the matrices of its decoder.
    lora_number: usize,
    /// The weight once more, in a decoder for inference.
    packed: Option<PackedWeight<B>>,
}

/// One of the two matrices of a low-rank adapter.
#[derive(Module, Debug)]
struct Factor<B: Backend> {
    weight: Param<Tensor<B, 2>>,
    /// The same once more, in a decoder for inference.
    packed: Option<PackedWeight<B>>,
}

impl<B: Backend> Factor<B> {
    fn new(shape: [usize; 2], device: &B::Device) -> Self {
        Self { weight: parameter(shape, device), packed: None }
    }
}

impl<B: Kernels> Factor<B> {
    /// As products take it.
    fn as_weight(&self) -> Weight<B> {
        match &self.packed {
            Some(packed) => Weight::Packed(packed.clone()),
            None => Weight::Rows(in_f32(&self.weight)),
        }
    }

    fn pack(&mut self) {
        if self.packed.is_none() {
            self.packed = PackedWeight::of(&self.as_weight());
        }
    }
}

impl<B: Backend> Linear<B> {
    /// A map of `shape`, `[output, input]`, without values yet.
    pub(super) fn new(shape: [usize; 2], bias: bool, device: &B::Device) -> Self {
        Self {
            weight: Some(parameter(shape, device)),
            stored: None,
            bias: bias.then(|| parameter([shape[0]], device)),
            lora_a: None,
            lora_b: None,
            lora_scale: 0.0,
            lora_dropout: 0.0,
            lora_number: 0,
            packed: None,
        }
    }

    /// Output and input.
    pub(super) fn shape(&self) -> [usize; 2] {
        match (&self.weight, &self.stored) {
            (Some(weight), _) => weight.lazy_shape().dims(),
            (None, Some(stored)) => stored.shape(),
            (None, None) => unreachable!("{NO_WEIGHT}"),
        }
    }

    /// The device of the weight.
    pub(super) fn device(&self) -> B::Device {
        match (&self.weight, &self.stored) {
            (Some(weight), _) => weight.lazy_device(),
            (None, Some(stored)) => stored.words().device(),
            (None, None) => unreachable!("{NO_WEIGHT}"),
        }
    }

    /// Puts a frozen weight of the same shape in the place of the parameter.
    pub(super) fn store(&mut self, weight: StoredWeight<B>) {
        assert_eq!(weight.shape(), self.shape(), "a stored weight of another shape");
        self.weight = None;
        self.stored = Some(weight);
    }

    /// Adds `scale · B·A` to the weight, of so many rows of A; both are yet without values.
    pub(super) fn adapt(&mut self, lora: &LoraConfig, number: usize) {
        let ([output, input], device) = (self.shape(), self.device());
        self.lora_a = Some(Factor::new([lora.rank, input], &device));
        self.lora_b = Some(Factor::new([output, lora.rank], &device));
        (self.lora_scale, self.lora_dropout) = (lora.scale(), lora.dropout);
        self.lora_number = number;
    }

    /// Takes the adapter away.
    pub(super) fn without_adapter(&mut self) {
        (self.lora_a, self.lora_b) = (None, None);
    }

    /// Whether its matrix is differentiated.
    pub(super) fn is_trained(&self) -> bool {
        self.weight.as_ref().is_some_and(|weight| weight.is_require_grad())
    }

    /// Whether its weight is more than one parameter as it stands.
    pub(super) fn is_composed(&self) -> bool {
        self.stored.is_some() || self.lora_a.is_some()
    }
}

const NO_WEIGHT: &str = "a linear map has its weight in one of two forms";

impl<B: Kernels> Linear<B> {
    /// `[n, output]` of `x` `[n, input]`, in an update or elsewhere.
    pub(super) fn forward(&self, x: &Tensor<B, 2>, update: Option<UpdatePass>) -> Tensor<B, 2> {
        self.finished(x, self.as_weight().linear(x), update)
    }

    /// Three maps of one `x` `[n, input]`.
    pub(super) fn forward_all(
        maps: [&Self; 3],
        x: &Tensor<B, 2>,
        update: Option<UpdatePass>,
    ) -> [Tensor<B, 2>; 3] {
        let mut outputs = kernel::linears(x, maps.map(Self::as_weight)).into_iter();
        maps.map(|map| match outputs.next() {
            Some(y) => map.finished(x, y, update),
            None => unreachable!("an output for each map"),
        })
    }

    /// `silu(gate) · up` of two maps of one `x` `[n, input]`.
    pub(super) fn gated(
        [gate, up]: [&Self; 2],
        x: &Tensor<B, 2>,
        update: Option<UpdatePass>,
    ) -> Tensor<B, 2> {
        match [gate, up].iter().any(|map| map.bias.is_some() || map.lora_a.is_some()) {
            true => kernel::swiglu(&gate.forward(x, update), &up.forward(x, update)),
            false => kernel::gated_linear(x, gate.as_weight(), up.as_weight()),
        }
    }

    /// The weight alone, as products take it.
    pub(super) fn as_weight(&self) -> Weight<B> {
        match &self.packed {
            Some(packed) => Weight::Packed(packed.clone()),
            None => self.base(),
        }
    }

    /// The weight alone, whose rows can be taken.
    pub(super) fn base(&self) -> Weight<B> {
        match (&self.weight, &self.stored) {
            (Some(weight), _) => Weight::Rows(in_f32(weight)),
            (None, Some(stored)) => Weight::Stored(stored.clone()),
            (None, None) => unreachable!("{NO_WEIGHT}"),
        }
    }

    /// What the weight gave of `x`, with what the adapter and the bias add.
    fn finished(
        &self,
        x: &Tensor<B, 2>,
        y: Tensor<B, 2>,
        update: Option<UpdatePass>,
    ) -> Tensor<B, 2> {
        let y = match (&self.lora_a, &self.lora_b) {
            (Some(a), Some(b)) => {
                let inner = a.as_weight().linear(&self.dropped_out(x, update));
                kernel::add_linear(y, &inner, &b.as_weight(), self.lora_scale as f32)
            }
            _ => y,
        };
        match &self.bias {
            Some(bias) => y + in_f32(bias).unsqueeze(),
            None => y,
        }
    }

    /// What the adapter takes of `x`: in an update, less what is left out at random.
    fn dropped_out(&self, x: &Tensor<B, 2>, update: Option<UpdatePass>) -> Tensor<B, 2> {
        match update {
            Some(update) if self.lora_dropout > 0.0 => {
                kernel::dropout(x, update.dropout(self.lora_dropout, self.lora_number))
            }
            _ => x.clone(),
        }
    }

    /// The matrix `[output, input]` that it multiplies by, adapter included.
    pub(super) fn merged(&self) -> Tensor<B, 2> {
        let weight = self.base().matrix();
        match (&self.lora_a, &self.lora_b) {
            (Some(a), Some(b)) => {
                let a_t = Weight::Rows(in_f32(&a.weight).transpose());
                kernel::add_linear(weight, &in_f32(&b.weight), &a_t, self.lora_scale as f32)
            }
            _ => weight,
        }
    }

    /// Packs the weight and what an adapter adds to it.
    pub(super) fn pack(&mut self) {
        [&mut self.lora_a, &mut self.lora_b].into_iter().flatten().for_each(Factor::pack);
        if self.packed.is_none() {
            self.packed = PackedWeight::of(&self.base());
        }
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
