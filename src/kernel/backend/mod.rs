//! How a backend runs an operation: one generic function for each kind of backend.

mod autodiff;
#[cfg(feature = "cube")]
mod cube;
#[cfg(feature = "cube")]
mod fusion;
pub(super) mod host;
