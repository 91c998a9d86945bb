//! The shaders once more in CubeCL's own language, for its runtimes that take no WGSL (CUDA). Tests run
//! them on whatever device wgpu has.

mod groups;
mod token_logprob;
mod token_weights;

pub(in crate::kernel) use groups::{group_advantage, group_baseline, whiten};
pub(in crate::kernel) use token_logprob::{logit_logprob, logit_logprob_backward};
pub(in crate::kernel) use token_weights::token_weights;

/// Units of a cube.
const LANES: usize = 256;
