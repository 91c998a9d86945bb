//! Problems with their prompts as tokens: what generation and scoring work on.

use std::sync::Arc;

use rayon::prelude::*;

use super::TrainError;
use crate::data::{self, Problem};
use crate::reward::{self, Coverage, Rewards};
use crate::rollout::{Completion, FinishReason, Prompt};
use crate::text::{TextError, Tokenizer};

/// Problems whose prompts fit `prompt_length`.
#[derive(Debug, Clone)]
pub struct PreparedProblems {
    part: &'static str,
    problems: Vec<(Problem, Arc<[u32]>)>,
    left_out: usize,
    notes: Vec<String>,
}

impl PreparedProblems {
    /// Tokenises prompts; those longer than `prompt_length` tokens are counted and left out. `part` is
    /// `training` or `held-out`.
    ///
    /// # Errors
    /// A prompt that cannot be tokenised or has no token, or none left.
    pub fn new(
        part: &'static str,
        problems: Vec<Problem>,
        tokenizer: &Tokenizer,
        prompt_length: usize,
    ) -> Result<Self, TrainError> {
        let all = problems.len();
        let problems: Vec<(Problem, Arc<[u32]>)> = problems
            .into_par_iter()
            .map(|problem| {
                let ids = prompt_ids(&problem, tokenizer)?;
                if ids.is_empty() {
                    return Err(TrainError::EmptyPrompt { part, problem: problem.id });
                }
                Ok((problem, Arc::from(ids)))
            })
            .filter(|result: &Result<(_, Arc<[u32]>), TrainError>| match result {
                Ok((_, ids)) => ids.len() <= prompt_length,
                // Too long for the tokenizer is too long for the run.
                Err(error) => !matches!(error, TrainError::Text(TextError::TooLong { .. })),
            })
            .collect::<Result<_, TrainError>>()?;
        let left_out = all - problems.len();
        if problems.is_empty() {
            return Err(TrainError::NoProblems { part, left_out, all, prompt_length });
        }
        Ok(Self { part, problems, left_out, notes: Vec::new() })
    }

    /// Leaves out the problems that no reward can judge: they would teach nothing and count as wrong.
    /// [`PreparedProblems::notes`] then says which reward cannot judge how many.
    ///
    /// # Errors
    /// No problem that any reward can judge.
    pub fn judged_by(mut self, rewards: &Rewards) -> Result<Self, TrainError> {
        let problems = self.problems.iter().map(|(problem, _)| problem);
        let coverage = Coverage::of(self.part, rewards, problems)?;
        self.notes = coverage.notes();
        let mut judged = coverage.judged().iter();
        let before = self.problems.len();
        self.problems.retain(|_| judged.next() == Some(&true));
        match before - self.problems.len() {
            0 => {}
            count => self.notes.push(format!("{count} that no reward can judge are left out")),
        }
        Ok(self)
    }

    /// What a person should know about problems that cannot be judged, a sentence each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Number of problems.
    pub fn len(&self) -> usize {
        self.problems.len()
    }

    /// Never: a set without problems cannot be made.
    pub fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// Prompts that were too long.
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// Tokens of each prompt.
    pub fn prompt_lengths(&self) -> Vec<usize> {
        self.problems.iter().map(|(_, ids)| ids.len()).collect()
    }

    /// Tokens of the longest prompt.
    pub fn longest_prompt(&self) -> usize {
        self.problems.iter().map(|(_, ids)| ids.len()).max().unwrap_or(0)
    }

    /// Tokens of a prompt on average.
    pub fn mean_prompt(&self) -> usize {
        let all: usize = self.problems.iter().map(|(_, ids)| ids.len()).sum();
        all.div_ceil(self.problems.len().max(1))
    }

    /// Most tokens of an answer on average, its end included: no text has more of them than bytes.
    pub fn mean_answer(&self) -> usize {
        let answers = self.problems.iter().filter_map(|(problem, _)| problem.answer.as_ref());
        let all: usize = answers.map(|answer| answer.len() + 1).sum();
        all.div_ceil(self.problems.len().max(1))
    }

    /// The problem at `index`.
    pub fn problem(&self, index: usize) -> &Problem {
        &self.problems[index].0
    }

    /// What to generate for the problem at `index`.
    pub fn prompt(&self, index: usize, samples: usize) -> Prompt {
        Prompt { problem: index as u32, ids: self.problems[index].1.clone(), samples }
    }

    /// The problems at `indices`, in that order.
    pub fn select(&self, indices: &[usize]) -> Self {
        let problems = indices.iter().map(|index| self.problems[*index].clone()).collect();
        Self { part: self.part, problems, left_out: 0, notes: Vec::new() }
    }

    /// The first `count` problems, or all there are.
    pub fn first(mut self, count: usize) -> Self {
        self.problems.truncate(count.max(1));
        self
    }
}

/// Tokens of a problem's prompt: a text with the tokenizer's own specials, messages through the
/// chat template, which writes them itself.
fn prompt_ids(problem: &Problem, tokenizer: &Tokenizer) -> Result<Vec<u32>, TextError> {
    match &problem.prompt {
        data::Prompt::Text(text) => tokenizer.encode(text, true),
        data::Prompt::Messages(messages) => {
            // A turn of the model that has begun is continued, not closed.
            let text = match messages.last().filter(|last| last.role == "assistant") {
                Some(last) => tokenizer.render_continued(messages, &last.content)?,
                None => tokenizer.render_chat(messages, true)?,
            };
            tokenizer.encode(&text, false)
        }
    }
}

/// What reward functions see of a completion.
pub fn scorable<'a>(
    text: &'a str,
    completion: &'a Completion,
    response_length: usize,
) -> reward::Completion<'a> {
    reward::Completion {
        text,
        tokens: completion.ids.len(),
        finished: completion.finish == FinishReason::Eos,
        max_tokens: response_length,
        ids: &completion.ids,
    }
}
