//! The sizes of a decoder, from the metadata of a GGUF file.

use super::{Architecture, GgufError, GgufFile};

/// The sizes that more than one part of the room needs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sizes {
    pub layers: usize,
    /// Width of the residual stream.
    pub width: usize,
    /// Width inside the feed-forward part.
    pub inner: usize,
    pub heads: usize,
    pub kv_heads: usize,
    /// Width of a head, even.
    pub head_dim: usize,
}

/// The keys of one family: `llama.block_count`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keys<'a> {
    pub file: &'a GgufFile,
    pub family: Architecture,
}

impl Sizes {
    /// Reads and checks them.
    ///
    /// # Errors
    /// A key that is missing, or sizes that fit no decoder of this kind.
    pub fn read(keys: Keys) -> Result<Self, GgufError> {
        let width = keys.size("embedding_length")?;
        let heads = keys.size("attention.head_count")?;
        let kv_heads = keys.whole("attention.head_count_kv")?.unwrap_or(heads);
        let head_dim = keys.whole("attention.key_length")?.unwrap_or(width / heads);
        let (layers, inner) = (keys.size("block_count")?, keys.size("feed_forward_length")?);
        let sizes = Self { layers, width, inner, heads, kv_heads, head_dim };
        sizes.check(keys)?;
        Ok(sizes)
    }

    fn check(&self, keys: Keys) -> Result<(), GgufError> {
        let head_dim = self.head_dim;
        if head_dim == 0 || !head_dim.is_multiple_of(2) {
            let problem = format!("makes heads of width {head_dim}, where an even width is needed");
            return Err(keys.wrong("attention.key_length", problem));
        }
        for (key, mend) in [
            ("attention.value_length", "keys and values have one width here"),
            ("rope.dimension_count", "rotary positions go over whole heads here"),
        ] {
            if let Some(other) = keys.whole(key)?.filter(|other| *other != head_dim) {
                let feature =
                    format!("{} {other} beside heads of width {head_dim}", keys.name(key));
                return Err(keys.file.unsupported(feature, mend));
            }
        }
        Ok(())
    }
}

impl<'a> Keys<'a> {
    /// A key with its family before it.
    pub fn name(self, key: &str) -> String {
        format!("{}.{key}", self.family.gguf_name())
    }

    /// A whole number; where the file gives one for each layer, that of all of them.
    pub fn whole(self, key: &str) -> Result<Option<usize>, GgufError> {
        let name = self.name(key);
        if !self.file.is_list(&name) {
            return self.file.whole(&name);
        }
        let numbers = self.file.numbers(&name)?.unwrap_or_default();
        let first = numbers.first().copied().unwrap_or_default();
        let fits = (0.0..=f64::from(u32::MAX)).contains(&first) && first.fract() == 0.0;
        if !fits || numbers.iter().any(|number| *number != first) {
            let feature = format!("{name} that differs between layers");
            return Err(self.file.unsupported(feature, "all layers are of one size here"));
        }
        // In the range of u32, as a line above says.
        Ok(Some(first as usize))
    }

    /// A whole number above 0 that must be there.
    pub fn size(self, key: &str) -> Result<usize, GgufError> {
        match self.whole(key)? {
            None => Err(self.wrong(key, "is missing")),
            Some(0) => Err(self.wrong(key, "is 0")),
            Some(size) => Ok(size),
        }
    }

    /// A number.
    pub fn number(self, key: &str) -> Result<Option<f64>, GgufError> {
        self.file.number(&self.name(key))
    }

    /// A text.
    pub fn text(self, key: &str) -> Result<Option<&'a str>, GgufError> {
        self.file.text(&self.name(key))
    }

    /// What is wrong with a key.
    pub fn wrong(self, key: &str, problem: impl Into<String>) -> GgufError {
        self.file.wrong(&self.name(key), problem)
    }
}
