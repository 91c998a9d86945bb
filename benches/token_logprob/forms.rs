//! The log-probability kernel and the tensor operations that it replaces, from the same logits: what
//! one process of the benchmark measures.

use std::fmt;
use std::str::FromStr;
use std::time::Instant;

use anyhow::Context;
use burn::backend::Autodiff;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor, TensorData};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use wgrpo::device::OnDevice;
use wgrpo::kernel::check::{self, Outcome};
use wgrpo::kernel::{self, Kernels};
use wgrpo::monitor::peak_rss_mib;
use wgrpo::random::Stream;
use wgrpo::readback;

/// Shape of logits: `[rows, vocabulary]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogitShape {
    pub rows: usize,
    pub vocabulary: usize,
}

impl LogitShape {
    pub fn bytes(self) -> u64 {
        (self.rows as u64).saturating_mul(self.vocabulary as u64).saturating_mul(4)
    }
}

impl FromStr for LogitShape {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let sizes =
            text.split_once('x').map(|(rows, vocabulary)| (rows.parse(), vocabulary.parse()));
        match sizes {
            Some((Ok(rows @ 1..), Ok(vocabulary @ 1..))) => Ok(Self { rows, vocabulary }),
            _ => Err("a shape is rows x tokens of the vocabulary, as in 512x50257".into()),
        }
    }
}

impl fmt::Display for LogitShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.rows, self.vocabulary)
    }
}

/// What a process measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "verbatim")]
pub enum Part {
    /// Nothing but the logits, which both forms begin with.
    Logits,
    /// The kernel.
    Kernel,
    /// The tensor operations.
    Composed,
    /// How far the two are apart.
    Difference,
}

/// What a process measured; nothing where it does not apply.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Measured {
    /// Every repeat, forwards and backwards.
    pub seconds: Vec<f64>,
    /// Largest resident memory of the process.
    pub resident_mib: Option<f64>,
    /// What the device's allocator took from the device by the end.
    pub reserved_mib: Option<f64>,
    /// What the device keeps from the forward to the backward pass, beyond the logits.
    pub kept_mib: Option<f64>,
    /// How far the forms are apart, and in what.
    pub largest_difference: Option<(String, f32)>,
}

/// A program that measures one part.
pub struct Forms {
    pub shape: LogitShape,
    pub part: Part,
    pub repeats: usize,
}

impl OnDevice for Forms {
    type Output = anyhow::Result<Measured>;

    fn run<B: Kernels>(self, device: B::Device) -> anyhow::Result<Measured> {
        // Every process compiles and loads both forms, so that what remains of the difference
        // between two of them is tensors.
        Case::<B>::new(LogitShape { rows: 2, vocabulary: 64 }, &device).difference()?;
        let case = Case::<B>::new(self.shape, &device);
        readback::sync_and_check::<B>(&device)?;
        let measured = match self.part {
            Part::Logits => Measured::default(),
            Part::Kernel => case.measure(kernel_form, self.repeats)?,
            Part::Composed => case.measure(composed_form, self.repeats)?,
            Part::Difference => {
                Measured { largest_difference: Some(case.difference()?), ..Measured::default() }
            }
        };
        let reserved = kernel::device_memory::<B>(&device).map(|memory| mib(memory.reserved));
        Ok(Measured { resident_mib: peak_rss_mib(), reserved_mib: reserved, ..measured })
    }
}

type Tracked<B, const D: usize> = Tensor<Autodiff<B>, D>;

/// Log-probabilities and entropies `[n]`.
type Outputs<B> = [Tracked<B, 1>; 2];

type Form<B> = fn(&Case<B>, &Tracked<B, 2>) -> Outputs<B>;

fn kernel_form<B: Kernels>(case: &Case<B>, logits: &Tracked<B, 2>) -> Outputs<B> {
    kernel::logit_logprob(logits, &case.tokens, 1.0)
}

/// What a person would write without the kernel.
fn composed_form<B: Kernels>(case: &Case<B>, logits: &Tracked<B, 2>) -> Outputs<B> {
    let all_logps = log_softmax(logits.clone(), 1);
    let logps = all_logps.clone().gather(1, case.token_ids.clone());
    let entropies = (all_logps.clone().exp() * all_logps).sum_dim(1).neg();
    [logps.squeeze_dim(1), entropies.squeeze_dim(1)]
}

/// Logits, chosen tokens, and a loss that weighs every row differently.
struct Case<B: Kernels> {
    device: B::Device,
    logits: Tensor<B, 2>,
    tokens: Vec<u32>,
    token_ids: Tensor<Autodiff<B>, 2, Int>,
    weights: [Tracked<B, 1>; 2],
}

