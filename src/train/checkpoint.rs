//! A run's state on disk: what a resumed run needs to go on bit for bit.

use std::collections::BTreeSet;
use std::path::Path;

use burn::backend::Autodiff;
use burn::tensor::backend::Backend;
use serde::{Deserialize, Serialize};

use super::carried::{CarriedGroup, Exact};
use super::loss_scale::LossScale;
use super::moments::Moments;
use super::state::Counters;
use super::{TrainError, Trainer};
use crate::advantage::RunningMoments;
use crate::files::{read_text, write_atomically};
use crate::kernel::Kernels;
use crate::model::{Decoder, ModelError, Parameter, Reference, TensorFile};
use crate::readback;
use crate::rollout::RolloutGroup;

const STATE: &str = "state.json";
const POLICY: &str = "policy.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";
const REFERENCE: &str = "reference.safetensors";

/// More than the groups that may wait for a step come to.
const LONGEST_STATE: u64 = 1 << 30;

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
    /// Optimiser steps on end, up to now, that were left out because their gradient was not finite.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub not_finite_on_end: u64,
    /// Prompts drawn, which is the place in the order of the data.
    pub prompts_drawn: u64,
    /// Completion tokens generated.
    pub tokens_seen: u64,
    /// The factor on the KL.
    pub kl_coef: Exact,
    /// All rewards so far: their count, and mean and squares exactly.
    pub reward_moments: (u64, Exact, Exact),
    /// The factor on the loss, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss_scale: Option<LossScale>,
    /// Groups that wait for the next step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub carried: Vec<CarriedGroup>,
    /// Held-out accuracy before training.
    pub accuracy_before: Option<f64>,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl CheckpointState {
    /// Reads the counters of a checkpoint; `None` where the folder holds none that is whole.
    ///
    /// # Errors
    /// A file that is there and cannot be understood.
    pub fn read(folder: &Path) -> Result<Option<Self>, TrainError> {
        let path = folder.join(STATE);
        let text = match read_text(&path, LONGEST_STATE) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(broken(&path, error)),
        };
        let state: Self = serde_json::from_str(&text).map_err(|error| broken(&path, error))?;
        match state.is_finite() {
            true => Ok(Some(state)),
            false => Err(broken(&path, "it holds numbers that are NaN or infinite")),
        }
    }

    fn is_finite(&self) -> bool {
        let (_, Exact(mean), Exact(squares)) = self.reward_moments;
        let is_sound = self.loss_scale.is_none_or(|loss_scale| loss_scale.is_sound());
        is_sound && [self.kl_coef.0, mean, squares].iter().all(|number| number.is_finite())
    }
}

impl<B: Kernels> Trainer<B> {
    /// Writes a checkpoint. `state.json` comes last, so a folder that has it is whole.
    ///
    /// # Errors
    /// A file that cannot be written, or a device that failed; older checkpoints are untouched.
    pub fn save(&self, folder: &Path, accuracy_before: Option<f64>) -> Result<(), TrainError> {
        readback::sync_and_check::<B>(&self.state.policy.device())?;
        std::fs::create_dir_all(folder)
            .map_err(|source| ModelError::Write { path: folder.into(), source })?;
        let parameters = self.state.policy.parameters();
        self.policy().save_where(&folder.join(POLICY), |_| true)?;
        if let Some(reference) = &self.state.reference {
            // What the policy does not train it shares with its reference.
            let own = trainable(&parameters);
            let path = folder.join(REFERENCE);
            reference.decoder().save_where(&path, |name| own.contains(name))?;
        }
        self.state.optimizer.moments().save(&folder.join(OPTIMIZER), &parameters)?;
        let (counters, moments) = (self.state.counters, self.state.moments);
        let state = CheckpointState {
            step: counters.steps,
            optimizer_steps: self.state.optimizer.steps(),
            skipped_steps: counters.skipped_steps,
            not_finite_on_end: counters.not_finite_on_end,
            prompts_drawn: counters.prompts_drawn,
            tokens_seen: counters.tokens_seen,
            kl_coef: Exact(self.state.kl_coef),
            loss_scale: self.state.loss_scale,
            reward_moments: (moments.count, Exact(moments.mean), Exact(moments.squares)),
            carried: self.state.carried.iter().map(|g| CarriedGroup::new(&g.rollout)).collect(),
            accuracy_before,
        };
        // Nothing is whole that was read off a device that failed meanwhile.
        readback::sync_and_check::<B>(&self.state.policy.device())?;
        let path = folder.join(STATE);
        let text = serde_json::to_string_pretty(&state).map_err(|error| broken(&path, error))?;
        write_atomically(&path, text.as_bytes())
            .map_err(|source| ModelError::Write { path, source })?;
        Ok(())
    }

