//! The end of a run: its last evaluation, its model and its report.

use super::{Run, RunError};
use crate::kernel::Kernels;
use crate::model::{LoadedModel, WeightStorage};
use crate::monitor::{Event, RunFacts, RunPaths, StepMetrics, peak_rss_mib, report};
use crate::readback;

/// What a run came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// What it reached and took, and where its files lie.
    pub facts: RunFacts,
    /// The metrics of its steps, those before a resume included.
    pub history: Vec<StepMetrics>,
    /// The closing report, as it stands in `report.txt`.
    pub report: String,
}

impl<B: Kernels> Run<B> {
    /// Ends the run: evaluates, unless it was asked to stop or is evaluated, saves a checkpoint, and
    /// writes the model and the report.
    ///
    /// # Errors
    /// Whatever ends an evaluation, a device that failed, a file that cannot be written.
    pub fn finish(mut self) -> Result<Outcome, RunError> {
        self.frame.tell(&Event::PhaseEnded)?;
        let after = match self.frame.is_stopped() {
            false => self.evaluate_once()?,
            true => None,
        };
        let saves = self.frame.setup.config.checkpoint.save_steps > 0 || self.frame.is_stopped();
        // A warm start that was cut short is no state to go on from.
        if saves && self.steps_done() > 0 {
            self.save()?;
        }
        self.save_what_was_trained(self.frame.folder.paths())?;
        let (facts, history) = (self.facts(after), self.frame.folder.history()?);
        let report = report(&facts, &history, self.frame.findings.told());
        self.frame.tell(&Event::Finished { facts: &facts, report: &report })?;
        Ok(Outcome { facts, history, report })
    }

    /// The accuracy of the final policy, which a run that was resumed at its end has measured before.
    fn evaluate_once(&mut self) -> Result<Option<f64>, RunError> {
        match self.evaluated {
            Some((step, accuracy)) if step == self.steps_done() => Ok(Some(accuracy)),
            _ => self.evaluate(),
        }
    }

    /// Writes the model, or the adapter and on request the model that it makes.
    pub(super) fn save_what_was_trained(&self, paths: &RunPaths) -> Result<(), RunError> {
        let (policy, setup) = (self.policy(), &self.frame.setup);
        readback::sync_and_check::<B>(&policy.device())?;
        if let (true, Some(lora), Some(base)) =
            (self.saves_adapter(), &setup.lora, &setup.config.model.path)
        {
            // From wherever the adapter is opened, its model has to be found.
            let base = std::path::absolute(base).unwrap_or_else(|_| base.clone());
            let dtype = setup.config.lora.as_ref().map_or(WeightStorage::F32, |lora| lora.dtype);
            policy.save_adapter(&paths.adapter(), lora, dtype, &base.display().to_string())?;
        }
        if !self.saves_model() {
            return Ok(());
        }
        let model = LoadedModel {
            config: setup.model_config.clone(),
            decoder: policy,
            tokenizer: setup.tokenizer.clone(),
        };
        Ok(model.save(&paths.model())?)
    }

    /// Whether an adapter is saved: one that was trained on the model as it lies in its folder.
    fn saves_adapter(&self) -> bool {
        self.frame.setup.config.lora.as_ref().is_some_and(|lora| lora.merged().is_none())
    }

    /// Whether a whole model is saved.
    fn saves_model(&self) -> bool {
        let lora = self.frame.setup.config.lora.as_ref();
        lora.is_none_or(|lora| lora.save_merged || lora.merged().is_some())
    }

    fn facts(&self, after: Option<f64>) -> RunFacts {
        let (paths, setup) = (self.frame.folder.paths(), &self.frame.setup);
        RunFacts {
            accuracy_before: self.before,
            accuracy_after: after,
            problems: setup.plan.held_out as u64,
            steps: self.steps_done(),
            planned_steps: setup.config.training.max_steps,
            elapsed_secs: setup.started.elapsed().as_secs_f64(),
            peak_rss_mib: peak_rss_mib(),
            long_prompts: setup.plan.left_out as u64,
            files: [
                self.saves_adapter().then(|| ("adapter", paths.adapter())),
                self.saves_model().then(|| ("model", paths.model())),
                paths.best_of().exists().then(|| ("best", paths.best().root().to_owned())),
                Some(("metrics", paths.metrics())),
                Some(("samples", paths.samples())),
                Some(("config", paths.config())),
            ]
            .into_iter()
            .flatten()
            .collect(),
        }
    }
}
