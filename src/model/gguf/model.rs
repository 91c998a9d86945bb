//! A GGUF file seen as a Hugging Face model folder.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use serde_json::Value;

use super::names::{self, ROPE_FACTORS};
use super::rotation::Reordered;
use super::sizes::{Keys, Sizes};
use super::{Architecture, GgufError, GgufFile, config, tokenizer};
use crate::quote::shown;

/// A model in one GGUF file, under Hugging Face's names, shapes and orders.
#[derive(Debug)]
pub struct GgufModel {
    file: GgufFile,
    family: Architecture,
    sizes: Sizes,
    /// The file's own names of the tensors, by Hugging Face's.
    own_names: BTreeMap<String, String>,
}

impl GgufModel {
    /// Maps a file into memory and looks which model it is; tensors are read when they are asked for.
    ///
    /// # Errors
    /// Those of [`GgufFile::open`]; a family that is not read, a part of a model, sizes that fit no decoder, a tensor
    /// without a place or in an encoding that is not read.
    pub fn open(path: &Path) -> Result<Self, GgufError> {
        let file = GgufFile::open(path)?;
        let family = family(&file)?;
        check_whole(&file)?;
        let sizes = Sizes::read(Keys { file: &file, family })?;
        let own_names = place(&file, family)?;
        let model = Self { file, family, sizes, own_names };
        model.own_names.iter().try_for_each(|(name, own)| model.check_tensor(name, own))?;
        Ok(model)
    }

    /// The file itself.
    #[cfg(test)]
    pub fn file(&self) -> &GgufFile {
        &self.file
    }

    /// The model's family.
    #[cfg(test)]
    pub fn family(&self) -> Architecture {
        self.family
    }

    /// The `config.json` that the file stands for, as transformers 4 and 5 read it.
    ///
    /// # Errors
    /// A key that is missing, or a feature that the decoder does not have: experts, windows, other scalings of positions.
    pub fn config_json(&self) -> Result<Value, GgufError> {
        config::config_json(Keys { file: &self.file, family: self.family }, &self.sizes)
    }

    /// The `tokenizer.json` that the file stands for, as the `tokenizers` crate reads it.
    ///
    /// # Errors
    /// A kind of tokenizer that is not read, tokens or merges that are missing or contradict each other.
    pub fn tokenizer_json(&self) -> Result<Value, GgufError> {
        tokenizer::tokenizer_json(&self.file)
    }

    /// The `tokenizer_config.json` that the file stands for: special tokens by name, and the chat template.
    ///
    /// # Errors
    /// A special token beyond the vocabulary, or a key of another type.
    pub fn tokenizer_config_json(&self) -> Result<Value, GgufError> {
        tokenizer::tokenizer_config_json(&self.file)
    }

