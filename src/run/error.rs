//! Why a run cannot begin or go on.

use std::path::PathBuf;

use crate::config::ConfigError;
use crate::data::DataError;
use crate::device::TooLarge;
use crate::kernel::NoSuchPrecision;
use crate::model::ModelError;
use crate::monitor::{RecordFailed, RunFolderError};
use crate::readback::DeviceFailed;
use crate::reward::RewardError;
use crate::text::TextError;
use crate::train::TrainError;

/// What keeps a run from beginning, or ends it before its last step.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A configuration that contradicts itself.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Problems that cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// An alphabet that makes no tokenizer.
    #[error(transparent)]
    Text(#[from] TextError),
    /// A model that cannot be loaded or saved.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Rewards that make no sense.
    #[error(transparent)]
    Reward(#[from] RewardError),
    /// A tensor that the device cannot hold.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// A run that takes more memory than there is.
    #[error("the run takes {needs}; there are {has} (device.memory_mib says otherwise); {mend}")]
    TooMuchMemory {
        /// How much, when and for what.
        needs: String,
        /// What there is.
        has: String,
        /// What to change.
        mend: String,
    },
    /// A precision that the device lacks.
    #[error(transparent)]
    Precision(#[from] NoSuchPrecision),
    /// A device that failed.
    #[error(transparent)]
    Device(#[from] DeviceFailed),
    /// A step, a warm start or an evaluation that came to nothing.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// A run folder that cannot be used.
    #[error(transparent)]
    Folder(#[from] RunFolderError),
    /// A record of the run that cannot be kept.
    #[error(transparent)]
    Record(#[from] RecordFailed),
    /// A model block that is empty.
    #[error("the model block names neither a path nor a new model")]
    NoModel,
    /// A run that was interrupted before it had a model.
    #[error(
        "{} holds a run that has saved no model yet; let it end, or interrupt it and look again",
        folder.display()
    )]
    NoModelYet {
        /// The run's folder.
        folder: PathBuf,
    },
    /// An adapter that does not say which model it belongs to.
    #[error(
        "the adapter in {} does not name its model; write the model's folder as base_model_name_or_path into its \
         adapter_config.json",
        folder.display()
    )]
    NoBase {
        /// The adapter's folder.
        folder: PathBuf,
    },
    /// An adapter that is asked for where there is none.
    #[error("{} has no adapter; export it as hf or gguf, which are whole models", folder.display())]
    NoAdapter {
        /// The folder.
        folder: PathBuf,
    },
    /// An export that computes something else.
    #[error(
        "{} was written, but read again its log-probabilities differ by {difference:.3} on average, which is more than \
         rounding: do not use it, and report this",
        path.display()
    )]
    OtherNumbers {
        /// The export.
        path: PathBuf,
        /// The mean difference, in nats.
        difference: f64,
    },
    /// Nothing to go on from.
    #[error(
        "{} holds no checkpoint to resume from; {}", folder.display(), match holds_run {
            true => "start anew with --overwrite",
            false => "start without --resume, or check output_dir",
        }
    )]
    NoCheckpoint {
        /// The folder that was looked into.
        folder: PathBuf,
        /// Whether a run was begun there.
        holds_run: bool,
    },
    /// A checkpoint that is asked for by its step and is not there.
    #[error("{} has no checkpoint of step {step}; {there}", folder.display())]
    NoCheckpointOf {
        /// The run's folder.
        folder: PathBuf,
        /// The step.
        step: u64,
        /// Which steps there are some of.
        there: String,
    },
    /// Checkpoints, and none of them whole.
    #[error(
        "no checkpoint of {} is whole: {faults}; put the files back from a copy, or start anew with \
         --overwrite; where only the logs are not as they were, --allow-changes goes on without \
         the missing lines",
        folder.display()
    )]
    NoWholeCheckpoint {
        /// The run's folder.
        folder: PathBuf,
        /// What is wrong with each.
        faults: String,
    },
    /// A configuration, data or a model other than the checkpoint's.
    #[error(
        "{} cannot go on as the same run: {changes}; undo the change, begin another run in a folder of \
         its own with --output-dir, or go on nevertheless with --allow-changes",
        folder.display()
    )]
    Changed {
        /// The run's folder.
        folder: PathBuf,
        /// What differs, as before → now.
        changes: String,
    },
    /// A file that the run is made from and that cannot be read.
    #[error("cannot read {}: {source}; check data.path, data.held_out_path, model.path and the paths of rewards", path.display())]
    Input {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A run that was asked to stop while it was opening its model and problems.
    #[error("stopped before the run began; nothing was written")]
    StoppedBeforeItBegan,
}
