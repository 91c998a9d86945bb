//! What divides GPG's loss over one optimiser step.

use super::gpg_window::{AlphaMode, GpgWindow};

/// What a group weighs in the loss's divisor, after a pivot has left it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupTokens {
    /// Whether its rewards differ.
    pub valid: bool,
    /// Rollouts that reach the loss.
    pub rollouts: usize,
    /// Their loss tokens.
    pub tokens: usize,
}

impl GpgWindow {
    /// What the sum of the token losses is divided by: all tokens over alpha.
    ///
    /// ```text
    /// loss = sum(-logp * a) / divisor        divisor = sum of tokens / alpha
    /// ```
    ///
    /// `groups` are the chosen ones, `train` and `fill`. 0 where there is nothing to divide.
    pub fn token_divisor(&self, groups: &[GroupTokens]) -> f64 {
        let tokens: usize = groups.iter().map(|group| group.tokens).sum();
        tokens as f64 / self.alpha(groups)
    }

    /// Alpha of the chosen groups; 1 where none is valid.
    ///
    /// Where the share of valid groups missed `beta_th`, alpha is at most `1 / beta_th`, so that few
    /// groups never carry a whole step.
    pub fn alpha(&self, groups: &[GroupTokens]) -> f64 {
        let weight = |group: &GroupTokens| match self.alpha_mode {
            AlphaMode::Off => 0,
            AlphaMode::Paper => group.rollouts,
            AlphaMode::ValidTokens => group.tokens,
        };
        let all: usize = groups.iter().map(weight).sum();
        let valid: usize = groups.iter().filter(|group| group.valid).map(weight).sum();
        if valid == 0 {
            return 1.0;
        }
        let alpha = all as f64 / valid as f64;
        let valid_groups = groups.iter().filter(|group| group.valid).count();
        match (valid_groups as f64) < self.beta_th * groups.len() as f64 {
            true => alpha.min(1.0 / self.beta_th),
            false => alpha,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(valid: bool, tokens: usize) -> GroupTokens {
        GroupTokens { valid, rollouts: 2, tokens }
    }

    fn window(alpha_mode: AlphaMode) -> GpgWindow {
        GpgWindow { alpha_mode, ..GpgWindow::default() }
    }

    #[test]
    fn alpha_and_divisor_match_the_golden_example() {
        let groups = [group(true, 30), group(true, 20), group(true, 10), group(false, 60)];
        assert_eq!(window(AlphaMode::Paper).alpha(&groups), 4.0 / 3.0);
        assert!((window(AlphaMode::Paper).token_divisor(&groups) - 90.0).abs() < 1e-12);
        assert_eq!(window(AlphaMode::ValidTokens).token_divisor(&groups), 60.0);
        assert_eq!(window(AlphaMode::Off).token_divisor(&groups), 120.0);
    }

    #[test]
    fn alpha_counts_rollouts_in_ragged_groups() {
        let ragged = GroupTokens { valid: true, rollouts: 1, tokens: 10 };
        assert_eq!(window(AlphaMode::Paper).alpha(&[ragged, group(false, 10)]), 3.0);
    }

    #[test]
    fn alpha_is_capped_only_where_the_threshold_was_missed() {
        let capped = GpgWindow { beta_th: 0.5, ..GpgWindow::default() };
        let few = [group(true, 10), group(false, 45), group(false, 45)];
        assert_eq!(capped.alpha(&few), 2.0);
        assert_eq!(capped.alpha(&[group(true, 10), group(false, 90)]), 10.0);
        assert_eq!(capped.alpha(&[group(false, 10)]), 1.0);
    }
}
