//! All of a run but its policy: what it was made from, its folder and what listens to it.

use std::time::Instant;

use burn::backend::Autodiff;

use super::checkpoints::Kept;
use super::inputs::Inputs;
use super::memory::text as memory_text;
use super::open::Opened;
use super::options::{Options, Stop};
use super::setting::setting;
use super::{RunError, open};
use crate::config::RunConfig;
use crate::device::Limits;
use crate::kernel::Kernels;
use crate::model::{Decoder, LoadedModel, LoraConfig, ModelConfig, WeightStorage};
use crate::monitor::{
    EvalMetrics, Event, Findings, Logs, Monitor, Monitors, ReportFile, RunFolder, RunFolderError,
    RunPlan, Setting,
};
use crate::reward::Rewards;
use crate::text::Tokenizer;
use crate::train::{
    Checkpointing, EvalOptions, EvalProgress, PreparedProblems, TrainError, Trainer,
    evaluate_watched,
};

/// What is known of a run before its folder is touched.
pub(super) struct Setup {
    pub config: RunConfig,
    pub model_config: ModelConfig,
    pub tokenizer: Tokenizer,
    pub lora: Option<LoraConfig>,
    /// What `gradient_checkpointing` came to.
    pub checkpointing: Checkpointing,
    pub held_out: Option<PreparedProblems>,
    pub eval_options: EvalOptions,
    pub plan: RunPlan,
    pub tries_first: bool,
    pub stop: Stop,
    pub started: Instant,
    monitors: Vec<Box<dyn Monitor>>,
    setting: Setting,
}

/// A run apart from its policy.
pub(super) struct Frame {
    pub setup: Setup,
    pub folder: RunFolder,
    pub inputs: Inputs,
    pub monitors: Monitors,
    pub findings: Findings,
}

impl Setup {
    /// Opens the model and the problems of a run that the device can hold.
    pub(super) fn open<B: Kernels>(
        config: RunConfig,
        device: &B::Device,
        options: Options,
    ) -> Result<(Self, Opened<B>), RunError> {
        let started = Instant::now();
        let Options { limits, rewards, monitors, stop, tries_first, .. } = options;
        let mut opened = Opened::open(&config, device, &limits)?;
        for (weight, reward) in rewards {
            opened.rewards.push(weight, reward)?;
        }
        // What rewards need must be there before the folder of a run is touched.
        opened.rewards.start()?;
        let mut plan = plan::<B>(&config, &opened, &limits, device);
        let asked = config.training.gradient_checkpointing;
        plan.notes.extend(checkpoint_note(asked, opened.checkpointing));
        let LoadedModel { config: model_config, tokenizer, .. } = &opened.model;
        let setup = Self {
            setting: setting(&config, &opened),
            plan,
            model_config: model_config.clone(),
            tokenizer: tokenizer.clone(),
            lora: opened.lora.clone(),
            checkpointing: opened.checkpointing,
            eval_options: config.eval_options(tokenizer.eos_ids()),
            held_out: opened.problems.held_out.take(),
            config,
            tries_first,
            stop,
            started,
            monitors,
        };
        Ok((setup, opened))
    }

    /// Begins to tell of a run in the folder that `take` gives.
    pub(super) fn enter(
        mut self,
        inputs: Inputs,
        take: impl FnOnce() -> Result<RunFolder, RunFolderError>,
    ) -> Result<Frame, RunError> {
        if self.stop.is_asked() {
            return Err(RunError::StoppedBeforeItBegan);
        }
        let folder = take()?;
        let mut monitors = Monitors::default();
        monitors.add(Box::new(Logs::open(folder.paths())?));
        monitors.add(Box::new(ReportFile::new(folder.paths())));
        std::mem::take(&mut self.monitors).into_iter().for_each(|monitor| monitors.add(monitor));
        folder.write_config(&self.config.to_yaml()?)?;
        monitors.tell(&Event::Started(&self.plan))?;
        let findings = Findings::new(self.setting.clone());
        Ok(Frame { setup: self, folder, inputs, monitors, findings })
    }
}

impl Frame {
    /// Has the run go on from what its logs say of it.
    pub(super) fn recall(&mut self) -> Result<(), RunError> {
        let past = self.folder.past()?;
        self.findings = Findings::resumed(self.setup.setting.clone(), past);
        Ok(())
    }

    /// Tells an event, and after it what is found by it.
    pub(super) fn tell(&mut self, event: &Event<'_>) -> Result<(), RunError> {
        self.monitors.tell(event)?;
        for finding in self.findings.take(event) {
            self.monitors.tell(&Event::Finding(&finding))?;
        }
        Ok(())
    }

