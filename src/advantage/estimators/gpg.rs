//! GPG: a reward's distance from its group's mean, for the plain policy-gradient loss.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::group_mean_batch_std::divide_by_batch_std;
use crate::advantage::{AdvantageError, AdvantageEstimator, GroupAdvantages, RewardBatch};
use crate::kernel::group_rule::{GroupRule, Scale};

/// Group mean over a norm of choice; the paper's best is a norm of one together with alpha.
///
/// ```text
/// a = (r - mean) / f_norm
/// ```
///
/// Alpha, which makes up for groups without signal, belongs to the loss: see
/// [`GpgAlpha`](crate::advantage::GpgAlpha). Source: Chu et al., 2025, arXiv 2504.02546, eq. 5.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Gpg {
    /// What the distance from the mean is divided by.
    pub f_norm: FNorm,
    /// Added to a standard deviation.
    pub eps: f64,
    /// A group whose rewards differ by no more is invalid and gives exactly zero.
    pub equal_tol: f64,
}

/// The norm of GPG's advantages; `1` may be written as a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "WrittenNorm", rename_all = "snake_case")]
pub enum FNorm {
    /// One: no scale.
    #[serde(rename = "1")]
    One,
    /// The group's standard deviation, with Bessel's correction.
    GroupStd,
    /// The standard deviation of all rewards of the batch, with Bessel's correction.
    BatchStd,
}

impl Default for Gpg {
    fn default() -> Self {
        Self { f_norm: FNorm::One, eps: 1e-4, equal_tol: 1e-6 }
    }
}

impl AdvantageEstimator for Gpg {
    fn name(&self) -> &'static str {
        "gpg"
    }

    fn rule(&self) -> GroupRule {
        let scale = match self.f_norm {
            FNorm::GroupStd => Scale::Std,
            FNorm::One | FNorm::BatchStd => Scale::None,
        };
        GroupRule { scale, eps: self.eps, equal_tol: self.equal_tol, ..GroupRule::default() }
    }

    fn finishes(&self) -> bool {
        self.f_norm == FNorm::BatchStd
    }

    fn default_loss(&self) -> &'static str {
        "policy_gradient"
    }

    fn allows_reference(&self) -> bool {
        false
    }

    fn makes_up_for_silent_groups(&self) -> bool {
        true
    }

    fn finish(
        &self,
        groups: Vec<GroupAdvantages>,
        batch: &RewardBatch,
    ) -> Result<Vec<GroupAdvantages>, AdvantageError> {
        match self.f_norm {
            FNorm::BatchStd => Ok(divide_by_batch_std(groups, batch, self.eps)),
            FNorm::One | FNorm::GroupStd => Ok(groups),
        }
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum WrittenNorm {
    Number(f64),
    Name(String),
}

impl TryFrom<WrittenNorm> for FNorm {
    type Error = String;

    fn try_from(written: WrittenNorm) -> Result<Self, String> {
        let text = match written {
            WrittenNorm::Number(number) => number.to_string(),
            WrittenNorm::Name(name) => name,
        };
        match text.as_str() {
            "1" | "one" => Ok(Self::One),
            "group_std" => Ok(Self::GroupStd),
            "batch_std" => Ok(Self::BatchStd),
            _ => Err(format!("f_norm is `{text}`; use 1, group_std or batch_std")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scales(f_norm: FNorm) -> Vec<f64> {
        let batch =
            RewardBatch::from_rewards([vec![Some(1.0), Some(0.0)], vec![Some(4.0), Some(1.0)]]);
        let gpg = Gpg { f_norm, ..Gpg::default() };
        gpg.estimate(&batch).unwrap().iter().map(|group| group.scale).collect()
    }

    #[test]
    fn the_norm_is_one_the_groups_or_the_batchs_deviation() {
        assert_eq!(scales(FNorm::One), [1.0, 1.0]);
        let group = scales(FNorm::GroupStd);
        assert!((group[0] - 0.5f64.sqrt() - 1e-4).abs() < 1e-12);
        assert!((group[1] - 4.5f64.sqrt() - 1e-4).abs() < 1e-12);
        // {1, 0, 4, 1}: mean 1.5, squares .25 + 2.25 + 6.25 + .25 = 9, over 3
        let batch = 3.0f64.sqrt() + 1e-4;
        assert!(scales(FNorm::BatchStd).iter().all(|scale| (scale - batch).abs() < 1e-12));
    }

    #[test]
    fn a_norm_of_one_may_be_a_number_or_a_word() {
        for written in ["1", "\"1\"", "\"one\""] {
            let gpg = serde_json::from_str::<Gpg>(&format!("{{\"f_norm\": {written}}}"));
            assert_eq!(gpg.unwrap().f_norm, FNorm::One);
        }
        assert!(serde_json::from_str::<Gpg>("{\"f_norm\": 2}").is_err());
    }
}
