//! Reading the rows of a part, and making problems of them.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use serde_json::{Map, Value};

use super::super::rows::{self, Row};
use super::super::{DataError, Problem, Source, Sources, folder};
use super::answer::answer_of;
use super::held_out::is_held_out;
use super::mixture::mixed;
use super::preset::{AnswerRule, Preset};
use super::prompt::PromptMaker;
use super::{BadRows, FileData, MOST_NAMES, Notes};
use crate::text::Fill;

/// A problem, and whether a column holds it out.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) problem: Problem,
    pub(super) held_out: bool,
}

/// What makes problems of rows.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    data: &'a FileData,
    preset: Option<Preset>,
    maker: PromptMaker<'a>,
    filter: Option<Fill>,
    /// Rows of the parts so far, so that no id comes twice.
    ids: u64,
    columns: Columns,
}

/// What is known of the columns of a part: whether any row has the answer column, and which there are.
#[derive(Debug, Default)]
struct Columns {
    has_answer: bool,
    names: BTreeSet<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        data: &'a FileData,
        preset: Option<Preset>,
        notes: &mut Notes,
    ) -> Result<Self, DataError> {
        let filter = data.filter.as_deref().map(Fill::condition).transpose();
        let filter = filter.map_err(|problem| DataError::setting("filter", problem))?;
        let mut maker = PromptMaker::new(data)?;
        if let Some(examples) = &data.examples {
            let examples = examples.read(data, &maker, preset)?;
            notes.say(format!("{} examples stand before each problem", examples.len()));
            maker = maker.with_examples(examples);
        }
        Ok(Self { data, preset, maker, filter, ids: 0, columns: Columns::default() })
    }

    /// The problems of one part.
    pub(super) fn part(
        &mut self,
        key: &'static str,
        sources: &Sources,
        split: Option<&str>,
        notes: &mut Notes,
        seed: u64,
    ) -> Result<Vec<Kept>, DataError> {
        self.columns = Columns::default();
        let is_training = key == "path";
        let mut limit = self.data.limit.filter(|_| is_training).unwrap_or(usize::MAX);
        let mut parts = Vec::new();
        for source in &sources.0 {
            let kept = self.source(source, split, limit, notes)?;
            limit -= kept.len();
            parts.push(kept);
        }
        self.check_answers(sources)?;
        let kept = mixed(&sources.0, parts, seed, notes)?;
        match kept.is_empty() {
            true => Err(DataError::NoneLeft { key, reasons: notes.reasons() }),
            false => Ok(kept),
        }
    }

    fn source(
        &mut self,
        source: &Source,
        split: Option<&str>,
        limit: usize,
        notes: &mut Notes,
    ) -> Result<Vec<Kept>, DataError> {
        let (files, note) = folder::files_of(&source.path, self.data.config.as_deref(), split)?;
        note.into_iter().for_each(|note| notes.say(note));
        let mut left = source.take.unwrap_or(usize::MAX);
        let mut kept = Vec::new();
        for file in &files {
            let before = self.ids;
            rows::read(file, self.data.format, &mut |row| {
                if left == 0 || kept.len() >= limit {
                    return Ok(ControlFlow::Break(()));
                }
                left -= 1;
                self.ids = before + row.index() + 1;
                kept.extend(self.row(row, before, notes)?);
                Ok(match left == 0 || kept.len() >= limit {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                })
            })?;
        }
        Ok(kept)
    }

    /// The problem of a row; none where it is filtered or left out.
    fn row(
        &mut self,
        row: Row<'_>,
        before: u64,
        notes: &mut Notes,
    ) -> Result<Option<Kept>, DataError> {
        let preset = self.preset_of(&row, notes);
        self.columns.see(&row, self.data.answer_column.as_deref());
        let made = match self.passes(&row) {
            Ok(false) => {
                notes.filter();
                return Ok(None);
            }
            Ok(true) => self.kept(row, preset, before),
            Err(error) => Err(error),
        };
        match made {
            Ok(kept) => Ok(Some(kept)),
            Err(error @ DataError::Row { .. }) if self.data.bad_rows == BadRows::LeaveOut => {
                notes.leave_out(&error);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The preset, which the first row decides where nobody has said it.
    fn preset_of(&mut self, row: &Row<'_>, notes: &mut Notes) -> Preset {
        *self.preset.get_or_insert_with(|| {
            let preset = Preset::of(row);
            if preset != Preset::Plain {
                notes.say(format!(
                    "the columns are those of {0}, so data.kind {0} is taken; name another kind to read \
                     them otherwise",
                    preset.name()
                ));
            }
            preset
        })
    }

    fn passes(&self, row: &Row<'_>) -> Result<bool, DataError> {
        let Some(filter) = &self.filter else { return Ok(true) };
        filter.holds(&row.columns).map_err(|problem| {
            let expected = format!("data.filter can name the columns {}", row.listed_columns());
            row.error(format!("data.filter cannot be decided: {problem}"), expected)
        })
    }

    fn kept(&self, row: Row<'_>, preset: Preset, before: u64) -> Result<Kept, DataError> {
        let prompt = self.maker.prompt(&row, preset)?;
        let answer = self.answer(&row, preset)?;
        let column = self.data.held_out_column.as_deref();
        let held_out = column.is_some_and(|column| is_held_out(row.column(column)));
        let id = before + row.index();
        let columns = self.columns_of(row, preset);
        Ok(Kept { problem: Problem { id, prompt, answer, columns }, held_out })
    }

    fn answer(&self, row: &Row<'_>, preset: Preset) -> Result<Option<String>, DataError> {
        if let Some(column) = &self.data.answer_column {
            // A column that somebody names is what they say it is, with or without a mark in it.
            let rule = match preset.rule() {
                AnswerRule::Hashes => AnswerRule::Marked,
                rule => rule,
            };
            return answer_of(row, column, rule);
        }
        let columns = preset.answers();
        if preset.rule() == AnswerRule::Hashes {
            return answer_of(row, columns[0], AnswerRule::Hashes);
        }
        let there = columns.iter().find(|column| row.column(column).is_some());
        there.map_or(Ok(None), |column| answer_of(row, column, preset.rule()))
    }

    fn columns_of(&self, row: Row<'_>, preset: Preset) -> Map<String, Value> {
        let kept = self.data.keep_columns.as_ref();
        row.into_columns(|name| match kept {
            Some(kept) => kept.iter().any(|column| column.split('.').next() == Some(name)),
            None => !preset.dropped().contains(&name),
        })
    }

    /// Refuses the name of an answer column that no row has: it is misspelt.
    fn check_answers(&self, sources: &Sources) -> Result<(), DataError> {
        let Some(name) = self.data.answer_column.as_deref() else { return Ok(()) };
        // Where the usual column is not there, the rewards say whether they need it.
        if self.columns.has_answer || name == "answer" {
            return Ok(());
        }
        let named: Vec<&str> =
            self.columns.names.iter().take(MOST_NAMES).map(String::as_str).collect();
        let files: Vec<String> = sources.0.iter().map(Source::to_string).collect();
        let problem = format!(
            "no line of {} has an answer in column {name:?}; name one of the columns there are: {}",
            files.join(", "),
            named.join(", ")
        );
        Err(DataError::setting("answer_column", problem))
    }
}

impl Columns {
    fn see(&mut self, row: &Row<'_>, answer: Option<&str>) {
        let Some(answer) = answer.filter(|_| !self.has_answer) else { return };
        self.has_answer = row.column(answer).is_some();
        if self.names.len() < MOST_NAMES {
            self.names.extend(row.column_names().take(MOST_NAMES));
        }
    }
}
