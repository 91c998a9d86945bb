//! What is to be said about rows once they are read, each thing once.

use super::super::DataError;
use super::super::split::Parts;

/// Reasons that are told apart; more are counted together.
const MOST_REASONS: usize = 8;

/// Sentences, and rows that were left out.
#[derive(Debug, Default)]
pub(super) struct Notes {
    sentences: Vec<String>,
    left_out: Vec<Reason>,
    filtered: usize,
}

/// Why rows were left out.
#[derive(Debug)]
struct Reason {
    /// The problem, as of any row.
    problem: String,
    /// The whole message for the first of them.
    first: String,
    count: usize,
}

impl Notes {
    pub(super) fn say(&mut self, sentence: String) {
        if !self.sentences.contains(&sentence) {
            self.sentences.push(sentence);
        }
    }

    /// Counts a row that makes no problem.
    pub(super) fn leave_out(&mut self, error: &DataError) {
        let DataError::Row { problem, .. } = error else { return };
        if let Some(reason) = self.left_out.iter_mut().find(|reason| reason.problem == *problem) {
            reason.count += 1;
            return;
        }
        match self.left_out.len() < MOST_REASONS {
            true => {
                let (problem, first) = (problem.clone(), error.to_string());
                self.left_out.push(Reason { problem, first, count: 1 });
            }
            false => self.left_out.last_mut().into_iter().for_each(|last| last.count += 1),
        }
    }

    /// Counts a row that the filter does not let pass.
    pub(super) fn filter(&mut self) {
        self.filtered += 1;
    }

    /// Why rows were left out, for an error.
    pub(super) fn reasons(&self) -> String {
        let all = self.left_out_sentences();
        match all.is_empty() {
            true => "the files have no rows".into(),
            false => all.join("; "),
        }
    }

    /// What became of the two parts.
    pub(super) fn of_parts(&mut self, parts: &Parts) {
        if parts.overlapping > 0 {
            self.say(format!(
                "{} training problems are left out, because they are held out too",
                parts.overlapping
            ));
        }
        if parts.near > 0 {
            self.say(format!(
                "{} training problems differ from a held-out one only in spaces or in upper and lower \
                 case",
                parts.near
            ));
        }
    }

    pub(super) fn sentences(self) -> Vec<String> {
        let left_out = self.left_out_sentences();
        self.sentences.into_iter().chain(left_out).collect()
    }

    fn left_out_sentences(&self) -> Vec<String> {
        let reason = |Reason { first, count, .. }: &Reason| match count {
            1 => format!("1 row is left out: {first}"),
            count => format!("{count} rows are left out, the first of them: {first}"),
        };
        let filtered = (self.filtered > 0)
            .then(|| format!("{} rows are left out by data.filter", self.filtered));
        filtered.into_iter().chain(self.left_out.iter().map(reason)).collect()
    }
}
