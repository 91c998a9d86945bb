//! Tests over the whole list of operations.

#[cfg(feature = "ndarray")]
mod list;
#[cfg(feature = "ndarray")]
mod needs;
#[cfg(feature = "wgpu")]
mod shaders;
