//! The bytes of a GGUF file's metadata.

use crate::model::gguf::value::kind;

/// Keys with their values, one behind the other.
#[derive(Debug, Default)]
pub(super) struct Metadata {
    count: u64,
    bytes: Vec<u8>,
}

impl Metadata {
    /// How many keys there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Adds a text.
    pub fn text(&mut self, key: &str, text: &str) {
        self.key(key, kind::TEXT);
        self.put_text(text);
    }

    /// Adds a whole number.
    pub fn whole(&mut self, key: &str, number: u32) {
        self.key(key, kind::U32);
        self.bytes.extend(number.to_le_bytes());
    }

    /// Adds a number; the format's own readers take f32.
    pub fn number(&mut self, key: &str, number: f64) {
        self.key(key, kind::F32);
        self.bytes.extend((number as f32).to_le_bytes());
    }

    /// Adds yes or no.
    pub fn flag(&mut self, key: &str, flag: bool) {
        self.key(key, kind::BOOL);
        self.bytes.push(flag.into());
    }

    /// Adds a list of texts.
    pub fn texts(&mut self, key: &str, texts: &[impl AsRef<str>]) {
        self.list(key, kind::TEXT, texts.len());
        texts.iter().for_each(|text| self.put_text(text.as_ref()));
    }

    /// Adds a list of whole numbers.
    pub fn wholes(&mut self, key: &str, numbers: &[i32]) {
        self.list(key, kind::I32, numbers.len());
        numbers.iter().for_each(|number| self.bytes.extend(number.to_le_bytes()));
    }

    /// Adds a list of numbers.
    pub fn numbers(&mut self, key: &str, numbers: &[f32]) {
        self.list(key, kind::F32, numbers.len());
        numbers.iter().for_each(|number| self.bytes.extend(number.to_le_bytes()));
    }

    fn key(&mut self, key: &str, kind: u32) {
        self.count += 1;
        self.put_text(key);
        self.bytes.extend(kind.to_le_bytes());
    }

    fn list(&mut self, key: &str, kind: u32, count: usize) {
        self.key(key, kind::LIST);
        self.bytes.extend(kind.to_le_bytes());
        self.bytes.extend((count as u64).to_le_bytes());
    }

    fn put_text(&mut self, text: &str) {
        self.bytes.extend((text.len() as u64).to_le_bytes());
        self.bytes.extend(text.as_bytes());
    }
}
