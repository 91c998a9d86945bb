//! Ctrl-C: the first one asks the run to end after its step, the second ends it at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The exit status of a program ended by an interrupt.
const INTERRUPTED: i32 = 130;

/// Watches for Ctrl-C and termination from now on; the flag turns true at the first.
pub(super) fn watch() -> anyhow::Result<Arc<AtomicBool>> {
    let asked = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&asked);
    ctrlc::set_handler(move || {
        if seen.swap(true, Ordering::SeqCst) {
            std::process::exit(INTERRUPTED);
        }
        eprintln!(
            "\nending after this step and saving what there is; press Ctrl-C again to end at once"
        );
    })?;
    Ok(asked)
}
