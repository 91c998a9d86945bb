//! A run's state on disk: what a resumed run needs to go on bit for bit.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::carried::{CarriedGroup, Exact};
use super::{TrainError, Trainer};
use crate::advantage::RunningMoments;
use crate::files::write_atomically;
use crate::kernel::TrainingKernels;
use crate::model::{Decoder, ModelConfig, ModelError, Reference, TensorFile, save_tensors};
use crate::readback;

const STATE: &str = "state.json";
const POLICY: &str = "policy.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";
const REFERENCE: &str = "reference.safetensors";

/// The counters of a run and what steers it. Everything random is computed from them and the seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckpointState {
    /// Training steps done.
    pub step: u64,
    /// Optimiser steps done.
    pub optimizer_steps: u64,
    /// Training steps that had nothing to learn from.
    pub skipped_steps: u64,
    /// Prompts drawn, which is the place in the order of the data.
    pub prompts_drawn: u64,
    /// Completion tokens generated.
    pub tokens_seen: u64,
    /// The factor on the KL.
    pub kl_coef: Exact,
    /// All rewards so far: their count, and mean and squares exactly.
    pub reward_moments: (u64, Exact, Exact),
    /// Groups that wait for the next step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub carried: Vec<CarriedGroup>,
    /// Held-out accuracy before training.
    pub accuracy_before: Option<f64>,
}

impl CheckpointState {
    /// Reads the counters of a checkpoint; `None` where the folder holds none that is whole.
    ///
    /// # Errors
    /// A file that is there and cannot be understood.
    pub fn read(folder: &Path) -> Result<Option<Self>, TrainError> {
        let path = folder.join(STATE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(broken(&path, error)),
        };
        serde_json::from_str(&text).map(Some).map_err(|error| broken(&path, error))
    }
}

impl<B: TrainingKernels> Trainer<B> {
    /// Writes a checkpoint. `state.json` comes last, so a folder that has it is whole.
    ///
    /// # Errors
    /// A file that cannot be written, or a device that failed; older checkpoints are untouched.
    pub fn save(
        &self,
        folder: &Path,
        config: &ModelConfig,
        accuracy_before: Option<f64>,
    ) -> Result<(), TrainError> {
        readback::sync_and_check::<B>(&self.policy.device())?;
        std::fs::create_dir_all(folder)
            .map_err(|source| ModelError::Write { path: folder.into(), source })?;
        self.policy().save(config, &folder.join(POLICY))?;
        if let Some(reference) = &self.reference {
            reference.decoder().save(config, &folder.join(REFERENCE))?;
        }
        self.save_optimizer(config, &folder.join(OPTIMIZER))?;
        let moments = self.reward_moments;
        let state = CheckpointState {
            step: self.steps_done,
            optimizer_steps: self.optimizer.steps(),
            skipped_steps: self.skipped_steps,
            prompts_drawn: self.prompts_drawn,
            tokens_seen: self.tokens_seen,
            kl_coef: Exact(self.kl_coef),
            reward_moments: (moments.count, Exact(moments.mean), Exact(moments.squares)),
            carried: self.carried.rollouts.iter().map(CarriedGroup::new).collect(),
            accuracy_before,
        };
        // Nothing is whole that was read off a device that failed meanwhile.
        readback::sync_and_check::<B>(&self.policy.device())?;
        let path = folder.join(STATE);
        let text = serde_json::to_string_pretty(&state).map_err(|error| broken(&path, error))?;
        write_atomically(&path, text.as_bytes())
            .map_err(|source| ModelError::Write { path, source })?;
        Ok(())
    }

    /// Takes up a checkpoint that [`Self::save`] wrote.
    ///
    /// # Errors
    /// Files that are missing or do not fit the model.
    pub fn restore(
        &mut self,
        folder: &Path,
        config: &ModelConfig,
        state: &CheckpointState,
    ) -> Result<(), TrainError> {
        let device = self.policy.device();
        let policy = load(config, &folder.join(POLICY), &device)?;
        self.policy.change(|_| (policy, ()));
        if self.reference.is_some() {
            let reference = load(config, &folder.join(REFERENCE), &device)?;
            let storage = self.settings.reference_storage;
            self.reference = Some(Reference::new(reference).stored_as(storage));
        }
        let moments = read_moments(config, &folder.join(OPTIMIZER), state.optimizer_steps)?;
        self.optimizer.restore(state.optimizer_steps, moments, &device);
        self.steps_done = state.step;
        self.skipped_steps = state.skipped_steps;
        self.prompts_drawn = state.prompts_drawn;
        self.tokens_seen = state.tokens_seen;
        self.kl_coef = state.kl_coef.0;
        let (count, Exact(mean), Exact(squares)) = state.reward_moments;
        self.reward_moments = RunningMoments { count, mean, squares };
        self.carried = self.take_up(&state.carried)?;
        Ok(())
    }

    fn save_optimizer(&self, config: &ModelConfig, path: &Path) -> Result<(), TrainError> {
        let stepped = self.optimizer.steps() > 0;
        let layout = if stepped { moment_layout(config) } else { Vec::new() };
        let moments = self.optimizer.moments().flatten();
        Ok(save_tensors(path, &layout, &[], moments).map_err(ModelError::from)?)
    }
}

/// Removes a checkpoint, its counters first, so that what is left of it is never taken for whole.
///
/// # Errors
/// A file that cannot be removed.
pub fn remove_checkpoint(folder: &Path) -> Result<(), TrainError> {
    for name in [STATE, POLICY, OPTIMIZER, REFERENCE] {
        let path = folder.join(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(broken(&path, error));
            }
            _ => {}
        }
    }
    // A folder with files of somebody else in it stays.
    let _ = std::fs::remove_dir(folder);
    Ok(())
}

/// Names and shapes of both moments of every parameter, in the order of the parameters.
fn moment_layout(config: &ModelConfig) -> Vec<(String, Vec<usize>)> {
    let pair = |(name, shape): (String, Vec<usize>)| {
        ["first", "second"].map(|moment| (format!("{moment}.{name}"), shape.clone()))
    };
    config.parameters().into_iter().flat_map(pair).collect()
}

fn read_moments(
    config: &ModelConfig,
    path: &Path,
    steps: u64,
) -> Result<Vec<[Vec<f32>; 2]>, TrainError> {
    if steps == 0 {
        return Ok(Vec::new());
    }
    let file = TensorFile::open(path).map_err(ModelError::from)?;
    let layout = moment_layout(config);
    let read = |(name, shape): &(String, Vec<usize>)| file.get(name, shape);
    let pairs = layout.chunks_exact(2).map(|pair| Ok([read(&pair[0])?, read(&pair[1])?]));
    pairs.collect::<Result<_, ModelError>>().map_err(TrainError::from)
}

fn load<B: burn::tensor::backend::Backend>(
    config: &ModelConfig,
    path: &Path,
    device: &B::Device,
) -> Result<Decoder<B>, TrainError> {
    let file = TensorFile::open(path).map_err(ModelError::from)?;
    Ok(Decoder::new(config, &mut |name, shape| Ok(file.get(name, shape)?), device)?)
}

fn broken(path: &Path, problem: impl ToString) -> TrainError {
    TrainError::Checkpoint { path: path.into(), problem: problem.to_string() }
}
