//! `wgrpo bench`: how long whole training steps take on this machine.

use clap::Args;
use serde::Serialize;

use super::{ConfigFile, output};
use crate::config::RunConfig;
use crate::device::{self, Device, OnDevice};
use crate::kernel::{self, Kernels};
use crate::monitor::{Progress, StepMetrics, peak_rss_mib};
use crate::readback;
use crate::run::Opened;

/// Arguments of `wgrpo bench`.
#[derive(Debug, Args)]
pub(super) struct BenchArgs {
    #[command(flatten)]
    file: ConfigFile,
    /// Steps to time
    #[arg(long, default_value_t = 10)]
    steps: u64,
    /// Steps before them that are not counted
    #[arg(long, default_value_t = 2)]
    warmup: u64,
}

impl BenchArgs {
    pub(super) fn run(self) -> anyhow::Result<()> {
        anyhow::ensure!(self.steps > 0, "--steps must be at least 1");
        let mut config = self.file.load()?;
        config.training.max_steps = self.steps + self.warmup;
        let device = device::find(&config.device.name)?;
        let bench = Bench { config, warmup: self.warmup, device: device.clone() };
        let result = device.run(bench)??;
        output::print_json(&result)
    }
}

struct Bench {
    config: RunConfig,
    warmup: u64,
    device: Device,
}

/// What a benchmark measured; seconds and rates are medians over the timed steps.
#[derive(Debug, Serialize)]
struct BenchResult {
    parameters: usize,
    device: String,
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
}

impl OnDevice for Bench {
    type Output = anyhow::Result<BenchResult>;

    fn run<B: Kernels>(self, device: B::Device) -> anyhow::Result<BenchResult> {
        let config = self.config;
        let opened = Opened::<B>::open(&config, &device, &self.device.limits())?;
        let parameters = opened.model.config.parameter_count();
        let mut trainer = opened.trainer(&config)?;
        let progress = Progress::new(false);
        let mut timed = Vec::new();
        let mut rollouts_per_step = 0;
        for step in 0..config.training.max_steps {
            let report = trainer.step()?;
            let metrics = report.metrics();
            progress.message(&format!("step {}: {:.3} s", step + 1, metrics.step_secs));
            rollouts_per_step = report.rollouts().map(|g| g.completions.len()).sum();
            if step >= self.warmup {
                timed.push(metrics);
            }
        }
        readback::sync_and_check::<B>(&device)?;
        let in_use = kernel::device_memory::<B>(&device).map(|memory| memory.in_use);
        let device_mib = in_use.map(|bytes| bytes as f64 / (1 << 20) as f64);
        let result = result(&timed, parameters, rollouts_per_step, self.device.to_string());
        Ok(BenchResult { device_mib, ..result })
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
    let (steps, rounded) = (of(|m| m.step_secs), |x: f64| (x * 1e4).round() / 1e4);
    let median_of = |value: fn(&StepMetrics) -> f64| rounded(median(&of(value)));
    BenchResult {
        parameters,
        device,
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
    }
}

/// The median of sorted values.
fn median(sorted: &[f64]) -> f64 {
    let (low, high) = ((sorted.len() - 1) / 2, sorted.len() / 2);
    0.5 * (sorted[low] + sorted[high])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_count_is_between_the_middle_two() {
        assert_eq!(median(&[1.0, 2.0, 3.0, 10.0]), 2.5);
        assert_eq!(median(&[1.0, 2.0, 10.0]), 2.0);
    }
}
