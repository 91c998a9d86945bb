//! Decoders: their shape, their weights, and what training asks of them.
//!
//! This room knows tokens, hidden states and log-probabilities; it knows nothing of rewards.

mod adapter;
mod base;
mod config;
mod decoder;
mod error;
mod folder;
mod gguf;
mod kv_cache;
mod layer;
mod linear;
mod lora;
mod mapped;
mod packing;
mod parameters;
mod pass;
mod policy;
mod reference;
mod segments;
mod weights;

use config::Rotation;

pub use adapter::{ADAPTER_CONFIG, ADAPTER_FILES, Adapter, Merged};
pub use base::Base;
pub use config::{
    Family, Gate, LayerType, ModelConfig, ModelConfigError, RopeScaling, find_model, is_gguf,
};
pub use decoder::Decoder;
pub use error::ModelError;
pub use folder::{LoadedModel, describe, tensors_left_out};
pub use gguf::{FileType, GgufError, ModelFiles, write as write_gguf};
pub use kv_cache::KvCache;
pub use lora::{LoraConfig, MOST_RANK, TARGETS, UpdatePass, is_of_adapter};
pub use packing::{Newest, NextTokens, Packed, PackedCompletions, PromptGroup};
pub use parameters::{Parameter, ParameterMapper, ParameterVisitor, Source};
pub use policy::{TokenLogps, WeightStorage};
pub use reference::Reference;
pub use segments::{Gradients, TrainingPass};
pub use weights::{
    Place, TensorFile, TensorType, Weights, WeightsError, save_places, save_readings, save_tensors,
};
