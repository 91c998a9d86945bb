//! Advantages that differ along a completion: a penalty on every token still to come.

use super::GroupAdvantages;
use super::post::{PostProcessing, PostReport};
use super::statistics::token_moments;

/// The advantages of the tokens of one group's rollouts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TokenAdvantages {
    /// One list for each rollout, one number for each of its loss tokens; empty for a rollout that
    /// does not reach the loss.
    pub advantages: Vec<Vec<f64>>,
}

/// A charge on every token, such as its KL to a reference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TokenPenalty {
    /// What a token's charge is multiplied by.
    pub coefficient: f64,
    /// The largest absolute charge of a token after that, if it is limited.
    pub clip: Option<f64>,
}

impl TokenPenalty {
    /// Charges each token with its own penalty and those of all tokens after it.
    ///
    /// ```text
    /// a_t = a - sum over s >= t of clamp(coefficient * charge_s, -clip, clip)
    /// ```
    ///
    /// The penalty joins after the estimator: before it, a group's scale would divide the penalty
    /// by the very spread that it causes. `charges` holds a list for each rollout, empty where the
    /// rollout does not reach the loss. Unscored rollouts stay at zero.
    pub fn apply(&self, group: &GroupAdvantages, charges: &[Vec<f64>]) -> TokenAdvantages {
        assert!(charges.len() == group.advantages.len(), "one list of charges for each rollout");
        let of_rollout = |(i, charges): (usize, &Vec<f64>)| match group.scored[i] {
            true => self.reward_to_go(group.advantages[i], charges),
            false => vec![0.0; charges.len()],
        };
        TokenAdvantages { advantages: charges.iter().enumerate().map(of_rollout).collect() }
    }

    fn reward_to_go(&self, advantage: f64, charges: &[f64]) -> Vec<f64> {
        let mut left = advantage;
        let mut tokens: Vec<f64> = charges
            .iter()
            .rev()
            .map(|charge| {
                let charge = self.coefficient * charge;
                left -= self.clip.map_or(charge, |limit| charge.clamp(-limit, limit));
                left
            })
            .collect();
        tokens.reverse();
        tokens
    }
}

impl PostProcessing {
    /// Whitens and clips token by token: [`PostProcessing::apply`] where advantages differ along a
    /// completion. `groups` says which rollouts were scored.
    pub fn apply_to_tokens(
        &self,
        groups: &[GroupAdvantages],
        mut tokens: Vec<TokenAdvantages>,
    ) -> (Vec<TokenAdvantages>, PostReport) {
        assert!(groups.len() == tokens.len(), "advantages of another batch");
        if self.whiten_advantages {
            whiten(groups, &mut tokens);
        }
        let report = self.advantage_clip.map(|limit| clip(groups, &mut tokens, limit));
        (tokens, report.unwrap_or_default())
    }
}

/// The tokens of the rollouts that were scored.
fn scored<'a>(
    groups: &'a [GroupAdvantages],
    tokens: &'a mut [TokenAdvantages],
) -> impl Iterator<Item = &'a mut f64> {
    let rollouts = groups.iter().zip(tokens).flat_map(|(group, tokens)| {
        group.scored.iter().zip(&mut tokens.advantages).filter(|(scored, _)| **scored)
    });
    rollouts.flat_map(|(_, advantages)| advantages)
}

fn whiten(groups: &[GroupAdvantages], tokens: &mut [TokenAdvantages]) {
    let values: Vec<f64> = scored(groups, tokens).map(|value| *value).collect();
    let Some((mean, std)) = token_moments(&values, &vec![1; values.len()]) else { return };
    let deviation = (std * std + 1e-8).sqrt();
    scored(groups, tokens).for_each(|value| *value = (*value - mean) / deviation);
}

fn clip(groups: &[GroupAdvantages], tokens: &mut [TokenAdvantages], limit: f64) -> PostReport {
    let (mut clipped, mut all) = (0usize, 0usize);
    for value in scored(groups, tokens) {
        all += 1;
        clipped += usize::from(value.abs() > limit);
        *value = value.clamp(-limit, limit);
    }
    PostReport { clipped_fraction: clipped as f64 / all.max(1) as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advantage::{AdvantageEstimator, DrGrpo, RewardBatch};

    fn group(rewards: Vec<Option<f64>>) -> GroupAdvantages {
        let batch = RewardBatch::from_rewards([rewards]);
        DrGrpo::default().estimate(&batch).unwrap().remove(0)
    }

    #[test]
    fn a_token_pays_for_itself_and_for_what_follows() {
        let penalty = TokenPenalty { coefficient: 0.5, clip: None };
        let group = group(vec![Some(2.0), Some(0.0), None]);
        let charges = [vec![1.0, 0.0, 2.0], vec![-4.0], vec![9.0]];
        let tokens = penalty.apply(&group, &charges).advantages;
        assert_eq!(tokens, [vec![-0.5, 0.0, 0.0], vec![1.0], vec![0.0]]);
    }

    #[test]
    fn a_charge_is_clipped_before_it_is_summed() {
        let penalty = TokenPenalty { coefficient: 1.0, clip: Some(1.0) };
        let group = group(vec![Some(2.0), Some(0.0)]);
        let tokens = penalty.apply(&group, &[vec![50.0, -50.0], vec![]]).advantages;
        assert_eq!(tokens[0], [1.0, 2.0]);
    }

    #[test]
    fn without_charges_tokens_are_whitened_and_clipped_as_rollouts_are() {
        let lengths = [3, 1, 2];
        let mut batch = RewardBatch::from_rewards([vec![Some(3.0), Some(0.0), Some(1.0)]]);
        batch.groups[0].lengths = lengths.to_vec();
        let groups = DrGrpo::default().estimate(&batch).unwrap();
        let post = PostProcessing { whiten_advantages: true, advantage_clip: Some(1.0) };
        let charges: Vec<Vec<f64>> = lengths.iter().map(|&length| vec![0.0; length]).collect();
        let tokens = TokenPenalty { coefficient: 0.2, clip: None }.apply(&groups[0], &charges);
        let (by_token, _) = post.apply_to_tokens(&groups, vec![tokens]);
        let (by_rollout, _) = post.apply(groups, &batch);
        for (tokens, rollout) in by_token[0].advantages.iter().zip(&by_rollout[0].advantages) {
            assert!(tokens.iter().all(|token| (token - rollout).abs() < 1e-12));
        }
    }
}
