//! Low-rank adapters (LoRA; Hu et al. 2021, arXiv 2106.09685): what is trained in the place of a frozen weight.
//!
//! ```text
//! y = x·Wᵀ + s · (x·Aᵀ)·Bᵀ      s = alpha / rank, or alpha / √rank (Kalajdzievski 2023, arXiv 2312.03732)
//! ```

use super::{Decoder, ModelConfig, ModelError, Source};
use crate::kernel::Dropout;
use crate::quote::shown;
use crate::random::Stream;
use burn::tensor::backend::{AutodiffBackend, Backend};

/// Which of a seed's number sequences a fresh adapter comes from.
const FRESH_ADAPTER: u32 = 0x10fa;

/// The matrices of a layer that can have an adapter, by the names of their modules.
pub const TARGETS: [&str; 7] =
    ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

/// More rows than any adapter has a use for.
pub const MOST_RANK: usize = 1024;

/// The shape of an adapter, under PEFT's names.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LoraConfig {
    /// Rows of A and columns of B.
    pub rank: usize,
    /// What the adapter's part is multiplied by, before it is divided by the rank.
    pub alpha: f64,
    /// Which matrices of a layer have one.
    pub targets: Vec<String>,
    /// Whether the division is by the rank's square root.
    pub rslora: bool,
    /// The share of its inputs that is left out at random in an update.
    pub dropout: f64,
}

/// A forward pass of an update: how it is differentiated, and which of a run's it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UpdatePass {
    /// Whether only the input of each layer is kept for the way back.
    pub has_checkpoints: bool,
    /// The run's seed.
    pub seed: u64,
    /// Optimiser steps before it.
    pub step: u64,
    /// Its number among the passes of the step.
    pub number: u32,
}

impl UpdatePass {
    /// What is left out of the inputs of a matrix' adapter.
    pub(super) fn dropout(self, p: f64, matrix: usize) -> Dropout {
        Dropout::new(p, self.seed, [self.step as u32, self.number, matrix as u32])
    }
}

impl LoraConfig {
    /// The factor on the adapter's part.
    pub fn scale(&self) -> f64 {
        let rank = self.rank as f64;
        self.alpha / if self.rslora { rank.sqrt() } else { rank }
    }

    /// Whether the matrix of a module, such as `model.layers.0.mlp.up_proj`, has an adapter.
    pub fn adapts(&self, module: &str) -> bool {
        let last = module.rsplit('.').next().unwrap_or(module);
        self.targets.iter().any(|target| target == last)
    }

    /// The matrices of a model that have an adapter: module, and output and input.
    pub(super) fn matrices(&self, model: &ModelConfig) -> Vec<(String, [usize; 2])> {
        let matrix = |(name, shape): (String, Vec<usize>)| {
            let module = name.strip_suffix(".weight").filter(|module| self.adapts(module))?;
            Some((module.to_owned(), shape.try_into().ok()?))
        };
        model.parameters().into_iter().filter_map(matrix).collect()
    }

    /// Numbers of an adapter of this shape, of a model.
    pub fn parameter_count(&self, model: &ModelConfig) -> usize {
        let sides = self.matrices(model).into_iter().map(|(_, [output, input])| output + input);
        self.rank * sides.sum::<usize>()
    }

    /// Numbers of each matrix of an adapter of this shape, of a model.
    pub fn sizes(&self, model: &ModelConfig) -> Vec<usize> {
        let of_matrix =
            |(_, [output, input]): (_, [usize; 2])| [self.rank * input, output * self.rank];
        self.matrices(model).into_iter().flat_map(of_matrix).collect()
    }

    /// What is wrong with it, after the name of the number or list.
    pub fn fault(&self) -> Option<(&'static str, String)> {
        if !(1..=MOST_RANK).contains(&self.rank) {
            let problem = format!("is {}; give a whole number from 1 to {MOST_RANK}", self.rank);
            return Some(("rank", problem));
        }
        if !(self.alpha > 0.0 && self.alpha <= 1e6) {
            return Some((
                "alpha",
                format!("is {}; give a number above 0 and up to 1e6", self.alpha),
            ));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            let problem = format!("is {}; give a number from 0 to below 1", self.dropout);
            return Some(("dropout", problem));
        }
        let unknown = self.targets.iter().find(|target| !TARGETS.contains(&target.as_str()));
        let problem = match (unknown, self.targets.is_empty()) {
            (Some(unknown), _) => format!("has {:?}", shown(unknown)),
            (None, true) => "is empty".into(),
            (None, false) => return None,
        };
        Some(("targets", format!("{problem}; the matrices of a layer are {}", TARGETS.join(", "))))
    }
}

/// Whether a parameter is one of an adapter's.
pub fn is_of_adapter(name: &str) -> bool {
    name.ends_with(".lora_a.weight") || name.ends_with(".lora_b.weight")
}

impl<B: AutodiffBackend> Decoder<B> {
    /// The decoder with a fresh adapter, which changes nothing yet and is all that is trained: A is uniform as
    /// PEFT draws it, B is zero.
    ///
    /// # Errors
    /// More parameters than there is memory for.
    pub fn with_fresh_adapter(self, lora: &LoraConfig, seed: u64) -> Result<Self, ModelError> {
        let mut stream = Stream::new(seed, FRESH_ADAPTER);
        self.with_adapter(lora, &mut |name, shape| {
            let count: usize = shape.iter().product();
            if name.ends_with("lora_b.weight") {
                return Ok(vec![0.0; count]);
            }
            let bound = 1.0 / (shape[1] as f32).sqrt();
            Ok((0..count).map(|_| bound * (2.0 * stream.uniform() - 1.0)).collect())
        })
    }

    /// The decoder with an adapter whose values `source` gives; nothing else is trained from then on.
    ///
    /// # Errors
    /// Those of `source`.
    pub fn with_adapter(self, lora: &LoraConfig, source: &mut Source) -> Result<Self, ModelError> {
        let adapted = self.adapted(lora, source)?;
        Ok(adapted.freeze(|name| !is_of_adapter(name)))
    }
}

impl<B: Backend> Decoder<B> {
    /// The decoder with an adapter whose values `source` gives, on any backend.
    ///
    /// # Errors
    /// Those of `source`.
    pub fn adapted(mut self, lora: &LoraConfig, source: &mut Source) -> Result<Self, ModelError> {
        for (number, (name, map)) in self.matrices().into_iter().enumerate() {
            if lora.adapts(&name) {
                map.adapt(lora, number);
            }
        }
        self.with_values(is_of_adapter, source)
    }

    /// The decoder as it is without an adapter.
    pub fn without_adapter(mut self) -> Self {
        self.matrices().into_iter().for_each(|(_, map)| map.without_adapter());
        self
    }
}
