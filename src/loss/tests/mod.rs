//! Losses against PyTorch and against each other.

mod configuration;
mod golden;
mod identities;
pub(in crate::loss) mod support;
