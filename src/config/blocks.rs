//! The blocks of a run that belong to no other room.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::advantage::{AlphaMode, GpgAlpha};
use crate::kernel::ComputeDtype;
use crate::model::{Base, LoraConfig, ModelConfig, TARGETS, WeightStorage};
use crate::train::{DrawWindow, OnExhausted, Surplus};

/// The `model:` block: a Hugging Face folder, or a new model over characters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelBlock {
    /// A model folder to start from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// Characters of a new model's tokenizer, a token each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alphabet: Option<String>,
    /// Sizes of a new model, under Hugging Face's names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<ModelConfig>,
}

/// The `lora:` block: an adapter is trained, and the model stays as it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LoraBlock {
    /// Rows of A and columns of B, the adapter's two matrices.
    pub rank: usize,
    /// The adapter's part is multiplied by alpha / rank.
    pub alpha: f64,
    /// The matrices of a layer that have an adapter; all seven where left out.
    pub targets: Vec<String>,
    /// Whether it is multiplied by alpha / √rank instead.
    pub rslora: bool,
    /// The share of the adapter's inputs that an update leaves out at random; generation leaves out none.
    pub dropout: f64,
    /// The numbers of the saved adapter: f32, bf16 or f16; it is trained in f32.
    pub dtype: WeightStorage,
    /// How the model is stored meanwhile: auto (16 bits), f32, bf16, f16, q8_0 or q4_0.
    pub base: Base,
    /// An adapter to go on from, as PEFT saves it; its rank, alpha and matrices are then its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adapter: Option<PathBuf>,
    /// Whether that one becomes part of the model first, and a fresh one is trained; then the whole model is saved,
    /// since the fresh adapter belongs to none that lies in a folder.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub merge_adapter: bool,
    /// Whether a whole model with the adapter merged is saved, too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub save_merged: bool,
}

impl Default for LoraBlock {
    fn default() -> Self {
        Self {
            rank: 16,
            alpha: 32.0,
            targets: TARGETS.map(str::to_owned).into(),
            rslora: false,
            dropout: 0.0,
            dtype: WeightStorage::F32,
            base: Base::Auto,
            adapter: None,
            merge_adapter: false,
            save_merged: false,
        }
    }
}

impl LoraBlock {
    /// The shape of a fresh adapter.
    pub fn shape(&self) -> LoraConfig {
        let Self { rank, alpha, ref targets, rslora, dropout, .. } = *self;
        LoraConfig { rank, alpha, targets: targets.clone(), rslora, dropout }
    }

    /// The adapter that is trained further.
    pub fn continued(&self) -> Option<&Path> {
        self.adapter.as_deref().filter(|_| !self.merge_adapter)
    }

    /// The adapter that becomes part of the model.
    pub fn merged(&self) -> Option<&Path> {
        self.adapter.as_deref().filter(|_| self.merge_adapter)
    }
}

/// The `device:` block.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DeviceBlock {
    /// What to run on, such as `cpu`, `gpu` or `vulkan:1`; `wgrpo devices` lists it all.
    pub name: String,
    /// Most tokens that one forward and backward pass holds: it sets memory and changes no gradient, but for which
    /// inputs `lora.dropout` leaves out.
    pub micro_batch_tokens: usize,
    /// Most tokens whose keys and values are held at once during generation.
    pub cache_tokens: usize,
    /// The memory that the run may take, in MiB. Left out it is the machine's on a CPU, and unknown on a GPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u64>,
    /// How the frozen reference's weights are stored: f32, or f16 or bf16 where the device can.
    pub reference_dtype: WeightStorage,
    /// What the factors of matrix products are rounded to: f32, which is nothing; tf32, which only CUDA's
    /// tensor cores do; bf16, on CPUs with AVX512-BF16 and on CUDA; f16, on GPUs that compute with it, with a factor
    /// on the loss that keeps gradients in its range; auto, the first of bf16, f16 and f32 that there is.
    pub compute_dtype: ComputeDtype,
}

impl Default for DeviceBlock {
    fn default() -> Self {
        Self {
            name: "cpu".into(),
            micro_batch_tokens: 4096,
            cache_tokens: 16_384,
            memory_mib: None,
            reference_dtype: WeightStorage::F32,
            compute_dtype: ComputeDtype::F32,
        }
    }
}

/// The `eval:` block.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EvalBlock {
    /// Training steps between evaluations; 0 evaluates only before and after.
    pub every_steps: u64,
    /// Most held-out problems that are tried; 0 takes all.
    pub problems: usize,
    /// Completions sampled for each problem for pass@k; 0 leaves it out.
    pub samples: usize,
    /// The k of pass@k.
    pub k: usize,
}

impl Default for EvalBlock {
    fn default() -> Self {
        Self { every_steps: 0, problems: 0, samples: 0, k: 1 }
    }
}

/// The `checkpoint:` block.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CheckpointBlock {
    /// Training steps between checkpoints, beside one at the end; 0 writes one only when the run is
    /// interrupted.
    pub save_steps: u64,
    /// Newest checkpoints that are kept.
    pub keep: usize,
    /// What an evaluation must be best by for its model to be kept in `best/`; none keeps none.
    pub keep_best: Option<BestBy>,
}

impl Default for CheckpointBlock {
    fn default() -> Self {
        Self { save_steps: 50, keep: 2, keep_best: None }
    }
}

/// A metric of evaluations, of which more is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum BestBy {
    /// Share of problems that the greedy completion solves.
    #[serde(rename = "eval/accuracy")]
    Accuracy,
    /// Mean total reward of the greedy completions.
    #[serde(rename = "eval/reward")]
    Reward,
    /// Share of problems that one of k samples solves; needs `eval.samples`.
    #[serde(rename = "eval/pass_at_k")]
    PassAtK,
}

/// The `tracking:` block.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrackingBlock {
    /// Completions written to `samples.jsonl` each time.
    pub samples: usize,
    /// Training steps between two times; 0 writes none.
    pub samples_every: u64,
    /// Training steps between two times that a completion is shown on the screen; 0 shows none.
    pub show_every: u64,
}

impl Default for TrackingBlock {
    fn default() -> Self {
        Self { samples: 4, samples_every: 10, show_every: 50 }
    }
}

/// The `gpg:` block: alpha, and the share of groups with a signal to draw prompts for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GpgBlock {
    /// How groups without signal are made up for.
    pub alpha_mode: AlphaMode,
    /// The share of valid groups, of a step's prompts, to draw prompts for; 0 draws once. The
    /// paper's best is 0.6.
    pub beta_th: f64,
    /// The most times that a step's prompts are drawn.
    pub max_rounds: usize,
    /// What happens when the share is missed after that many rounds.
    pub on_exhausted: OnExhausted,
    /// What happens to valid groups beyond a step's prompts.
    pub surplus: Surplus,
}

impl Default for GpgBlock {
    fn default() -> Self {
        let DrawWindow { least_share, max_rounds, on_exhausted, surplus } = DrawWindow::default();
        let alpha_mode = AlphaMode::ValidTokens;
        Self { alpha_mode, beta_th: least_share, max_rounds, on_exhausted, surplus }
    }
}

impl GpgBlock {
    /// How long prompts are drawn.
    pub(super) fn window(&self) -> DrawWindow {
        let Self { beta_th, max_rounds, on_exhausted, surplus, .. } = *self;
        DrawWindow { least_share: beta_th, max_rounds, on_exhausted, surplus }
    }

    /// What the loss is multiplied by.
    pub(super) fn alpha(&self) -> GpgAlpha {
        GpgAlpha { alpha_mode: self.alpha_mode, beta_th: self.beta_th }
    }
}