    /// Takes up a checkpoint that [`Self::save`] wrote for a policy of the same parameters, the
    /// same of them trainable.
    ///
    /// # Errors
    /// Files that are missing or do not fit the model; then the trainer is as it was.
    pub fn restore(&mut self, folder: &Path, state: &CheckpointState) -> Result<(), TrainError> {
        let parameters = self.state.policy.parameters();
        let all = parameters.iter().map(|parameter| parameter.name.clone()).collect();
        let policy = read_into(self.state.policy.clone(), &folder.join(POLICY), &all)?;
        let reference = match self.state.reference {
            Some(_) => Some(self.read_reference(&policy, &folder.join(REFERENCE))?),
            None => None,
        };
        let device = self.state.policy.device();
        let storage = self.settings.training.optimizer.moments;
        let moments = Moments::read(&folder.join(OPTIMIZER), &parameters, storage, &device)?;
        let carried = state.carried.iter().map(|group| group.rollout(&self.problems));
        let carried: Option<Vec<RolloutGroup>> = carried.collect();
        let carried = carried.ok_or_else(|| {
            broken(&folder.join(STATE), "a group that waits is of a problem that the data lacks")
        })?;
        self.state.carried = self.scorer().score(carried)?;
        self.state.policy.change(|_| (policy, ()));
        self.state.reference = reference;
        self.state.optimizer.restore(state.optimizer_steps, moments);
        self.state.counters = Counters {
            steps: state.step,
            skipped_steps: state.skipped_steps,
            not_finite_on_end: state.not_finite_on_end,
            prompts_drawn: state.prompts_drawn,
            tokens_seen: state.tokens_seen,
        };
        self.state.kl_coef = state.kl_coef.0;
        let scaled = self.state.loss_scale.map(|fresh| state.loss_scale.unwrap_or(fresh));
        self.state.loss_scale = scaled;
        let (count, Exact(mean), Exact(squares)) = state.reward_moments;
        self.state.moments = RunningMoments { count, mean, squares };
        Ok(())
    }

    /// The view of `policy` with the values of the parameters that are the reference's own.
    fn read_reference(
        &self,
        policy: &Decoder<Autodiff<B>>,
        path: &Path,
    ) -> Result<Reference<B>, TrainError> {
        // An adapter's base has nothing of its own; a snapshot of its policy has.
        let file = TensorFile::open(path).map_err(ModelError::from)?;
        if self.settings.reference_is_base && file.names().next().is_none() {
            return Ok(Reference::of_base(policy));
        }
        let view = Reference::of(policy).decoder().clone();
        let decoder = read_into(view, path, &trainable(&policy.parameters()))?;
        Ok(Reference::new(decoder).stored_as(self.settings.reference_storage))
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

/// The names of the parameters that are trained.
fn trainable(parameters: &[Parameter]) -> BTreeSet<String> {
    let trainable = parameters.iter().filter(|parameter| parameter.trainable);
    trainable.map(|parameter| parameter.name.clone()).collect()
}

/// The decoder with the values of a file, which has to hold the parameters `names` and no others.
fn read_into<B: Backend>(
    decoder: Decoder<B>,
    path: &Path,
    names: &BTreeSet<String>,
) -> Result<Decoder<B>, TrainError> {
    let file = TensorFile::open(path).map_err(ModelError::from)?;
    check_names(path, &file, names)?;
    let mut source = |name: &str, shape: &[usize]| Ok(file.get_finite(name, shape)?);
    Ok(decoder.with_values(|name| names.contains(name), &mut source)?)
}

/// Refuses a file of other tensors than those of this run, and says which.
pub(super) fn check_names(
    path: &Path,
    file: &TensorFile,
    expected: &BTreeSet<String>,
) -> Result<(), TrainError> {
    let found: BTreeSet<String> = file.names().map(str::to_owned).collect();
    let missing: Vec<&String> = expected.difference(&found).collect();
    let surplus: Vec<&String> = found.difference(expected).collect();
    let mut problems = Vec::new();
    if !missing.is_empty() {
        problems.push(format!("it lacks {}", few_of(&missing)));
    }
    if !surplus.is_empty() {
        problems.push(format!("it has {}, which this run has no place for", few_of(&surplus)));
    }
    match problems.is_empty() {
        true => Ok(()),
        false => Err(broken(path, problems.join(", and "))),
    }
}

/// The first names of a list, and how many more there are.
fn few_of(names: &[&String]) -> String {
    const SHOWN: usize = 3;
    let first: Vec<&str> = names.iter().take(SHOWN).map(|name| name.as_str()).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

pub(super) fn broken(path: &Path, problem: impl ToString) -> TrainError {
    TrainError::Checkpoint { path: path.into(), problem: problem.to_string() }
}
