//! How many kernels a GPU executes, of this program and of Burn, for `bench --count`.

use super::Kernels;

/// Why kernels cannot be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CannotCount {
    /// The program has no backend for GPUs.
    #[error(
        "kernels are launched on GPUs, and this program has no backend for one; build with --features vulkan"
    )]
    NoGpu,
    /// CubeCL reads its configuration once.
    #[error("kernels are counted from before a GPU is opened, and one is open")]
    Late,
    /// Something else in this process listens to what CubeCL tells.
    #[error("something else in this process listens to the log that tells of kernels")]
    OtherListener,
}

/// Begins to count, before any GPU is opened; each launch is a little slower from now on.
///
/// # Errors
/// Where that is too late, or there is nothing to count.
pub fn count_launches() -> Result<(), CannotCount> {
    #[cfg(feature = "cube")]
    return super::cube::executed::listen();
    #[cfg(not(feature = "cube"))]
    Err(CannotCount::NoGpu)
}

/// Names of the kernels that `device` executed since the last call, in their order, once it has done all
/// that it was given; `None` on a CPU and where nobody counts.
pub fn executed<B: Kernels>(device: &B::Device) -> Option<Vec<String>> {
    B::executed(device)
}

/// Whether a kernel draws tokens: once for every token of a batch.
pub fn draws_tokens(kernel: &str) -> bool {
    kernel.starts_with("Sample")
}
