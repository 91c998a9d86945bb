//! The golden vectors of `tests/fixtures/advantages`, for the f64 estimators and the kernels' f32 references on the CPU.

use serde::Deserialize;

use crate::advantage::on_device::PaddedTable;
use crate::advantage::rule::fold_seed;
use crate::advantage::{AdvantageEstimator, Estimator, GroupAdvantages, GroupRewards, RewardBatch};
use crate::kernel::group_advantage::{RolloutAdvantages, advantages};
use crate::kernel::group_baseline::{GroupBaselines, NO_PIVOT, baselines};
use crate::kernel::group_rule::{GroupRule, PivotDraws};

#[derive(Deserialize)]
struct Case {
    name: String,
    estimator: Estimator,
    seed: u64,
    reward_weights: Vec<f64>,
    groups: Vec<Group>,
    expected: Vec<Expected>,
}

#[derive(Deserialize)]
struct Group {
    rewards: Vec<Option<f64>>,
    lengths: Vec<usize>,
    each: Vec<Vec<Option<f64>>>,
}

#[derive(Deserialize)]
struct Expected {
    baseline: f64,
    scale: f64,
    pivot: Option<usize>,
    advantages: Vec<f64>,
    kept: Vec<bool>,
    has_signal: bool,
    statistics: Statistics,
}

#[derive(Deserialize)]
struct Statistics {
    mean: f64,
    std: f64,
    median: f64,
    mad: f64,
}

fn cases() -> Vec<Case> {
    let text = include_str!("../../../tests/fixtures/advantages/golden.json");
    serde_json::from_str(text).unwrap()
}

impl Case {
    fn batch(&self) -> RewardBatch {
        let group = |group: &Group| GroupRewards {
            rewards: group.rewards.clone(),
            lengths: group.lengths.clone(),
            each: group.each.clone(),
        };
        RewardBatch {
            groups: self.groups.iter().map(group).collect(),
            reward_weights: self.reward_weights.clone(),
            seed: self.seed,
        }
    }

    fn place(&self, p: usize) -> String {
        format!("{}, group {p} {:?}, {:?}", self.name, self.groups[p].rewards, self.estimator)
    }
}

/// Compares with a relative tolerance of `tol`, absolute below `size`.
fn near(got: f64, want: f64, size: f64, tol: f64, what: &str, place: &str) {
    let off = (got - want).abs();
    assert!(off <= tol * want.abs().max(size), "{what} is {got}, not {want}: {place}");
}

#[test]
fn every_estimator_agrees_with_numpy() {
    let cases = cases();
    assert!(cases.len() > 50, "only {} cases", cases.len());
    for case in &cases {
        let got = case.estimator.estimate(&case.batch()).unwrap();
        assert_eq!(got.len(), case.expected.len());
        for (p, (got, want)) in got.iter().zip(&case.expected).enumerate() {
            compare(got, want, &case.place(p));
        }
    }
}

fn compare(got: &GroupAdvantages, want: &Expected, place: &str) {
    let near = |got, want, what| near(got, want, 1.0, 1e-9, what, place);
    near(got.baseline, want.baseline, "baseline");
    near(got.scale, want.scale, "scale");
    near(got.statistics.mean, want.statistics.mean, "mean");
    near(got.statistics.std, want.statistics.std, "std");
    near(got.statistics.median, want.statistics.median, "median");
    near(got.statistics.mad, want.statistics.mad, "mad");
    assert_eq!((got.pivot, &got.kept), (want.pivot, &want.kept), "{place}");
    assert_eq!(got.has_signal, want.has_signal, "{place}");
    assert_eq!(got.advantages.len(), want.advantages.len());
    for (&got, &want) in got.advantages.iter().zip(&want.advantages) {
        near(got, want, "advantage");
        assert!(want != 0.0 || got == 0.0, "advantage is {got}, not exactly zero: {place}");
    }
}

fn run(table: &PaddedTable, rule: &GroupRule, seed: u64) -> (GroupBaselines, RolloutAdvantages) {
    let table = table.as_table();
    let rows = baselines(&table, rule, PivotDraws { seed: fold_seed(seed), first_group: 0 });
    let rollouts = advantages(&table, &rows, f32::INFINITY);
    (rows, rollouts)
}

#[test]
fn the_kernels_f32_twins_agree_with_numpy() {
    let mut compared = 0;
    for case in &cases() {
        let Some(rule) = case.estimator.group_rule() else {
            continue;
        };
        let padded = PaddedTable::new(&case.batch().groups);
        let (rows, rollouts) = run(&padded, &rule, case.seed);
        for (p, want) in case.expected.iter().enumerate() {
            compare_twin(case, p, want, &padded, &rows, &rollouts);
            compared += 1;
        }
    }
    assert!(compared > 500, "only {compared} groups");
}

/// Rewards are centred and rounded to f32 on their way in, so a group's error is measured against its largest
/// reward, and an advantage's against that error divided by the scale.
fn compare_twin(
    case: &Case,
    p: usize,
    want: &Expected,
    table: &PaddedTable,
    rows: &GroupBaselines,
    rollouts: &RolloutAdvantages,
) {
    let place = &case.place(p);
    let scored = case.groups[p].rewards.iter().flatten();
    let largest = scored.fold(0.0f64, |largest, reward| largest.max(reward.abs()));
    let rounding = 4.0 * largest * f64::from(f32::EPSILON);
    let near = |got: f64, want: f64, slack: f64, what| {
        let off = (got - want).abs();
        let allowed = slack + 2e-6 * want.abs();
        assert!(off <= allowed, "{what} is {got}, not {want} within {allowed}: {place}");
    };
    let baseline = table.centre_p[p] + f64::from(rows.baseline_p[p]);
    near(baseline, want.baseline, rounding, "baseline");
    near(rows.scale_p[p].into(), want.scale, rounding, "scale");
    assert_eq!(rows.signal_p[p] != 0, want.has_signal, "signal: {place}");
    let pivot = want.pivot.map_or(NO_PIVOT, |pivot| pivot as u32);
    assert_eq!(rows.pivot_p[p], pivot, "pivot: {place}");
    for (i, &advantage) in want.advantages.iter().enumerate() {
        let slack = rounding / want.scale * (1.0 + advantage.abs());
        near(rollouts.advantages_pg[p * table.g + i].into(), advantage, slack, "advantage");
        assert_eq!(rollouts.keep_pg[p * table.g + i] != 0, want.kept[i], "keep: {place}");
    }
}
