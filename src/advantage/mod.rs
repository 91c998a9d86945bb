//! Advantages: rewards of groups in, one number for each rollout out. Knows no token and no text.
//!
//! An estimator is a small config struct that implements [`AdvantageEstimator`]; [`Estimator`] is the
//! closed, serde-tagged choice among the shipped ones. Most are a [`GroupRule`](crate::kernel::group_rule::GroupRule)
//! (baseline, scale, pivot), which training computes by the group kernels on its device, in f32; the rest
//! need the whole batch and are computed on the host. What the host says in f64 is the reference that the
//! kernels are held to.
//!
//! ```text
//! rewards -> reward_shaping -> estimator -> post (whiten, clip) -> loss
//! ```

mod dr_grpo;
mod error;
mod estimator;
mod gdpo;
#[cfg(test)]
mod golden_tests;
mod gpg;
mod gpg_alpha;
mod gpg_window;
mod group;
mod group_mean_batch_std;
mod grpo;
#[cfg(test)]
mod identity_tests;
mod legacy_reward_norm;
mod mc_gpg;
mod mc_grpo;
mod on_device;
mod opo;
mod passk;
mod post;
mod reinforce;
mod reinforce_pp;
mod reinforce_pp_baseline;
mod reward_law;
mod reward_shaping;
mod rloo;
mod rule;
mod running_moments;
mod sign_flip;
mod signal;
mod statistics;
mod token_level;

pub use dr_grpo::DrGrpo;
pub use error::AdvantageError;
pub use estimator::{AdvantageEstimator, Estimator};
pub use gdpo::Gdpo;
pub use gpg::{FNorm, Gpg};
pub use gpg_alpha::GroupTokens;
pub use gpg_window::{AlphaMode, GpgWindow, OnExhausted, Surplus, WindowChoice, WindowDecision};
pub use group::{AdvantageSummary, GroupAdvantages, GroupRewards, RewardBatch};
pub use group_mean_batch_std::GroupMeanBatchStd;
pub use grpo::Grpo;
pub use legacy_reward_norm::LegacyRewardNorm;
pub use mc_gpg::McGpg;
pub use mc_grpo::McGrpo;
pub use on_device::{estimate_on, kernel_rule};
pub use opo::Opo;
pub use passk::Passk;
pub use post::{PostProcessing, PostReport};
pub use reinforce::Reinforce;
pub use reinforce_pp::ReinforcePp;
pub use reinforce_pp_baseline::ReinforcePpBaseline;
pub use reward_law::RewardLaw;
pub use reward_shaping::{NormOver, RewardShaping};
pub use rloo::Rloo;
pub use rule::apply_rule;
pub use running_moments::RunningMoments;
pub use sign_flip::{Oracle, SignCount, count_sign_flips, subset_sign_flips};
pub use signal::{SignalRow, signal_row, signal_table};
pub use statistics::RewardStatistics;
pub use token_level::{TokenAdvantages, TokenPenalty};
