//! The one place that prints: standard output, which may be a full disk or a reader that went away, and
//! standard error, where nobody may be left to hear what is said.

use std::io::{self, Write};
use std::path::Path;

use anyhow::Context;

use crate::model::tensors_left_out;

/// Prints `text` as it is.
///
/// # Errors
/// When it cannot be written. A reader that has closed its end, as `head` does, wants no more of it,
/// which is no error.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    print_more(text).map(drop)
}

/// Prints `text` as it is, at once; whether there is a reader for more of it.
///
/// # Errors
/// As [`print`].
pub(super) fn print_more(text: &str) -> anyhow::Result<bool> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        written => written.map(|()| true).context("cannot print to standard output"),
    }
}

/// Asks for a line, on standard error: what a pipe takes from standard output is replies alone.
pub(super) fn prompt_sign() {
    ask("> ");
}

/// Writes a question to standard error, where its answer follows.
pub(super) fn ask(question: &str) {
    let mut err = io::stderr();
    let _ = err.write_all(question.as_bytes()).and_then(|()| err.flush());
}

/// Says a line on standard error. A terminal or a reader that went away is no reason to end.
pub fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Prints a value as one line of JSON.
///
/// # Errors
/// As [`print`].
pub(super) fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    print(&format!("{}\n", serde_json::to_string(value)?))
}

/// Lists the tensors of a model's folder that the decoder does not use, on standard error.
pub(super) fn note_left_out(folder: &Path) {
    // Whatever is wrong with the folder, opening it says.
    let left_out = tensors_left_out(folder).unwrap_or_default();
    if !left_out.is_empty() {
        note(&format!("{}: not used by the decoder: {}", folder.display(), left_out.join(", ")));
    }
}

/// Says something that a person should know on standard error, where nobody may be to hear it.
pub(super) fn note(text: &str) {
    say(&format!("note: {text}"));
}
