//! What each estimator makes of the same rewards.
//!
//! `cargo run --example advantages`

use wgrpo::advantage::{AdvantageEstimator, Estimator, GroupRewards, RewardBatch};

/// One prompt whose answers earned 0, 1.5 or 2 points, and one that could not be told apart.
const REWARDS: [[f64; 5]; 2] = [[0.0, 1.5, 2.0, 2.0, 0.0], [1.0; 5]];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let group = |rewards: &[f64; 5]| GroupRewards {
        rewards: rewards.iter().copied().map(Some).collect(),
        lengths: vec![4, 9, 6, 12, 3],
        each: rewards.iter().map(|reward| vec![Some(*reward)]).collect(),
    };
    let batch = RewardBatch {
        groups: REWARDS.iter().map(group).collect(),
        reward_weights: vec![1.0],
        seed: 0,
    };
    println!("rewards {:?}", REWARDS[0]);
    for name in ["grpo", "dr_grpo", "mc_grpo", "mc_gpg", "rloo", "reinforce_pp", "opo", "passk"] {
        let estimator: Estimator = name.parse()?;
        let groups = estimator.estimate(&batch)?;
        let advantages: Vec<String> =
            groups[0].advantages.iter().map(|advantage| format!("{advantage:+.3}")).collect();
        let pivot = groups[0].pivot.map(|pivot| format!("   rollout {pivot} leaves"));
        println!("{name:<13} {}{}", advantages.join("  "), pivot.unwrap_or_default());
    }
    Ok(())
}
