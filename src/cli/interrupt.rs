//! Ctrl-C: the first one asks the run to end after its step, the second ends it at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::monitor::Progress;

/// The exit status of a program ended by an interrupt.
const INTERRUPTED: i32 = 130;

/// Watches for Ctrl-C and termination from now on; the flag turns true at the first, and `progress`
/// says what happens next.
pub(super) fn watch(progress: &Progress) -> anyhow::Result<Arc<AtomicBool>> {
    let asked = Arc::new(AtomicBool::new(false));
    let (seen, progress) = (Arc::clone(&asked), progress.clone());
    ctrlc::set_handler(move || {
        if seen.swap(true, Ordering::SeqCst) {
            std::process::exit(INTERRUPTED);
        }
        progress.message("ending after this step and saving it; Ctrl-C again ends at once");
    })?;
    Ok(asked)
}
