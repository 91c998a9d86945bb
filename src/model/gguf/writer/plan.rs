//! Which tensors a file gets, in which order and encoding: decided before any value is known.

use serde_json::Value;

use super::FileType;
use super::facts::{head_dim, rope_block, theta};
use crate::model::gguf::encoding::write::Encoder;
use crate::model::gguf::names::{self, ROPE_FACTORS};
use crate::model::gguf::rope::Llama3;
use crate::model::gguf::rotation::Reordered;
use crate::model::gguf::{Architecture, GgufError};
use crate::quote::shown;

/// Longest name of a tensor in ggml, in bytes.
const LONGEST_NAME: usize = 63;

/// A tensor to be written.
pub(super) struct Planned {
    /// Its name in the file.
    pub name: String,
    /// Its shape, the width of a row last.
    shape: Vec<usize>,
    pub encoder: Encoder,
    order: Option<Reordered>,
    /// Its values, where they follow from the configuration.
    pub known: Option<Vec<f32>>,
}

/// Plans the tensors of a model.
pub(super) fn plan(
    family: Architecture,
    config: &Value,
    file_type: FileType,
    layout: &[(String, Vec<usize>)],
) -> Result<Vec<Planned>, GgufError> {
    let head_dim = head_dim(config)?;
    let tensors = layout.iter().map(|(name, shape)| {
        let own = names::to_gguf(family, name);
        let own = own.filter(|own| own.len() <= LONGEST_NAME && loads(family, own));
        let own = own.ok_or_else(|| {
            let problem =
                format!("llama.cpp has no place for {} in a {}", shown(name), family.gguf_name());
            GgufError::unwritable(problem, "leave that tensor out, or merge it into the others")
        })?;
        let moved = family.rotates_neighbours() && names::is_rotated(name).is_some();
        let order = moved.then(|| Reordered::new(head_dim));
        check_shape(name, shape, order.map(|_| head_dim))?;
        let encoder = encoder(file_type, shape);
        Ok(Planned { name: own, shape: shape.clone(), encoder, order, known: None })
    });
    rope_factors(family, config, head_dim)?.into_iter().map(Ok).chain(tensors).collect()
}

/// Whether llama.cpp loads a tensor: it has biases in some families, and refuses a file with others.
fn loads(family: Architecture, own: &str) -> bool {
    let Some(part) = own.strip_suffix(".bias") else { return true };
    match family {
        Architecture::Llama | Architecture::Granite => true,
        Architecture::Qwen2 => {
            [".attn_q", ".attn_k", ".attn_v"].iter().any(|end| part.ends_with(end))
        }
        Architecture::Qwen3 | Architecture::Olmo2 | Architecture::SmolLm3 => false,
    }
}

fn check_shape(name: &str, shape: &[usize], head_dim: Option<usize>) -> Result<(), GgufError> {
    let whole_heads =
        head_dim.is_none_or(|width| shape.first().is_some_and(|rows| rows.is_multiple_of(width)));
    if (1..=2).contains(&shape.len()) && !shape.contains(&0) && whole_heads {
        return Ok(());
    }
    let problem = format!("tensor {} has shape {shape:?}", shown(name));
    Err(GgufError::unwritable(problem, "check that config.json belongs to these weights"))
}

/// Vectors are few and matter much; few bits need blocks.
fn encoder(file_type: FileType, shape: &[usize]) -> Encoder {
    let wanted = file_type.encoder();
    match shape {
        [] | [_] => Encoder::F32,
        [.., width] if wanted.takes(*width) => wanted,
        _ => Encoder::F16,
    }
}

/// The factors of Llama 3's frequencies, where it scales them.
fn rope_factors(
    family: Architecture,
    config: &Value,
    head_dim: usize,
) -> Result<Option<Planned>, GgufError> {
    let Some((rope, "llama3")) = rope_block(config) else { return Ok(None) };
    // In the others llama.cpp has the tensor and does not look at it.
    if !matches!(family, Architecture::Llama | Architecture::Granite) {
        let problem =
            format!("its positions are scaled as Llama 3's, and it is a {}", family.gguf_name());
        return Err(GgufError::unwritable(
            problem,
            "llama.cpp scales so in llama and granite alone",
        ));
    }
    let wrong = || GgufError::unwritable("the numbers of its llama3 scaling", "check config.json");
    let llama3 = Llama3::from_json(rope).ok_or_else(wrong)?;
    // The format has factors in f32.
    let factors = llama3.factors(head_dim, theta(config)).into_iter().map(|factor| factor as f32);
    let factors: Vec<f32> = factors.collect();
    Ok(Some(Planned {
        name: ROPE_FACTORS.into(),
        shape: vec![factors.len()],
        encoder: Encoder::F32,
        order: None,
        known: Some(factors),
    }))
}

impl Planned {
    /// Number of values.
    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }

    /// Bytes in the file, without what aligns the next.
    pub fn size(&self) -> usize {
        self.encoder.size(self.count())
    }

    /// Appends what a header says of it.
    pub fn put_info(&self, offset: usize, bytes: &mut Vec<u8>) {
        bytes.extend((self.name.len() as u64).to_le_bytes());
        bytes.extend(self.name.as_bytes());
        // At most two dimensions, and at most 64 bits of each.
        bytes.extend((self.shape.len() as u32).to_le_bytes());
        for size in self.shape.iter().rev() {
            bytes.extend((*size as u64).to_le_bytes());
        }
        bytes.extend(self.encoder.id().to_le_bytes());
        bytes.extend((offset as u64).to_le_bytes());
    }

    /// Number of values that stay together: a row, or a vector that is stored as it is.
    fn width(&self) -> usize {
        match self.shape[..] {
            [_] if self.order.is_some() => 1,
            [.., width] => width,
            [] => 1,
        }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.count() / self.width()
    }

    /// Appends one row out of values in Hugging Face's order; says whether all of it fitted into the encoding.
    pub fn encode(&self, values: &[f32], row: usize, bytes: &mut Vec<u8>) -> bool {
        let at = self.order.map_or(row, |order| order.in_hugging_face(row));
        self.encoder.encode(&values[at * self.width()..][..self.width()], bytes)
    }
}
