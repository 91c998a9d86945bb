//! Text to ids and back.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::boundary::caught;
use super::chat::ChatTemplate;
use super::growth::Growth;
use super::limits::{LARGE_TEXT, LONGEST_ON_THE_WAY, LONGEST_TEXT};
use super::special::SpecialTokens;
use super::{TextError, characters, folder};
use crate::quote::{passage, shown};

/// A tokenizer with its special tokens and, for chat models, its chat template.
#[derive(Clone)]
pub struct Tokenizer {
    pub(super) inner: Arc<tokenizers::Tokenizer>,
    pub(super) growth: Growth,
    pub(super) largest: (String, u32),
    /// Rows of the model's embedding, where there is a model.
    pub(super) rows: Option<usize>,
    pub(super) special: SpecialTokens,
    /// `tokenizer_config.json`, kept whole so that a saved folder says what the first one said.
    pub(super) config: Map<String, Value>,
    pub(super) chat: Option<ChatTemplate>,
}

impl Tokenizer {
    /// A tokenizer of one token a character; pad, BOS and EOS are 0, 1 and 2, and BOS comes first.
    ///
    /// # Errors
    /// An empty alphabet, or one that holds a character twice.
    pub fn characters(alphabet: &str) -> Result<Self, TextError> {
        let json = characters::tokenizer_json(alphabet)?.to_string();
        let inner = tokenizers::Tokenizer::from_bytes(json)
            .map_err(|error| TextError::Alphabet(error.to_string()))?;
        let config = json!({
            "bos_token": characters::BOS,
            "eos_token": characters::EOS,
            "pad_token": characters::PAD,
            "clean_up_tokenization_spaces": false,
        });
        let config = config.as_object().cloned().unwrap_or_default();
        let special = SpecialTokens { pad: 0, bos: Some(1), eos: vec![2] };
        let largest = largest_id(&inner);
        let (inner, growth) = (Arc::new(inner), Growth::default());
        Ok(Self { inner, growth, largest, rows: None, special, config, chat: None })
    }

    /// Reads the tokenizer of a Hugging Face model folder.
    ///
    /// `tokenizer.json` must be there. Special tokens and the chat template come from
    /// `tokenizer_config.json`, `special_tokens_map.json`, `chat_template.jinja`,
    /// `generation_config.json` and `config.json`, as far as these are there.
    ///
    /// # Errors
    /// A file that is missing, unreadable or malformed, by its path.
    pub fn from_folder(path: &Path) -> Result<Self, TextError> {
        folder::read(path)
    }

    /// The tokenizer of a model in one file, from what would stand in a folder's `tokenizer.json`,
    /// `tokenizer_config.json` and `config.json`.
    ///
    /// # Errors
    /// What is malformed in them; `file` is named.
    pub fn from_values(file: &Path, parts: [&Value; 3]) -> Result<Self, TextError> {
        folder::of_values(file, parts)
    }

    /// The contents of `tokenizer.json` and `tokenizer_config.json`.
    ///
    /// # Errors
    /// What the tokenizer says that cannot be written.
    pub fn to_texts(&self) -> Result<[String; 2], String> {
        folder::values(self)
    }

    /// The chat template, where there is one.
    pub fn chat_template(&self) -> Option<&str> {
        self.chat.as_ref().map(super::chat::ChatTemplate::source)
    }

    /// Writes `tokenizer.json`, `tokenizer_config.json` and, where there is a chat template,
    /// `chat_template.jinja`, so that transformers' `AutoTokenizer` opens the folder.
    ///
    /// # Errors
    /// A disk that cannot be written to, by the path of the file.
    pub fn save(&self, path: &Path) -> Result<(), TextError> {
        folder::write(self, path)
    }

