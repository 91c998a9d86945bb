//! Which kernels a device executes: CubeCL tells its log of each one, whoever launched it, and this is a
//! log that remembers them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use burn_cubecl::CubeRuntime;
use cubecl::config::{CubeClRuntimeConfig, RuntimeConfig};
use cubecl::prelude::*;

use crate::kernel::counts::CannotCount;

/// Names alone, without times, to the `log` crate.
const NAMES_TO_THE_LOG: &str = r#"{"level": "minimal", "log": "info"}"#;

/// What CubeCL's log says before the name of a kernel.
const EXECUTING: &str = "Executing ";

/// The name of [`end_of_count_kernel`] in the log.
const END: &str = "EndOfCountKernel";

/// How long the log may take to tell of a kernel that was executed.
const PATIENCE: Duration = Duration::from_secs(20);

static LISTENER: Listener = Listener {
    is_on: AtomicBool::new(false),
    kernels: Mutex::new(Vec::new()),
    has_new: Condvar::new(),
};

struct Listener {
    is_on: AtomicBool,
    kernels: Mutex<Vec<String>>,
    has_new: Condvar,
}

impl log::Log for Listener {
    fn enabled(&self, metadata: &log::Metadata) -> bool {
        metadata.target().starts_with("cubecl")
    }

    fn log(&self, record: &log::Record) {
        if !self.enabled(record.metadata()) {
            return;
        }
        if let Some(name) = record.args().to_string().strip_prefix(EXECUTING) {
            let mut kernels = self.kernels.lock().unwrap_or_else(PoisonError::into_inner);
            // Behind the name stand the types that it is for.
            kernels.push(name.split(" | ").next().unwrap_or(name).to_owned());
            self.has_new.notify_all();
        }
    }

    fn flush(&self) {}
}

/// Begins to listen. CubeCL's configuration stays what it was in every other respect.
pub fn listen() -> Result<(), CannotCount> {
    if LISTENER.is_on.load(Ordering::Relaxed) {
        return Ok(());
    }
    if CubeClRuntimeConfig::storage().lock().is_some() {
        return Err(CannotCount::Late);
    }
    log::set_logger(&LISTENER).map_err(|_| CannotCount::OtherListener)?;
    log::set_max_level(log::LevelFilter::Info);
    let mut config = CubeClRuntimeConfig::from_current_dir().override_from_env();
    // The types in it have no public names.
    config.profiling.logger = match serde_json::from_str(NAMES_TO_THE_LOG) {
        Ok(logger) => logger,
        Err(error) => unreachable!("CubeCL is pinned, and so is its configuration: {error}"),
    };
    CubeClRuntimeConfig::set(config);
    LISTENER.is_on.store(true, Ordering::Relaxed);
    Ok(())
}

#[cube(launch)]
fn end_of_count_kernel(flag: &mut Array<u32>) {
    flag[0] = 1;
}

/// What the device executed since the last call.
pub fn take<R: CubeRuntime>(client: &ComputeClient<R>) -> Option<Vec<String>> {
    if !LISTENER.is_on.load(Ordering::Relaxed) {
        return None;
    }
    // The log is written by a thread of its own: it has told all once it tells of this kernel.
    // SAFETY: one element of four bytes.
    let flag = unsafe { ArrayArg::from_raw_parts(client.empty(size_of::<u32>()), 1) };
    end_of_count_kernel::launch(client, CubeCount::new_single(), CubeDim::new_single(), flag);
    // Launches are held back until somebody waits. A device that failed says so to whoever reads from it.
    let _ = client.flush();
    let is_unfinished =
        |kernels: &mut Vec<String>| kernels.last().is_none_or(|last| !last.starts_with(END));
    let kernels = LISTENER.kernels.lock().unwrap_or_else(PoisonError::into_inner);
    let waited = LISTENER.has_new.wait_timeout_while(kernels, PATIENCE, is_unfinished);
    let (mut kernels, waited) = waited.unwrap_or_else(PoisonError::into_inner);
    let mut kernels = std::mem::take(&mut *kernels);
    kernels.retain(|name| !name.starts_with(END));
    (!waited.timed_out()).then_some(kernels)
}
