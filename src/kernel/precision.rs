//! In which precision products of f32 are computed, where a device has a choice.
//!
//! CUDA's tensor cores take f32 numbers by rounding them to TF32, whose mantissa has 10 bits in place of 23.
//! That is fast, and it is no f32: here it is only done where it was asked for.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

use super::Kernels;

/// What the factors of a product of f32 matrices are rounded to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ComputeDtype {
    /// Nothing: f32 as it is.
    #[default]
    F32,
    /// 10 bits of mantissa, on CUDA's tensor cores; sums are f32.
    Tf32,
}

impl fmt::Display for ComputeDtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Tf32 => "tf32",
        })
    }
}

/// A precision that a device does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "device.compute_dtype is {0}, which only CUDA computes in; remove it, or use --device cuda (a \
     program built with --features cuda)"
)]
pub struct NoSuchPrecision(pub ComputeDtype);

static ROUNDS_TO_TF32: AtomicBool = AtomicBool::new(false);

/// Products are computed like this from now on, on every device of this process.
///
/// # Errors
/// A precision that `device` lacks.
pub fn compute_in<B: Kernels>(
    dtype: ComputeDtype,
    device: &B::Device,
) -> Result<(), NoSuchPrecision> {
    if !B::can_compute_in(dtype, device) {
        return Err(NoSuchPrecision(dtype));
    }
    ROUNDS_TO_TF32.store(dtype == ComputeDtype::Tf32, Ordering::Relaxed);
    Ok(())
}

/// Whether products may round their factors to TF32.
#[cfg(feature = "cube")]
pub(super) fn rounds_to_tf32() -> bool {
    ROUNDS_TO_TF32.load(Ordering::Relaxed)
}

#[cfg(all(test, feature = "ndarray"))]
mod tests {
    use burn::backend::{Autodiff, NdArray};

    use super::*;

    #[test]
    fn a_cpu_computes_in_f32_and_says_who_does_in_tf32() {
        let device = Default::default();
        assert_eq!(compute_in::<NdArray>(ComputeDtype::F32, &device), Ok(()));
        let refused = compute_in::<Autodiff<NdArray>>(ComputeDtype::Tf32, &device).unwrap_err();
        assert!(refused.to_string().contains("is tf32, which only CUDA"), "{refused}");
    }
}