    /// Hugging Face's names of all tensors in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.own_names.keys().map(String::as_str)
    }

    /// Whether there is a tensor of this Hugging Face name.
    pub fn contains(&self, name: &str) -> bool {
        self.own_names.contains_key(name)
    }

    /// The shape of a tensor, `[output, input]` for a projection, where there is one of that name.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.file.shape(self.own_names.get(name)?)
    }

    /// One tensor as f32 in row-major order.
    ///
    /// # Errors
    /// A tensor that is missing or has another shape than `expected_shape`; values that are NaN or infinite.
    pub fn get(&self, name: &str, expected_shape: &[usize]) -> Result<Vec<f32>, GgufError> {
        self.check(name, expected_shape)?;
        self.rows(name, 0..expected_shape.iter().rev().skip(1).product())
    }

    /// Whether there is a tensor of this name and shape.
    ///
    /// # Errors
    /// A tensor that is missing or has another shape than `expected_shape`.
    pub fn check(&self, name: &str, expected_shape: &[usize]) -> Result<(), GgufError> {
        match self.shape(name).ok_or_else(|| self.missing(name))? {
            found if found == expected_shape => Ok(()),
            found => Err(self.misshapen(name, expected_shape.to_vec(), found.to_vec())),
        }
    }

    /// Rows of a tensor as f32, one behind the other, in Hugging Face's order; a vector is one row.
    ///
    /// # Errors
    /// A tensor that is missing; values that are NaN or infinite.
    ///
    /// # Panics
    /// Rows that the tensor does not have.
    pub fn rows(&self, name: &str, rows: Range<usize>) -> Result<Vec<f32>, GgufError> {
        let own = self.own_names.get(name).ok_or_else(|| self.missing(name))?;
        let Some(order) = self.order(name) else { return self.file.rows(own, rows) };
        if self.file.shape(own).is_some_and(|shape| shape.len() == 1) {
            let stored = self.file.rows(own, rows)?;
            return Ok((0..stored.len()).map(|at| stored[order.in_gguf(at)]).collect());
        }
        let mut values = Vec::new();
        for row in rows {
            let at = order.in_gguf(row);
            values.extend(self.file.rows(own, at..at + 1)?);
        }
        Ok(values)
    }

    /// Lets the system take back the memory in which tensors were read.
    pub fn forget(&self) {
        self.file.forget();
    }

    /// How the rows of a tensor were reordered, if they were.
    fn order(&self, name: &str) -> Option<Reordered> {
        let moved = self.family.rotates_neighbours() && names::is_rotated(name).is_some();
        moved.then(|| Reordered::new(self.sizes.head_dim))
    }

    fn check_tensor(&self, name: &str, own: &str) -> Result<(), GgufError> {
        self.file.check(own)?;
        let Some(is_query) = names::is_rotated(name) else { return Ok(()) };
        let heads = if is_query { self.sizes.heads } else { self.sizes.kv_heads };
        let found = self.file.shape(own).unwrap_or_default();
        let rows = heads.saturating_mul(self.sizes.head_dim);
        if found.first() == Some(&rows) && found.len() <= 2 {
            return Ok(());
        }
        let expected = if found.len() == 1 { vec![rows] } else { vec![rows, self.sizes.width] };
        Err(self.misshapen(name, expected, found.to_vec()))
    }

    fn misshapen(&self, name: &str, expected: Vec<usize>, found: Vec<usize>) -> GgufError {
        let (file, tensor) = (self.file.path().into(), name.into());
        GgufError::Shape { file, tensor, expected, found }
    }

    fn missing(&self, name: &str) -> GgufError {
        GgufError::missing(self.file.path(), name, self.names())
    }
}

fn family(file: &GgufFile) -> Result<Architecture, GgufError> {
    let key = "general.architecture";
    let name = file.text(key)?.ok_or_else(|| file.wrong(key, "is missing"))?;
    Architecture::from_gguf(name).ok_or_else(|| {
        let mend = format!("the families are {} (Mistral is a llama)", Architecture::gguf_names());
        file.unsupported(format!("{key} {:?}", shown(name)), mend)
    })
}

/// An adapter or one of several parts is no model by itself.
fn check_whole(file: &GgufFile) -> Result<(), GgufError> {
    if let Some(kind) = file.text("general.type")?.filter(|kind| *kind != "model") {
        let feature = format!("general.type {:?}", shown(kind));
        return Err(file.unsupported(feature, "name the file of a whole model"));
    }
    match file.whole("split.count")?.filter(|count| *count > 1) {
        None => Ok(()),
        Some(count) => Err(file.unsupported(
            format!("split.count {count}: it is one of {count} parts"),
            "merge them first with llama.cpp's `llama-gguf-split --merge`",
        )),
    }
}

/// Finds Hugging Face's name of every tensor: one without a place would change what the model computes.
fn place(file: &GgufFile, family: Architecture) -> Result<BTreeMap<String, String>, GgufError> {
    let mut own_names = BTreeMap::new();
    for own in file.names().filter(|name| *name != ROPE_FACTORS) {
        let name = names::to_hugging_face(family, own).ok_or_else(|| {
            let mend = format!("a {} has no place for it: take another model", family.gguf_name());
            file.unsupported(format!("a tensor {}", shown(own)), mend)
        })?;
        own_names.insert(name, own.to_owned());
    }
    Ok(own_names)
}
