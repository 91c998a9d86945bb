//! Scoring of groups while others are still generated, for rewards that wait for somebody else.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use super::TrainError;
use super::score::{ScoredGroup, Scorer};
use crate::reward::RewardError;
use crate::rollout::{News, RolloutGroup};

/// Groups on their way to whoever scores them.
pub(super) struct Outgoing(Option<Sender<(usize, RolloutGroup)>>);

impl Outgoing {
    /// Hands on the groups that ended.
    ///
    /// # Errors
    /// Where scoring has failed, so that there is no use in generating more.
    pub(super) fn send(&self, news: &News<'_>) -> Result<(), TrainError> {
        let Some(sender) = &self.0 else { return Ok(()) };
        let mut groups = news.groups.iter().cloned();
        // Why it failed is said by what failed.
        groups.try_for_each(|group| sender.send(group)).map_err(|_| TrainError::Stopped)
    }
}

impl Scorer<'_> {
    /// Scores what `generate` generates: each group as soon as it ends where rewards are asked group by group, so that
    /// waiting for them and generation take the same time; all of them at the end otherwise.
    ///
    /// # Errors
    /// Those of a reward before those of `generate`.
    pub(super) fn score_generated(
        &self,
        generate: impl FnOnce(&Outgoing) -> Result<Vec<RolloutGroup>, TrainError>,
    ) -> Result<Vec<ScoredGroup>, TrainError> {
        if !self.rewards.are_asked_by_group() {
            return Ok(self.score(generate(&Outgoing(None))?)?);
        }
        let (sender, receiver) = channel();
        thread::scope(|scope| {
            // This thread sees text alone.
            let scoring = scope.spawn(move || self.score_received(receiver));
            let outgoing = Outgoing(Some(sender));
            let generated = generate(&outgoing);
            drop(outgoing);
            let scored = scoring.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            let mut scored = scored?;
            generated?;
            scored.sort_by_key(|(at, _)| *at);
            Ok(scored.into_iter().map(|(_, group)| group).collect())
        })
    }

    /// Scores groups as they come, those that came meanwhile together; the receiver is dropped where that fails.
    fn score_received(
        &self,
        receiver: Receiver<(usize, RolloutGroup)>,
    ) -> Result<Vec<(usize, ScoredGroup)>, RewardError> {
        let mut scored = Vec::new();
        while let Ok(first) = receiver.recv() {
            let waiting = std::iter::once(first).chain(receiver.try_iter());
            let (places, groups): (Vec<usize>, Vec<RolloutGroup>) = waiting.unzip();
            scored.extend(places.into_iter().zip(self.score(groups)?));
        }
        Ok(scored)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use super::*;
    use crate::data::{Problem, Prompt};
    use crate::reward::{Asks, Item, Reward, Rewards};
    use crate::rollout::FinishReason;
    use crate::text::Tokenizer;
    use crate::train::prepared::PreparedProblems;
    use crate::train::testing::group;

    /// A reward that tells how many completions it was asked about, and gives the problem's number.
    struct Outside {
        asks: Asks,
        fails: bool,
        asked: Mutex<Sender<usize>>,
    }

    impl Reward for Outside {
        fn name(&self) -> &str {
            "outside"
        }
        fn asks(&self) -> Asks {
            self.asks
        }
        fn score_batch(&self, items: &[Item]) -> Result<Vec<Option<f64>>, RewardError> {
            self.asked.lock().unwrap().send(items.len()).unwrap();
            match self.fails {
                true => Err(RewardError::NoReward),
                false => Ok(items.iter().map(|item| Some(item.problem.id as f64)).collect()),
            }
        }
    }

    /// What a scorer with that reward makes of two groups, the second of which ends first; what was asked while the first
    /// was under way; and all that was asked.
    #[allow(clippy::type_complexity)]
    fn scored(
        asks: Asks,
        fails: bool,
    ) -> (Result<Vec<ScoredGroup>, TrainError>, Option<usize>, Vec<usize>) {
        let (sender, asked) = channel();
        let rewards = Rewards::only(Box::new(Outside { asks, fails, asked: Mutex::new(sender) }));
        let tokenizer = Tokenizer::characters("0123456789").unwrap();
        let problem = |id| Problem {
            id,
            prompt: Prompt::Text("1".into()),
            answer: None,
            columns: Default::default(),
        };
        let problems =
            PreparedProblems::new("training", vec![problem(0), problem(1)], &tokenizer, 8).unwrap();
        let scorer = Scorer {
            problems: &problems,
            rewards: &rewards,
            tokenizer: &tokenizer,
            response_length: 4,
        };
        let groups = [0, 1].map(|at| group(at, &[(2, FinishReason::Eos); 3]));
        let mut meanwhile = None;
        let found = scorer.score_generated(|outgoing| {
            let news = |at: usize| [(at, groups[at].clone())];
            let told = |groups: &[(usize, RolloutGroup)]| {
                outgoing.send(&News { tokens: &[], ended: 0, groups })
            };
            told(&news(1))?;
            let patience = if asks == Asks::ByGroup { 60_000 } else { 10 };
            meanwhile = asked.recv_timeout(Duration::from_millis(patience)).ok();
            told(&news(0))?;
            Ok(groups.to_vec())
        });
        (found, meanwhile, asked.try_iter().collect())
    }

    #[test]
    fn a_group_is_scored_while_the_next_is_generated_and_they_come_back_in_order() {
        let (found, meanwhile, later) = scored(Asks::ByGroup, false);
        assert_eq!((meanwhile, later), (Some(3), vec![3]));
        let totals: Vec<_> = found.unwrap().iter().map(ScoredGroup::totals).collect();
        assert_eq!(totals, [[Some(0.0); 3], [Some(1.0); 3]]);
    }

    #[test]
    fn a_reward_that_sees_all_of_a_step_is_asked_once_at_its_end() {
        for asks in [Asks::Once, Asks::Anyhow] {
            let (found, meanwhile, later) = scored(asks, false);
            assert_eq!((meanwhile, later), (None, vec![6]));
            assert_eq!(found.unwrap().len(), 2);
        }
    }

    #[test]
    fn a_reward_that_fails_is_what_is_told() {
        let (found, ..) = scored(Asks::ByGroup, true);
        assert!(matches!(found, Err(TrainError::Reward(RewardError::NoReward))), "{found:?}");
    }
}
