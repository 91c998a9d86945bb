//! Panics of the device, told from ours. A panic hook belongs to the whole process; what it hears goes
//! to the sessions.

use std::any::Any;
use std::panic::{self, PanicHookInfo};
use std::sync::Once;

use super::session::record;

/// Begins to give panics of the device to the live sessions instead of printing them; other panics,
/// and those that nobody waits for, print as before.
pub(super) fn watch() {
    static WATCHING: Once = Once::new();
    WATCHING.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !is_of_device(info) || !record(message(info.payload())) {
                previous(info);
            }
        }));
    });
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
}
