//! `wgrpo schema`: the JSON schema of a configuration.

use super::output;
use crate::config::schema;

/// Prints it, for an editor.
pub(super) fn run() -> anyhow::Result<()> {
    output::print(&format!("{}\n", serde_json::to_string_pretty(&schema())?))
}
