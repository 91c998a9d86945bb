//! Problems from files: which column is the prompt, which the answer, and what is left out.

mod answer;
mod conversation;
mod examples;
mod held_out;
mod keys;
mod mixture;
mod notes;
mod preset;
mod prompt;
mod reader;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use serde_json::{Map, Value};

use super::{DataError, Dataset, Source, Sources, folder, split};
use crate::text::with_large_stack;
pub use examples::Examples;
pub use keys::{BadRows, FileData, Prefill};
use notes::Notes;
pub(super) use preset::Preset;
use reader::Reader;

/// How many columns a message names.
const MOST_NAMES: usize = 50;

impl FileData {
    /// Reads the problems; without a preset the columns of the first row decide.
    pub(super) fn load(&self, preset: Option<Preset>, seed: u64) -> Result<Dataset, DataError> {
        self.check()?;
        // Templates may nest deep, and so may the values of a row.
        let loaded = with_large_stack(|| self.load_here(preset, seed));
        loaded
            .map_err(|problem| DataError::setting("path", format!("cannot be read: {problem}")))?
    }

    fn load_here(&self, preset: Option<Preset>, seed: u64) -> Result<Dataset, DataError> {
        let mut notes = Notes::default();
        let mut reader = Reader::new(self, preset, &mut notes)?;
        let all = reader.part("path", &self.path, self.split.as_deref(), &mut notes, seed)?;
        let (held_out, train): (Vec<_>, Vec<_>) = all.into_iter().partition(|kept| kept.held_out);
        let plain = |part: Vec<reader::Kept>| part.into_iter().map(|kept| kept.problem).collect();
        let (train, held_out): (Vec<_>, Vec<_>) = (plain(train), plain(held_out));
        let parts = match self.other_part() {
            Some((key, sources, split)) => {
                let other = plain(reader.part(key, sources, split, &mut notes, seed)?);
                split::join(train, other, self.held_out, seed)
            }
            None if self.held_out_column.is_some() => self.by_column(train, held_out, seed),
            None => {
                let count = match self.held_out_share {
                    Some(share) => held_out::of_share(share, train.len()),
                    None => self.held_out.unwrap_or(0),
                };
                split::choose(train, count, seed)
            }
        }?;
        notes.of_parts(&parts);
        Ok(Dataset { notes: notes.sentences(), ..parts.dataset })
    }

    /// The problems of `held_out_path`, or of the same data set's other split.
    fn other_part(&self) -> Option<(&'static str, &Sources, Option<&str>)> {
        match (&self.held_out_path, self.held_out_split.as_deref()) {
            (Some(path), split) => Some(("held_out_path", path, split)),
            (None, Some(split)) => Some(("held_out_split", &self.path, Some(split))),
            (None, None) => None,
        }
    }

    /// All files that are read, each with the key that names it.
    pub(super) fn files(&self) -> Vec<(String, PathBuf)> {
        let mut files = self.files_of("path", &self.path, self.split.as_deref());
        if let Some((key, sources, split)) = self.other_part() {
            files.extend(self.files_of(key, sources, split));
        }
        if let Some(examples) = &self.examples {
            files.extend(self.files_of("examples", &examples.path, None));
        }
        files
    }

    fn files_of(
        &self,
        key: &str,
        sources: &Sources,
        split: Option<&str>,
    ) -> Vec<(String, PathBuf)> {
        let found = sources.0.iter().flat_map(|Source { path, .. }| {
            let found = folder::files_of(path, self.config.as_deref(), split);
            // What cannot be read is told where it is read.
            found.map_or_else(|_| vec![path.clone()], |(files, _)| files)
        });
        let files: Vec<PathBuf> = found.collect();
        match files.len() {
            1 => files.into_iter().map(|file| (key.to_owned(), file)).collect(),
            _ => files
                .into_iter()
                .enumerate()
                .map(|(at, file)| (format!("{key}.{at}"), file))
                .collect(),
        }
    }

    /// The sources, each with the splits that are read of it, to be changed.
    pub(super) fn sources_mut(&mut self) -> Vec<(&mut Source, Vec<Option<String>>)> {
        let (own, other) = (vec![self.split.clone()], self.held_out_split.clone());
        let is_apart = self.held_out_path.is_some();
        let both = own.iter().cloned().chain(other.iter().filter(|_| !is_apart).cloned().map(Some));
        let both: Vec<Option<String>> = both.collect();
        let train = self.path.0.iter_mut().map(|source| (source, both.clone()));
        let held_out = self.held_out_path.iter_mut().flat_map(|sources| &mut sources.0);
        let held_out = held_out.map(|source| (source, vec![other.clone()]));
        let examples = self.examples.iter_mut().flat_map(|examples| &mut examples.path.0);
        train.chain(held_out).chain(examples.map(|source| (source, vec![None]))).collect()
    }

    /// What the chat template is given to know beside the messages.
    pub(super) fn chat_template_args(&self) -> &Map<String, Value> {
        &self.chat_template_args
    }
}
