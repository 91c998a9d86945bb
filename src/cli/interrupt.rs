//! Ctrl-C: the first one asks the run to end after its step, the second ends it at once.

use crate::monitor::Progress;
use crate::run::Stop;

/// The exit status of a program ended by an interrupt.
const INTERRUPTED: i32 = 130;

/// Watches for Ctrl-C and termination from now on; the first asks the run to stop, and `progress`
/// says what happens next.
pub(super) fn watch(progress: &Progress) -> anyhow::Result<Stop> {
    let stop = Stop::default();
    let (asked, progress) = (stop.clone(), progress.clone());
    ctrlc::set_handler(move || {
        if asked.ask() {
            std::process::exit(INTERRUPTED);
        }
        progress.message("ending after this step and saving it; Ctrl-C again ends at once");
    })?;
    Ok(stop)
}
