//! An estimator of your own: the distance from the best reward that a group has reached, beside
//! those that are shipped, and how often it gets a sign wrong.
//!
//! `cargo run --example custom_estimator`

use wgrpo::advantage::{
    AdvantageError, AdvantageEstimator, DrGrpo, GroupAdvantages, Oracle, RewardBatch,
    RewardDistribution, signal_row,
};
use wgrpo::kernel::group_rule::GroupRule;

/// Half way between the mean and the largest reward: only what is clearly good is reinforced.
struct Optimist;

impl AdvantageEstimator for Optimist {
    fn name(&self) -> &'static str {
        "optimist"
    }

    /// The distance from the group's mean, to begin with.
    fn rule(&self) -> GroupRule {
        GroupRule::default()
    }

    fn finishes(&self) -> bool {
        true
    }

    fn finish(
        &self,
        groups: Vec<GroupAdvantages>,
        _batch: &RewardBatch,
    ) -> Result<Vec<GroupAdvantages>, AdvantageError> {
        Ok(groups.into_iter().map(raise_the_baseline).collect())
    }
}

fn raise_the_baseline(mut group: GroupAdvantages) -> GroupAdvantages {
    if group.has_signal {
        let lift = 0.5 * group.advantages.iter().copied().fold(0.0, f64::max);
        group.baseline += lift;
        group.advantages.iter_mut().for_each(|advantage| *advantage -= lift);
    }
    group
}

fn main() -> Result<(), AdvantageError> {
    let batch = RewardBatch::from_rewards([vec![Some(0.0), Some(0.5), Some(1.0)]]);
    let group = &Optimist.estimate(&batch)?[0];
    println!("baseline {} advantages {:?}", group.baseline, group.advantages);

    let distribution = RewardDistribution::new(vec![0.0, 0.5, 1.0], vec![0.5, 0.3, 0.2])?;
    let estimators: [&dyn AdvantageEstimator; 2] = [&DrGrpo::default(), &Optimist];
    for estimator in estimators {
        let row = signal_row(estimator.name(), estimator, &distribution, 4, Oracle::Mean)?;
        println!("{:<9} wrong signs {:.3} of {} rollouts", row.baseline, row.flip_share, row.group);
    }
    Ok(())
}
