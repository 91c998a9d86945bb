//! The window of a step: how often its prompts are drawn, and which groups of all rounds it takes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::advantage::AdvantageError;

/// How long prompts are drawn for a step, and what becomes of groups beyond it.
///
/// A step wants as many groups that count (valid ones) as it has prompts, or a share of them. GPG
/// asks for groups with a signal (Chu et al., 2025, arXiv 2504.02546), DAPO's dynamic sampling for
/// groups that its filter lets pass.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DrawWindow {
    /// The share of valid groups, of a step's prompts, to draw prompts for (GPG's `beta_th`, whose
    /// best is 0.6 in the paper); 0 draws once.
    pub least_share: f64,
    /// The most times that a step's prompts are drawn.
    pub max_rounds: usize,
    /// What happens when the share is missed after that many rounds.
    pub on_exhausted: OnExhausted,
    /// What happens to valid groups beyond a step's prompts.
    pub surplus: Surplus,
}

/// What happens when too few groups are valid after the last round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnExhausted {
    /// Train on what there is; GPG's alpha is then at most `1 / beta_th`.
    Proceed,
    /// Skip the optimiser step; with `surplus: carry` its valid groups wait for the next.
    Skip,
    /// End the run.
    Stop,
}

/// What happens to valid groups beyond a step's prompts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Surplus {
    /// They are dropped: every step is on-policy.
    Discard,
    /// They are the first groups of the next step, sampled by the policy of an earlier one.
    Carry,
}

/// What to do after a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowDecision {
    /// Take the optimiser step.
    Train,
    /// Draw another round of prompts.
    DrawMore,
    /// Skip the optimiser step and count it.
    Skip,
    /// End the run.
    Stop,
}

/// The groups of all rounds by what becomes of them, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowChoice<T> {
    /// Valid groups to train on.
    pub train: Vec<T>,
    /// Invalid groups of the newest round that complete the step's prompts: no backward, but they
    /// count in the loss's divisor.
    pub fill: Vec<T>,
    /// Valid groups to begin the next step with.
    pub carried: Vec<T>,
    /// Valid groups that are dropped.
    pub discarded: Vec<T>,
}

impl Default for DrawWindow {
    fn default() -> Self {
        Self {
            least_share: 0.0,
            max_rounds: 4,
            on_exhausted: OnExhausted::Proceed,
            surplus: Surplus::Discard,
        }
    }
}

impl DrawWindow {
    /// Decides after `rounds` rounds with `valid` valid groups so far, of `prompts` prompts a step.
    pub fn decide(&self, valid: usize, prompts: usize, rounds: usize) -> WindowDecision {
        let enough = valid as f64 >= self.least_share * prompts as f64;
        if enough && (valid > 0 || self.least_share == 0.0) {
            return if valid > 0 { WindowDecision::Train } else { WindowDecision::Skip };
        }
        if rounds < self.max_rounds {
            return WindowDecision::DrawMore;
        }
        match self.on_exhausted {
            OnExhausted::Proceed if valid > 0 => WindowDecision::Train,
            OnExhausted::Proceed | OnExhausted::Skip => WindowDecision::Skip,
            OnExhausted::Stop => WindowDecision::Stop,
        }
    }

    /// Chooses the groups of a step: the oldest valid ones, then invalid ones of the newest round.
    ///
    /// `groups` are those of all rounds in order, carried ones first; the newest round begins at
    /// `newest`.
    pub fn choose<T>(
        &self,
        groups: Vec<T>,
        is_valid: impl Fn(&T) -> bool,
        newest: usize,
        prompts: usize,
    ) -> WindowChoice<T> {
        let (mut train, mut surplus, mut fill) = (Vec::new(), Vec::new(), Vec::new());
        for (at, group) in groups.into_iter().enumerate() {
            match is_valid(&group) {
                true if train.len() < prompts => train.push(group),
                true => surplus.push(group),
                false if at >= newest => fill.push(group),
                false => {}
            }
        }
        fill.truncate(prompts - train.len());
        let (carried, discarded) = self.left_over(surplus);
        WindowChoice { train, fill, carried, discarded }
    }

    /// The choice of a step that is skipped: its valid groups wait until there are enough of them, where
    /// valid groups may wait at all.
    pub fn skip<T>(&self, choice: WindowChoice<T>) -> WindowChoice<T> {
        let WindowChoice { train, fill, carried, discarded } = choice;
        let valid = train.into_iter().chain(carried).chain(discarded).collect();
        let (carried, discarded) = self.left_over(valid);
        WindowChoice { train: Vec::new(), fill, carried, discarded }
    }

    /// Valid groups that are not trained on, as those that wait and those that are dropped.
    fn left_over<T>(&self, valid: Vec<T>) -> (Vec<T>, Vec<T>) {
        match self.surplus {
            Surplus::Carry => (valid, Vec::new()),
            Surplus::Discard => (Vec::new(), valid),
        }
    }

