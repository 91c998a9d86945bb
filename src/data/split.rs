//! Cutting problems into a part to train on and a part to measure by.

use std::collections::HashSet;

use super::{DataError, Dataset, Problem, purpose};
use crate::random::Stream;

/// Cuts distinct generated problems, already in random order: the first `held_out` are held out.
pub(super) fn cut(mut problems: Vec<Problem>, held_out: usize) -> Result<Dataset, DataError> {
    if held_out >= problems.len() {
        return Err(leaves_nothing(held_out, problems.len()));
    }
    let train = problems.split_off(held_out);
    Ok(Dataset { train, held_out: problems, notes: Vec::new() })
}

/// The two parts of a data set that was read, and what of them was alike.
#[derive(Debug, PartialEq)]
pub(super) struct Parts {
    pub(super) dataset: Dataset,
    /// Training problems that were left out because they are held out too.
    pub(super) overlapping: usize,
    /// Training problems that differ from a held-out one only in white space or case.
    pub(super) near: usize,
}

/// Holds out `held_out` of `problems` by a seeded choice, and keeps the rest in its order.
pub(super) fn choose(
    problems: Vec<Problem>,
    held_out: usize,
    seed: u64,
) -> Result<Parts, DataError> {
    if held_out >= problems.len() {
        return Err(leaves_nothing(held_out, problems.len()));
    }
    let (train, held_out) = pick(problems, held_out, seed);
    without_overlap(train, held_out)
}

/// Two files: of the second, `held_out` problems by a seeded choice, or all of them.
pub(super) fn join(
    train: Vec<Problem>,
    mut held_out: Vec<Problem>,
    count: Option<usize>,
    seed: u64,
) -> Result<Parts, DataError> {
    // Rows that were left out have left gaps between the ids.
    let first_id = train.iter().map(|problem| problem.id + 1).max().unwrap_or(0);
    (first_id..).zip(&mut held_out).for_each(|(id, problem)| problem.id = id);
    apart(train, held_out, count, seed)
}

/// Two parts that are told apart by something else than chance; of the second `count` problems by a seeded choice, or
/// all.
pub(super) fn apart(
    train: Vec<Problem>,
    held_out: Vec<Problem>,
    count: Option<usize>,
    seed: u64,
) -> Result<Parts, DataError> {
    let available = held_out.len();
    let count = count.unwrap_or(available);
    if count > available {
        let problem = format!(
            "{count} problems asked for, and the held-out part has {available}; ask for at most that"
        );
        return Err(DataError::setting("held_out", problem));
    }
    without_overlap(train, pick(held_out, count, seed).1)
}

/// Returns (the others, the chosen), both in their first order.
fn pick(problems: Vec<Problem>, count: usize, seed: u64) -> (Vec<Problem>, Vec<Problem>) {
    let order = Stream::new(seed, purpose::HELD_OUT).permutation(problems.len());
    let chosen: HashSet<usize> = order.into_iter().take(count).collect();
    let (chosen, others): (Vec<_>, Vec<_>) =
        problems.into_iter().enumerate().partition(|(index, _)| chosen.contains(index));
    let plain =
        |part: Vec<(usize, Problem)>| part.into_iter().map(|(_, problem)| problem).collect();
    (plain(others), plain(chosen))
}

/// Takes out of the training part whatever is asked in the held-out part too.
fn without_overlap(mut train: Vec<Problem>, held_out: Vec<Problem>) -> Result<Parts, DataError> {
    let all = train.len();
    let asked: HashSet<String> = held_out.iter().map(key).collect();
    train.retain(|problem| !asked.contains(&key(problem)));
    if train.is_empty() {
        let problem = "every training problem is held out too; use another held-out file or fewer";
        return Err(DataError::setting("held_out", problem));
    }
    let overlapping = all - train.len();
    let alike: HashSet<String> = asked.iter().map(|text| bare(text)).collect();
    let near = train.iter().filter(|problem| alike.contains(&bare(&key(problem)))).count();
    let dataset = Dataset { train, held_out, notes: Vec::new() };
    Ok(Parts { dataset, overlapping, near })
}

fn key(problem: &Problem) -> String {
    problem.prompt.text().trim().to_owned()
}

/// A text without what tells near-duplicates apart: white space and case.
fn bare(text: &str) -> String {
    let words = text.split_whitespace().map(str::to_lowercase);
    words.collect()
}

fn leaves_nothing(held_out: usize, available: usize) -> DataError {
    let problem = format!(
        "{held_out} of {available} problems leave none to train on; hold out fewer or have more"
    );
    DataError::setting("held_out", problem)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Prompt;
    use serde_json::Map;

    fn problems(prompts: &[&str]) -> Vec<Problem> {
        let problem = |(id, prompt): (usize, &&str)| Problem {
            id: id as u64,
            prompt: Prompt::Text((*prompt).into()),
            answer: None,
            columns: Map::new(),
        };
        prompts.iter().enumerate().map(problem).collect()
    }

    #[test]
    fn a_prompt_that_stands_twice_never_ends_up_in_both_parts() {
        for seed in 0..20 {
            let dataset =
                choose(problems(&["a", "a ", "a", "b", "b", "c"]), 2, seed).unwrap().dataset;
            let held: HashSet<String> = dataset.held_out.iter().map(key).collect();
            assert_eq!(dataset.held_out.len(), 2);
            assert!(dataset.train.iter().all(|problem| !held.contains(&key(problem))));
        }
    }

    #[test]
    fn a_training_problem_of_the_held_out_file_is_left_out() {
        let parts = join(problems(&["a", "b", "c"]), problems(&["c", "d"]), None, 0).unwrap();
        assert_eq!((parts.overlapping, parts.near), (1, 0));
        let dataset = parts.dataset;
        assert_eq!(dataset.train, problems(&["a", "b"]));
        let ids: Vec<u64> = dataset.held_out.iter().map(|problem| problem.id).collect();
        assert_eq!(ids, [3, 4]);
    }

    #[test]
    fn problems_that_differ_only_in_spaces_and_case_are_counted() {
        let train = problems(&["what is 1 + 1?", "What is\n1+1?", "other"]);
        let parts = join(train, problems(&["What is 1+1?", "more"]), None, 0).unwrap();
        assert_eq!((parts.overlapping, parts.near, parts.dataset.train.len()), (0, 2, 3));
    }

    #[test]
    fn the_choice_depends_on_the_seed_only() {
        let all = ["a", "b", "c", "d", "e", "f", "g", "h"];
        let chosen = |seed| choose(problems(&all), 3, seed).unwrap().dataset.held_out;
        assert_eq!(chosen(1), chosen(1));
        assert!((2..10).any(|seed| chosen(seed) != chosen(1)));
    }

    #[test]
    fn holding_out_everything_is_refused() {
        let error = choose(problems(&["a", "b"]), 2, 0).unwrap_err().to_string();
        assert!(error.contains("data.held_out: 2 of 2 problems"), "{error}");
        assert!(join(problems(&["a"]), problems(&["a"]), None, 0).is_err());
        assert!(join(problems(&["a"]), problems(&["b"]), Some(2), 0).is_err());
    }
}
