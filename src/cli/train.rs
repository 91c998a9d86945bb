//! `wgrpo train`: a run from its configuration to its report.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use burn::backend::Autodiff;
use burn::module::AutodiffModule;
use clap::Args;

use super::session::{self, Problems};
use super::{ConfigFile, interrupt, output};
use crate::config::RunConfig;
use crate::device::{self, Device, OnDevice, failure};
use crate::kernel::TrainingKernels;
use crate::model::{Decoder, LoadedModel, ModelConfig, WeightStorage};
use crate::monitor::{
    EvalMetrics, Existing, Phase, Progress, RunFacts, RunFolder, RunPaths, StepMetrics,
    peak_rss_mib, report,
};
use crate::reward::Rewards;
use crate::text::Tokenizer;
use crate::train::{
    CheckpointState, EvalOptions, Evaluation, PreparedProblems, StepReport, Trainer, evaluate,
    warm_start,
};

/// Arguments of `wgrpo train`.
#[derive(Debug, Args)]
pub(super) struct TrainArgs {
    #[command(flatten)]
    file: ConfigFile,
    /// Write to this folder instead of the configuration's output_dir
    #[arg(long, value_name = "FOLDER")]
    output_dir: Option<PathBuf>,
    /// Start anew in a folder that already holds a run, removing that run's files
    #[arg(long, conflicts_with = "resume")]
    overwrite: bool,
    /// Go on from the newest checkpoint of the folder
    #[arg(long)]
    resume: bool,
    /// Print nothing but the closing report
    #[arg(long)]
    quiet: bool,
}

impl TrainArgs {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let mut config = self.file.load()?;
        if let Some(folder) = &self.output_dir {
            config.output_dir.clone_from(folder);
        }
        let device = device::find(&config.device.name)?;
        device.run(Training { args: self, config, device: device.clone() })?
    }
}

struct Training {
    args: TrainArgs,
    config: RunConfig,
    device: Device,
}

impl OnDevice for Training {
    type Output = anyhow::Result<()>;

    fn run<B: TrainingKernels>(self, device: B::Device) -> anyhow::Result<()> {
        let started = Instant::now();
        let progress = Progress::new(self.args.quiet);
        let checkpoint = self.checkpoint()?;
        let limits = self.device.limits();
        let model = session::model::<Autodiff<B>>(&self.config, &device, &limits)?;
        let problems = Problems::load(&self.config, &model.tokenizer)?;
        session::check_sizes(&limits, &self.config, &model.config, &problems)?;
        progress.message(&self.describe(&model.config, &problems));
        let asked = self.config.device.reference_dtype;
        if asked != WeightStorage::F32 {
            progress.message(&self.storage(asked, asked.or_f32::<B>(&device)));
        }
        let existing = self.existing(&checkpoint);
        let LoadedModel { config: model_config, decoder, tokenizer } = model;
        // A checkpoint that does not fit must be known before the folder's logs are cut.
        let begin = match checkpoint {
            None => Begin::Anew(Box::new(decoder)),
            Some((path, state)) => {
                let mut trainer = trainer(&self.config, decoder, &tokenizer, &problems)?;
                trainer.restore(&path, &state)?;
                Begin::Resumed(Box::new(trainer), path, state.accuracy_before)
            }
        };
        let folder = RunFolder::open(&self.config.output_dir, existing)?;
        folder.write_config(&self.config.to_yaml()?)?;
        let run = Run {
            eval_options: self.config.eval_options(tokenizer.eos_ids()),
            rewards: session::rewards(&self.config)?,
            config: self.config,
            model_config,
            tokenizer,
            problems,
            interrupted: interrupt::watch(&progress)?,
            progress,
            folder,
            started,
        };
        run.train(begin)
    }
}

impl Training {
    /// The newest whole checkpoint, where the run is to be resumed.
    fn checkpoint(&self) -> anyhow::Result<Option<(PathBuf, CheckpointState)>> {
        if !self.args.resume {
            return Ok(None);
        }
        for folder in RunPaths::new(&self.config.output_dir).checkpoint_folders().into_iter().rev()
        {
            if let Some(state) = CheckpointState::read(&folder)? {
                return Ok(Some((folder, state)));
            }
        }
        let folder = &self.config.output_dir;
        let mend = match RunPaths::new(folder).holds_run() {
            true => "start anew with --overwrite",
            false => "start without --resume, or check output_dir",
        };
        anyhow::bail!("{} holds no checkpoint to resume from; {mend}", folder.display())
    }

    fn existing(&self, checkpoint: &Option<(PathBuf, CheckpointState)>) -> Existing {
        match checkpoint {
            Some((_, state)) => Existing::Resume { step: state.step },
            None if self.args.overwrite => Existing::Overwrite,
            None => Existing::Refuse,
        }
    }