/// A forward pass, which holds what its backward pass needs.
struct Forward<B: Kernels> {
    logits: Tracked<B, 2>,
    outputs: Outputs<B>,
    loss: Tracked<B, 1>,
}

impl<B: Kernels> Case<B> {
    fn new(shape: LogitShape, device: &B::Device) -> Self {
        let LogitShape { rows, vocabulary } = shape;
        let mut stream = Stream::new(0, 0);
        let tokens: Vec<u32> = (0..rows).map(|_| stream.index_below(vocabulary) as u32).collect();
        let ids: Vec<i32> = tokens.iter().map(|token| *token as i32).collect();
        let mut normal = |count| (0..count).map(|_| stream.normal()).collect::<Vec<f32>>();
        let weights = [0, 1].map(|_| Tensor::from_floats(normal(rows).as_slice(), device));
        // A product, because it exists on the device alone: no copy of it on the way there.
        let of_row = Tensor::<B, 2>::from_data(TensorData::new(normal(rows), [rows, 1]), device);
        let of_token =
            Tensor::<B, 2>::from_data(TensorData::new(normal(vocabulary), [1, vocabulary]), device);
        let token_ids = Tensor::from_data(TensorData::new(ids, [rows, 1]), device);
        Self { device: device.clone(), logits: of_row * of_token, tokens, token_ids, weights }
    }

    fn forward(&self, form: Form<B>) -> Forward<B> {
        let logits = Tensor::from_inner(self.logits.clone()).require_grad();
        let outputs = form(self, &logits);
        let [logps, entropies] = outputs.clone();
        let [of_logps, of_entropies] = self.weights.clone();
        let loss = (logps * of_logps).sum() + (entropies * of_entropies).sum();
        Forward { logits, outputs, loss }
    }

    /// One pass to warm up, whose memory is looked at half-way, and then those that count.
    fn measure(&self, form: Form<B>, repeats: usize) -> anyhow::Result<Measured> {
        let kept_mib = self.kept_mib(form)?;
        let seconds = (0..repeats).map(|_| self.seconds(form)).collect::<Result<_, _>>()?;
        Ok(Measured { seconds, kept_mib, ..Measured::default() })
    }

    fn kept_mib(&self, form: Form<B>) -> anyhow::Result<Option<f64>> {
        let before = self.in_use()?;
        let forward = self.forward(form);
        let after = self.in_use()?;
        forward.backward()?;
        Ok(before.zip(after).map(|(before, after)| mib(after.saturating_sub(before))))
    }

    fn in_use(&self) -> anyhow::Result<Option<u64>> {
        readback::sync_and_check::<B>(&self.device)?;
        Ok(kernel::device_memory::<B>(&self.device).map(|memory| memory.in_use))
    }

    fn seconds(&self, form: Form<B>) -> anyhow::Result<f64> {
        readback::sync_and_check::<B>(&self.device)?;
        let began = Instant::now();
        // Held until the device is done: fusion leaves out what nobody can read any more.
        let _results = self.forward(form).backward()?;
        readback::sync_and_check::<B>(&self.device)?;
        Ok(began.elapsed().as_secs_f64())
    }

    /// Where the two forms differ most, gradients included.
    fn difference(&self) -> anyhow::Result<(String, f32)> {
        let composed = self.forward(composed_form).outcomes()?;
        let differences = check::differences(&self.forward(kernel_form).outcomes()?, &composed);
        let largest = differences.iter().max_by(|a, b| a.largest.total_cmp(&b.largest));
        let largest = largest.context("nothing was compared")?;
        Ok((largest.operation.to_owned(), largest.largest))
    }
}

impl<B: Kernels> Forward<B> {
    /// The gradient of the logits, with the outputs.
    fn backward(self) -> anyhow::Result<(Tensor<B, 2>, Outputs<B>)> {
        let gradient = self.logits.grad_remove(&mut self.loss.backward());
        Ok((gradient.context("the logits have no gradient")?, self.outputs))
    }

    fn outcomes(self) -> anyhow::Result<Vec<Outcome>> {
        let (gradient, [logps, entropies]) = self.backward()?;
        Ok(vec![
            ("log-probability", read(logps.inner())?),
            ("entropy", read(entropies.inner())?),
            ("gradient", read(gradient)?),
        ])
    }
}

fn read<B: Kernels, const D: usize>(tensor: Tensor<B, D>) -> anyhow::Result<Vec<f32>> {
    tensor.into_data().into_vec().map_err(|error| anyhow::anyhow!("{error:?}"))
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
