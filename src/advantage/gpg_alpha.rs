//! GPG's alpha, which makes up for groups without signal.

use serde::{Deserialize, Serialize};

/// How much the loss of a step's valid groups grows for those that are not.
///
/// A group is valid where its rewards differ (`GroupAdvantages::has_signal`).
/// Source: Chu et al., 2025, arXiv 2504.02546, eqs. 7 and 8.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GpgAlpha {
    /// How invalid groups are made up for.
    pub alpha_mode: AlphaMode,
    /// The share of valid groups that prompts were drawn for; 0 for none.
    pub beta_th: f64,
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

impl GpgAlpha {
    /// Alpha of the groups of a step; 1 where none is valid.
    ///
    /// ```text
    /// loss = alpha * sum(-logp * a) / sum of tokens
    /// ```
    ///
    /// Where the share of valid groups missed `beta_th`, alpha is at most `1 / beta_th`, so that few
    /// groups never carry a whole step.
    pub fn of(&self, groups: &[GroupTokens]) -> f64 {
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

    fn alpha(alpha_mode: AlphaMode, groups: &[GroupTokens]) -> f64 {
        GpgAlpha { alpha_mode, beta_th: 0.0 }.of(groups)
    }

    #[test]
    fn a_mode_is_read_by_name_and_off_as_yaml_reads_it() {
        let read = |text| serde_json::from_str::<AlphaMode>(text).map_err(|e| e.to_string());
        assert_eq!(read("false"), Ok(AlphaMode::Off));
        assert_eq!(read("\"valid_tokens\""), Ok(AlphaMode::ValidTokens));
        assert!(read("\"tokens\"").unwrap_err().contains("off, paper or valid_tokens"));
        assert_eq!(serde_json::to_string(&AlphaMode::Off).unwrap(), "\"off\"");
    }

    #[test]
    fn alpha_and_divisor_match_the_golden_example() {
        let groups = [group(true, 30), group(true, 20), group(true, 10), group(false, 60)];
        // What divides the sum of the token losses: all 120 tokens over alpha.
        let divisor = |mode| 120.0 / alpha(mode, &groups);
        assert_eq!(alpha(AlphaMode::Paper, &groups), 4.0 / 3.0);
        assert!((divisor(AlphaMode::Paper) - 90.0).abs() < 1e-12);
        assert_eq!(divisor(AlphaMode::ValidTokens), 60.0);
        assert_eq!(divisor(AlphaMode::Off), 120.0);
    }

    #[test]
    fn alpha_counts_rollouts_in_ragged_groups() {
        let ragged = GroupTokens { valid: true, rollouts: 1, tokens: 10 };
        assert_eq!(alpha(AlphaMode::Paper, &[ragged, group(false, 10)]), 3.0);
    }

    #[test]
    fn alpha_is_capped_only_where_the_threshold_was_missed() {
        let capped = GpgAlpha { alpha_mode: AlphaMode::ValidTokens, beta_th: 0.5 };
        let few = [group(true, 10), group(false, 45), group(false, 45)];
        assert_eq!(capped.of(&few), 2.0);
        assert_eq!(capped.of(&[group(true, 10), group(false, 90)]), 10.0);
        assert_eq!(capped.of(&[group(false, 10)]), 1.0);
    }
}
