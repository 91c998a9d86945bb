//! Every operation on small inputs, so that two backends can be held against each other.

use std::sync::Arc;

use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;
use burn::tensor::{Shape, TensorData, TensorMetadata};

use super::group_rule::pivot_draw;
use super::op::{Elements, Saved};
use super::ops::every_operation;
use super::stored::{Storage, encode_rows};
use super::{Kernels, Op};

/// An operation on small inputs: a row of the list of operations.
#[derive(Debug, Clone)]
pub struct Case<T, const I: usize> {
    /// What it is called in the table; one title, or one for each column of the output.
    pub titles: Vec<&'static str>,
    /// The operation.
    pub op: T,
    /// What it is given.
    pub inputs: [Elements<'static>; I],
    /// Whether its gradients are looked at, where it has some.
    pub has_gradients: bool,
    /// The numbers that output `i`, or input `i` where it is given up, stands for.
    pub read_by: fn(usize, Vec<f32>) -> Vec<f32>,
}

impl<T, const I: usize> Case<T, I> {
    /// An operation on these inputs, with its gradients.
    pub fn new(title: &'static str, op: T, inputs: [Elements<'static>; I]) -> Self {
        let read_by = |_, numbers| numbers;
        Self { titles: vec![title], op, inputs, has_gradients: true, read_by }
    }

    /// The same, some of whose tensors are words of numbers.
    pub fn read_by(self, read_by: fn(usize, Vec<f32>) -> Vec<f32>) -> Self {
        Self { read_by, ..self }
    }

    /// The same, the columns of the output under titles of their own: they differ in size.
    pub fn in_columns(self, titles: &[&'static str]) -> Self {
        Self { titles: titles.to_vec(), ..self }
    }

    /// The same forwards only.
    pub fn without_gradients(self) -> Self {
        Self { has_gradients: false, ..self }
    }
}

/// Whatever wants to see every operation.
pub trait Visitor {
    /// Looks at one.
    fn visit<T: Op<I, O>, const I: usize, const O: usize>(&mut self, case: Case<T, I>);
}

/// What an operation gave: its name and all of its numbers, gradients included.
pub type Outcome = (&'static str, Vec<f32>);

/// How far two backends are apart in one operation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// The operation.
    pub operation: &'static str,
    /// Largest |a − b| over the reference's largest |b|; infinite where a number is not finite.
    pub largest: f32,
}

/// Runs every operation, forwards and backwards, on `device`.
pub fn outcomes<B: Kernels>(device: &B::Device) -> Vec<Outcome> {
    let mut collected = Collected::<B> { device, outcomes: Vec::new() };
    every_operation(&mut collected);
    collected.outcomes
}

struct Collected<'a, B: Kernels> {
    device: &'a B::Device,
    outcomes: Vec<Outcome>,
}

impl<B: Kernels> Visitor for Collected<'_, B> {
    fn visit<T: Op<I, O>, const I: usize, const O: usize>(&mut self, case: Case<T, I>) {
        if let [title] = case.titles[..] {
            return self.note(title, numbers::<B, T, I, O>(&case, self.device));
        }
        let columns = case.titles.len();
        let numbers = numbers::<B, T, I, O>(&case, self.device);
        for (column, title) in case.titles.iter().enumerate() {
            self.note(title, numbers.iter().skip(column).step_by(columns).copied().collect());
        }
    }
}

impl<B: Kernels> Collected<'_, B> {
    /// Several cases of one title are one outcome.
    fn note(&mut self, title: &'static str, numbers: Vec<f32>) {
        match self.outcomes.iter_mut().find(|outcome| outcome.0 == title) {
            Some((_, all)) => all.extend(numbers),
            None => self.outcomes.push((title, numbers)),
        }
    }
}

fn numbers<B: Kernels, T: Op<I, O>, const I: usize, const O: usize>(
    case: &Case<T, I>,
    device: &B::Device,
) -> Vec<f32> {
    let mut numbers = forward::<B, T, I, O>(case, device);
    if case.has_gradients && T::keeps([true; I]).is_some() {
        for needs in every_need() {
            let gradients = gradients::<B, T, I, O>(case, device, needs);
            numbers.extend(gradients.into_iter().flatten().flatten());
        }
    }
    numbers
}

/// Outputs, and once more the inputs that the operation may write over: here somebody else holds them too,
/// who must not see them change.
fn forward<B: Kernels, T: Op<I, O>, const I: usize, const O: usize>(
    case: &Case<T, I>,
    device: &B::Device,
) -> Vec<f32> {
    let inputs = case.inputs.each_ref().map(|input| upload::<B>(input, device));
    let held = inputs[..T::IN_PLACE].to_vec();
    let outputs = B::run(case.op.clone(), inputs);
    let numbers = |(i, tensor)| (case.read_by)(i, read::<B>(tensor));
    let held = held.into_iter().enumerate();
    outputs.into_iter().enumerate().chain(held).flat_map(numbers).collect()
}

