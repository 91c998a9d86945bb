//! What crosses to a device and back, noted where it crosses while somebody counts.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

static IS_COUNTED: AtomicBool = AtomicBool::new(false);
static NOTED: Mutex<Vec<Crossing>> = Mutex::new(Vec::new());

/// Something that crossed, or a mark between crossings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crossing {
    /// So many bytes to the device.
    Upload(usize),
    /// So many bytes back, which the host waited for.
    Readback(usize),
    /// A token was drawn for every row of a batch.
    Draw,
}

/// Begins to note crossings of this process.
pub fn begin() {
    IS_COUNTED.store(true, Ordering::Relaxed);
}

/// Notes a crossing if anybody counts.
pub fn note(crossing: Crossing) {
    if IS_COUNTED.load(Ordering::Relaxed) {
        NOTED.lock().unwrap_or_else(PoisonError::into_inner).push(crossing);
    }
}

/// What crossed since the last call, in its order.
pub fn take() -> Vec<Crossing> {
    std::mem::take(&mut NOTED.lock().unwrap_or_else(PoisonError::into_inner))
}
