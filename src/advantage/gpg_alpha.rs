//! GPG's alpha, which makes up for groups without signal.

use schemars::JsonSchema;
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", try_from = "WrittenMode")]
pub enum AlphaMode {
    /// Not at all: their tokens dilute the loss.
    Off,
    /// `alpha = B / (B - M)`, with B rollouts of which M are in invalid groups.
    Paper,
    /// As if the step held valid groups only: `alpha = divisor / divisor of the valid groups`, which
    /// under a token mean is `tokens / valid tokens`; exact for unequal lengths.
    ValidTokens,
}

/// A mode by name; YAML reads a bare `off` as false.
#[derive(Deserialize, JsonSchema)]
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

/// Groups of an optimiser step as the loss counts them, after a pivot has left each.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CountedGroups {
    /// Rollouts that reach the loss.
    pub rollouts: usize,
    /// What the loss's aggregation divides by where these are the groups of the step.
    pub divisor: f64,
}

impl GpgAlpha {
    /// Alpha of an optimiser step over all of these groups, of which some are valid; 1 where none is.
    ///
    /// ```text
    /// loss = alpha * sum(-logp * a) / divisor(all)        alpha = divisor(all) / divisor(valid)
    /// ```
    ///
    /// Where groups without signal do not enlarge the divisor there is nothing to make up for. Where
    /// the drawing of prompts [missed](Self::is_missed) `beta_th`, alpha is at most `1 / beta_th`, so that
    /// few groups never carry a whole step.
    pub fn of(&self, all: CountedGroups, valid: CountedGroups, is_missed: bool) -> f64 {
        if valid.divisor == 0.0 || valid.divisor == all.divisor {
            return 1.0;
        }
        let alpha = match self.alpha_mode {
            AlphaMode::Off => return 1.0,
            AlphaMode::Paper => all.rollouts as f64 / valid.rollouts as f64,
            AlphaMode::ValidTokens => all.divisor / valid.divisor,
        };
        if is_missed { alpha.min(1.0 / self.beta_th) } else { alpha }
    }

    /// Whether so many valid groups of all that prompts were drawn for are fewer than was asked.
    pub fn is_missed(&self, valid: usize, all: usize) -> bool {
        (valid as f64) < self.beta_th * all as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A group, and the tokens that a token mean is divided by.
    #[derive(Clone, Copy)]
    struct Group {
        valid: bool,
        rollouts: usize,
        tokens: usize,
    }

    fn group(valid: bool, tokens: usize) -> Group {
        Group { valid, rollouts: 2, tokens }
    }

    fn counted(groups: &[Group], counts: impl Fn(&Group) -> bool) -> CountedGroups {
        let groups: Vec<&Group> = groups.iter().filter(|group| counts(group)).collect();
        let rollouts = groups.iter().map(|group| group.rollouts).sum();
        let tokens: usize = groups.iter().map(|group| group.tokens).sum();
        CountedGroups { rollouts, divisor: tokens as f64 }
    }

    fn of(alpha: GpgAlpha, groups: &[Group]) -> f64 {
        let valid = groups.iter().filter(|group| group.valid).count();
        let is_missed = alpha.is_missed(valid, groups.len());
        alpha.of(counted(groups, |_| true), counted(groups, |group| group.valid), is_missed)
    }

    fn alpha(alpha_mode: AlphaMode, groups: &[Group]) -> f64 {
        of(GpgAlpha { alpha_mode, beta_th: 0.0 }, groups)
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
        let ragged = Group { valid: true, rollouts: 1, tokens: 10 };
        assert_eq!(alpha(AlphaMode::Paper, &[ragged, group(false, 10)]), 3.0);
    }

    #[test]
    fn alpha_is_capped_only_where_the_threshold_was_missed() {
        let capped = GpgAlpha { alpha_mode: AlphaMode::ValidTokens, beta_th: 0.5 };
        let few = [group(true, 10), group(false, 45), group(false, 45)];
        assert_eq!(of(capped, &few), 2.0);
        assert_eq!(of(capped, &[group(true, 10), group(false, 90)]), 10.0);
        assert_eq!(of(capped, &[group(false, 10)]), 1.0);
    }

    #[test]
    fn a_divisor_that_counts_no_group_leaves_nothing_to_make_up_for() {
        let [all, valid] = [8, 2].map(|rollouts| CountedGroups { rollouts, divisor: 256.0 });
        for alpha_mode in [AlphaMode::Off, AlphaMode::Paper, AlphaMode::ValidTokens] {
            assert_eq!(GpgAlpha { alpha_mode, beta_th: 0.0 }.of(all, valid, false), 1.0);
        }
    }
}
