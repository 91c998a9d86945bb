//! `wgrpo advantages`: what an estimator makes of given rewards, without a model or a run.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::{Deserialize, Serialize};

use super::output::{print_json, say};
use crate::advantage::{
    AdvantageEstimator, GroupAdvantages, GroupRewards, RewardBatch, RunningMoments, estimate_on,
};
use crate::config::RunConfig;
use crate::device::{self, OnDevice};
use crate::files::read_text;
use crate::kernel::Kernels;
use crate::reward::Rewards;

/// Bytes of the longest file of rewards that is read.
const LONGEST: u64 = 1 << 30;

/// Keys without a default, which rewards that are already given make no use of.
const NO_RUN: &str = "\
model: {alphabet: '0', architecture: {hidden_size: 2, intermediate_size: 1, num_hidden_layers: 1, num_attention_heads: 1}}
data: {kind: arithmetic, digits: 1, held_out: 1}
rewards: [{kind: exact}]
";

/// Arguments of `wgrpo advantages`.
#[derive(Debug, Args)]
pub(super) struct AdvantagesArgs {
    /// A file with one group a line, `{"rewards": [1, 0, null]}`, null for what could not be scored;
    /// `-` reads standard input
    #[arg(default_value = "-")]
    file: PathBuf,
    /// A key of a configuration, as in `--set adv_estimator=mc_grpo`; can be repeated
    #[arg(long, value_name = "KEY.PATH=VALUE")]
    set: Vec<String>,
    /// The device to compute on
    #[arg(long, value_name = "NAME", default_value = "cpu")]
    device: String,
}

/// One group as it is read.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    rewards: Vec<Option<f64>>,
    /// Loss tokens of each rollout, 1 where left out.
    #[serde(default)]
    lengths: Option<Vec<usize>>,
    /// The value of each reward function for each rollout, where an estimator asks for them.
    #[serde(default)]
    each: Vec<Vec<Option<f64>>>,
}

/// One group as it is printed.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    baseline: Number,
    scale: Number,
    pivot: Option<usize>,
    advantages: Vec<Number>,
    kept: &'a [bool],
}

/// A number without the digits that f32 does not have, where a kernel computed it.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Number {
    Single(f32),
    Double(f64),
}

impl Number {
    fn of(value: f64) -> Self {
        match f64::from(value as f32) == value {
            true => Self::Single(value as f32),
            false => Self::Double(value),
        }
    }
}

impl AdvantagesArgs {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let backend = device::backend(&self.device)?;
        let config = RunConfig::parse(Path::new("--set"), NO_RUN, &self.set)?;
        let batch = RewardBatch {
            groups: groups(&self.text()?, &self.file)?,
            reward_weights: Rewards::new(&config.rewards)?.weights(),
            seed: config.training.seed,
        };
        let answers = device::run_on(&self.device, Advantages { config: &config, batch: &batch })??;
        say(&format!("computed {}", answers.by(backend.name)));
        for group in &answers.groups {
            print_json(&Answer::of(group))?;
        }
        Ok(())
    }

    fn text(&self) -> anyhow::Result<String> {
        if self.file == Path::new("-") {
            let mut text = String::new();
            std::io::stdin()
                .read_to_string(&mut text)
                .map_err(|error| anyhow::anyhow!("standard input: cannot be read: {error}"))?;
            return Ok(text);
        }
        let path = self.file.display();
        read_text(&self.file, LONGEST)
            .map_err(|error| anyhow::anyhow!("{path}: cannot be read: {error}; check the path"))
    }
}

impl<'a> Answer<'a> {
    fn of(group: &'a GroupAdvantages) -> Self {
        Self {
            baseline: Number::of(group.baseline),
            scale: Number::of(group.scale),
            pivot: group.pivot,
            advantages: group.advantages.iter().copied().map(Number::of).collect(),
            kept: &group.kept,
        }
    }
}

/// Rewards on their way to a device. All groups together are the step that batch statistics are
/// taken over.
struct Advantages<'a> {
    config: &'a RunConfig,
    batch: &'a RewardBatch,
}

/// Advantages, and whether the kernels computed them.
struct Answers {
    groups: Vec<GroupAdvantages>,
    estimator: &'static str,
    by_kernels: bool,
}

impl OnDevice for Advantages<'_> {
    type Output = anyhow::Result<Answers>;

    fn run<B: Kernels>(self, device: B::Device) -> anyhow::Result<Answers> {
        let shaping = self.config.shaping()?;
        let shaped = shaping.apply(self.batch, &mut RunningMoments::default())?;
        let estimator = self.config.estimator()?;
        let groups = estimate_on::<B>(&estimator, &shaped, &device)?;
        let (groups, _) = self.config.post_processing().apply_on::<B>(groups, &shaped, &device)?;
        let by_kernels = estimator.group_rule().is_some();
        Ok(Answers { groups, estimator: estimator.name(), by_kernels })
    }
}