    /// Refuses a share outside 0..=1 and a window without rounds, by the keys of the `gpg:` block.
    ///
    /// # Errors
    /// The key, with the reason.
    pub fn validate(&self) -> Result<(), AdvantageError> {
        if !(0.0..=1.0).contains(&self.least_share) {
            let reason = "it is the least share of valid groups; use a number from 0 to 1";
            return Err(AdvantageError::setting("beta_th", self.least_share, reason));
        }
        if self.max_rounds == 0 {
            let reason = "a step draws its prompts at least once; use 1 or more";
            return Err(AdvantageError::setting("max_rounds", 0, reason));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The places that a window chooses.
    fn choose(
        window: DrawWindow,
        is_valid: &[bool],
        newest: usize,
        prompts: usize,
    ) -> WindowChoice<usize> {
        window.choose((0..is_valid.len()).collect(), |at| is_valid[*at], newest, prompts)
    }

    #[test]
    fn more_prompts_are_drawn_until_the_share_is_reached_or_rounds_run_out() {
        let window = DrawWindow { least_share: 0.6, max_rounds: 3, ..DrawWindow::default() };
        assert_eq!(window.decide(2, 5, 1), WindowDecision::DrawMore);
        assert_eq!(window.decide(3, 5, 1), WindowDecision::Train);
        assert_eq!(window.decide(0, 5, 2), WindowDecision::DrawMore);
        assert_eq!(window.decide(2, 5, 3), WindowDecision::Train);
        assert_eq!(window.decide(0, 5, 3), WindowDecision::Skip);
    }

    #[test]
    fn exhaustion_proceeds_skips_or_stops_as_configured() {
        let decide = |on_exhausted, valid| {
            DrawWindow { least_share: 1.0, max_rounds: 1, on_exhausted, ..Default::default() }
                .decide(valid, 4, 1)
        };
        assert_eq!(decide(OnExhausted::Proceed, 1), WindowDecision::Train);
        assert_eq!(decide(OnExhausted::Skip, 1), WindowDecision::Skip);
        assert_eq!(decide(OnExhausted::Stop, 1), WindowDecision::Stop);
    }

    #[test]
    fn without_a_threshold_one_round_decides() {
        assert_eq!(DrawWindow::default().decide(1, 32, 1), WindowDecision::Train);
        assert_eq!(DrawWindow::default().decide(0, 32, 1), WindowDecision::Skip);
    }

    #[test]
    fn the_oldest_valid_groups_train_and_the_newest_invalid_fill() {
        let is_valid = [true, false, false, true, false, true];
        let choice = choose(DrawWindow::default(), &is_valid, 3, 5);
        assert_eq!((choice.train, choice.fill), (vec![0, 3, 5], vec![4]));
    }

    #[test]
    fn surplus_valid_groups_are_dropped_or_carried() {
        let discard = choose(DrawWindow::default(), &[true; 5], 0, 3);
        assert_eq!((discard.discarded, discard.carried), (vec![3, 4], vec![]));
        let carry = DrawWindow { surplus: Surplus::Carry, ..Default::default() };
        assert_eq!(choose(carry, &[true; 5], 0, 3).carried, [3, 4]);
    }

    #[test]
    fn a_skipped_step_keeps_its_valid_groups_where_groups_may_wait() {
        let skipped = |surplus| {
            let window = DrawWindow { surplus, ..Default::default() };
            window.skip(choose(window, &[true, false, true], 0, 4))
        };
        let carried = skipped(Surplus::Carry);
        assert_eq!((carried.train, carried.carried, carried.fill), (vec![], vec![0, 2], vec![1]));
        assert_eq!(skipped(Surplus::Discard).discarded, [0, 2]);
    }

    #[test]
    fn valid_groups_add_up_over_steps_until_there_are_enough() {
        let window = DrawWindow {
            least_share: 1.0,
            max_rounds: 1,
            on_exhausted: OnExhausted::Skip,
            surplus: Surplus::Carry,
        };
        let (mut waiting, mut trained) = (Vec::new(), Vec::new());
        for fresh in [2, 2, 3, 2] {
            let groups: Vec<bool> = waiting.into_iter().chain([true; 8].map(|_| true)).collect();
            let groups = groups.into_iter().enumerate();
            let old = groups.len() - 8;
            let groups: Vec<bool> = groups.map(|(at, _)| at < old + fresh).collect();
            let decision = window.decide(groups.iter().filter(|valid| **valid).count(), 8, 1);
            let choice = window.choose(groups, |valid| *valid, old, 8);
            let choice =
                if decision == WindowDecision::Skip { window.skip(choice) } else { choice };
            trained.push(choice.train.len());
            waiting = choice.carried;
        }
        assert_eq!((trained, waiting.len()), (vec![0, 0, 0, 8], 1));
    }

    #[test]
    fn impossible_settings_are_refused() {
        let beta = DrawWindow { least_share: 1.5, ..DrawWindow::default() };
        assert!(beta.validate().unwrap_err().to_string().starts_with("beta_th is 1.5"));
        let rounds = DrawWindow { max_rounds: 0, ..DrawWindow::default() };
        assert!(rounds.validate().unwrap_err().to_string().starts_with("max_rounds is 0"));
    }
}
