//! What the CPU bodies of the operations are built from: matrix products, loops that become SIMD, threads.

pub mod dots;
pub mod gemm;
pub mod simd;
