//! The device's own failures, made into the end of the run.
//!
//! CubeCL works on threads of its own. A panic there is caught and logged, and errors wait in a
//! stream, while the caller goes on with whatever the memory holds: a 262 MB tensor on a device that
//! allows 128 MiB gave a wrong loss and gradients of zero. So the first failure is remembered here,
//! and whoever is about to believe a result asks first.

use std::any::Any;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::{Once, OnceLock};

use burn::tensor::backend::Backend;

/// The first failure of this process's device; no later result is to be believed.
static FIRST: OnceLock<DeviceFailed> = OnceLock::new();

/// Longest part of the device's own words that is passed on.
const WORDS: usize = 300;

/// A device that broke down.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the device failed: {said}; nothing that it computed since is used or saved; lower \
     device.micro_batch_tokens or device.cache_tokens, use --device cpu, or see what works on this \
     device with `wgrpo devices --check`"
)]
pub struct DeviceFailed {
    /// What it said.
    pub said: String,
}

/// Whether the device has failed so far; costs one atomic load.
///
/// # Errors
/// The first failure.
pub fn check() -> Result<(), DeviceFailed> {
    FIRST.get().map_or(Ok(()), |failed| Err(failed.clone()))
}

/// Waits until the device has done all that it was given, and tells whether it could.
///
/// # Errors
/// The first failure.
pub fn sync_and_check<B: Backend>(device: &B::Device) -> Result<(), DeviceFailed> {
    if let Err(error) = B::sync(device) {
        record(&error.to_string());
    }
    check()
}

/// Remembers a failure, if it is the first.
pub(super) fn record(said: &str) {
    // What follows from the first failure explains nothing.
    let _ = FIRST.set(DeviceFailed { said: in_one_line(said) });
}

/// Begins to remember panics of the device instead of printing them; other panics print as before.
pub fn watch() {
    static WATCHING: Once = Once::new();
    WATCHING.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| match is_of_device(info) {
            true => record(message(info.payload())),
            false => previous(info),
        }));
    });
}

/// Runs what uses the device. A failure ends it, whatever it made of it.
pub fn guarded<T>(run: impl FnOnce() -> T) -> Result<T, DeviceFailed> {
    // Nothing that was under way is looked at again.
    match (panic::catch_unwind(AssertUnwindSafe(run)), check()) {
        (_, Err(failed)) => Err(failed),
        (Ok(output), Ok(())) => Ok(output),
        (Err(panic), Ok(())) => panic::resume_unwind(panic),
    }
}

/// Whether a panic is the device's: on a thread of CubeCL, inside the crates that drive a device, or
/// from reading a tensor that it could not compute.
fn is_of_device(info: &PanicHookInfo) -> bool {
    let thread = std::thread::current();
    let file = info.location().map_or("", |location| location.file());
    is_device_thread(thread.name().unwrap_or_default())
        || is_device_crate(file)
        || message(info.payload()).starts_with("Error while reading data")
}

/// CubeCL names its threads `DSU-kind-index` and `DSD-kind-index`.
fn is_device_thread(name: &str) -> bool {
    ["DSU-", "DSD-"].iter().any(|prefix| name.starts_with(prefix))
}

/// By the folder of the crate: Burn's backends for GPUs, CubeCL, wgpu and its shader compiler.
fn is_device_crate(file: &str) -> bool {
    const CRATES: [&str; 7] =
        ["burn-cu", "burn-fusion", "burn-wgpu", "cubecl-", "cubek-", "naga-", "wgpu-"];
    file.split(['/', '\\']).any(|part| CRATES.iter().any(|name| part.starts_with(name)))
}

fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("it did not say why")
}

/// The device's words without the backtrace behind them, in one line of a readable length.
fn in_one_line(said: &str) -> String {
    const UNWRAPPED: &str = "called `Result::unwrap()` on an `Err` value: ";
    let said = said.strip_prefix(UNWRAPPED).unwrap_or(said);
    let frame = |line: &str| line.trim_start().starts_with("0: ") || line.contains("acktrace");
    let words: Vec<&str> =
        said.lines().take_while(|line| !frame(line)).flat_map(str::split_whitespace).collect();
    let line = words.join(" ");
    match line.char_indices().nth(WORDS) {
        Some((end, _)) => format!("{} …", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_and_files_of_the_device_are_told_from_ours() {
        assert!(is_device_thread("DSD-3-0") && is_device_thread("DSU-0-1"));
        assert!(!is_device_thread("main") && !is_device_thread("DSP"));
        assert!(is_device_crate("/root/.cargo/registry/src/x/cubecl-wgpu-0.10.0/src/runtime.rs"));
        assert!(is_device_crate(r"C:\cargo\registry\wgpu-29.0.4\src\lib.rs"));
        assert!(!is_device_crate("/home/me/wgrpo/src/train/mod.rs"));
        assert!(!is_device_crate("/home/me/wgrpo/src/kernel/cube/tensor.rs"));
        assert!(!is_device_crate("/registry/burn-tensor-0.21.0/src/tensor/api/check.rs"));
    }

    #[test]
    fn what_the_device_said_is_one_line_without_a_backtrace() {
        let said = "called `Result::unwrap()` on an `Err` value: can't allocate buffer of size: \
                    262144000\n   0: cubecl::reserve\n   1: main";
        assert_eq!(in_one_line(said), "can't allocate buffer of size: 262144000");
        assert_eq!(in_one_line("wgpu error: a\n  b\nBacktrace:\n disabled"), "wgpu error: a b");
        assert_eq!(in_one_line(&"é".repeat(400)).chars().count(), WORDS + 2);
    }

    #[test]
    fn a_panic_of_ours_is_not_taken_for_one_of_the_device() {
        let ours = panic::catch_unwind(|| guarded(|| panic!("a bug of ours")));
        assert!(ours.is_err());
        assert_eq!(guarded(|| 3), Ok(3));
    }
}