    /// The ids of a text, with those special tokens around it that the tokenizer adds, if wanted.
    ///
    /// # Errors
    /// A text that is too long, before any of it is read, a character the tokenizer has no token for, or a
    /// token that the model has no row for.
    pub fn encode(&self, text: &str, add_special_tokens: bool) -> Result<Vec<u32>, TextError> {
        static ONE_LARGE_TEXT: Mutex<()> = Mutex::new(());
        self.check_length(text.len())?;
        // The memory of a large text is given back before the next one begins.
        let _alone = (text.len() > LARGE_TEXT)
            .then(|| ONE_LARGE_TEXT.lock().unwrap_or_else(PoisonError::into_inner));
        match caught(|| self.inner.encode_fast(text, add_special_tokens)) {
            Ok(Ok(encoding)) => self.with_rows(text, encoding.get_ids()),
            Ok(Err(error)) => Err(self.encode_error(text, &error.to_string())),
            Err(panic) => {
                Err(self.encode_error(text, &format!("tokenizer.json fails on it: {panic}")))
            }
        }
    }

    /// The ids, if the model has a row for each.
    fn with_rows(&self, text: &str, ids: &[u32]) -> Result<Vec<u32>, TextError> {
        let rows = self.rows.unwrap_or(usize::MAX);
        match ids.iter().find(|id| **id as usize >= rows) {
            None => Ok(ids.to_vec()),
            Some(&id) => Err(TextError::NoRow {
                text: text.chars().take(80).collect(),
                token: shown(&self.inner.id_to_token(id).unwrap_or_default()).into(),
                id,
                rows,
            }),
        }
    }

    fn check_length(&self, bytes: usize) -> Result<(), TextError> {
        let fits =
            |bytes: usize| bytes <= LONGEST_TEXT && self.growth.of(bytes) <= LONGEST_ON_THE_WAY;
        if fits(bytes) {
            return Ok(());
        }
        let halves = std::iter::successors(Some(LONGEST_TEXT), |limit| Some(limit / 2));
        let limit = halves.take(20).find(|limit| fits(*limit)).unwrap_or(0);
        Err(TextError::TooLong { bytes, limit })
    }

    /// The text of ids, special tokens left out.
    ///
    /// Ids beyond the vocabulary are left out too: a model's vocabulary may be padded in size.
    pub fn decode(&self, ids: &[u32]) -> String {
        let text = caught(|| self.inner.decode(ids, true));
        // A decoder was tried when it was read. One that fails on these ids all the same says, for each, what
        // Unicode has for text that cannot be read.
        let unreadable = || char::REPLACEMENT_CHARACTER.to_string().repeat(ids.len());
        text.ok().and_then(Result::ok).unwrap_or_else(unreadable)
    }

    /// The same with special tokens as the vocabulary writes them, as `<|im_start|>`.
    pub fn decode_all(&self, ids: &[u32]) -> String {
        let text = caught(|| self.inner.decode(ids, false));
        text.ok().and_then(Result::ok).unwrap_or_else(|| self.decode(ids))
    }

    /// A token as the vocabulary has it, unless [`Self::decode`] leaves it out.
    pub(super) fn shown_token(&self, id: u32) -> Option<String> {
        let is_special = |token: &String| self.inner.get_added_vocabulary().is_special_token(token);
        self.inner.id_to_token(id).filter(|token| !is_special(token))
    }

