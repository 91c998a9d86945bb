//! Standard output, which may be a full disk or a reader that went away.

use std::io::{self, Write};

use anyhow::Context;

/// Prints `text` as it is.
///
/// # Errors
/// When it cannot be written. A reader that has closed its end, as `head` does, wants no more of it,
/// which is no error.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot print to standard output"),
    }
}

/// Prints a value as one line of JSON.
///
/// # Errors
/// As [`print`].
pub(super) fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    print(&format!("{}\n", serde_json::to_string(value)?))
}
