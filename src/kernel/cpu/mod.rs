//! What the CPU bodies of the operations are built from: matrix products, loops that become SIMD, threads.

pub mod dots;
pub mod gemm;
pub mod simd;
pub mod tasks;

/// Products of two numbers that are worth handing to a thread.
pub const WORTH_A_THREAD: usize = 1 << 17;
