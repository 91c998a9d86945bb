//! Problems to train on and to be measured by: read from files or generated; never tensors.
//!
//! [`DataConfig::load`] gives a [`Dataset`] whose two parts share no prompt, and [`Order`] says
//! which problem stands at any position of the endless, seeded, resumable training sequence.

mod arithmetic;
mod countdown;
mod error;
mod file;
mod folder;
mod order;
mod problem;
mod reversal;
mod rows;
mod source;
mod split;
mod template;

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

pub use arithmetic::{ArithmeticData, Operation};
pub use countdown::CountdownData;
pub use error::{DataError, Place};
use file::Preset;
pub use file::{BadRows, Examples, FileData, Prefill};
pub use folder::{CARD, Chosen, choose};
pub use order::Order;
pub use problem::{Message, Problem, Prompt};
pub use reversal::ReversalData;
pub use rows::Format;
pub use source::{Source, Sources};

/// Where the problems come from, told apart by `kind`; without one they come from a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", remote = "Self")]
pub enum DataConfig {
    /// Generated sums, differences and products.
    Arithmetic(ArithmeticData),
    /// Generated strings to be written backwards.
    Reversal(ReversalData),
    /// Generated numbers to be combined into a target.
    Countdown(CountdownData),
    /// Files whose columns decide which of the kinds below they are.
    Auto(FileData),
    /// Files with `prompt` or `messages`, and `answer`; `jsonl` is another name for it.
    #[serde(alias = "jsonl")]
    File(FileData),
    /// GSM8K: `question`, and `answer` that ends in `#### number`.
    Gsm8k(FileData),
    /// MATH: `problem`, and `solution` with `\boxed{}`, or `answer`.
    Math(FileData),
    /// ROLL: `messages` as JSON text, or `prompt`, and `ground_truth`.
    Roll(FileData),
    /// TRL: `prompt`, plain or conversational, and `answer`, `solution` or `ground_truth`.
    Trl(FileData),
    /// verl: `prompt` as a conversation, and `reward_model.ground_truth`.
    Verl(FileData),
    /// OpenR1-Math: `problem`, and `answer`, or `solution` with `\boxed{}`.
    Openr1(FileData),
}

/// Kinds that only say how a file is written.
const FORMATS: [&str; 3] = ["json", "csv", "parquet"];

impl<'de> Deserialize<'de> for DataConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut block = Map::<String, Value>::deserialize(deserializer)?;
        if !block.contains_key("kind") && block.contains_key("path") {
            block.insert("kind".into(), "auto".into());
        }
        let kind = block.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
        if FORMATS.contains(&kind.as_str()) {
            block.insert("kind".into(), "file".into());
            block.entry("format").or_insert_with(|| kind.into());
        }
        Self::deserialize(Value::Object(block)).map_err(D::Error::custom)
    }
}

impl Serialize for DataConfig {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

/// The problems of a run; no prompt stands in both parts, and no id twice.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// Problems to train on; never empty.
    pub train: Vec<Problem>,
    /// Problems only ever used to measure.
    pub held_out: Vec<Problem>,
    /// What to know about the rows that they were made of, a sentence each.
    pub notes: Vec<String>,
}

impl DataConfig {
    /// Reads or generates the problems; the same seed gives the same problems in the same order.
    ///
    /// # Errors
    /// A file that cannot be read, a broken line (with path and line number), or settings that
    /// cannot be met, such as more problems than exist.
    pub fn load(&self, seed: u64) -> Result<Dataset, DataError> {
        match self {
            Self::Arithmetic(data) => data.load(seed),
            Self::Reversal(data) => data.load(seed),
            Self::Countdown(data) => data.load(seed),
            Self::Auto(data) => data.load(None, seed),
            Self::File(data) => data.load(Some(Preset::Plain), seed),
            Self::Gsm8k(data) => data.load(Some(Preset::Gsm8k), seed),
            Self::Math(data) => data.load(Some(Preset::Math), seed),
            Self::Roll(data) => data.load(Some(Preset::Roll), seed),
            Self::Trl(data) => data.load(Some(Preset::Trl), seed),
            Self::Verl(data) => data.load(Some(Preset::Verl), seed),
            Self::Openr1(data) => data.load(Some(Preset::Openr1), seed),
        }
    }

    /// What is read from files; none where problems are generated.
    pub fn of_files(&self) -> Option<&FileData> {
        match self {
            Self::Arithmetic(_) | Self::Reversal(_) | Self::Countdown(_) => None,
            Self::Auto(data)
            | Self::File(data)
            | Self::Gsm8k(data)
            | Self::Math(data)
            | Self::Roll(data)
            | Self::Trl(data)
            | Self::Verl(data)
            | Self::Openr1(data) => Some(data),
        }
    }

    fn of_files_mut(&mut self) -> Option<&mut FileData> {
        match self {
            Self::Arithmetic(_) | Self::Reversal(_) | Self::Countdown(_) => None,
            Self::Auto(data)
            | Self::File(data)
            | Self::Gsm8k(data)
            | Self::Math(data)
            | Self::Roll(data)
            | Self::Trl(data)
            | Self::Verl(data)
            | Self::Openr1(data) => Some(data),
        }
    }

