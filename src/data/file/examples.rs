//! Solved problems that are shown before the one to solve.

use std::ops::ControlFlow;

use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::super::{DataError, Sources, folder, rows};
use super::FileData;
use super::answer::first_text;
use super::preset::Preset;
use super::prompt::{Example, PromptMaker};
use crate::text::Fill;

/// Most examples; more would fill any prompt.
const MOST: usize = 256;

/// Where the examples are, and what each is answered with.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Examples {
    /// The file with them, of the same columns as the problems.
    pub path: Sources,
    /// The reply as a template over the columns; the column with the solution or the answer where left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply: Option<String>,
}

impl<'de> Deserialize<'de> for Examples {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Block {
            path: Sources,
            reply: Option<String>,
        }
        let read = match Value::deserialize(deserializer)? {
            block @ Value::Object(_) => {
                serde_json::from_value::<Block>(block).map(|block| (block.path, block.reply))
            }
            path => serde_json::from_value(path).map(|path| (path, None)),
        };
        let (path, reply) = read.map_err(D::Error::custom)?;
        Ok(Self { path, reply })
    }
}

impl Examples {
    /// What stands between a plain prompt and its reply: a reply that is written as a template has all that it needs.
    pub(super) fn glue(&self) -> &'static str {
        if self.reply.is_some() { "" } else { "\n" }
    }

    /// Reads the examples.
    ///
    /// # Errors
    /// As for the problems; more than any prompt holds.
    pub(super) fn read(
        &self,
        data: &FileData,
        maker: &PromptMaker<'_>,
        preset: Option<Preset>,
    ) -> Result<Vec<Example>, DataError> {
        let reply = self.reply.as_deref().map(Fill::text).transpose();
        let reply = reply.map_err(|problem| DataError::setting("examples", problem))?;
        let mut examples: Vec<Example> = Vec::new();
        for source in &self.path.0 {
            let (files, _) = folder::files_of(&source.path, data.config.as_deref(), None)?;
            let mut left = source.take.unwrap_or(usize::MAX);
            for file in &files {
                rows::read(file, data.format, &mut |row| {
                    let preset = preset.unwrap_or_else(|| Preset::of(&row));
                    examples.push(Self::example(row, maker, preset, reply.as_ref(), data)?);
                    left -= 1;
                    if examples.len() > MOST {
                        let problem = format!(
                            "has more than {MOST} rows; take the first few, as in examples: FILE#4"
                        );
                        return Err(DataError::setting("examples", problem));
                    }
                    Ok(if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
                })?;
                if left == 0 {
                    break;
                }
            }
        }
        Ok(examples)
    }

    fn example(
        row: rows::Row<'_>,
        maker: &PromptMaker<'_>,
        preset: Preset,
        reply: Option<&Fill>,
        data: &FileData,
    ) -> Result<Example, DataError> {
        let prompt = maker.asked(&row, preset)?;
        let reply = match reply {
            Some(reply) => reply.filled(&row.columns).map_err(|problem| {
                let expected = "data.examples.reply must name columns of every example";
                row.error(format!("the reply cannot be filled in: {problem}"), expected)
            })?,
            None => {
                let named: Vec<&str> = data.answer_column.iter().map(String::as_str).collect();
                let columns = [preset.replies(), named.as_slice()].concat();
                first_text(&row, &columns).ok_or_else(|| {
                    let problem = format!("the example has no text in {}", columns.join(" or "));
                    row.error(problem, "say with data.examples.reply what it is answered with")
                })?
            }
        };
        Ok(Example { prompt, reply, columns: row.columns })
    }
}
