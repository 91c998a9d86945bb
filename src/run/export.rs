//! What was trained, in the form that other programs open, read again and compared before it counts.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::RunError;
use super::card::Card;
use super::compared::{Apart, Written};
use super::open::{adapted, base_of_run, find_adapter, saved_model};
use crate::device::Limits;
use crate::files::{PartialFile, write_atomically};
use crate::kernel::Kernels;
use crate::model::{
    ADAPTER_FILES, FileType, LoadedModel, ModelError, ModelFiles, WeightsError, write_gguf,
};
use crate::text::Tokenizer;

/// The forms of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A Hugging Face folder of a whole model, adapter merged.
    HuggingFace,
    /// An adapter's folder, as PEFT saves one.
    Peft,
    /// A file of llama.cpp's, of a whole model.
    Gguf(FileType),
}

/// What an export came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Exported {
    /// The folder or file.
    pub path: PathBuf,
    /// Tokens that the model wrote, by which the export was compared with it.
    pub tokens: usize,
    /// The mean difference of their log-probabilities, in nats.
    pub difference: f64,
}

/// Writes what a run trained to `output`, opens that again and compares log-probabilities.
///
/// # Errors
/// A run without a model; a form that the model has no place in; a file that cannot be written; an export that does
/// not compute what the model does: it is left for a look, and named.
pub fn export<B: Kernels>(
    folder: &Path,
    output: &Path,
    form: Form,
    device: &B::Device,
    limits: &Limits,
) -> Result<Exported, RunError> {
    let model = saved_model::<B>(folder, device, limits)?;
    let card = Card::of(folder, form);
    match form {
        Form::HuggingFace => {
            model.save(output)?;
            write(&output.join("README.md"), card.text(&model.config).as_bytes())?;
        }
        Form::Peft => {
            copy_adapter(folder, output)?;
            write(&output.join("README.md"), card.text(&model.config).as_bytes())?;
        }
        Form::Gguf(file_type) => write_file(&model, output, file_type, &card.title())?,
    }
    let again = match form {
        // On the base that it was trained on, stored as it was then.
        Form::Peft => adapted::<B>(output, base_of_run(folder), device, limits)?,
        _ => saved_model::<B>(output, device, limits)?,
    };
    let written = Written::by(&model.decoder, &model.config, vec![beginning(&model.tokenizer)])?;
    let Apart { tokens, mean: difference, .. } = written.apart(&again.decoder)?;
    match difference <= allowed(form) {
        true => Ok(Exported { path: output.into(), tokens, difference }),
        false => Err(RunError::OtherNumbers { path: output.into(), difference }),
    }
}

/// More than rounding to the form's type explains, as a mean over tokens that the model itself wrote.
fn allowed(form: Form) -> f64 {
    match form {
        Form::HuggingFace | Form::Gguf(FileType::F32) => 1e-3,
        Form::Peft | Form::Gguf(FileType::F16) => 0.02,
        Form::Gguf(FileType::Bf16) => 0.1,
        Form::Gguf(FileType::Q8_0) => 0.3,
        Form::Gguf(FileType::Q4_0) => 3.0,
    }
}

/// A prompt of one token, with which any text may begin.
fn beginning(tokenizer: &Tokenizer) -> Vec<u32> {
    vec![tokenizer.bos_id().or(tokenizer.eos_ids().first().copied()).unwrap_or(0)]
}

fn copy_adapter(folder: &Path, output: &Path) -> Result<(), RunError> {
    let adapter =
        find_adapter(folder).ok_or_else(|| RunError::NoAdapter { folder: folder.into() })?;
    let failed = |path: PathBuf| move |source| ModelError::Write { path, source };
    std::fs::create_dir_all(output).map_err(failed(output.into()))?;
    for name in ADAPTER_FILES {
        let path = adapter.join(name);
        let bytes = std::fs::read(&path)
            .map_err(|source| RunError::Input { path: path.clone(), source })?;
        write(&output.join(name), &bytes)?;
    }
    Ok(())
}

fn write_file<B: Kernels>(
    model: &LoadedModel<B>,
    output: &Path,
    file_type: FileType,
    name: &str,
) -> Result<(), RunError> {
    let unwritten = |source| ModelError::Write { path: output.into(), source };
    let [tokenizer, tokenizer_config] =
        model.tokenizer.to_texts().map_err(|text| unwritten(io::Error::other(text)))?;
    let parsed = |text: String| serde_json::from_str::<Value>(&text).map_err(io::Error::other);
    let files = ModelFiles {
        name,
        config: &model.config.to_hf_json(),
        tokenizer: &parsed(tokenizer).map_err(unwritten)?,
        tokenizer_config: &parsed(tokenizer_config).map_err(unwritten)?,
        chat_template: model.tokenizer.chat_template(),
    };
    if let Some(parent) = output.parent() {
        std::fs::create_dir_all(parent).map_err(unwritten)?;
    }
    let mut file = PartialFile::create(output).map_err(unwritten)?;
    let (layout, values) = model.decoder.tensors();
    let values = values.into_iter().map(|read| read().map_err(io::Error::other));
    let written = write_gguf(&mut file, &files, file_type, &layout, values);
    written.map_err(|error| ModelError::from(WeightsError::from(error)))?;
    Ok(file.commit().map_err(unwritten)?)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), RunError> {
    let failed = |source| ModelError::Write { path: path.into(), source };
    Ok(write_atomically(path, bytes).map_err(failed)?)
}
