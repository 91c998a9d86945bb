//! Telling how far a download is, not more often than a person can see.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use crate::hub::{HubError, Progress, Watch};

/// The shortest time between two reports.
const SHORTEST: Duration = Duration::from_millis(100);

/// Decides which of many reports are made.
pub(super) struct Meter<'a, 'w> {
    watch: &'a mut Watch<'w>,
    last: Option<Instant>,
}

impl<'a, 'w> Meter<'a, 'w> {
    pub(super) fn new(watch: &'a mut Watch<'w>) -> Self {
        Self { watch, last: None }
    }

    /// Reports where it is time to, or a file is whole.
    ///
    /// # Errors
    /// The wish that the download ends.
    pub(super) fn tell(&mut self, progress: Progress) -> Result<(), HubError> {
        let is_due = self.last.is_none_or(|last| last.elapsed() >= SHORTEST);
        if !is_due && progress.done_bytes < progress.total_bytes {
            return Ok(());
        }
        self.last = Some(Instant::now());
        match (self.watch)(progress) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(HubError::Stopped),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_report_and_the_last_are_made_and_few_between() {
        let mut told = Vec::new();
        let mut watch = |progress: Progress| {
            told.push(progress.done_bytes);
            ControlFlow::Continue(())
        };
        let mut meter = Meter::new(&mut watch);
        let began = Instant::now();
        for done_bytes in 0..=10_000 {
            meter.tell(Progress { file: "f", done_bytes, total_bytes: 10_000 }).unwrap();
        }
        let most = 3 + (began.elapsed().as_millis() / SHORTEST.as_millis()) as usize;
        assert_eq!((told[0], told[told.len() - 1]), (0, 10_000));
        assert!(told.len() <= most, "{} reports", told.len());
    }

    #[test]
    fn a_break_ends_the_download() {
        let mut watch = |_: Progress| ControlFlow::Break(());
        let told =
            Meter::new(&mut watch).tell(Progress { file: "f", done_bytes: 0, total_bytes: 1 });
        assert!(matches!(told, Err(HubError::Stopped)));
    }
}
