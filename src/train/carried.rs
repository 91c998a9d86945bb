//! Numbers and groups as a checkpoint keeps them: so that nothing of them is lost.

use serde::{Deserialize, Serialize};

use super::prepared::PreparedProblems;
use crate::rollout::{Completion, FinishReason, RolloutGroup};

/// A number written by its bits. JSON's decimal digits may come back as the next number, and a
/// resumed run would no longer be the same.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(from = "u64", into = "u64")]
pub struct Exact(pub f64);

impl From<u64> for Exact {
    fn from(bits: u64) -> Self {
        Self(f64::from_bits(bits))
    }
}

impl From<Exact> for u64 {
    fn from(Exact(value): Exact) -> Self {
        value.to_bits()
    }
}

/// A group that waits for the next step. Its rewards are computed again when it is taken up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CarriedGroup {
    problem: u32,
    completions: Vec<CarriedCompletion>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CarriedCompletion {
    ids: Vec<u32>,
    logp_bits: Vec<u32>,
    ended: bool,
}

impl CarriedGroup {
    /// What a checkpoint keeps of a group.
    pub fn new(group: &RolloutGroup) -> Self {
        let completions = group.completions.iter().map(|completion| CarriedCompletion {
            ids: completion.ids.clone(),
            logp_bits: completion.logps.iter().map(|logp| logp.to_bits()).collect(),
            ended: completion.finish == FinishReason::Eos,
        });
        Self { problem: group.prompt.problem, completions: completions.collect() }
    }

    /// The group as it was before the checkpoint; none where there is no such problem.
    pub(super) fn rollout(&self, problems: &PreparedProblems) -> Option<RolloutGroup> {
        let problem = self.problem as usize;
        (problem < problems.len()).then(|| RolloutGroup {
            prompt: problems.prompt(problem, self.completions.len()),
            completions: self.completions(),
        })
    }

    fn completions(&self) -> Vec<Completion> {
        let completion = |kept: &CarriedCompletion| Completion {
            ids: kept.ids.clone(),
            logps: kept.logp_bits.iter().map(|bits| f32::from_bits(*bits)).collect(),
            finish: if kept.ended { FinishReason::Eos } else { FinishReason::Length },
        };
        self.completions.iter().map(completion).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::testing::group;

    #[test]
    fn a_number_survives_a_checkpoint_to_the_bit() {
        for value in [0.1 + 0.2, -1.0 / 3.0, 1e300, 5e-324] {
            let written = serde_json::to_string(&Exact(value)).unwrap();
            assert_eq!(serde_json::from_str::<Exact>(&written).unwrap(), Exact(value));
        }
    }

    #[test]
    fn a_group_survives_a_checkpoint_to_the_bit() {
        let group = group(3, &[(2, FinishReason::Eos), (4, FinishReason::Length)]);
        let written = serde_json::to_string(&CarriedGroup::new(&group)).unwrap();
        let read: CarriedGroup = serde_json::from_str(&written).unwrap();
        assert_eq!((read.problem, read.completions()), (3, group.completions));
    }
}
