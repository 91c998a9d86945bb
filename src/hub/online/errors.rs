//! How errors come about, and what follows from them.

use std::io;
use std::path::PathBuf;

use crate::hub::HubError;

impl HubError {
    pub(super) fn disk(path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Disk { path: path.into(), source }
    }

    pub(super) fn answer(place: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Answer { place: place.into(), problem: problem.into() }
    }

    /// Whether the same question may well be answered a second later.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Broken { .. } | Self::Interrupted { .. } => true,
            Self::Status { status, .. } => matches!(status, 408 | 429 | 500..=599),
            _ => false,
        }
    }

    /// Whether the hub could not be asked, so that what the cache has is the best that is known.
    pub(super) fn is_no_answer(&self) -> bool {
        self.is_passing() || matches!(self, Self::Unreachable { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_tried_again_and_what_stays_is_not() {
        let status = |status| HubError::Status { place: "p".into(), status, mend: "m" };
        assert!([408, 429, 500, 503].into_iter().all(|code| status(code).is_passing()));
        assert!(![400, 404, 418].into_iter().any(|code| status(code).is_passing()));
        assert!(!HubError::Stopped.is_passing());
    }
}
