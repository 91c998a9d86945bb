//! GPG's accounting over one optimiser step: which groups it trains on, and what divides their loss.

use serde::{Deserialize, Serialize};

use super::AdvantageError;

/// Alpha, which makes up for groups without signal, and the share of valid groups to draw for.
///
/// A group is valid where its rewards differ (`GroupAdvantages::has_signal`).
/// Source: Chu et al., 2025, arXiv 2504.02546, eqs. 7 and 8.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GpgWindow {
    /// How invalid groups are made up for.
    pub alpha_mode: AlphaMode,
    /// The share of valid groups, of a step's prompts, to draw prompts for; 0 draws once. The
    /// paper's best is 0.6.
    pub beta_th: f64,
    /// The most times that a step's prompts are drawn.
    pub max_rounds: usize,
    /// What happens when the share is missed after that many rounds.
    pub on_exhausted: OnExhausted,
    /// What happens to valid groups beyond a step's prompts.
    pub surplus: Surplus,
}

/// How groups without signal are made up for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", try_from = "WrittenMode")]
pub enum AlphaMode {
    /// Not at all: their tokens dilute the loss.
    Off,
    /// `alpha = B / (B - M)`, with B rollouts of which M are in invalid groups.
    Paper,
    /// The token mean over valid groups only: `alpha = tokens / valid tokens`, exact for unequal
    /// lengths.
    ValidTokens,
}

/// A mode by name; YAML reads a bare `off` as false.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected off, paper or valid_tokens")]
enum WrittenMode {
    Flag(bool),
    Name(String),
}

impl TryFrom<WrittenMode> for AlphaMode {
    type Error = String;

    fn try_from(written: WrittenMode) -> Result<Self, String> {
        match written {
            WrittenMode::Flag(false) => Ok(Self::Off),
            WrittenMode::Flag(true) => {
                Err("alpha_mode is true; use off, paper or valid_tokens".into())
            }
            WrittenMode::Name(name) => match name.as_str() {
                "off" => Ok(Self::Off),
                "paper" => Ok(Self::Paper),
                "valid_tokens" => Ok(Self::ValidTokens),
                _ => Err(format!("alpha_mode is `{name}`; use off, paper or valid_tokens")),
            },
        }
    }
}

/// What happens when too few groups are valid after the last round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnExhausted {
    /// Train on what there is, with alpha at most `1 / beta_th`.
    Proceed,
    /// Skip the optimiser step.
    Skip,
    /// End the run.
    Stop,
}

/// What happens to valid groups beyond a step's prompts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Surplus {
    /// They are dropped: every step is on-policy.
    Discard,
    /// They are the first groups of the next step, one step off-policy.
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

/// Indices into the groups of all rounds, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WindowChoice {
    /// Valid groups to train on.
    pub train: Vec<usize>,
    /// Invalid groups of the newest round that complete the step's prompts: no backward, but they
    /// count in the loss's divisor.
    pub fill: Vec<usize>,
    /// Valid groups to begin the next step with.
    pub carried: Vec<usize>,
    /// Valid groups that are dropped.
    pub discarded: Vec<usize>,
}

impl Default for GpgWindow {
    fn default() -> Self {
        Self {
            alpha_mode: AlphaMode::ValidTokens,
            beta_th: 0.0,
            max_rounds: 4,
            on_exhausted: OnExhausted::Proceed,
            surplus: Surplus::Discard,
        }
    }
}

