//! What a file's metadata says, by key and as the type that is asked for.

use super::cursor::Cursor;
use super::value::{List, Value, kind};
use super::{GgufError, GgufFile};

/// Most values of a list that are read; the largest published vocabulary has half a million merges.
const MOST_VALUES: usize = 1 << 20;

impl GgufFile {
    /// A text.
    ///
    /// # Errors
    /// Another type under that key, or no UTF-8.
    pub fn text(&self, key: &str) -> Result<Option<&str>, GgufError> {
        let Some(value) = self.header.metadata.get(key) else { return Ok(None) };
        let Value::Text(range) = value else { return Err(self.wrong(key, "is no text")) };
        let text = std::str::from_utf8(self.bytes(range.clone()));
        text.map(Some).map_err(|_| self.wrong(key, "is no text in UTF-8"))
    }

    /// A whole number that is not below zero.
    ///
    /// # Errors
    /// Something else under that key.
    pub fn whole(&self, key: &str) -> Result<Option<usize>, GgufError> {
        let Some(value) = self.header.metadata.get(key) else { return Ok(None) };
        let number = value.whole().and_then(|number| usize::try_from(number).ok());
        number.map(Some).ok_or_else(|| self.wrong(key, "is no whole number of 0 or more"))
    }

    /// A finite number.
    ///
    /// # Errors
    /// Something else under that key.
    pub fn number(&self, key: &str) -> Result<Option<f64>, GgufError> {
        let number = match self.header.metadata.get(key) {
            None => return Ok(None),
            Some(value) => value.number(),
        };
        let number = number.filter(|number| number.is_finite());
        number.map(Some).ok_or_else(|| self.wrong(key, "is no number"))
    }

    /// Yes or no.
    ///
    /// # Errors
    /// Something else under that key.
    pub fn flag(&self, key: &str) -> Result<Option<bool>, GgufError> {
        match self.header.metadata.get(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(self.wrong(key, "is neither true nor false")),
        }
    }

    /// A list of texts.
    ///
    /// # Errors
    /// Something else under that key, a list that no model has, a text that is no UTF-8.
    pub fn texts(&self, key: &str) -> Result<Option<Vec<&str>>, GgufError> {
        let Some(list) = self.list(key)? else { return Ok(None) };
        if list.kind != kind::TEXT {
            return Err(self.wrong(key, "is no list of texts"));
        }
        let text = |value: Value| match value {
            Value::Text(range) => std::str::from_utf8(self.bytes(range)).ok(),
            _ => None,
        };
        let texts = self.values(list).map(|value| value.and_then(text));
        let texts: Option<Vec<&str>> = texts.collect();
        texts.map(Some).ok_or_else(|| self.wrong(key, "has a text that is no UTF-8"))
    }

    /// A list of numbers, whole or not.
    ///
    /// # Errors
    /// Something else under that key, a list that no model has, a number that is none.
    pub fn numbers(&self, key: &str) -> Result<Option<Vec<f64>>, GgufError> {
        let Some(list) = self.list(key)? else { return Ok(None) };
        let number = |value: Value| value.number().filter(|number| number.is_finite());
        let numbers: Option<Vec<f64>> =
            self.values(list).map(|value| value.and_then(number)).collect();
        numbers.map(Some).ok_or_else(|| self.wrong(key, "is no list of numbers"))
    }

    /// How many values a list has.
    ///
    /// # Errors
    /// Something else under that key, or a list that no model has.
    pub fn length(&self, key: &str) -> Result<Option<usize>, GgufError> {
        Ok(self.list(key)?.map(|list| list.count))
    }

    /// What is wrong under a key.
    pub(super) fn wrong(&self, key: &str, problem: impl Into<String>) -> GgufError {
        GgufError::Key { file: self.path().into(), key: key.into(), problem: problem.into() }
    }

    /// What the file has that is not supported.
    pub(super) fn unsupported(
        &self,
        feature: impl Into<String>,
        mend: impl Into<String>,
    ) -> GgufError {
        let (file, feature, mend) = (self.path().into(), feature.into(), mend.into());
        GgufError::Unsupported { file, feature, mend }
    }

    /// Whether a key holds a list; some files give a number per layer where others give one.
    pub(super) fn is_list(&self, key: &str) -> bool {
        matches!(self.header.metadata.get(key), Some(Value::List(_)))
    }

    fn list(&self, key: &str) -> Result<Option<&List>, GgufError> {
        match self.header.metadata.get(key) {
            None => Ok(None),
            Some(Value::List(list)) if list.count <= MOST_VALUES => Ok(Some(list)),
            Some(Value::List(list)) => {
                let problem =
                    format!("has {} values, where {MOST_VALUES} are the most", list.count);
                Err(self.wrong(key, problem))
            }
            Some(_) => Err(self.wrong(key, "is no list")),
        }
    }

    /// The values of a list; none for what cannot be read, which a header that was checked does not have.
    fn values<'a>(&'a self, list: &'a List) -> impl Iterator<Item = Option<Value>> + 'a {
        let mut cursor = Cursor::new(self.bytes(0..list.bytes.end), list.bytes.start);
        (0..list.count).map(move |_| Value::single(&mut cursor, list.kind).ok())
    }
}