    /// The configuration of a data set that is read, where one is named.
    pub fn config(&self) -> Option<&str> {
        self.of_files()?.config.as_deref()
    }

    /// What is read from files and folders, each with the splits that are read of it, to be changed.
    pub fn sources_mut(&mut self) -> Vec<(&mut Source, Vec<Option<String>>)> {
        self.of_files_mut().map_or_else(Vec::new, FileData::sources_mut)
    }

    /// The files that are read, each with the key that names it; none where problems are generated.
    pub fn files(&self) -> Vec<(String, PathBuf)> {
        self.of_files().map_or_else(Vec::new, FileData::files)
    }

    /// What the model's chat template is given to know beside the messages.
    pub fn chat_template_args(&self) -> Map<String, Value> {
        self.of_files().map_or_else(Map::new, |data| data.chat_template_args().clone())
    }
}

/// No run needs more generated problems; so many take about a gigabyte.
const MOST_GENERATED: usize = 5_000_000;

/// `count` problems to train on and `held_out` ones together, if so many may be generated.
fn generated_count(count: usize, held_out: usize) -> Result<usize, DataError> {
    let sum = count.checked_add(held_out).filter(|sum| *sum <= MOST_GENERATED);
    sum.ok_or_else(|| {
        let problem = format!(
            "{count} and {held_out} held-out problems asked for; ask for at most {MOST_GENERATED}"
        );
        DataError::setting("count", problem)
    })
}

/// Streams of random numbers this room draws from, so that no two uses share one.
mod purpose {
    pub(super) const PROBLEMS: u32 = 0xDA7A_0001;
    pub(super) const HELD_OUT: u32 = 0xDA7A_0002;
    pub(super) const ORDER: u32 = 0xDA7A_0003;
    pub(super) const MIXTURE: u32 = 0xDA7A_0004;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn check_parts(config: &str, train: usize, held_out: usize) {
        let config: DataConfig = serde_json::from_str(config).unwrap();
        let dataset = config.load(1).unwrap();
        assert_eq!((dataset.train.len(), dataset.held_out.len()), (train, held_out));
        let all = || dataset.train.iter().chain(&dataset.held_out);
        let prompts: HashSet<String> = all().map(|problem| problem.prompt.text()).collect();
        let ids: HashSet<u64> = all().map(|problem| problem.id).collect();
        assert_eq!((prompts.len(), ids.len()), (train + held_out, train + held_out));
        assert_eq!(config.load(1).unwrap(), dataset);
        assert_ne!(config.load(2).unwrap().train, dataset.train);
    }

    #[test]
    fn every_generated_source_gives_distinct_problems_that_repeat_by_seed() {
        check_parts(
            r#"{"kind":"arithmetic","operations":["add"],"digits":2,"held_out":100}"#,
            8000,
            100,
        );
        check_parts(
            r#"{"kind":"arithmetic","operations":["add","mul"],"digits":5,"count":50,"held_out":9}"#,
            50,
            9,
        );
        check_parts(r#"{"kind":"reversal","max_length":4,"count":300,"held_out":30}"#, 300, 30);
        check_parts(r#"{"kind":"countdown","numbers":3,"count":200,"held_out":20}"#, 200, 20);
    }

    #[test]
    fn more_problems_than_memory_holds_are_refused_before_anything_is_made() {
        for config in [
            r#"{"kind":"arithmetic","digits":9,"count":18446744073709551615,"held_out":1}"#,
            r#"{"kind":"arithmetic","digits":9,"count":1099511627776,"held_out":1}"#,
            r#"{"kind":"reversal","count":18446744073709551615,"held_out":1}"#,
            r#"{"kind":"reversal","max_length":64,"count":1099511627776}"#,
            r#"{"kind":"countdown","count":1099511627776}"#,
            r#"{"kind":"reversal","max_length":1152921504606846976,"count":1}"#,
        ] {
            let config: DataConfig = serde_json::from_str(config).unwrap();
            let error = config.load(1).unwrap_err().to_string();
            assert!(error.contains("at most") && error.starts_with("data."), "{error}");
        }
    }

    #[test]
    fn an_unknown_key_or_kind_is_refused_by_name() {
        let key = r#"{"kind":"reversal","count":1,"lenght":3}"#;
        let error = serde_json::from_str::<DataConfig>(key).unwrap_err().to_string();
        assert!(error.contains("lenght") && error.contains("max_length"), "{error}");
        let error = serde_json::from_str::<DataConfig>(r#"{"kind":"maths"}"#).unwrap_err();
        assert!(error.to_string().contains("maths"), "{error}");
    }

    #[test]
    fn a_config_survives_being_written_and_read() {
        let text = r#"{"kind":"gsm8k","path":"train.jsonl","held_out":20,"chat":false}"#;
        let config: DataConfig = serde_json::from_str(text).unwrap();
        let again = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<DataConfig>(&again).unwrap(), config);
    }
}