/// The gradients that are needed, for a loss that weighs every output differently.
pub(super) fn gradients<B: Kernels, T: Op<I, O>, const I: usize, const O: usize>(
    case: &Case<T, I>,
    device: &B::Device,
    needs: [bool; I],
) -> [Option<Vec<f32>>; I] {
    let Some(keeps) = T::keeps(needs) else { return [const { None }; I] };
    let inputs = case.inputs.each_ref().map(|input| upload::<B>(input, device));
    let saved = Saved::of(keeps, inputs.each_ref().map(TensorMetadata::shape), &inputs);
    let outputs = B::run(case.op.clone(), inputs);
    let dout = upload::<B>(&noise(outputs[0].shape().to_vec(), 99), device);
    let saved = saved.and(&outputs);
    case.op.gradients::<B>(saved, dout, needs).map(|gradient| gradient.map(read::<B>))
}

/// All inputs, and then each one alone.
pub(super) fn every_need<const I: usize>() -> Vec<[bool; I]> {
    let alone = (0..if I > 1 { I } else { 0 }).map(|i| std::array::from_fn(|j| i == j));
    std::iter::once([true; I]).chain(alone).collect()
}

fn upload<B: Backend>(elements: &Elements, device: &B::Device) -> FloatTensor<B> {
    let data = TensorData::new(elements.to_vec(), elements.shape().clone());
    B::float_from_data(data, device)
}

fn read<B: Backend>(tensor: FloatTensor<B>) -> Vec<f32> {
    match burn::tensor::read_sync(B::float_into_data(tensor)) {
        Ok(data) => data.iter().collect(),
        Err(error) => panic!("a tensor could not be read back: {error:?}"),
    }
}

/// Holds the outcomes of one backend against those of the reference, operation by operation.
pub fn differences(outcomes: &[Outcome], reference: &[Outcome]) -> Vec<Difference> {
    assert_eq!(outcomes.len(), reference.len(), "the outcomes of one list of operations");
    let pairs = outcomes.iter().zip(reference);
    let difference = |((operation, got), (_, want)): (&Outcome, &Outcome)| Difference {
        operation,
        largest: largest_difference(got, want),
    };
    pairs.map(difference).collect()
}

fn largest_difference(got: &[f32], want: &[f32]) -> f32 {
    let size = want.iter().fold(0.0_f32, |size, number| size.max(number.abs()));
    let all_finite = got.iter().chain(want).all(|number| number.is_finite());
    if got.len() != want.len() || !all_finite {
        return f32::INFINITY;
    }
    let distances = got.iter().zip(want).map(|(got, want)| (got - want).abs());
    distances.fold(0.0, f32::max) / if size > 0.0 { size } else { 1.0 }
}

/// Tokens of most cases.
pub const N: usize = 70;

/// Width of their activations.
pub const WIDTH: usize = 96;

/// Numbers in (−1, 1) that are the same everywhere.
pub fn noise(shape: impl Into<Shape>, seed: u32) -> Elements<'static> {
    let shape = shape.into();
    let number = |i| (pivot_draw(seed, i) >> 8) as f32 / (1u32 << 23) as f32 - 1.0;
    Elements::new((0..shape.num_elements() as u32).map(number).collect::<Vec<f32>>(), shape)
}

/// The words of a weight of noise `[output, input]` in few bits.
pub fn stored_noise([output, input]: [usize; 2], storage: Storage, seed: u32) -> Elements<'static> {
    let mut words = Vec::new();
    encode_rows(&noise([output, input], seed), input, storage, &mut words);
    let shape = Shape::new([words.len()]);
    Elements::new(words, shape)
}

/// A token of the vocabulary for each of [`N`] rows.
pub fn tokens(vocabulary: u32) -> Arc<[u32]> {
    (0..N as u32).map(|i| pivot_draw(30, i) % vocabulary).collect()
}

/// Rewards, valid and lengths of 12 groups of 6, some of whose rollouts are not scored.
pub fn group_table() -> [Elements<'static>; 3] {
    let rewards = noise([12, 6], 22).iter().map(|x| (2.0 * x).round()).collect();
    let valid = (0..72).map(|i| if i % 11 == 5 { 0.0 } else { 1.0 }).collect();
    let lengths = (0..72).map(|i| (1 + i * 7 % 13) as f32).collect();
    [rewards, valid, lengths].map(|values: Vec<f32>| Elements::new(values, Shape::new([12, 6])))
}

#[cfg(all(test, feature = "ndarray"))]
mod tests {
    use super::*;

    #[test]
    fn every_operation_gives_numbers_that_are_finite_and_not_all_zero() {
        for (operation, numbers) in outcomes::<burn::backend::NdArray>(&Default::default()) {
            assert!(numbers.iter().all(|number| number.is_finite()), "{operation}");
            assert!(numbers.iter().any(|number| *number != 0.0), "{operation}");
        }
    }

    #[test]
    fn a_difference_is_measured_against_the_largest_number_and_nan_is_never_small() {
        let reference = [("x", vec![0.001, -2.0])];
        let largest = |got: Vec<f32>| differences(&[("x", got)], &reference)[0].largest;
        assert_eq!(largest(vec![0.001, -2.0]), 0.0);
        assert_eq!(largest(vec![0.101, -2.0]), 0.05);
        assert_eq!(largest(vec![f32::NAN, -2.0]), f32::INFINITY);
        assert_eq!(largest(vec![0.001]), f32::INFINITY);
    }
}