    fn storage(&self, asked: WeightStorage, found: WeightStorage) -> String {
        let why = match asked == found {
            true => String::new(),
            false => format!(", for {} has no {}", self.device, asked.name()),
        };
        format!("reference  its weights stored in {}{why}", found.name())
    }

    fn describe(&self, model: &ModelConfig, problems: &Problems) -> String {
        let config = &self.config;
        let held_out = problems.held_out.as_ref().map_or(0, PreparedProblems::len);
        let left_out = match problems.left_out() {
            0 => String::new(),
            count => {
                format!("; {count} left out, longer than prompt_length {}", config.prompt_length)
            }
        };
        format!(
            "model      {} parameters on {}\n\
             problems   {} to train on, {held_out} held out{left_out}\n\
             steps      {} of {} prompts × {} completions",
            model.parameter_count(),
            self.device,
            problems.train.len(),
            config.max_steps,
            config.rollout_batch_size,
            config.num_return_sequences_in_group,
        )
    }
}

/// Where a run starts from.
enum Begin<B: TrainingKernels> {
    Anew(Box<Decoder<Autodiff<B>>>),
    /// A checkpoint, its folder, and the accuracy before the first step.
    Resumed(Box<Trainer<B>>, PathBuf, Option<f64>),
}

/// A run under way, apart from its policy.
struct Run {
    config: RunConfig,
    model_config: ModelConfig,
    tokenizer: Tokenizer,
    problems: Problems,
    rewards: Rewards,
    eval_options: EvalOptions,
    progress: Progress,
    folder: RunFolder,
    interrupted: Arc<AtomicBool>,
    started: Instant,
}

impl Run {
    fn train<B: TrainingKernels>(mut self, begin: Begin<B>) -> anyhow::Result<()> {
        let (mut trainer, before) = match begin {
            Begin::Anew(policy) => self.begin(*policy)?,
            Begin::Resumed(trainer, path, before) => {
                let step = trainer.steps_done();
                self.progress
                    .message(&format!("resumed from {} after step {step}", path.display()));
                (*trainer, before)
            }
        };
        self.steps(&mut trainer, before)?;
        let after = match self.is_interrupted() {
            false => self.evaluate(&trainer.policy(), trainer.steps_done())?,
            true => None,
        };
        // A warm start that was cut short is no state to go on from.
        if self.is_interrupted() && trainer.steps_done() > 0 {
            self.save_checkpoint(&trainer, before)?;
        }
        self.close(&trainer, before, after)
    }

    /// A trainer on a warm policy, with its accuracy before the first step.
    fn begin<B: TrainingKernels>(
        &mut self,
        policy: Decoder<Autodiff<B>>,
    ) -> anyhow::Result<(Trainer<B>, Option<f64>)> {
        let policy = self.warm_start(policy)?;
        if self.is_interrupted() {
            return Ok((self.trainer(policy)?, None));
        }
        let before = self.evaluate(&policy.valid(), 0)?;
        announce(&self.progress, 0, before);
        let trainer = self.trainer(policy)?;
        if self.config.warm_start.is_some() && self.config.checkpoint.save_steps > 0 {
            self.save_checkpoint(&trainer, before)?;
        }
        Ok((trainer, before))
    }

    fn trainer<B: TrainingKernels>(
        &self,
        policy: Decoder<Autodiff<B>>,
    ) -> anyhow::Result<Trainer<B>> {
        trainer(&self.config, policy, &self.tokenizer, &self.problems)
    }

    fn warm_start<B: TrainingKernels>(
        &self,
        policy: Decoder<Autodiff<B>>,
    ) -> anyhow::Result<Decoder<Autodiff<B>>> {
        let Some(settings) = &self.config.warm_start else { return Ok(policy) };
        let mut stage = self.progress.begin(Phase::WarmStart, 0, settings.max_steps);
        let watch = |outcome: crate::train::WarmStartOutcome| {
            let note =
                format!("loss {:.3}, accuracy {:.1} %", outcome.loss, 100.0 * outcome.accuracy);
            stage.advance(outcome.steps, &note);
            !self.is_interrupted()
        };
        let (policy, outcome) = warm_start(
            settings,
            policy,
            &self.tokenizer,
            &self.problems.train,
            &self.rewards,
            &self.eval_options,
            watch,
        )?;
        drop(stage);
        self.progress.message(&format!(
            "warm start {} supervised steps, accuracy {:.1} % on problems not shown",
            outcome.steps,
            100.0 * outcome.accuracy
        ));
        Ok(policy)
    }

