//! Problems to train on and to be measured by: read from files or generated; never tensors.
//!
//! [`DataConfig::load`] gives a [`Dataset`] whose two parts share no prompt, and [`Order`] says
//! which problem stands at any position of the endless, seeded, resumable training sequence.

mod arithmetic;
mod countdown;
mod error;
mod file_kind;
mod gsm8k;
mod jsonl;
mod lines;
mod long_numbers;
mod order;
mod problem;
mod reversal;
mod split;
mod template;

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use arithmetic::{ArithmeticData, Operation};
pub use countdown::CountdownData;
pub use error::DataError;
pub use gsm8k::Gsm8kData;
pub use jsonl::JsonlData;
pub use order::Order;
pub use problem::{Message, Problem, Prompt};
pub use reversal::ReversalData;

/// Where the problems come from, told apart by `kind`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum DataConfig {
    /// Generated sums, differences and products.
    Arithmetic(ArithmeticData),
    /// Generated strings to be written backwards.
    Reversal(ReversalData),
    /// Generated numbers to be combined into a target.
    Countdown(CountdownData),
    /// A file with one JSON object a line.
    Jsonl(JsonlData),
    /// A file in GSM8K's question and answer format.
    Gsm8k(Gsm8kData),
}

/// The problems of a run; no prompt stands in both parts, and no id twice.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// Problems to train on; never empty.
    pub train: Vec<Problem>,
    /// Problems only ever used to measure.
    pub held_out: Vec<Problem>,
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
            Self::Jsonl(data) => data.load(seed),
            Self::Gsm8k(data) => data.load(seed),
        }
    }

    /// The same paths, to be changed.
    pub fn files_mut(&mut self) -> Vec<&mut PathBuf> {
        let (path, held_out) = match self {
            Self::Jsonl(data) => (&mut data.path, &mut data.held_out_path),
            Self::Gsm8k(data) => (&mut data.path, &mut data.held_out_path),
            Self::Arithmetic(_) | Self::Reversal(_) | Self::Countdown(_) => return Vec::new(),
        };
        std::iter::once(path).chain(held_out).collect()
    }

    /// The files that are read, each with the key that names it; none where problems are generated.
    pub fn files(&self) -> Vec<(&'static str, &Path)> {
        let (path, held_out) = match self {
            Self::Jsonl(data) => (&data.path, &data.held_out_path),
            Self::Gsm8k(data) => (&data.path, &data.held_out_path),
            Self::Arithmetic(_) | Self::Reversal(_) | Self::Countdown(_) => return Vec::new(),
        };
        let held_out = held_out.iter().map(|path| ("held_out_path", path.as_path()));
        [("path", path.as_path())].into_iter().chain(held_out).collect()
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