    /// What the checkpoint after `step` keeps of the run.
    pub(super) fn kept(&self, step: u64) -> Kept<'_> {
        let (config, paths) = (&self.setup.config, self.folder.paths());
        Kept { step, paths, config, inputs: &self.inputs }
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.setup.stop.is_asked()
    }

    /// What is found on the held-out problems after `step` steps; none where there are none, or where the run was asked to
    /// stop meanwhile.
    pub(super) fn evaluate<B: Kernels>(
        &mut self,
        policy: &Decoder<B>,
        rewards: &Rewards,
        step: u64,
    ) -> Result<Option<EvalMetrics>, RunError> {
        let Self { setup, monitors, .. } = self;
        let Setup { held_out, tokenizer, eval_options, stop, .. } = &*setup;
        let Some(problems) = held_out else { return Ok(None) };
        let count = problems.len() as u64;
        let mut told = Ok(());
        let mut watch = |EvalProgress { done, total, waits }| {
            // What is computed all at once is soon done.
            if waits {
                told = monitors.tell(&Event::Evaluating { step, problems: count, done, total });
            }
            match told.is_ok() && (done == total || !stop.is_asked()) {
                true => Ok(()),
                false => Err(TrainError::Stopped),
            }
        };
        let found =
            evaluate_watched(policy, tokenizer, problems, rewards, eval_options, &mut watch);
        told?;
        let found = match found {
            Err(TrainError::Stopped) => return Ok(None),
            found => found?,
        };
        let found = EvalMetrics {
            step,
            accuracy: found.accuracy,
            reward: found.reward,
            problems: found.problems as u64,
            pass_at_k: found.pass_at_k,
            failed: (found.failed > 0).then_some(found.failed as u64),
        };
        self.tell(&Event::Evaluated(&found))?;
        Ok(Some(found))
    }

    pub(super) fn trainer<B: Kernels>(
        &self,
        policy: Decoder<Autodiff<B>>,
        problems: PreparedProblems,
        rewards: Rewards,
    ) -> Result<Trainer<B>, RunError> {
        let Setup { config, tokenizer, checkpointing, .. } = &self.setup;
        let config = open::settled_by(config, *checkpointing);
        open::trainer(&config, policy, tokenizer, problems, rewards)
    }
}

fn plan<B: Kernels>(
    config: &RunConfig,
    opened: &Opened<B>,
    limits: &Limits,
    device: &B::Device,
) -> RunPlan {
    let problems = &opened.problems;
    let asked = config.device.reference_dtype;
    let found = || (asked.name(), asked.or_f32::<B>(device).name());
    RunPlan {
        parameters: opened.model.config.parameter_count(),
        device: limits.device.clone(),
        problems: problems.train.len(),
        held_out: problems.held_out.as_ref().map_or(0, PreparedProblems::len),
        left_out: problems.left_out(),
        notes: [
            config.notes(opened.model.config.vocab_size),
            lora_notes(config, opened),
            problems.notes(),
        ]
        .concat(),
        prompt_length: config.prompt_length,
        max_steps: config.training.max_steps,
        prompts: config.training.rollout_batch_size,
        completions: config.training.num_return_sequences_in_group,
        memory: memory_text(&opened.memory),
        reference_storage: (asked != WeightStorage::F32).then(found),
    }
}

/// Whether memory asked for checkpoints of layers.
fn checkpoint_note(asked: Checkpointing, found: Checkpointing) -> Option<String> {
    let note = "gradient_checkpointing is auto and here it is on: without it the run does not fit the memory; an update \
                takes about a third longer for it";
    (asked == Checkpointing::Auto && found.is_on()).then(|| note.to_owned())
}

/// What is trained in the place of the model, and what a KL is taken to.
fn lora_notes<B: Kernels>(config: &RunConfig, opened: &Opened<B>) -> Vec<String> {
    let (Some(block), Some(lora)) = (&config.lora, &opened.lora) else { return Vec::new() };
    let (trained, all) =
        (lora.parameter_count(&opened.model.config), opened.model.config.parameter_count());
    let mut notes = vec![format!(
        "an adapter of rank {} is trained: {trained} numbers beside {all} of the model, which stays as it is, stored \
         in {}",
        lora.rank,
        block.base.name()
    )];
    let reference = match (block.continued(), block.merged()) {
        (Some(_), _) => "the model with the adapter that it begins with",
        (None, Some(_)) => "the model with the merged adapter",
        (None, None) if config.warm_start.is_some() => {
            "the model with the adapter after the warm start"
        }
        (None, None) => "the model without an adapter",
    };
    if config.keeps_reference() {
        notes.push(format!("the KL is taken to {reference}"));
    }
    notes
}