    fn steps<B: TrainingKernels>(
        &mut self,
        trainer: &mut Trainer<B>,
        before: Option<f64>,
    ) -> anyhow::Result<()> {
        let progress = std::mem::replace(&mut self.progress, Progress::new(true));
        let mut stage = progress.begin(Phase::Train, trainer.steps_done(), self.config.max_steps);
        while trainer.steps_done() < self.config.max_steps && !self.is_interrupted() {
            let step = trainer.step()?;
            let metrics = step.metrics();
            self.folder.metrics(&metrics)?;
            self.write_samples(trainer, &step, &progress)?;
            stage.step(&metrics);
            let done = trainer.steps_done();
            if is_due(done, self.config.eval.every_steps) && done < self.config.max_steps {
                let accuracy = self.evaluate(&trainer.policy(), done)?;
                announce(&progress, done, accuracy);
            }
            if is_due(done, self.config.checkpoint.save_steps) {
                self.save_checkpoint(trainer, before)?;
            }
        }
        drop(stage);
        self.progress = progress;
        Ok(())
    }

    fn write_samples<B: TrainingKernels>(
        &mut self,
        trainer: &Trainer<B>,
        step: &StepReport,
        progress: &Progress,
    ) -> anyhow::Result<()> {
        let tracking = &self.config.tracking;
        let first = step.step == 1;
        if first || is_due(step.step, tracking.samples_every) {
            for sample in step.samples(tracking.samples, |group| trainer.problem(group)) {
                self.folder.sample(&sample)?;
            }
        }
        if first || is_due(step.step, tracking.show_every) {
            for sample in step.samples(1, |group| trainer.problem(group)) {
                let text = format!("{}{}", sample.prompt, sample.completion);
                progress.message(&format!(
                    "step {}: {:?} reward {:.2} advantage {:+.2}",
                    step.step, text, sample.reward, sample.advantage
                ));
            }
        }
        Ok(())
    }

    fn evaluate<B: TrainingKernels>(
        &mut self,
        policy: &Decoder<B>,
        step: u64,
    ) -> anyhow::Result<Option<f64>> {
        let Some(problems) = &self.problems.held_out else { return Ok(None) };
        let (tokenizer, options) = (&self.tokenizer, &self.eval_options);
        let found: Evaluation = evaluate(policy, tokenizer, problems, &self.rewards, options)?;
        self.folder.eval(&EvalMetrics {
            step,
            accuracy: found.accuracy,
            problems: found.problems as u64,
            pass_at_k: found.pass_at_k,
        })?;
        Ok(Some(found.accuracy))
    }

    /// Writes a checkpoint, then removes the oldest ones beyond `checkpoint.keep`.
    fn save_checkpoint<B: TrainingKernels>(
        &self,
        trainer: &Trainer<B>,
        before: Option<f64>,
    ) -> anyhow::Result<()> {
        self.folder.sync()?;
        let paths = self.folder.paths();
        trainer.save(&paths.checkpoint(trainer.steps_done()), before)?;
        let folders = paths.checkpoint_folders();
        let surplus = folders.len().saturating_sub(self.config.checkpoint.keep);
        for folder in &folders[..surplus] {
            crate::train::remove_checkpoint(folder)?;
        }
        Ok(())
    }

    fn close<B: TrainingKernels>(
        self,
        trainer: &Trainer<B>,
        before: Option<f64>,
        after: Option<f64>,
    ) -> anyhow::Result<()> {
        let paths = self.folder.paths();
        failure::sync_and_check::<B>(&trainer.policy().device())?;
        LoadedModel {
            config: self.model_config.clone(),
            decoder: trainer.policy(),
            tokenizer: self.tokenizer.clone(),
        }
        .save(&paths.model())?;
        let history: Vec<StepMetrics> = self.folder.history()?;
        let facts = RunFacts {
            accuracy_before: before,
            accuracy_after: after,
            problems: self.problems.held_out.as_ref().map_or(0, |problems| problems.len() as u64),
            steps: trainer.steps_done(),
            planned_steps: self.config.max_steps,
            elapsed_secs: self.started.elapsed().as_secs_f64(),
            peak_rss_mib: peak_rss_mib(),
            long_prompts: self.problems.left_out() as u64,
            files: vec![
                ("model", paths.model()),
                ("metrics", paths.metrics()),
                ("samples", paths.samples()),
                ("config", paths.config()),
            ],
        };
        let text = report(&facts, &history);
        self.folder.write_report(&text)?;
        output::print(&text)
    }

    fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::SeqCst)
    }
}

fn trainer<B: TrainingKernels>(
    config: &RunConfig,
    policy: Decoder<Autodiff<B>>,
    tokenizer: &Tokenizer,
    problems: &Problems,
) -> anyhow::Result<Trainer<B>> {
    let settings = config.settings(tokenizer.eos_ids())?;
    let (rewards, problems) = (session::rewards(config)?, problems.train.clone());
    Ok(Trainer::new(settings, policy, tokenizer.clone(), problems, rewards))
}

fn announce(progress: &Progress, step: u64, accuracy: Option<f64>) {
    if let Some(accuracy) = accuracy {
        progress.message(&format!("step {step}: accuracy {:.1} % held out", 100.0 * accuracy));
    }
}

/// Whether something that happens every `every` steps happens after step `done`; 0 is never.
fn is_due(done: u64, every: u64) -> bool {
    every > 0 && done.is_multiple_of(every)
}
