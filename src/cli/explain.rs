//! `wgrpo explain`: what a key of a configuration means.

use std::fmt::Write;

use clap::Args;

use super::output;
use crate::config::{Described, describe};

/// Arguments of `wgrpo explain`.
#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// The key, such as optimizer.learning_rate or rewards.kind; all keys at the top where left out
    #[arg(default_value = "")]
    key: String,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl ExplainArgs {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let found = describe(&self.key).map_err(anyhow::Error::msg)?;
        match self.json {
            true => output::print_json(&found),
            false => output::print(&text(&found)),
        }
    }
}

fn text(found: &Described) -> String {
    let mut text = match found.key.is_empty() {
        true => format!("{}\n", found.meaning),
        false => format!("{}: {}\n{}\n", found.key, found.takes, found.meaning),
    };
    let mut row = |name: &str, value: &str| {
        // A String takes all that is written.
        let _ = writeln!(text, "  {name:<9}{value}");
    };
    found.range.iter().for_each(|range| row("range", range));
    found.default.iter().for_each(|default| row("default", &default.to_string()));
    if !found.in_trl.is_empty() {
        row("in TRL", &found.in_trl.join(", "));
    }
    if !found.beside.is_empty() {
        row("beside", &found.beside.join(", "));
    }
    list(&mut text, "names", &found.names);
    list(&mut text, "keys", &found.keys);
    text
}

/// Names with their meaning, a line each.
fn list(text: &mut String, title: &str, names: &[(String, String)]) {
    let width = names.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (at, (name, meaning)) in names.iter().enumerate() {
        let title = if at == 0 { title } else { "" };
        let line = format!("  {title:<9}{name:<width$}  {meaning}");
        text.push_str(line.trim_end());
        text.push('\n');
    }
}