impl Answers {
    fn by(&self, backend: &str) -> String {
        match self.by_kernels {
            true => format!("by the group kernels of {backend}, in f32"),
            false => format!(
                "on the host, in f64: {} is more than a rule for each group",
                self.estimator
            ),
        }
    }
}

fn groups(text: &str, file: &Path) -> anyhow::Result<Vec<GroupRewards>> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let group = |(index, line): (usize, &str)| {
        let place = || format!("{}:{}", file.display(), index + 1);
        group(line).map_err(|error| anyhow::anyhow!("{}: {error}", place()))
    };
    lines.map(group).collect()
}

fn group(line: &str) -> anyhow::Result<GroupRewards> {
    let Line { rewards, lengths, each } = serde_json::from_str(line).map_err(|error| {
        anyhow::anyhow!("is no group: {error}; write one as {{\"rewards\": [1, 0, null]}}")
    })?;
    let lengths = lengths.unwrap_or_else(|| vec![1; rewards.len()]);
    let group = GroupRewards { rewards, lengths, each };
    RewardBatch { groups: vec![group.clone()], ..RewardBatch::default() }.check()?;
    Ok(group)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn computed(text: &str, set: &[&str]) -> Answers {
        let set: Vec<String> = set.iter().map(|key| (*key).to_owned()).collect();
        let config = RunConfig::parse(Path::new("--set"), NO_RUN, &set).unwrap();
        let groups = groups(text, Path::new("-")).unwrap();
        let batch = RewardBatch { groups, reward_weights: vec![1.0], seed: 0 };
        device::run_on("cpu", Advantages { config: &config, batch: &batch }).unwrap().unwrap()
    }

    #[test]
    fn the_keys_of_a_configuration_choose_the_estimator() {
        let mc = ["adv_estimator={kind: mc_grpo, scale: none}"];
        let group = computed("{\"rewards\": [2, 1.5, 0]}\n", &mc).groups.remove(0);
        assert_eq!((group.baseline, group.pivot), (1.5, Some(1)));
        assert_eq!(group.advantages, [0.5, 0.0, -1.5]);
        let clipped =
            computed("{\"rewards\": [2, 0]}", &["adv_estimator=dr_grpo", "advantage_clip=0.5"]);
        assert_eq!(clipped.groups[0].advantages, [0.5, -0.5]);
    }

    #[test]
    fn what_computed_them_is_said() {
        let by = |text: &str, set: &[&str]| computed(text, set).by("ndarray");
        let rewards = "{\"rewards\": [1, 0]}";
        assert_eq!(by(rewards, &[]), "by the group kernels of ndarray, in f32");
        assert_eq!(by("{\"rewards\": [1e30, 0]}", &[]), "by the group kernels of ndarray, in f32");
        let of_batch = by(rewards, &["adv_estimator=group_mean_batch_std"]);
        assert!(of_batch.starts_with("on the host, in f64"), "{of_batch}");
    }

    #[test]
    fn numbers_have_no_digits_that_are_only_rounding() {
        let group = computed("{\"rewards\": [0.3, 0.1]}", &[]).groups.remove(0);
        let printed = serde_json::to_string(&Answer::of(&group)).unwrap();
        assert!(printed.starts_with("{\"baseline\":0.2,\"scale\":0.14152136"), "{printed}");
    }

    #[test]
    fn a_missing_reward_is_null_and_empty_lines_are_skipped() {
        let groups =
            computed("\n{\"rewards\": [1, 0, null]}\n\n{\"rewards\": [0, 0]}\n", &[]).groups;
        assert_eq!(groups.len(), 2);
        assert_eq!(groups[0].advantages[2], 0.0);
        assert!(!groups[1].has_signal);
    }

    #[test]
    fn a_broken_line_is_named() {
        for (text, problem) in [
            ("{\"rewards\": [1]}\nnonsense\n", "f.jsonl:2"),
            ("{\"rewards\": [1], \"weights\": [2]}", "f.jsonl:1"),
            ("{\"rewards\": [1e200]}", "not a usable number"),
            ("{\"rewards\": [1e50, 0]}", "not a usable number"),
            ("{\"rewards\": []}", "no rollouts"),
        ] {
            let error = groups(text, Path::new("f.jsonl")).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
    }
}
