//! Advantages whitened over their loss tokens; the CPU body is the reference of `shaders/whiten.wgsl`.

use burn::tensor::{Shape, Tensor};

use crate::kernel::check::{Case, Visitor, group_table, noise};
use crate::kernel::op::Elements;
use crate::kernel::{Kernels, Op, float, primitive};

/// Whitens advantages over their loss tokens, both `[p, g]`, as [`whitened`] does on the CPU.
pub fn whiten<B: Kernels>(advantages: &Tensor<B, 2>, tokens: &Tensor<B, 2>) -> Tensor<B, 2> {
    let [white] = B::run(Whiten, [primitive(advantages), primitive(tokens)]);
    float(white)
}

/// Advantages and loss tokens `[p, g]` to whitened advantages `[p, g]`.
#[derive(Debug, Clone)]
pub struct Whiten;

impl Op<2, 1> for Whiten {
    const NAME: &'static str = "whiten";

    fn shapes(&self, [advantages, _]: [&Shape; 2]) -> [Shape; 1] {
        [advantages.clone()]
    }

    fn cpu(&self, [advantages, tokens]: [Elements; 2]) -> [Vec<f32>; 1] {
        [whitened(&advantages, &tokens.counts())]
    }
}

/// The row of `whiten` in the list of operations.
pub fn visit(visitor: &mut impl Visitor) {
    let [_, _, lengths] = group_table();
    visitor.visit(Case::new("whiten", Whiten, [noise([12, 6], 23), lengths]));
}

/// The most rollouts that are whitened at once: a workgroup goes over them four times, and software
/// Vulkan (lavapipe) ends a shader's loops, silently, after 65,535 rounds in all.
pub const LARGEST_TABLE: usize = 1 << 20;

/// Lanes of the workgroup that sums for the whitening.
pub(in crate::kernel) const LANES: usize = 256;

/// Whitens advantages over their loss tokens, with Bessel's correction.
///
/// ```text
/// mean = sum(l * a) / sum(l)    var = sum(l * (a - mean)^2) / (sum(l) - 1)
/// a'   = (a - mean) / sqrt(var + 1e-8)
/// ```
///
/// Shapes: all [p, g], at most [`LARGEST_TABLE`] on a device; a rollout of weight 0 (padding, unscored,
/// pivot) is left at what it is. With fewer than two tokens nothing changes.
pub fn whitened(advantages_pg: &[f32], tokens_pg: &[u32]) -> Vec<f32> {
    assert!(advantages_pg.len() == tokens_pg.len(), "one token count for each advantage");
    let tokens = lane_sum(tokens_pg.len(), |i| tokens_pg[i] as f32);
    if tokens < 2.0 {
        return advantages_pg.to_vec();
    }
    let weighted = |i: usize| tokens_pg[i] as f32 * advantages_pg[i];
    let mean = lane_sum(tokens_pg.len(), weighted) / tokens;
    let squared = |i: usize| tokens_pg[i] as f32 * (advantages_pg[i] - mean).powi(2);
    let variance = lane_sum(tokens_pg.len(), squared) / (tokens - 1.0);
    let deviation = (variance + 1e-8).sqrt();
    (0..tokens_pg.len())
        .map(|i| match tokens_pg[i] {
            0 => advantages_pg[i],
            _ => (advantages_pg[i] - mean) / deviation,
        })
        .collect()
}

/// Sums as one workgroup does: every lane strides over the values, then halves meet. A single
/// running f32 sum would lose the small terms among a million.
fn lane_sum(count: usize, value: impl Fn(usize) -> f32) -> f32 {
    let mut sums = [0.0f32; LANES];
    for i in 0..count {
        sums[i % LANES] += value(i);
    }
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            sums[lane] += sums[lane + half];
        }
        half /= 2;
    }
    sums[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whitening_weighs_rollouts_by_their_tokens() {
        let got = whitened(&[1.0, -1.0, 9.0], &[3, 1, 0]);
        // mean 0.5, variance (3 * 0.25 + 2.25) / 3 = 1
        assert!((got[0] - 0.5).abs() < 1e-6 && (got[1] + 1.5).abs() < 1e-6);
        assert_eq!(got[2], 9.0);
    }

    #[test]
    fn a_single_token_is_not_whitened() {
        assert_eq!(whitened(&[3.0, 4.0], &[1, 0]), [3.0, 4.0]);
    }

    #[test]
    fn a_million_small_terms_are_all_summed() {
        let count = 1_000_003;
        let error = |sum: f32| (f64::from(sum) - 0.1 * count as f64).abs();
        let running = (0..count).fold(0.0f32, |sum, _| sum + 0.1);
        let lanes = lane_sum(count, |_| 0.1);
        // 256 lanes of 3,900 terms may each be off by 3,900 half-ulps of 390, in all by 15.
        assert!(error(lanes) < 15.0 && error(running) > 500.0, "{lanes} and {running}");
    }
}
