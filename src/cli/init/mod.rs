//! `wgrpo init`: a configuration to begin with, from a few questions.

mod written;

use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, ValueEnum};

use super::output;
use crate::config::RunConfig;
use written::{Begin, Sizes, written};

/// Arguments of `wgrpo init`.
#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// The file to write
    #[arg(default_value = "run.yaml")]
    file: PathBuf,
    /// A model's folder, GGUF file or hub id
    #[arg(long)]
    model: Option<String>,
    /// A file of problems, or a hub id
    #[arg(long)]
    data: Option<String>,
    /// How completions are judged
    #[arg(long, value_enum)]
    reward: Option<Judge>,
    /// Train all weights, and not an adapter
    #[arg(long)]
    full: bool,
}

/// Rewards to begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Judge {
    /// The completion's answer equals the data's, as mathematics has it
    Math,
    /// The completion's answer is the number that the data has
    Number,
    /// The whole completion is the answer
    Exact,
}

const MODEL: &str = "HuggingFaceTB/SmolLM2-135M-Instruct";

impl InitArgs {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let Self { file, model, data, reward, full } = self;
        anyhow::ensure!(
            !file.exists(),
            "{} is there already; give another name, or move it away",
            file.display()
        );
        let model = match model {
            Some(model) => model,
            None => asked("model (a folder, a GGUF file or a hub id)", Some(MODEL), "--model")?,
        };
        let data = match data {
            Some(data) => data,
            None => asked("problems (a file with a line each, or a hub id)", None, "--data")?,
        };
        let judge = match reward {
            Some(judge) => judge,
            None => judge(&asked("judge by (math, number, exact)", Some("math"), "--reward")?)?,
        };
        let name =
            file.file_stem().map_or("run".into(), |stem| stem.to_string_lossy().into_owned());
        let begin = Begin { name, model, data, judge, full, sizes: Sizes::default() };
        let begin = Begin { sizes: sizes(&begin, &file)?, ..begin };
        let text = written(&begin);
        // What is written must be read.
        RunConfig::parse(&file, &text, &[])?;
        write_new(&file, &text)?;
        let shown = file.display();
        output::print(&format!(
            "{shown} is written. `wgrpo check {shown}` tries it, `wgrpo train {shown}` runs it, and `wgrpo explain KEY` \
             says what a key means.\n"
        ))
    }
}

fn judge(name: &str) -> anyhow::Result<Judge> {
    Judge::from_str(name.trim(), true)
        .map_err(|_| anyhow::anyhow!("`{}` is none of: math, number, exact", name.trim()))
}

/// Asks for a line on a terminal; elsewhere what stands for it.
fn asked(question: &str, default: Option<&str>, flag: &str) -> anyhow::Result<String> {
    let mut input = std::io::stdin().lock();
    if !std::io::stdin().is_terminal() {
        return default
            .map(str::to_owned)
            .with_context(|| format!("give {flag}: there is no terminal to ask on"));
    }
    let shown = default.map_or(String::new(), |default| format!(" [{default}]"));
    output::ask(&format!("{question}{shown}: "));
    let mut line = String::new();
    input.read_line(&mut line)?;
    match (line.trim(), default) {
        ("", Some(default)) => Ok(default.to_owned()),
        ("", None) => anyhow::bail!("nothing was given; {flag} says it, too"),
        (text, _) => Ok(text.to_owned()),
    }
}

/// What the data asks for, where it can be read now.
fn sizes(begin: &Begin, file: &Path) -> anyhow::Result<Sizes> {
    if !Path::new(&begin.data).exists() {
        return Ok(Sizes::default());
    }
    let config = RunConfig::parse(file, &written(begin), &[])?;
    let problems = config.data.load(config.training.seed)?;
    let all = problems.train.iter().chain(&problems.held_out);
    let longest = all.map(|problem| problem.prompt.text().len()).max().unwrap_or(0);
    Ok(Sizes::of(problems.train.len() + problems.held_out.len(), longest))
}

/// Writes a file that must not be there.
fn write_new(path: &Path, text: &str) -> anyhow::Result<()> {
    let file = std::fs::File::options().write(true).create_new(true).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("{} cannot be written", path.display()))
}
