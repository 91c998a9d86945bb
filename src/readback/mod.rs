//! Numbers to a device, and off it again or why they are not to be believed.
//!
//! CubeCL works on threads of its own. A panic there is caught and logged, and errors wait in a
//! stream, while the caller goes on with whatever the memory holds: a 262 MB tensor on a device that
//! allows 128 MiB gave a wrong loss and gradients of zero. So a [`Session`] remembers the first failure
//! of its device, and whoever reads numbers back reads them here, where a failure is an error.
//!
//! Every room may use this module, and it uses none.

mod panics;
mod session;
pub mod traffic;

use std::panic::{self, AssertUnwindSafe};

use burn::tensor::backend::{Backend, ExecutionError};
use burn::tensor::{BasicOps, Tensor, TensorData};

pub use session::{Session, record};

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

impl DeviceFailed {
    fn new(said: &str) -> Self {
        Self { said: in_one_line(said) }
    }
}

/// The numbers of a tensor, row-major; waits until they are computed.
///
/// # Errors
/// A device that could not read or compute them, or that failed earlier in its session.
pub fn read<B: Backend, const D: usize, K: BasicOps<B>>(
    tensor: Tensor<B, D, K>,
) -> Result<TensorData, DeviceFailed> {
    let data = believed::<B, _>(|| tensor.try_into_data())?;
    traffic::note(traffic::Crossing::Readback(data.bytes.len()));
    Ok(data)
}

/// A tensor on `device` of these numbers, row-major.
pub fn upload<B: Backend, const D: usize>(
    values: Vec<f32>,
    shape: [usize; D],
    device: &B::Device,
) -> Tensor<B, D> {
    traffic::note(traffic::Crossing::Upload(size_of_val(&values[..])));
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// The numbers of a tensor as f32, row-major.
///
/// # Errors
/// As [`read`].
pub fn floats<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Result<Vec<f32>, DeviceFailed> {
    Ok(read(tensor)?.iter().collect())
}

/// Waits until the device has done all that it was given, and tells whether it could.
///
/// # Errors
/// The first failure of the device's session.
pub fn sync_and_check<B: Backend>(device: &B::Device) -> Result<(), DeviceFailed> {
    believed::<B, _>(|| B::sync(device))
}

/// What `get` gets off a device, unless that or anything before it in the session failed.
fn believed<B: Backend, T>(
    get: impl FnOnce() -> Result<T, ExecutionError>,
) -> Result<T, DeviceFailed> {
    let got = panic::catch_unwind(AssertUnwindSafe(get));
    if let Ok(Err(error)) = &got {
        session::record_for::<B>(&error.to_string());
    }
    session::check::<B>()?;
    match got {
        Ok(got) => got.map_err(|error| DeviceFailed::new(&error.to_string())),
        // Not the device's, or nobody watches the device.
        Err(panic) => panic::resume_unwind(panic),
    }
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
    fn what_the_device_said_is_one_line_without_a_backtrace() {
        let said = "called `Result::unwrap()` on an `Err` value: can't allocate buffer of size: \
                    262144000\n   0: cubecl::reserve\n   1: main";
        assert_eq!(in_one_line(said), "can't allocate buffer of size: 262144000");
        assert_eq!(in_one_line("wgpu error: a\n  b\nBacktrace:\n disabled"), "wgpu error: a b");
        assert_eq!(in_one_line(&"é".repeat(400)).chars().count(), WORDS + 2);
    }

    #[cfg(feature = "ndarray")]
    #[test]
    fn what_a_healthy_device_computed_is_read() {
        use burn::backend::NdArray;
        let device = Default::default();
        let tensor = Tensor::<NdArray, 1>::from_floats([1.0, 2.5], &device) * 2.0;
        assert_eq!(floats(tensor), Ok(vec![2.0, 5.0]));
        assert_eq!(sync_and_check::<NdArray>(&device), Ok(()));
    }
}
