//! Writes a model as a GGUF file that llama.cpp loads, tensor after tensor, so that at most one of them is in memory.

mod facts;
mod metadata;
mod plan;
mod scores;
mod special;
mod tokens;

use std::io::{self, Write};

use serde_json::Value;

use super::encoding::write::Encoder;
use super::header::{DEFAULT_ALIGNMENT, MAGIC, VERSION};
use super::{Architecture, GgufError};
use metadata::Metadata;
use plan::Planned;

/// Bytes that are put together before they are written.
const BYTES_AT_ONCE: usize = 1 << 20;

/// How the matrices of a file are stored. Norms and biases stay f32, rows that fill no blocks of 32 stay f16.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileType {
    /// Four bytes a value.
    F32,
    /// Two bytes, as IEEE has it.
    F16,
    /// Two bytes, the upper half of an f32.
    Bf16,
    /// 8.5 bits a value.
    Q8_0,
    /// 4.5 bits a value.
    Q4_0,
}

/// What there is of a model besides its tensors: the files of a Hugging Face folder.
#[derive(Debug, Clone, Copy)]
pub struct ModelFiles<'a> {
    /// The model's name, which programs show.
    pub name: &'a str,
    /// `config.json`.
    pub config: &'a Value,
    /// `tokenizer.json`.
    pub tokenizer: &'a Value,
    /// `tokenizer_config.json`.
    pub tokenizer_config: &'a Value,
    /// `chat_template.jinja`, where there is one; it comes before that of `tokenizer_config.json`.
    pub chat_template: Option<&'a str>,
}

impl FileType {
    /// The name that llama.cpp's tools have for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::Bf16 => "BF16",
            Self::Q8_0 => "Q8_0",
            Self::Q4_0 => "Q4_0",
        }
    }

    /// `general.file_type`.
    fn number(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::Q4_0 => 2,
            Self::Q8_0 => 7,
            Self::Bf16 => 32,
        }
    }

    fn encoder(self) -> Encoder {
        match self {
            Self::F32 => Encoder::F32,
            Self::F16 => Encoder::F16,
            Self::Bf16 => Encoder::Bf16,
            Self::Q8_0 => Encoder::Q8_0,
            Self::Q4_0 => Encoder::Q4_0,
        }
    }
}

/// Writes a model. Nothing is written where the model is refused for its files.
///
/// `layout` has Hugging Face's name and shape of every tensor; `values` yields those of each in turn, row-major, and
/// is asked for the next only when the last is written. An error of theirs comes back as it is in
/// [`GgufError::Write`].
///
/// # Errors
/// [`GgufError::Unwritable`] for a family, a feature or a tokenizer that llama.cpp has no place for here, and for
/// values that the file's type cannot hold; [`GgufError::Write`] where `out` or `values` fail.
///
/// # Panics
/// Values that do not fit the layout.
pub fn write(
    out: &mut impl Write,
    files: &ModelFiles,
    file_type: FileType,
    layout: &[(String, Vec<usize>)],
    values: impl IntoIterator<Item = io::Result<Vec<f32>>>,
) -> Result<(), GgufError> {
    let family = family(files.config)?;
    let plan = plan::plan(family, files.config, file_type, layout)?;
    let mut metadata = Metadata::default();
    facts::put(&mut metadata, family, files, file_type)?;
    tokens::put(&mut metadata, files, rows_of_embedding(layout)?)?;
    out.write_all(&header(&metadata, &plan)?)?;
    let mut values = values.into_iter();
    for tensor in &plan {
        write_tensor(out, tensor, &mut values)?;
    }
    assert!(values.next().is_none(), "more tensors than the layout has");
    Ok(())
}

fn family(config: &Value) -> Result<Architecture, GgufError> {
    let model_type = config["model_type"].as_str().unwrap_or_default();
    Architecture::from_hugging_face(model_type).ok_or_else(|| {
        let known = Architecture::model_types();
        GgufError::unwritable(format!("model_type is {model_type:?}"), format!("{known} can be"))
    })
}

fn rows_of_embedding(layout: &[(String, Vec<usize>)]) -> Result<usize, GgufError> {
    let embedding = "model.embed_tokens.weight";
    let found = layout.iter().find(|(name, _)| name == embedding);
    let rows = found.and_then(|(_, shape)| shape.first()).copied();
    rows.ok_or_else(|| {
        GgufError::unwritable(format!("it has no {embedding}"), "name a whole model")
    })
}

/// Everything before the tensors, up to where the first begins.
fn header(metadata: &Metadata, plan: &[Planned]) -> Result<Vec<u8>, GgufError> {
    let mut bytes = [&MAGIC[..], &VERSION.to_le_bytes()].concat();
    bytes.extend((plan.len() as u64).to_le_bytes());
    bytes.extend(metadata.count().to_le_bytes());
    bytes.extend(metadata.bytes());
    let mut offset = 0usize;
    for tensor in plan {
        tensor.put_info(offset, &mut bytes);
        let larger = || GgufError::unwritable("it is larger than any file", "check its sizes");
        let end = offset.checked_add(tensor.size()).ok_or_else(larger)?;
        offset = end.checked_next_multiple_of(DEFAULT_ALIGNMENT).ok_or_else(larger)?;
    }
    bytes.resize(bytes.len() + padding(bytes.len()), 0);
    Ok(bytes)
}

fn write_tensor(
    out: &mut impl Write,
    tensor: &Planned,
    values: &mut impl Iterator<Item = io::Result<Vec<f32>>>,
) -> Result<(), GgufError> {
    let values = match &tensor.known {
        Some(values) => values.clone(),
        None => values.next().transpose()?.unwrap_or_default(),
    };
    assert_eq!(values.len(), tensor.count(), "values of tensor {}", tensor.name);
    let mut bytes = Vec::new();
    for row in 0..tensor.rows() {
        if !tensor.encode(&values, row, &mut bytes) {
            let problem = format!("tensor {} has values beyond {:?}", tensor.name, tensor.encoder);
            return Err(GgufError::unwritable(problem, "write it as F32, or train less wildly"));
        }
        if bytes.len() >= BYTES_AT_ONCE {
            out.write_all(&bytes)?;
            bytes.clear();
        }
    }
    bytes.resize(bytes.len() + padding(tensor.size()), 0);
    out.write_all(&bytes)?;
    Ok(())
}

/// Bytes between so many and the next tensor.
fn padding(size: usize) -> usize {
    size.next_multiple_of(DEFAULT_ALIGNMENT) - size
}
