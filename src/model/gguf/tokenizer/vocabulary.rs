//! The tokens of a GGUF file, and what kind each is.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use crate::model::gguf::{GgufError, GgufFile};
use crate::quote::shown;

/// The key of the tokens, in the order of their ids.
pub(in crate::model::gguf) const TOKENS: &str = "tokenizer.ggml.tokens";
/// The key of their kinds.
pub(in crate::model::gguf) const KINDS: &str = "tokenizer.ggml.token_type";

/// The kinds of tokens, with the format's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::model::gguf) enum TokenKind {
    Normal = 1,
    Unknown = 2,
    /// Stands for no text: `<|im_end|>`.
    Control = 3,
    /// Found in a text before anything else is: `<think>`.
    UserDefined = 4,
    /// Fills a vocabulary up to the rows of the embedding.
    Unused = 5,
    /// One byte, `<0x0A>`.
    Byte = 6,
}

impl TokenKind {
    const ALL: [Self; 6] =
        [Self::Normal, Self::Unknown, Self::Control, Self::UserDefined, Self::Unused, Self::Byte];

    /// The format's number.
    pub fn number(self) -> i32 {
        self as i32
    }

    fn from_number(number: f64) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| f64::from(kind.number()) == number)
    }
}

/// The tokens of a file by id.
#[derive(Debug)]
pub(super) struct Vocabulary<'a> {
    pub tokens: Vec<&'a str>,
    pub kinds: Vec<TokenKind>,
}

impl<'a> Vocabulary<'a> {
    /// Reads tokens and kinds.
    ///
    /// # Errors
    /// Lists that are missing or of different lengths, a token that is there twice, a kind that there is not.
    pub fn read(file: &'a GgufFile) -> Result<Self, GgufError> {
        let tokens = file.texts(TOKENS)?.ok_or_else(|| file.wrong(TOKENS, "is missing"))?;
        let mut seen = HashSet::new();
        if let Some(twice) = tokens.iter().find(|token| !seen.insert(**token)) {
            return Err(file.wrong(TOKENS, format!("has {:?} twice", shown(twice))));
        }
        let numbers = file.numbers(KINDS)?.unwrap_or_else(|| vec![1.0; tokens.len()]);
        if numbers.len() != tokens.len() {
            let problem = format!("has {} kinds for {} tokens", numbers.len(), tokens.len());
            return Err(file.wrong(KINDS, problem));
        }
        let kinds: Option<_> = numbers.into_iter().map(TokenKind::from_number).collect();
        let kinds = kinds.ok_or_else(|| file.wrong(KINDS, "has a kind that there is not"))?;
        Ok(Self { tokens, kinds })
    }

    /// How many tokens a file has.
    pub fn count(file: &GgufFile) -> Result<usize, GgufError> {
        file.length(TOKENS)?.ok_or_else(|| file.wrong(TOKENS, "is missing"))
    }

    /// A token.
    pub fn text(&self, id: usize) -> Option<&'a str> {
        self.tokens.get(id).copied()
    }

    /// Ids, tokens and kinds.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &'a str, TokenKind)> {
        self.tokens
            .iter()
            .zip(&self.kinds)
            .enumerate()
            .map(|(id, (token, kind))| (id, *token, *kind))
    }

    /// The ids by token, but for those that only fill the vocabulary up.
    pub fn ids(&self) -> Map<String, Value> {
        self.real().map(|(id, token, _)| (token.to_owned(), id.into())).collect()
    }

    /// What is no filler; older converters called these user-defined.
    fn real(&self) -> impl Iterator<Item = (usize, &'a str, TokenKind)> {
        let fills = |kind| matches!(kind, TokenKind::Unused | TokenKind::UserDefined);
        self.iter().filter(move |(id, token, kind)| !fills(*kind) || *token != filler(*id))
    }

    /// The tokens that are found in a text before anything else is.
    pub fn added_tokens(&self) -> Vec<Value> {
        let added = self.real().filter_map(|(id, token, kind)| match kind {
            TokenKind::Control | TokenKind::Unknown => Some((id, token, true)),
            TokenKind::UserDefined => Some((id, token, false)),
            _ => None,
        });
        let entry = |(id, token, special): (usize, &str, bool)| {
            json!({
                "id": id,
                "content": token,
                "single_word": false,
                "lstrip": false,
                "rstrip": false,
                "normalized": false,
                "special": special,
            })
        };
        added.filter(|(_, token, _)| !token.is_empty()).map(entry).collect()
    }
}

/// How llama.cpp's converter names an id without a token.
pub(in crate::model::gguf) fn filler(id: usize) -> String {
    format!("[PAD{id}]")
}
