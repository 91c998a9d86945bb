//! Whether completions that are scored wrong say the right answer.

use super::history::{FEW_SAMPLES, History};
use super::statistics::APART;
use crate::monitor::metrics::SampleLine;

/// Fewest completions that have to say their answer.
const FEWEST: usize = 6;
/// How much more often a completion has to say its own answer than those of other problems, at least.
const BEYOND_CHANCE: f64 = 0.3;

/// Completions that are scored wrong and say the answer all the same.
pub(super) struct Said<'a> {
    /// How many,
    pub count: usize,
    /// and of how many that are scored wrong.
    pub of: usize,
    /// Whether all their answers are numbers.
    pub are_numbers: bool,
    /// The newest.
    pub example: &'a SampleLine,
}

/// The wrong samples in which the expected answer stands as a whole word and something beside it; none where
/// that is fewer than half of them or may be chance.
///
/// A prompt that names the answer proves nothing, for a completion may repeat it. A long text says many words:
/// so answers of other problems are looked for, too, and the own must be found far more often, beyond
/// the noise of so few.
pub(super) fn said_in_wrong(history: &History) -> Option<Said<'_>> {
    let wrong = history.samples().filter(|sample| history.is_wrong(sample));
    let asked: Vec<(&SampleLine, &str)> =
        wrong.filter_map(|sample| Some((sample, answer_of(sample)?))).collect();
    let saying: Vec<_> = asked.iter().filter(|(sample, answer)| says(sample, answer)).collect();
    let share = saying.len() as f64 / asked.len().max(1) as f64;
    let is_often = saying.len() >= FEWEST && asked.len() >= FEW_SAMPLES && share >= 0.5;
    let chance = chance(&asked)?;
    let noise = (chance * (1.0 - chance) / asked.len().max(1) as f64).sqrt();
    if !is_often || share - chance < BEYOND_CHANCE.max(APART * noise) {
        return None;
    }
    let are_numbers = saying.iter().all(|(_, answer)| answer.parse::<f64>().is_ok());
    let &&(example, _) = saying.first()?;
    Some(Said { count: saying.len(), of: asked.len(), are_numbers, example })
}

/// How often the answer of another problem stands in a completion; none where all answers are the same.
fn chance(asked: &[(&SampleLine, &str)]) -> Option<f64> {
    let pairs = asked.iter().flat_map(|(sample, own)| {
        asked
            .iter()
            .filter(move |(_, other)| other != own)
            .map(move |(_, other)| says(sample, other))
    });
    let (found, count) =
        pairs.fold((0, 0), |(found, count), is| (found + usize::from(is), count + 1));
    (count > 0).then(|| found as f64 / count as f64)
}

/// The answer, unless the prompt names it.
fn answer_of(sample: &SampleLine) -> Option<&str> {
    let answer = sample.answer.as_deref()?.trim();
    (!answer.is_empty() && !has_word(&sample.prompt, answer)).then_some(answer)
}

fn says(sample: &SampleLine, answer: &str) -> bool {
    sample.completion.trim() != answer && has_word(&sample.completion, answer)
}

/// Whether `word` stands in `text` and is no part of a longer word or number.
fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + word.len()..]);
        !joins(before.chars().rev()) && !joins(after.chars())
    })
}

/// Whether what stands beside a word goes on with it: a letter or digit, or the point of a number. In front of a
/// number a minus is its sign, which is as well taken for one here.
fn joins(mut outwards: impl Iterator<Item = char>) -> bool {
    match outwards.next() {
        Some('.' | ',' | '/') => outwards.next().is_some_and(char::is_numeric),
        Some('-' | '−') => true,
        next => next.is_some_and(char::is_alphanumeric),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_whole() {
        for text in ["It is 42.", "42", "x=42, so", "**42**", "$42$"] {
            assert!(has_word(text, "42"), "{text}");
        }
        for text in ["142", "42.5", "4.42", "-42", "42nd", "1,42", ""] {
            assert!(!has_word(text, "42"), "{text}");
        }
        assert!(has_word("Die Hauptstadt heißt Kairo!", "Kairo") && !has_word("Kairoer", "Kairo"));
    }
}
