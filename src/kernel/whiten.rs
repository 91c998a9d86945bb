//! Advantages whitened over their loss tokens: the CPU twin of `shaders/whiten.wgsl`.

/// The most rollouts that are whitened at once: a workgroup goes over them four times, and software
/// Vulkan (lavapipe) ends a shader's loops, silently, after 65,535 rounds in all.
pub const LARGEST_TABLE: usize = 1 << 20;

/// Lanes of the workgroup that sums for the whitening.
const LANES: usize = 256;

/// Whitens advantages over their loss tokens, with Bessel's correction.
///
/// ```text
/// mean = sum(l * a) / sum(l)    var = sum(l * (a - mean)^2) / (sum(l) - 1)
/// a'   = (a - mean) / sqrt(var + 1e-8)
/// ```
///
/// Shapes: all [p, g], at most [`LARGEST_TABLE`] on a device; a rollout of weight 0 (padding, unscored, pivot) is left at what it is. With
/// fewer than two tokens nothing changes.
pub fn whiten(advantages_pg: &[f32], tokens_pg: &[u32]) -> Vec<f32> {
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

#[cfg(feature = "wgpu")]
pub(super) mod wgsl {
    use burn::tensor::TensorMetadata;

    use crate::kernel::cube::tensor::{contiguous, dims, empty};
    use crate::kernel::wgsl::{CubeTensor, Shader};

    const SHADER: Shader = Shader {
        name: "whiten",
        source: include_str!("../../shaders/whiten.wgsl"),
        lanes: super::LANES,
    };

    /// Whitened advantages `[p, g]` of advantages and tokens `[p, g]`.
    pub fn launch(advantages: &CubeTensor, tokens: &CubeTensor) -> CubeTensor {
        let (advantages, tokens) = (contiguous(advantages), contiguous(tokens));
        let [p, g] = dims(&advantages);
        assert!(tokens.shape() == advantages.shape(), "one token count for each advantage");
        assert!(p * g <= super::LARGEST_TABLE, "{p} × {g} rollouts; the host whitens so many");
        let whitened = empty(&advantages, [p, g]);
        let workgroups = usize::from(p * g > 0);
        SHADER.run(workgroups, &[&advantages, &tokens, &whitened], &[(p * g) as u32]);
        whitened
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whitening_weighs_rollouts_by_their_tokens() {
        let got = whiten(&[1.0, -1.0, 9.0], &[3, 1, 0]);
        // mean 0.5, variance (3 * 0.25 + 2.25) / 3 = 1
        assert!((got[0] - 0.5).abs() < 1e-6 && (got[1] + 1.5).abs() < 1e-6);
        assert_eq!(got[2], 9.0);
    }

    #[test]
    fn a_single_token_is_not_whitened() {
        assert_eq!(whiten(&[3.0, 4.0], &[1, 0]), [3.0, 4.0]);
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
