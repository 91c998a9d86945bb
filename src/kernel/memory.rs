//! How much memory a device holds for this process, and how fast this machine reads its own.

use std::hint::black_box;
use std::time::Instant;

use rayon::prelude::*;

/// What the allocator of a device holds, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceMemory {
    /// What tensors take.
    pub in_use: u64,
    /// What was taken from the device, in pages that are seldom given back.
    pub reserved: u64,
}

/// Bytes a second that all threads together read from memory: the best of a few sums over 256 MiB, which no
/// cache holds.
pub fn read_bandwidth() -> f64 {
    let numbers = vec![1u64; (256 << 20) / size_of::<u64>()];
    let piece = numbers.len().div_ceil(rayon::current_num_threads());
    let sum = |piece: &[u64]| piece.iter().fold(0u64, |sum, number| sum.wrapping_add(*number));
    let seconds = || {
        let began = Instant::now();
        black_box(numbers.par_chunks(piece).map(sum).reduce(|| 0, u64::wrapping_add));
        began.elapsed().as_secs_f64()
    };
    let best = (0..8).map(|_| seconds()).fold(f64::INFINITY, f64::min);
    size_of_val(&*numbers) as f64 / best
}