    /// The number of tokens, special ones included.
    pub fn vocab_size(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    /// The largest id of the vocabulary and of what begins and ends a text, with its token: a model's
    /// embedding needs more rows than this. Tokens that were added to the vocabulary do not count; see
    /// [`Self::for_rows`].
    pub fn largest_id(&self) -> (&str, u32) {
        (&self.largest.0, self.largest.1)
    }

    /// The tokenizer of a model with so many rows in its embedding. Published folders have added tokens
    /// beyond them, such as a `<pad>` that no text has; a text that has one is refused.
    pub fn for_rows(self, rows: usize) -> Self {
        Self { rows: Some(rows), ..self }
    }

    /// Says which added tokens have no row in the model's embedding; none where all have one.
    pub fn tokens_without_row(&self) -> Option<String> {
        const SHOWN: usize = 5;
        let rows = self.rows?;
        let added = self.inner.get_added_tokens_decoder().into_iter();
        let mut beyond: Vec<(u32, String)> = added
            .filter(|(id, _)| *id as usize >= rows)
            .map(|(id, token)| (id, token.content))
            .collect();
        beyond.sort();
        let some =
            beyond.iter().take(SHOWN).map(|(id, token)| format!("{:?} ({id})", shown(token)));
        let more = if beyond.len() > SHOWN { ", …" } else { "" };
        let list = some.collect::<Vec<_>>().join(", ");
        (!beyond.is_empty()).then(|| {
            format!(
                "the model's embedding has {rows} rows and none for {} added tokens of its tokenizer: \
                 {list}{more}; a text that has one is refused",
                beyond.len()
            )
        })
    }

    /// The id to fill rows with; it may be an EOS id too, so masks must come from positions.
    pub fn pad_id(&self) -> u32 {
        self.special.pad
    }

    /// The id that begins a sequence, where there is one.
    pub fn bos_id(&self) -> Option<u32> {
        self.special.bos
    }

    /// Every id that ends a sequence; the tokenizer's own first, none for a model that never ends.
    pub fn eos_ids(&self) -> &[u32] {
        &self.special.eos
    }

    /// Whether conversations can be rendered.
    pub fn has_chat_template(&self) -> bool {
        self.chat.is_some()
    }

    /// A conversation as the text the model was trained on; encode it without special tokens,
    /// because the template writes its own.
    ///
    /// # Errors
    /// No chat template, or one that fails on these messages.
    pub fn render_chat(
        &self,
        messages: &impl Serialize,
        add_generation_prompt: bool,
    ) -> Result<String, TextError> {
        let chat = self.chat.as_ref().ok_or(TextError::NoChatTemplate)?;
        chat.render(messages, add_generation_prompt)
    }

    /// The same up to the end of the last message, which says `last` and is to be continued.
    ///
    /// # Errors
    /// As [`Self::render_chat`], and a template that does not write the last message.
    pub fn render_continued(
        &self,
        messages: &impl Serialize,
        last: &str,
    ) -> Result<String, TextError> {
        let rendered = self.render_chat(messages, false)?;
        super::chat::up_to(&rendered, last).ok_or_else(|| {
            TextError::Chat(
                "it does not write the last message as it is, so that message cannot be continued; \
                 leave data.prefill out"
                    .into(),
            )
        })
    }

    /// The same tokenizer, whose chat template is given these names beside the messages.
    #[must_use]
    pub fn with_chat_arguments(mut self, arguments: &Map<String, Value>) -> Self {
        self.chat = self.chat.map(|chat| chat.with_arguments(arguments.clone()));
        self
    }

    fn encode_error(&self, text: &str, reason: &str) -> TextError {
        let foreign = text
            .chars()
            .take(LARGE_TEXT)
            .find(|c| self.inner.token_to_id(&c.to_string()).is_none());
        let problem = match foreign {
            Some(character) => format!("no token for {character:?} ({})", shown(reason)),
            None => passage(reason).into(),
        };
        TextError::Encode { text: text.chars().take(80).collect(), problem }
    }
}

/// The token with the largest id, added ones apart; an empty vocabulary has none, and 0 is as good.
pub(super) fn largest_id(tokenizer: &tokenizers::Tokenizer) -> (String, u32) {
    tokenizer.get_vocab(false).into_iter().max_by_key(|(_, id)| *id).unwrap_or_default()
}

impl fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokenizer")
            .field("vocab_size", &self.vocab_size())
            .field("special", &self.special)
            .field("has_chat_template", &self.has_chat_template())
            .finish_non_exhaustive()
    }
}