impl GpgWindow {
    /// Decides after `rounds` rounds with `valid` valid groups so far, of `prompts` prompts a step.
    pub fn decide(&self, valid: usize, prompts: usize, rounds: usize) -> WindowDecision {
        let enough = valid as f64 >= self.beta_th * prompts as f64;
        if enough && (valid > 0 || self.beta_th == 0.0) {
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
    /// `is_valid` holds the groups of all rounds in order, carried ones first; the newest round
    /// begins at `newest`.
    pub fn choose(&self, is_valid: &[bool], newest: usize, prompts: usize) -> WindowChoice {
        let all_valid: Vec<usize> = (0..is_valid.len()).filter(|&i| is_valid[i]).collect();
        let (train, surplus) = all_valid.split_at(all_valid.len().min(prompts));
        let invalid = (newest..is_valid.len()).filter(|&i| !is_valid[i]);
        let fill = invalid.take(prompts - train.len()).collect();
        let (carried, discarded) = match self.surplus {
            Surplus::Carry => (surplus.to_vec(), Vec::new()),
            Surplus::Discard => (Vec::new(), surplus.to_vec()),
        };
        WindowChoice { train: train.to_vec(), fill, carried, discarded }
    }

    /// Refuses a share outside 0..=1 and a window without rounds.
    pub fn validate(&self) -> Result<(), AdvantageError> {
        if !(0.0..=1.0).contains(&self.beta_th) {
            let reason = "it is the least share of valid groups; use a number from 0 to 1";
            return Err(AdvantageError::setting("beta_th", self.beta_th, reason));
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

    #[test]
    fn a_mode_is_read_by_name_and_off_as_yaml_reads_it() {
        let read = |text| serde_json::from_str::<AlphaMode>(text).map_err(|e| e.to_string());
        assert_eq!(read("false"), Ok(AlphaMode::Off));
        assert_eq!(read("\"valid_tokens\""), Ok(AlphaMode::ValidTokens));
        assert!(read("\"tokens\"").unwrap_err().contains("off, paper or valid_tokens"));
        assert_eq!(serde_json::to_string(&AlphaMode::Off).unwrap(), "\"off\"");
    }

    #[test]
    fn more_prompts_are_drawn_until_the_share_is_reached_or_rounds_run_out() {
        let window = GpgWindow { beta_th: 0.6, max_rounds: 3, ..GpgWindow::default() };
        assert_eq!(window.decide(2, 5, 1), WindowDecision::DrawMore);
        assert_eq!(window.decide(3, 5, 1), WindowDecision::Train);
        assert_eq!(window.decide(0, 5, 2), WindowDecision::DrawMore);
        assert_eq!(window.decide(2, 5, 3), WindowDecision::Train);
        assert_eq!(window.decide(0, 5, 3), WindowDecision::Skip);
    }

    #[test]
    fn exhaustion_proceeds_skips_or_stops_as_configured() {
        let decide = |on_exhausted, valid| {
            GpgWindow { beta_th: 1.0, max_rounds: 1, on_exhausted, ..Default::default() }
                .decide(valid, 4, 1)
        };
        assert_eq!(decide(OnExhausted::Proceed, 1), WindowDecision::Train);
        assert_eq!(decide(OnExhausted::Skip, 1), WindowDecision::Skip);
        assert_eq!(decide(OnExhausted::Stop, 1), WindowDecision::Stop);
    }

    #[test]
    fn without_a_threshold_one_round_decides() {
        assert_eq!(GpgWindow::default().decide(1, 32, 1), WindowDecision::Train);
        assert_eq!(GpgWindow::default().decide(0, 32, 1), WindowDecision::Skip);
    }

    #[test]
    fn the_oldest_valid_groups_train_and_the_newest_invalid_fill() {
        let is_valid = [true, false, false, true, false, true];
        let choice = GpgWindow::default().choose(&is_valid, 3, 5);
        assert_eq!((choice.train, choice.fill), (vec![0, 3, 5], vec![4]));
    }

    #[test]
    fn surplus_valid_groups_are_dropped_or_carried() {
        let discard = GpgWindow::default().choose(&[true; 5], 0, 3);
        assert_eq!((discard.discarded, discard.carried), (vec![3, 4], vec![]));
        let carry = GpgWindow { surplus: Surplus::Carry, ..Default::default() };
        assert_eq!(carry.choose(&[true; 5], 0, 3).carried, [3, 4]);
    }

    #[test]
    fn impossible_settings_are_refused() {
        let beta = GpgWindow { beta_th: 1.5, ..GpgWindow::default() };
        assert!(beta.validate().unwrap_err().to_string().starts_with("beta_th is 1.5"));
        let rounds = GpgWindow { max_rounds: 0, ..GpgWindow::default() };
        assert!(rounds.validate().unwrap_err().to_string().starts_with("max_rounds is 0"));
    }
}
