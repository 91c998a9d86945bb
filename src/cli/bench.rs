//! `wgrpo bench`: how long whole training steps, or generation alone, take on this machine.

use std::sync::{Mutex, PoisonError};

use clap::Args;
use serde::Serialize;

use super::bench_counts::{StepCounts, Work};
use super::bench_decode::{DecodeBench, MOST_ROWS};
use super::fetch::fetch_all;
use super::{ConfigFile, output};
use crate::config::RunConfig;
use crate::device::{self, Device, OnDevice};
use crate::kernel::{self, Kernels};
use crate::monitor::{Progress, StepMetrics, peak_rss_mib};
use crate::random::Stream;
use crate::readback::{self, traffic};
use crate::reward::{Item, Reward, RewardError, Rewards};
use crate::run::{Opened, Stop, in_its_precision};

/// What the stream of seeded rewards is for, beside those of weights and rollouts.
const REWARDS: u32 = 0x7277;

/// Arguments of `wgrpo bench`.
#[derive(Debug, Args)]
pub(super) struct BenchArgs {
    #[command(flatten)]
    file: ConfigFile,
    /// Steps to time; with --decode, how often
    #[arg(long, default_value_t = 10)]
    steps: u64,
    /// Steps before them that are not counted
    #[arg(long, default_value_t = 2)]
    warmup: u64,
    /// Time generation alone, for each of these numbers of rows
    #[arg(long, value_name = "ROWS", value_delimiter = ',', conflicts_with = "real_rewards",
        value_parser = clap::value_parser!(u64).range(1..=MOST_ROWS))]
    decode: Vec<u64>,
    /// Score by the configuration's rewards, so that what is left out for want of a signal counts as
    /// speed; without it, rewards are seeded uniform numbers and every row is trained
    #[arg(long)]
    real_rewards: bool,
    /// Count kernel launches, uploads and readbacks of a decoded token and of an update on a GPU, which
    /// makes the times a little longer
    #[arg(long)]
    count: bool,
}

impl BenchArgs {
    pub(super) fn run(self) -> anyhow::Result<()> {
        anyhow::ensure!(self.steps > 0, "--steps must be at least 1");
        let mut config = self.file.load()?;
        fetch_all(&mut config, &Stop::default())?;
        config.training.max_steps = self.steps + self.warmup;
        let device = device::find(&config.device.name)?;
        device.compute_on_this_thread();
        let Self { warmup, real_rewards, decode: rows, count, steps, .. } = self;
        if !rows.is_empty() {
            return device.run(DecodeBench {
                config,
                device: device.clone(),
                rows,
                repeats: steps,
            })?;
        }
        if count {
            anyhow::ensure!(
                !matches!(device, Device::Host(_)),
                "--count counts what a GPU is given, and {device} is none; take --device vulkan or cuda"
            );
            kernel::count_launches()?;
            traffic::begin();
        }
        let bench = Bench { config, warmup, real_rewards, count, device: device.clone() };
        let result = device.run(bench)??;
        if let Some(counts) = &result.counts {
            output::say(&counts.table());
        }
        output::print_json(&result)
    }
}

struct Bench {
    config: RunConfig,
    warmup: u64,
    real_rewards: bool,
    count: bool,
    device: Device,
}

/// What a benchmark measured; seconds and rates are medians over the timed steps.
#[derive(Debug, Serialize)]
struct BenchResult {
    parameters: usize,
    device: String,
    /// What the rewards were: every row has a signal only where they are seeded.
    rewards: &'static str,
    steps: usize,
    median_step_s: f64,
    min_step_s: f64,
    max_step_s: f64,
    rollouts_per_step: usize,
    rollouts_per_s: f64,
    rollout_s: f64,
    reward_s: f64,
    update_s: f64,
    generated_tokens_per_s: f64,
    trained_tokens_per_s: f64,
    mean_length: f64,
    max_rss_mib: Option<f64>,
    /// What tensors take on a GPU after the last step.
    device_mib: Option<f64>,
    /// What the last step gave the device to do, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    counts: Option<StepCounts>,
}

impl OnDevice for Bench {
    type Output = anyhow::Result<BenchResult>;

