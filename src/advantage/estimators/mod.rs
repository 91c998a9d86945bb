//! The shipped estimators, one file each: a configuration that is the estimator.

mod dr_grpo;
mod gdpo;
mod gpg;
mod group_mean_batch_std;
mod grpo;
mod mc_gpg;
mod mc_grpo;
mod opo;
mod passk;
mod reinforce;
mod reinforce_pp;
mod reinforce_pp_baseline;
mod rloo;

pub use dr_grpo::DrGrpo;
pub use gdpo::Gdpo;
pub use gpg::{FNorm, Gpg};
pub use group_mean_batch_std::GroupMeanBatchStd;
pub use grpo::Grpo;
pub use mc_gpg::McGpg;
pub use mc_grpo::McGrpo;
pub use opo::Opo;
pub use passk::Passk;
pub use reinforce::Reinforce;
pub use reinforce_pp::ReinforcePp;
pub use reinforce_pp_baseline::ReinforcePpBaseline;
pub use rloo::Rloo;
