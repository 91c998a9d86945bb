//! What an operation is: a value that says its name, its shapes, how the CPU computes it and how its
//! gradient follows.

use std::borrow::Cow;
use std::fmt::Debug;
use std::ops::Deref;

use burn::tensor::Shape;
use burn::tensor::ops::FloatTensor;

use super::Kernels;
#[cfg(feature = "cube")]
pub use super::cube::GpuForm;

/// Builds without a GPU ask for no GPU form.
#[cfg(not(feature = "cube"))]
pub trait GpuForm<const I: usize, const O: usize> {}

#[cfg(not(feature = "cube"))]
impl<T, const I: usize, const O: usize> GpuForm<I, O> for T {}

/// An operation from `I` tensors of f32 to `O`. A value of the type holds everything else it depends on.
///
/// Its form for GPUs is the `GpuForm` in the file of the same name in `kernel/cube`.
pub trait Op<const I: usize, const O: usize>:
    GpuForm<I, O> + Clone + Debug + Send + Sync + 'static
{
    /// Its name in Burn's fusion and in messages.
    const NAME: &'static str;

    /// So many inputs, from the first on, are given up: the body gets them without a copy where nobody
    /// else holds them, and may write over them.
    const IN_PLACE: usize = 0;

    /// Shapes of the outputs. A gradient that is not needed has no elements.
    fn shapes(&self, inputs: [&Shape; I]) -> [Shape; O];

    /// The CPU body, which is the reference of every other: elements of the outputs in row-major order.
    fn cpu(&self, inputs: [Elements; I]) -> [Vec<f32>; O];

    /// What the gradients of the inputs that `needs` names will be computed from; `None` where the
    /// outputs are constants to the gradient.
    fn keeps(needs: [bool; I]) -> Option<Keeps<I>> {
        let _ = needs;
        None
    }

    /// Gradients of the inputs that `needs` names, at least one, and of no other, from that of the first
    /// output. The other outputs are constants.
    fn gradients<B: Kernels>(
        &self,
        saved: Saved<FloatTensor<B>, I, O>,
        dout: FloatTensor<B>,
        needs: [bool; I],
    ) -> [Option<FloatTensor<B>>; I] {
        let _ = (saved, dout, needs);
        [const { None }; I]
    }
}

/// A tensor's elements in row-major order, and its shape.
#[derive(Debug, Clone)]
pub struct Elements<'a> {
    values: Cow<'a, [f32]>,
    shape: Shape,
}

impl<'a> Elements<'a> {
    /// Elements of a shape that they fill.
    pub fn new(values: impl Into<Cow<'a, [f32]>>, shape: Shape) -> Self {
        let values = values.into();
        assert!(values.len() == shape.num_elements(), "{} elements of {shape:?}", values.len());
        Self { values, shape }
    }

    /// The shape.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The sizes of a tensor that has so many dimensions.
    pub fn dims<const D: usize>(&self) -> [usize; D] {
        self.shape.dims()
    }

    /// The elements; without a copy where the operation was given them for good.
    pub fn into_vec(self) -> Vec<f32> {
        self.values.into_owned()
    }

    /// Flags and token counts, which a device holds as floats like everything else.
    pub fn counts(&self) -> Vec<u32> {
        self.values.iter().map(|value| *value as u32).collect()
    }
}

impl Deref for Elements<'_> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.values
    }
}

/// What is held from the forward to the backward pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keeps<const I: usize> {
    inputs: [bool; I],
    outputs: bool,
}

impl<const I: usize> Keeps<I> {
    /// No tensor.
    pub const NOTHING: Self = Self { inputs: [false; I], outputs: false };
    /// All inputs.
    pub const INPUTS: Self = Self { inputs: [true; I], outputs: false };
    /// All inputs and outputs.
    pub const EVERYTHING: Self = Self { inputs: [true; I], outputs: true };

    /// Some inputs.
    pub fn some(inputs: [bool; I]) -> Self {
        Self { inputs, outputs: false }
    }
}

/// Tensors held for the backward pass, and the shapes of all inputs.
#[derive(Debug, Clone)]
pub struct Saved<F, const I: usize, const O: usize> {
    shapes: [Shape; I],
    inputs: [Option<F>; I],
    outputs: Option<[F; O]>,
    keeps_outputs: bool,
}

impl<F: Clone, const I: usize, const O: usize> Saved<F, I, O> {
    /// What is kept of `inputs`, whose outputs are not there yet.
    pub(super) fn of(keeps: Keeps<I>, shapes: [Shape; I], inputs: &[F; I]) -> Self {
        let inputs = std::array::from_fn(|i| keeps.inputs[i].then(|| inputs[i].clone()));
        Self { shapes, inputs, outputs: None, keeps_outputs: keeps.outputs }
    }

    /// And what is kept of the outputs.
    pub(super) fn and(mut self, outputs: &[F; O]) -> Self {
        self.outputs = self.keeps_outputs.then(|| outputs.clone());
        self
    }

    /// The shape of input `i`, which is there whatever was kept.
    pub fn shape(&self, i: usize) -> &Shape {
        &self.shapes[i]
    }

    /// Input `i`.
    pub fn input(&self, i: usize) -> F {
        match &self.inputs[i] {
            Some(input) => input.clone(),
            None => panic!("a gradient asks for input {i}, which its operation does not keep"),
        }
    }

    /// All inputs.
    pub fn inputs(&self) -> [F; I] {
        std::array::from_fn(|i| self.input(i))
    }

    /// All outputs.
    pub fn outputs(&self) -> [F; O] {
        match &self.outputs {
            Some(outputs) => outputs.clone(),
            None => panic!("a gradient asks for outputs, which its operation does not keep"),
        }
    }
}

/// The shape of a gradient, which has no elements where nobody needs it.
pub fn needed(needs: bool, shape: &Shape) -> Shape {
    if needs { shape.clone() } else { Shape::new([0]) }
}

/// The outputs that were needed.
pub fn only<F, const I: usize>(needs: [bool; I], gradients: [F; I]) -> [Option<F>; I] {
    let mut needs = needs.into_iter();
    gradients.map(|gradient| needs.next().unwrap_or_default().then_some(gradient))
}
