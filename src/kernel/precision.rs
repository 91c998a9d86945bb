//! In which precision products of f32 are computed, where a device has a choice.
//!
//! CUDA's tensor cores take f32 numbers by rounding them to TF32, whose mantissa has 10 bits in place of 23.
//! CPUs with AVX512-BF16 multiply numbers of 16 bits, with 7 bits of mantissa, twice as fast and read half as
//! much memory for it; tensor cores do so too. All that is fast, and none of it is f32: here it is only done
//! where it was asked for.

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Kernels;

/// What the factors of a product of f32 matrices are rounded to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ComputeDtype {
    /// Nothing: f32 as it is.
    #[default]
    F32,
    /// 10 bits of mantissa, on CUDA's tensor cores; sums are f32.
    Tf32,
    /// 7 bits of mantissa, on CPUs with AVX512-BF16 and on CUDA's tensor cores; sums are f32.
    Bf16,
    /// 10 bits of mantissa and numbers up to 65504, on GPUs that compute with f16; sums are f32.
    F16,
    /// The first of bf16, f16 and f32 that the device has; settled by [`compute_in`].
    Auto,
}

impl fmt::Display for ComputeDtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Tf32 => "tf32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
            Self::Auto => "auto",
        })
    }
}

impl ComputeDtype {
    /// Bits of the mantissa with the one that is not stored, of 24 that f32 has.
    pub fn mantissa_bits(self) -> u32 {
        match self {
            Self::F32 | Self::Auto => 24,
            Self::Tf32 | Self::F16 => 11,
            Self::Bf16 => 8,
        }
    }

    /// What computes in it.
    fn needs(self) -> &'static str {
        match self {
            Self::F32 | Self::Auto => "any device",
            Self::Tf32 => "--device cuda, in a program built with --features cuda",
            Self::F16 => "a GPU that computes with f16 (`wgrpo devices` lists its features)",
            Self::Bf16 => {
                "--device cuda, or a CPU with AVX512-BF16 (AMD's since Zen 4, some of Intel's)"
            }
        }
    }
}

/// A precision that a device does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "device.compute_dtype is {0}, which this device does not compute in; remove it, or use {device}",
    device = .0.needs()
)]
pub struct NoSuchPrecision(pub ComputeDtype);

static CURRENT: AtomicU8 = AtomicU8::new(ComputeDtype::F32 as u8);

/// Products are computed like this from now on, on every device of this process: in what is answered, where `auto` was
/// asked for.
///
/// # Errors
/// A precision that `device` lacks.
pub fn compute_in<B: Kernels>(
    dtype: ComputeDtype,
    device: &B::Device,
) -> Result<ComputeDtype, NoSuchPrecision> {
    let asked = match dtype {
        ComputeDtype::Auto => [ComputeDtype::Bf16, ComputeDtype::F16, ComputeDtype::F32].as_slice(),
        _ => &[dtype],
    };
    let found = asked.iter().find(|dtype| B::can_compute_in(**dtype, device));
    let found = *found.ok_or(NoSuchPrecision(dtype))?;
    CURRENT.store(found as u8, Ordering::Relaxed);
    Ok(found)
}

/// Whether products round their factors to this.
pub(super) fn rounds_to(dtype: ComputeDtype) -> bool {
    CURRENT.load(Ordering::Relaxed) == dtype as u8
}

#[cfg(all(test, feature = "ndarray"))]
mod tests {
    use burn::backend::{Autodiff, NdArray};

    use super::*;

    #[test]
    fn a_cpu_computes_in_f32_and_says_who_does_in_tf32() {
        let device = Default::default();
        assert_eq!(compute_in::<NdArray>(ComputeDtype::F32, &device), Ok(ComputeDtype::F32));
        let no_f16 = compute_in::<NdArray>(ComputeDtype::F16, &device).unwrap_err().to_string();
        assert!(no_f16.contains("is f16") && no_f16.contains("GPU"), "{no_f16}");
        let refused = compute_in::<Autodiff<NdArray>>(ComputeDtype::Tf32, &device).unwrap_err();
        assert!(refused.to_string().contains("is tf32") && refused.to_string().contains("cuda"));
    }
}
