//! Accuracy on held-out problems: greedy, and over several samples a problem.

use serde::Serialize;

use super::TrainError;
use super::prepared::PreparedProblems;
use super::score::{ScoredGroup, Scorer};
use crate::kernel::Kernels;
use crate::model::Decoder;
use crate::reward::Rewards;
use crate::rollout::{Generator, News, Noise, Prompt, Purpose, Sampling, Wanted};
use crate::text::Tokenizer;

/// How to evaluate.
#[derive(Debug, Clone)]
pub struct EvalOptions {
    /// Limits, EOS tokens and the sampling of the `samples`; the accuracy itself is greedy.
    pub generator: Generator,
    /// Completions sampled for each problem; 0 leaves pass@k out.
    pub samples: usize,
    /// The k of pass@k, at most `samples`.
    pub k: usize,
    /// Decides the samples.
    pub seed: u64,
}

/// What an evaluation found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluation {
    /// Share of problems whose greedy completion is right.
    pub accuracy: f64,
    /// Mean total reward of the greedy completions; none where no reward applies to any.
    pub reward: Option<f64>,
    /// Share of right completions among the samples.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean_at_n: Option<f64>,
    /// Probability that at least one of k samples is right; none where nothing was sampled.
    pub pass_at_k: Option<f64>,
    /// The k of pass@k.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub k: Option<usize>,
    /// Samples a problem.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub samples: Option<usize>,
    /// Number of problems that were judged.
    pub problems: usize,
    /// Problems that a reward failed on, and that therefore count neither as right nor as wrong.
    #[serde(skip_serializing_if = "is_zero")]
    pub failed: usize,
    /// Mean length of the greedy completions, in tokens.
    pub mean_length: f64,
}

/// How far an evaluation is, in completions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EvalProgress {
    /// Those that are there.
    pub done: u64,
    /// Those that there will be.
    pub total: u64,
    /// Whether some completions wait for others to end, so that it may take a while.
    pub waits: bool,
}

/// Evaluates a policy; draws nothing from the random numbers of training.
///
/// # Errors
/// Logits or rewards that are not finite, a reward that fails on all problems, or a device that failed.
pub fn evaluate<B: Kernels>(
    policy: &Decoder<B>,
    tokenizer: &Tokenizer,
    problems: &PreparedProblems,
    rewards: &Rewards,
    options: &EvalOptions,
) -> Result<Evaluation, TrainError> {
    evaluate_watched(policy, tokenizer, problems, rewards, options, &mut |_| Ok(()))
}

/// What is told how far an evaluation is; an error of its own ends it.
pub type EvalWatch<'a> = dyn FnMut(EvalProgress) -> Result<(), TrainError> + 'a;

/// The same, told to `watch` before the first completions and whenever there are more.
///
/// # Errors
/// As [`evaluate`], and those of `watch`.
pub fn evaluate_watched<B: Kernels>(
    policy: &Decoder<B>,
    tokenizer: &Tokenizer,
    problems: &PreparedProblems,
    rewards: &Rewards,
    options: &EvalOptions,
    watch: &mut EvalWatch<'_>,
) -> Result<Evaluation, TrainError> {
    let policy = &policy.for_inference();
    let samples = 1 + options.samples as u64;
    let mut judge = Judge {
        scorer: Scorer {
            problems,
            rewards,
            tokenizer,
            response_length: options.generator.response_length,
        },
        options,
        progress: EvalProgress { done: 0, total: problems.len() as u64 * samples, waits: false },
        watch,
    };
    let greedy = judge.generate(policy, 1, Sampling::greedy())?;
    let right = solved_of_judged(&greedy);
    if right.is_empty() {
        return Err(TrainError::NothingJudged { problems: problems.len() });
    }
    let completions = greedy.iter().flat_map(|group| &group.rollout.completions);
    let tokens: usize = completions.map(|completion| completion.ids.len()).sum();
    let mut evaluation = Evaluation {
        accuracy: right.iter().sum::<usize>() as f64 / right.len() as f64,
        reward: mean_reward(&greedy),
        mean_at_n: None,
        pass_at_k: None,
        k: None,
        samples: None,
        problems: right.len(),
        failed: problems.len() - right.len(),
        mean_length: tokens as f64 / problems.len() as f64,
    };
    if options.samples > 0 {
        let (n, k) = (options.samples, options.k.clamp(1, options.samples));
        let sampled = judge.generate(policy, n, options.generator.sampling)?;
        let right = solved_of_judged(&sampled);
        if right.is_empty() {
            return Err(TrainError::NothingJudged { problems: problems.len() });
        }
        let of_problems = |value: &dyn Fn(usize) -> f64| {
            Some(right.iter().map(|c| value(*c)).sum::<f64>() / right.len() as f64)
        };
        evaluation.mean_at_n = of_problems(&|c| c as f64 / n as f64);
        evaluation.pass_at_k = of_problems(&|c| pass_at_k(n, c, k));
        (evaluation.k, evaluation.samples) = (Some(k), Some(n));
    }
    Ok(evaluation)
}

