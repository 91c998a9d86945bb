//! The model of the best evaluation, which is kept beside that of the end.

use serde::{Deserialize, Serialize};

use super::{Run, RunError};
use crate::config::BestBy;
use crate::files::{read_text, write_atomically};
use crate::kernel::Kernels;
use crate::monitor::{EvalMetrics, Event, RunFolderError, RunPaths};

/// Which evaluation it was.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Best {
    /// Training steps done by then.
    pub step: u64,
    /// The metric, of which more is better.
    pub metric: BestBy,
    /// Its value.
    pub value: f64,
}

/// A file of one short object.
const LONGEST: u64 = 1 << 16;

impl Best {
    /// That of a run up to `step`, by the same metric; none where none is kept yet, or what is kept came later.
    pub(super) fn read(paths: &RunPaths, by: BestBy, step: u64) -> Option<Self> {
        let text = read_text(&paths.best_of(), LONGEST).ok()?;
        let best: Self = serde_json::from_str(&text).ok()?;
        (best.metric == by && best.step <= step).then_some(best)
    }
}

fn value_of(found: &EvalMetrics, by: BestBy) -> Option<f64> {
    match by {
        BestBy::Accuracy => Some(found.accuracy),
        BestBy::Reward => found.reward,
        BestBy::PassAtK => found.pass_at_k,
    }
}

impl<B: Kernels> Run<B> {
    /// Keeps the model as it is now, where the configuration asks for the best one and no earlier evaluation was as good.
    pub(super) fn keep_if_best(&mut self, found: &EvalMetrics) -> Result<(), RunError> {
        let Some(metric) = self.frame.setup.config.checkpoint.keep_best else { return Ok(()) };
        let paths = self.frame.folder.paths().clone();
        let before = Best::read(&paths, metric, found.step);
        let Some(value) = value_of(found, metric).filter(|value| value.is_finite()) else {
            return Ok(());
        };
        if before.is_some_and(|before| before.value >= value) {
            return Ok(());
        }
        self.save_what_was_trained(&paths.best())?;
        let best = Best { step: found.step, metric, value };
        let text = serde_json::to_string(&best).unwrap_or_default();
        let path = paths.best_of();
        write_atomically(&path, text.as_bytes()).map_err(|reason| RunFolderError::Io {
            action: "write",
            path,
            reason,
        })?;
        let said = format!(
            "best       the model of step {} is kept in {}",
            best.step,
            paths.best().root().display()
        );
        self.frame.tell(&Event::Message(&said))
    }
}
