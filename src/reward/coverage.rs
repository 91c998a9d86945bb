//! Which problems the rewards of a run can judge, known before anything is generated.

use std::collections::BTreeSet;

use super::{RewardError, Rewards};
use crate::data::Problem;

/// How much of an answer a message shows.
const SHOWN_CHARS: usize = 40;
/// How many columns a message names.
const NAMED_COLUMNS: usize = 20;

/// How many problems which reward cannot judge, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    part: &'static str,
    problems: usize,
    /// For each problem whether any reward applies to it.
    judged: Vec<bool>,
    gaps: Vec<Gap>,
}

/// Problems that one reward cannot judge for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Gap {
    reward: String,
    why: &'static str,
    count: usize,
    /// The answer of the first of them.
    example: Option<String>,
}

impl Coverage {
    /// Asks every reward about every problem; `part` is `training` or `held-out`.
    ///
    /// # Errors
    /// No problem to which any reward applies; the message names the columns there are.
    pub fn of<'a>(
        part: &'static str,
        rewards: &Rewards,
        problems: impl Iterator<Item = &'a Problem> + Clone,
    ) -> Result<Self, RewardError> {
        let names: Vec<&str> = rewards.names().collect();
        let mut found = Self { part, problems: 0, judged: Vec::new(), gaps: Vec::new() };
        for problem in problems.clone() {
            let obstacles = rewards.obstacles(problem);
            found.problems += 1;
            found.judged.push(obstacles.iter().any(Option::is_none));
            for (name, why) in names.iter().zip(obstacles) {
                why.into_iter().for_each(|why| found.add(name, why, problem));
            }
        }
        match found.judged.contains(&true) {
            true => Ok(found),
            false => {
                let reasons = found.notes().join(", ");
                Err(RewardError::NothingJudged { part, reasons, columns: columns(problems) })
            }
        }
    }

    fn add(&mut self, reward: &str, why: &'static str, problem: &Problem) {
        if let Some(gap) = self.gaps.iter_mut().find(|gap| gap.reward == reward && gap.why == why) {
            gap.count += 1;
            return;
        }
        let shown = |answer: &String| answer.chars().take(SHOWN_CHARS).collect();
        let example = problem.answer.as_ref().map(shown);
        self.gaps.push(Gap { reward: reward.to_owned(), why, count: 1, example });
    }

    /// For each problem, in their order, whether any reward applies to it.
    pub fn judged(&self) -> &[bool] {
        &self.judged
    }

    /// One sentence for each reward and reason: `3 of 12 training problems cannot be judged by number:
    /// they have no answer`.
    pub fn notes(&self) -> Vec<String> {
        let note = |gap: &Gap| {
            let example = gap.example.as_ref().map(|answer| format!(", such as {answer:?}"));
            format!(
                "{} of {} {} problems cannot be judged by {}: they {}{}",
                gap.count,
                self.problems,
                self.part,
                gap.reward,
                gap.why,
                example.unwrap_or_default()
            )
        };
        self.gaps.iter().map(note).collect()
    }
}

/// The columns of all problems, as the end of a sentence that begins with "there".
fn columns<'a>(problems: impl Iterator<Item = &'a Problem>) -> String {
    let names: BTreeSet<&String> = problems.flat_map(|problem| problem.columns.keys()).collect();
    let named: Vec<&str> = names.iter().take(NAMED_COLUMNS).map(|name| name.as_str()).collect();
    match names.len() - named.len() {
        0 if named.is_empty() => "are no columns".to_owned(),
        0 => format!("are {}", named.join(", ")),
        more => format!("are {} and {more} more", named.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reward::test_support::problem;
    use serde_json::json;

    fn coverage(rewards: &str, answers: &[Option<&str>]) -> Result<Coverage, RewardError> {
        let rewards = Rewards::new(&serde_json::from_str::<Vec<_>>(rewards).unwrap()).unwrap();
        let mut problems: Vec<Problem> = answers.iter().map(|answer| problem(*answer)).collect();
        for problem in &mut problems {
            problem.columns.insert("solution".into(), json!("46"));
        }
        Coverage::of("training", &rewards, problems.iter())
    }

    #[test]
    fn problems_that_a_reward_cannot_judge_are_counted_by_reward_and_reason() {
        let rewards = r#"[{"kind":"exact"},{"kind":"number"}]"#;
        let answers = [Some("46"), None, Some("1/2"), Some("(1, 2)")];
        let found = coverage(rewards, &answers).unwrap();
        assert_eq!(found.judged(), [true, false, true, true]);
        assert_eq!(
            found.notes(),
            [
                "1 of 4 training problems cannot be judged by exact: they have no answer",
                "1 of 4 training problems cannot be judged by number: they have no answer",
                "2 of 4 training problems cannot be judged by number: they have an answer that is \
                 not one number, such as \"1/2\"",
            ]
        );
    }

    #[test]
    fn nothing_is_said_where_every_reward_judges_every_problem() {
        let found = coverage(r#"[{"kind":"number"},{"kind":"length","max":5}]"#, &[Some("4")]);
        assert_eq!(found.unwrap().notes(), Vec::<String>::new());
    }

    #[test]
    fn problems_that_no_reward_can_judge_are_refused_with_their_columns() {
        let error = coverage(r#"[{"kind":"number"}]"#, &[None, Some("x")]).unwrap_err().to_string();
        for part in [
            "no training problem can be judged",
            "1 of 2 training problems cannot be judged by number: they have no answer",
            "data.answer_column",
            "there are solution",
        ] {
            assert!(error.contains(part), "{part} is not in {error}");
        }
        assert!(coverage(r#"[{"kind":"number"},{"kind":"length","max":5}]"#, &[None]).is_ok());
    }
}