    fn run<B: Kernels>(self, device: B::Device) -> anyhow::Result<BenchResult> {
        let config = in_its_precision::<B>(self.config, &device)?;
        let mut opened = Opened::<B>::open(&config, &device, &self.device.limits())?;
        if !self.real_rewards {
            opened.rewards = Rewards::only(Box::new(Uniform::new(config.training.seed)));
        }
        let parameters = opened.model.config.parameter_count();
        let mut trainer = opened.trainer(&config)?;
        let progress = Progress::new(false);
        let mut timed = Vec::new();
        let mut rollouts_per_step = 0;
        let mut work = None;
        for step in 0..config.training.max_steps {
            // What came before this step is not its work.
            let _ = self.count.then(|| work_of::<B>(&device));
            let report = trainer.step()?;
            let metrics = report.metrics();
            progress.message(&format!("step {}: {:.3} s", step + 1, metrics.step_secs));
            rollouts_per_step = report.rollouts().map(|g| g.completions.len()).sum();
            if step >= self.warmup {
                timed.push(metrics);
            }
            work = if self.count { work_of::<B>(&device) } else { None };
        }
        readback::sync_and_check::<B>(&device)?;
        let in_use = kernel::device_memory::<B>(&device).map(|memory| memory.in_use);
        let device_mib = in_use.map(|bytes| bytes as f64 / (1 << 20) as f64);
        let result = result(&timed, parameters, rollouts_per_step, self.device.to_string());
        let rewards = if self.real_rewards { "of the configuration" } else { "seeded uniform" };
        let counts = work.as_ref().and_then(StepCounts::of);
        anyhow::ensure!(
            counts.is_some() || !self.count,
            "nothing to count: the last step drew no two tokens by the kernel that draws; raise \
             response_length, and leave top_k and top_p out"
        );
        Ok(BenchResult { device_mib, rewards, counts, ..result })
    }
}

/// What the device was given since the last call.
fn work_of<B: Kernels>(device: &B::Device) -> Option<Work> {
    let kernels = kernel::executed::<B>(device)?;
    Some(Work { kernels, crossings: traffic::take() })
}

/// A seeded uniform number whatever was written.
struct Uniform(Mutex<Stream>);

impl Uniform {
    fn new(seed: u64) -> Self {
        Self(Mutex::new(Stream::new(seed, REWARDS)))
    }

    fn next(&self) -> f64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).uniform().into()
    }
}

impl Reward for Uniform {
    fn name(&self) -> &'static str {
        "uniform"
    }

    /// In the order of the items, which threads would shuffle.
    fn score_batch(&self, items: &[Item]) -> Result<Vec<Option<f64>>, RewardError> {
        Ok(items.iter().map(|_| Some(self.next())).collect())
    }
}

fn result(
    timed: &[StepMetrics],
    parameters: usize,
    rollouts_per_step: usize,
    device: String,
) -> BenchResult {
    let of = |value: fn(&StepMetrics) -> f64| {
        let mut values: Vec<f64> = timed.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let steps = of(|m| m.step_secs);
    let median_of = |value: fn(&StepMetrics) -> f64| rounded(median(&of(value)));
    BenchResult {
        parameters,
        device,
        rewards: "",
        steps: timed.len(),
        median_step_s: rounded(median(&steps)),
        min_step_s: rounded(steps[0]),
        max_step_s: rounded(steps[steps.len() - 1]),
        rollouts_per_step,
        rollouts_per_s: rounded(rollouts_per_step as f64 / median(&steps)),
        rollout_s: median_of(|m| m.rollout_secs),
        reward_s: median_of(|m| m.reward_secs),
        update_s: median_of(|m| m.update_secs),
        generated_tokens_per_s: median_of(|m| m.rollout_tokens_per_s),
        trained_tokens_per_s: median_of(|m| m.update_tokens_per_s),
        mean_length: median_of(|m| m.mean_length),
        max_rss_mib: peak_rss_mib().map(f64::round),
        device_mib: None,
        counts: None,
    }
}

/// To four places, which is what a clock tells.
pub(super) fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

/// The median of sorted values.
pub(super) fn median(sorted: &[f64]) -> f64 {
    let (low, high) = ((sorted.len() - 1) / 2, sorted.len() / 2);
    0.5 * (sorted[low] + sorted[high])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reward::test_support;

    #[test]
    fn seeded_rewards_differ_within_a_batch_and_are_the_same_for_the_same_seed() {
        let problem = test_support::problem(None);
        let items = [Item { problem: &problem, completion: test_support::completion("") }; 5];
        let [first, again] = [Uniform::new(7), Uniform::new(7)].map(|r| r.score_batch(&items).unwrap());
        assert_eq!(first, again);
        assert!(first.windows(2).all(|pair| pair[0] != pair[1]), "{first:?}");
        assert!(first.iter().all(|score| score.is_some_and(|score| (0.0..1.0).contains(&score))));
    }

    #[test]
    fn the_median_of_an_even_count_is_between_the_middle_two() {
        assert_eq!(median(&[1.0, 2.0, 3.0, 10.0]), 2.5);
        assert_eq!(median(&[1.0, 2.0, 10.0]), 2.0);
    }
}
