//! Advantages: rewards of groups in, one number for each rollout out. Knows no token and no text.
//!
//! An estimator is a small config struct that implements [`AdvantageEstimator`]; [`Estimator`] is the
//! closed, serde-tagged choice among the shipped ones. Most are a [`GroupRule`](crate::kernel::group_rule::GroupRule)
//! (baseline, scale, pivot) and nothing else: the host centres a group's rewards in f64, and training computes
//! by the group kernels on its device, in f32. Those that do more ([`AdvantageEstimator::finishes`]) are
//! computed on the host, in f64, for the whole run. What the host says in f64 of the others is the
//! reference that the kernels are held to.
//!
//! ```text
//! rewards -> reward_shaping -> estimator -> post (whiten, clip) -> loss
//! ```

mod error;
mod estimator;
mod estimators;
mod gpg_alpha;
mod group;
mod legacy_reward_norm;
mod on_device;
mod post;
mod reward_distribution;
mod reward_shaping;
mod rule;
mod running_moments;
mod sign_flip;
mod signal;
mod statistics;
#[cfg(test)]
mod tests;
mod token_level;

pub use error::AdvantageError;
pub use estimator::{AdvantageEstimator, Estimator, RewardNorm};
pub use estimators::{
    DrGrpo, FNorm, Gdpo, Gpg, GroupMeanBatchStd, Grpo, McGpg, McGrpo, Opo, Passk, Reinforce,
    ReinforcePp, ReinforcePpBaseline, Rloo,
};
pub use gpg_alpha::{AlphaMode, CountedGroups, GpgAlpha};
pub use group::{GroupAdvantages, GroupRewards, RewardBatch};
pub use legacy_reward_norm::LegacyRewardNorm;
pub use on_device::{estimate_on, rule_on};
pub use post::{PostProcessing, PostReport};
pub use reward_distribution::RewardDistribution;
pub use reward_shaping::{NormOver, RewardShaping};
pub use rule::apply_rule;
pub use running_moments::RunningMoments;
pub use sign_flip::{Oracle, SignCount, count_sign_flips, subset_sign_flips};
pub use signal::{SignalRow, signal_row, signal_table};
pub use statistics::RewardStatistics;
pub use token_level::{TokenAdvantages, TokenPenalty};
