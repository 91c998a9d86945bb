//! `wgrpo eval`: accuracy of a run's model, or of any model folder.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use super::fetch::{self, fetch_all};
use super::{Changes, output};
use crate::config::{EvalBlock, RunConfig};
use crate::device::{self, Limits, OnDevice};
use crate::kernel::Kernels;
use crate::model::LoadedModel;
use crate::monitor::{Phase, Progress, RunPaths};
use crate::reward::Rewards;
use crate::run::{Problems, Stop, saved_model};
use crate::train::{EvalProgress, Evaluation, evaluate_watched, evaluation_buffers};

/// Completions of a problem where neither the command nor the configuration says how many.
const SAMPLES: usize = 4;

/// Arguments of `wgrpo eval`.
#[derive(Debug, Args)]
pub(super) struct EvalArgs {
    /// A run's output_dir, or a model folder together with --config
    folder: PathBuf,
    /// Take data, rewards and limits from this configuration instead of the run's own
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Most problems to try; all of them where left out
    #[arg(long)]
    problems: Option<usize>,
    /// Completions to sample for each problem, for the mean and for pass@k; 0 samples none
    /// [default: the configuration's eval.samples, or 4]
    #[arg(long)]
    samples: Option<usize>,
    /// The k of pass@k [default: the configuration's eval.k, or all samples]
    #[arg(long)]
    k: Option<usize>,
    /// Print one JSON line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    changes: Changes,
}

impl EvalArgs {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let mut config = self.config()?;
        fetch_all(&mut config, &Stop::default())?;
        let device = device::find(&config.device.name)?;
        device.compute_on_this_thread();
        let (folder, json) = (fetch::model(&self.folder, &Stop::default())?, self.json);
        let found = device.run(Evaluating { folder, config, limits: device.limits() })??;
        match json {
            true => output::print_json(&found),
            false => output::print(&text(&found)),
        }
    }

    fn config(&self) -> anyhow::Result<RunConfig> {
        let path = match &self.config {
            Some(path) => path.clone(),
            None => RunPaths::new(&self.folder).config(),
        };
        if self.config.is_none() && !path.exists() {
            anyhow::bail!(
                "{} is not the output_dir of a run (it has no config.yaml); for a model folder say \
                 with --config FILE which problems and rewards to use",
                self.folder.display()
            );
        }
        let mut config = self.changes.load(&path)?;
        config.eval.problems = self.problems.unwrap_or(config.eval.problems);
        self.choose_samples(&mut config.eval)?;
        Ok(config)
    }

    /// A configuration that samples nothing while it trains does not say how many to sample here.
    fn choose_samples(&self, eval: &mut EvalBlock) -> anyhow::Result<()> {
        if eval.samples == 0 {
            eval.samples = self.samples.unwrap_or(SAMPLES);
            eval.k = self.k.unwrap_or(eval.samples);
        } else {
            eval.samples = self.samples.unwrap_or(eval.samples);
            eval.k = self.k.unwrap_or(eval.k.min(eval.samples));
        }
        let (k, samples) = (eval.k, eval.samples);
        anyhow::ensure!(
            k <= samples,
            "--k {k} is more than the {samples} samples of a problem; lower it or raise --samples"
        );
        Ok(())
    }
}

struct Evaluating {
    folder: PathBuf,
    config: RunConfig,
    limits: Limits,
}

impl OnDevice for Evaluating {
    type Output = anyhow::Result<Evaluation>;

    fn run<B: Kernels>(self, device: B::Device) -> anyhow::Result<Evaluation> {
        let rewards = Rewards::new(&self.config.rewards)?;
        // Before a model is opened that would be opened in vain.
        rewards.start()?;
        let model = saved_model::<B>(&self.folder, &device, &self.limits)?;
        output::note_left_out(&self.folder);
        let problems = Problems::load(&self.config, &model.tokenizer)?
            .judged_by(&rewards, self.config.eval.problems)?;
        problems.held_out_notes().iter().for_each(|text| output::note(text));
        let held_out = problems
            .held_out
            .context("there are no held-out problems; give the data block some with held_out")?;
        let options = self.config.eval_options(model.tokenizer.eos_ids());
        let (prompts, longest) = (held_out.len(), held_out.longest_prompt());
        let (response, keys) =
            (options.generator.response_length, ["prompt_length", "response_length"]);
        model.config.check_positions(longest, response, keys)?;
        self.limits.check(&evaluation_buffers(&model.config, &options, prompts, longest))?;
        let shown = Progress::new(false);
        let mut stage = None;
        let mut watch = |EvalProgress { done, total, waits }| {
            if waits {
                let stage = stage.get_or_insert_with(|| shown.begin(Phase::Evaluate, 0, total));
                stage.advance(done, "");
            }
            Ok(())
        };
        let LoadedModel { decoder, tokenizer, .. } = &model;
        Ok(evaluate_watched(decoder, tokenizer, &held_out, &rewards, &options, &mut watch)?)
    }
}

fn text(found: &Evaluation) -> String {
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    let mut text = format!(
        "accuracy   {} greedy, on {} held-out problems, {:.1} tokens each\n",
        percent(found.accuracy),
        found.problems,
        found.mean_length
    );
    if let Some(reward) = found.reward {
        text.push_str(&format!("reward     {reward:.3} on average\n"));
    }
    if let (Some(mean), Some(n)) = (found.mean_at_n, found.samples) {
        text.push_str(&format!("mean@{n:<5} {}\n", percent(mean)));
    }
    if let (Some(pass), Some(k)) = (found.pass_at_k, found.k) {
        text.push_str(&format!("pass@{k:<5} {}\n", percent(pass)));
    }
    text
}
