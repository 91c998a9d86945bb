//! `wgrpo rewards test`: what the rewards of a configuration say of completions.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use serde_json::{Map, Value};

use super::given::{Given, given};
use super::{sampled, table};
use crate::cli::{ConfigFile, output};
use crate::config::RunConfig;
use crate::reward::{Item, Rewards, Score};

/// Arguments of `wgrpo rewards test`.
#[derive(Debug, Args)]
pub(in crate::cli) struct TestArgs {
    #[command(flatten)]
    file: ConfigFile,
    /// A file of completions, one JSON object a line with `completion` and beside it what the rewards
    /// read, such as `answer`; without it some are sampled now
    #[arg(long, value_name = "FILE")]
    completions: Option<PathBuf>,
    /// Print one JSON line for each completion
    #[arg(long)]
    json: bool,
    /// Without --completions: how many problems to sample for
    #[arg(long, default_value_t = 4, conflicts_with = "completions",
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    problems: u32,
    /// Without --completions: how many completions to sample for each problem
    #[arg(long, default_value_t = 2, conflicts_with = "completions",
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    samples: u32,
}

/// A completion and what the rewards say of it.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) text: String,
    pub(super) extracted: Option<String>,
    pub(super) score: Score,
}

/// The same as one line of JSON.
#[derive(Debug, Serialize)]
struct Line<'a> {
    extracted: Option<&'a str>,
    rewards: Map<String, Value>,
    total: Option<f64>,
    solved: Option<bool>,
}

impl TestArgs {
    pub(in crate::cli) fn run(self) -> anyhow::Result<()> {
        let config = self.file.load()?;
        let rewards = Rewards::new(&config.rewards)?;
        let judged = match &self.completions {
            Some(path) => judge(&rewards, &given(path, &config)?, config.response_length)?,
            None => sampled::judged(config, self.problems as usize, self.samples as usize)?,
        };
        let names: Vec<&str> = rewards.names().collect();
        if !self.json {
            return output::print(&table::table(&names, &judged));
        }
        judged.iter().try_for_each(|judged| output::print_json(&judged.line(&names)))
    }
}

/// What the rewards say of completions that a file gave.
fn judge(
    rewards: &Rewards,
    given: &[Given],
    response_length: usize,
) -> anyhow::Result<Vec<Judged>> {
    let items: Vec<Item> = given.iter().map(|given| given.item(response_length)).collect();
    let scores = rewards.score_batch(&items)?;
    note_lengths(rewards, given);
    let judged = given.iter().zip(scores).map(|(given, score)| Judged {
        extracted: rewards.extracted(&given.problem, &given.text),
        text: given.text.clone(),
        score: match given.tokens {
            Some(_) => score,
            None => rewards.without_tokens(score),
        },
    });
    Ok(judged.collect())
}

/// Says which rewards judge nothing because a file does not tell lengths.
fn note_lengths(rewards: &Rewards, given: &[Given]) {
    let counting = rewards.names().zip(rewards.count_tokens()).filter(|(_, counts)| *counts);
    let names: Vec<&str> = counting.map(|(name, _)| name).collect();
    let without = given.iter().filter(|given| given.tokens.is_none()).count();
    if without > 0 && !names.is_empty() {
        output::note(&format!(
            "{without} of {} lines have no column tokens, so {} cannot judge them; give the number \
             of tokens of each completion in it",
            given.len(),
            names.join(" and ")
        ));
    }
}

impl Judged {
    fn line(&self, names: &[&str]) -> Line<'_> {
        let each = names.iter().zip(&self.score.each);
        Line {
            extracted: self.extracted.as_deref(),
            rewards: each.map(|(name, score)| ((*name).to_owned(), (*score).into())).collect(),
            total: self.score.total,
            solved: self.score.solved,
        }
    }
}

/// Whether `config` says in which column an answer stands.
pub(super) fn answer_column(config: &RunConfig) -> Option<&str> {
    config.data.of_files()?.answer_column.as_deref()
}