/// Unbiased estimate of the probability that one of k samples is right, from c right ones of n
/// (Chen et al. 2021, arXiv 2107.03374).
///
/// ```text
/// 1 − C(n − c, k) / C(n, k)
/// ```
pub fn pass_at_k(n: usize, c: usize, k: usize) -> f64 {
    if n - c < k {
        return 1.0;
    }
    1.0 - (n - c + 1..=n).map(|i| 1.0 - k as f64 / i as f64).product::<f64>()
}

struct Judge<'a, 'w> {
    scorer: Scorer<'a>,
    options: &'a EvalOptions,
    progress: EvalProgress,
    watch: &'a mut EvalWatch<'w>,
}

impl Judge<'_, '_> {
    /// Completions of all problems with what they earned.
    fn generate<B: Kernels>(
        &mut self,
        policy: &Decoder<B>,
        samples: usize,
        sampling: Sampling,
    ) -> Result<Vec<ScoredGroup>, TrainError> {
        let generator = Generator { sampling, ..self.options.generator.clone() };
        let problems = self.scorer.problems;
        let prompts: Vec<Prompt> =
            (0..problems.len()).map(|index| problems.prompt(index, samples)).collect();
        let noise = Noise::new(self.options.seed, Purpose::Evaluation, 0);
        self.progress.waits = !generator.footprint(Wanted::of(&prompts)).is_at_once;
        (self.watch)(self.progress)?;
        let before = self.progress.done;
        let scorer = self.scorer;
        scorer.score_generated(|outgoing| {
            let mut watch = |news: News<'_>| {
                outgoing.send(&news)?;
                let done = before + news.ended as u64;
                if done == self.progress.done {
                    return Ok(());
                }
                self.progress.done = done;
                (self.watch)(self.progress)
            };
            generator.generate_watched(policy, &prompts, noise, &mut watch)
        })
    }
}

/// Completions of each group that solve its problem, but for groups that a reward failed on.
fn solved_of_judged(groups: &[ScoredGroup]) -> Vec<usize> {
    groups.iter().filter(|group| !group.has_failed()).map(solved).collect()
}

/// The mean total reward of all completions that have one.
fn mean_reward(groups: &[ScoredGroup]) -> Option<f64> {
    let judged = groups.iter().filter(|group| !group.has_failed());
    let totals: Vec<f64> = judged.flat_map(ScoredGroup::totals).flatten().collect();
    (!totals.is_empty()).then(|| totals.iter().sum::<f64>() / totals.len() as f64)
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// Completions of a group that solve its problem.
fn solved(group: &ScoredGroup) -> usize {
    group.scores.iter().filter(|scored| scored.score.solved == Some(true)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pass_at_k_counts_the_draws_without_a_right_one() {
        assert_eq!(pass_at_k(4, 0, 2), 0.0);
        assert_eq!(pass_at_k(4, 3, 2), 1.0);
        // Two right of four, draw two: C(2,2)/C(4,2) = 1/6 draws miss.
        assert!((pass_at_k(4, 2, 2) - 5.0 / 6.0).abs() < 1e-12);
        assert!((pass_at_k(8, 3, 1) - 3.0 / 8.0).abs() < 1e-12);
    }
}
