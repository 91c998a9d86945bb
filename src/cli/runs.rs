//! `wgrpo runs`: the runs below a folder, a line each.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;

use super::output;
use crate::quote::shown;
use crate::report::{RunRow, list};

/// Keys that a line has room for, and characters of each value.
const MOST_KEYS: usize = 4;
const MOST_CHARS: usize = 32;

/// Arguments of `wgrpo runs`.
#[derive(Debug, Args)]
pub(super) struct RunsArgs {
    /// The folder
    #[arg(default_value = "runs")]
    folder: PathBuf,
    /// Print one JSON object a run, with all keys in which it differs
    #[arg(long)]
    json: bool,
}

impl RunsArgs {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let rows = list(&self.folder)?;
        if self.json {
            return rows.iter().try_for_each(output::print_json);
        }
        if rows.is_empty() {
            output::note(&format!("there is no run below {}", self.folder.display()));
        }
        output::print(&text(&rows))
    }
}

/// Columns as wide as what stands in them.
fn text(rows: &[RunRow]) -> String {
    let lines: Vec<[String; 5]> = rows.iter().map(cells).collect();
    let width = |column: usize| {
        lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default()
    };
    let widths: [usize; 4] = std::array::from_fn(width);
    let line = |cells: &[String; 5]| {
        let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}  "));
        let line = padded.collect::<String>() + &cells[4];
        line.trim_end().to_owned() + "\n"
    };
    lines.iter().map(line).collect()
}

fn cells(row: &RunRow) -> [String; 5] {
    let percent =
        |share: Option<f64>| share.map_or("–".into(), |s| format!("{:.1} %", 100.0 * s));
    let standing = &row.standing;
    let (before, after) = (percent(standing.accuracy_before), percent(standing.accuracy_after));
    [
        shown(&row.name).into_owned(),
        standing.state.name().into(),
        standing.steps_text(),
        format!("{before} → {after}"),
        differs_text(&row.differs),
    ]
}

fn differs_text(differs: &BTreeMap<String, Option<String>>) -> String {
    let one = |(key, value): (&String, &Option<String>)| {
        let value = value.as_deref().unwrap_or("–");
        let short: String = value.chars().take(MOST_CHARS).collect();
        let more = if short.len() < value.len() { "…" } else { "" };
        shown(&format!("{key}={short}{more}")).into_owned()
    };
    let mut parts: Vec<String> = differs.iter().take(MOST_KEYS).map(one).collect();
    match differs.len().saturating_sub(MOST_KEYS) {
        0 => {}
        more => parts.push(format!("and {more} more")),
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Standing, State};

    fn row(name: &str, steps: u64, differs: &[(&str, Option<&str>)]) -> RunRow {
        let standing = Standing {
            state: if steps < 9 { State::Stopped } else { State::Finished },
            steps,
            max_steps: Some(9),
            accuracy_before: Some(0.326),
            accuracy_after: (steps == 9).then_some(0.984),
        };
        let differs = differs.iter().map(|(key, value)| ((*key).into(), value.map(str::to_owned)));
        RunRow { name: name.into(), standing, differs: differs.collect() }
    }

    #[test]
    fn a_run_is_a_line_in_columns() {
        let rows = [row("grpo", 9, &[("seed", Some("1"))]), row("long-name", 3, &[("kl", None)])];
        let expected = "\
            grpo       finished  9 of 9  32.6 % → 98.4 %  seed=1\n\
            long-name  stopped   3 of 9  32.6 % → –       kl=–\n";
        assert_eq!(text(&rows), expected);
    }

    #[test]
    fn a_line_stays_a_line_whatever_stands_in_a_configuration() {
        let long = "x".repeat(500);
        let keys =
            [("a", Some("1\n2")), ("b", Some(&*long)), ("c", None), ("d", None), ("e", None)];
        let told = text(&[row("a\nb", 9, &keys)]);
        assert_eq!(told.lines().count(), 1, "{told}");
        assert!(
            told.contains("a=1\\n2, b=xxx") && told.ends_with("…, c=–, d=–, and 1 more\n"),
            "{told}"
        );
    }
}
