//! `wgrpo init`: a configuration to begin with, from a few questions.

mod judge;
mod written;

use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use super::{fetch, output};
use crate::config::RunConfig;
use crate::model::{describe, find_model};
use crate::run::{Problems, Stop};
use judge::{CHOICES, Judge};
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
    /// How completions are judged: math, number, exact, contains, choice, or a Python file with a reward function
    /// (FILE.py, or FILE.py:FUNCTION)
    #[arg(long)]
    reward: Option<Judge>,
    /// Train all weights, and not an adapter
    #[arg(long)]
    full: bool,
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
            None => asked(&format!("judge by ({CHOICES})"), Some("math"), "--reward")?
                .parse()
                .map_err(anyhow::Error::msg)?,
        }
        .with_function()?;
        let name =
            file.file_stem().map_or("run".into(), |stem| stem.to_string_lossy().into_owned());
        let sizes_before = Sizes::usual(&model);
        let begin = Begin { name, model, data, judge, full, sizes: sizes_before };
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

/// What model and data ask for. What is on a hub that cannot be asked now is taken to be usual.
fn sizes(begin: &Begin, file: &Path) -> anyhow::Result<Sizes> {
    let with = |sizes| RunConfig::parse(file, &written(&Begin { sizes, ..begin.clone() }), &[]);
    let mut found = with(begin.sizes)?;
    if let Err(error) = fetch::all_but_weights(&mut found, &Stop::default()) {
        output::note(&format!("{error:#}; so lengths and chat in the file are a guess"));
        return Ok(begin.sizes);
    }
    let (_, tokenizer) = describe(&find_model(&found.model.path.clone().unwrap_or_default())?)?;
    let is_chat = tokenizer.has_chat_template();
    let mut widest = with(Sizes::widest(is_chat))?;
    fetch::all_but_weights(&mut widest, &Stop::default())?;
    let problems = Problems::load(&widest, &tokenizer)?;
    Ok(Sizes::of(problems.train.len(), problems.longest_prompt(), is_chat))
}

/// Writes a file that must not be there.
fn write_new(path: &Path, text: &str) -> anyhow::Result<()> {
    let file = std::fs::File::options().write(true).create_new(true).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("{} cannot be written", path.display()))
}
