//! Random numbers that are a pure function of what they are for.
//!
//! Philox is counter-based: a draw needs a key and a counter, no state. So what is drawn for a
//! rollout, an epoch or a weight never depends on what was drawn before it.

/// Rounds of the published generator; fewer fail the statistical tests.
const ROUNDS: usize = 10;
const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const KEY_STEPS: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

/// Four random words for one key and counter: Philox-4x32 with 10 rounds.
///
/// Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
pub fn philox4x32(key: [u32; 2], counter: [u32; 4]) -> [u32; 4] {
    let mut key = key;
    let mut words = counter;
    for _ in 0..ROUNDS {
        let (high0, low0) = wide_product(MULTIPLIERS[0], words[0]);
        let (high1, low1) = wide_product(MULTIPLIERS[1], words[2]);
        words = [high1 ^ words[1] ^ key[0], low1, high0 ^ words[3] ^ key[1], low0];
        key = [key[0].wrapping_add(KEY_STEPS[0]), key[1].wrapping_add(KEY_STEPS[1])];
    }
    words
}

/// A number strictly between 0 and 1 from 32 random bits.
///
/// ```text
/// (floor(bits / 2^9) + 1/2) / 2^23
/// ```
/// Both ends are left out, so `ln(u)` and `ln(1 - u)` are always finite.
pub fn unit_f32(bits: u32) -> f32 {
    // 23 bits and a half fit a 24-bit mantissa exactly; with 24 bits the largest would round to 1.
    ((bits >> 9) as f32 + 0.5) / 8_388_608.0
}

/// The two key words of a 64-bit seed, low word first.
pub fn key_of(seed: u64) -> [u32; 2] {
    [seed as u32, (seed >> 32) as u32]
}

/// An endless sequence of random numbers, fixed by a seed, a purpose and an index.
///
/// Different purposes (or indices) of one seed give unrelated sequences.
#[derive(Debug, Clone)]
pub struct Stream {
    key: [u32; 2],
    purpose: u32,
    index: u32,
    blocks_drawn: u64,
    words: [u32; 4],
    words_left: usize,
}

impl Stream {
    /// The sequence of `seed` for `purpose`.
    pub fn new(seed: u64, purpose: u32) -> Self {
        Self::with_index(seed, purpose, 0)
    }

    /// The `index`-th of many sequences for one purpose, such as one an epoch.
    pub fn with_index(seed: u64, purpose: u32, index: u32) -> Self {
        let key = key_of(seed);
        Self { key, purpose, index, blocks_drawn: 0, words: [0; 4], words_left: 0 }
    }

    /// 32 random bits.
    pub fn next_u32(&mut self) -> u32 {
        if self.words_left == 0 {
            let [low, high] = key_of(self.blocks_drawn);
            self.words = philox4x32(self.key, [low, high, self.purpose, self.index]);
            self.blocks_drawn += 1;
            self.words_left = 4;
        }
        self.words_left -= 1;
        self.words[3 - self.words_left]
    }

    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        u64::from(self.next_u32()) | (u64::from(self.next_u32()) << 32)
    }

    /// A whole number from `0..n`, each equally likely; `n` must not be 0.
    pub fn below(&mut self, n: u64) -> u64 {
        assert!(n > 0, "Stream::below needs a range with something in it");
        // Draws under 2^64 mod n are thrown away, so that the rest is a whole multiple of n.
        let refused = n.wrapping_neg() % n;
        loop {
            let draw = self.next_u64();
            if draw >= refused {
                return draw % n;
            }
        }
    }

    /// An index from `0..len`, each equally likely; `len` must not be 0.
    pub fn index_below(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    /// A number strictly between 0 and 1.
    pub fn uniform(&mut self) -> f32 {
        unit_f32(self.next_u32())
    }

    /// A number from the standard normal distribution, by the transform of Box and Muller (1958).
    ///
    /// ```text
    /// sqrt(-2 ln u) cos(2 pi v)
    /// ```
    pub fn normal(&mut self) -> f32 {
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        radius * (std::f32::consts::TAU * self.uniform()).cos()
    }

    /// Puts `items` into a random order, each order equally likely.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.index_below(last + 1));
        }
    }

    /// The numbers `0..n` in random order.
    pub fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        self.shuffle(&mut order);
        order
    }
}

fn wide_product(a: u32, b: u32) -> (u32, u32) {
    let product = u64::from(a) * u64::from(b);
    ((product >> 32) as u32, product as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn philox_gives_the_known_answers_of_random123() {
        let zeros = philox4x32([0; 2], [0; 4]);
        assert_eq!(zeros, [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        let ones = philox4x32([u32::MAX; 2], [u32::MAX; 4]);
        assert_eq!(ones, [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        let pi = philox4x32(
            [0xa409_3822, 0x299f_31d0],
            [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
        );
        assert_eq!(pi, [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]);
    }

    #[test]
    fn a_unit_number_never_touches_zero_or_one() {
        assert!(unit_f32(0) > 0.0);
        assert!(unit_f32(u32::MAX) < 1.0);
        assert!(unit_f32(u32::MAX).ln() < 0.0);
    }

    #[test]
    fn a_stream_repeats_for_its_seed_and_differs_for_any_other() {
        let words = |mut s: Stream| (0..9).map(|_| s.next_u32()).collect::<Vec<_>>();
        let first = words(Stream::new(7, 1));
        assert_eq!(first, words(Stream::new(7, 1)));
        assert_ne!(first, words(Stream::new(8, 1)));
        assert_ne!(first, words(Stream::new(7 + (1 << 32), 1)));
        assert_ne!(first, words(Stream::new(7, 2)));
        assert_ne!(first, words(Stream::with_index(7, 1, 1)));
    }

    #[test]
    fn below_is_even_over_a_range_that_is_no_power_of_two() {
        let mut stream = Stream::new(1, 0);
        let mut counts = [0; 6];
        for _ in 0..6000 {
            counts[stream.index_below(6)] += 1;
        }
        // Five standard deviations of a binomial with n = 6000, p = 1/6.
        assert!(counts.iter().all(|count| (856..1144).contains(count)), "{counts:?}");
        assert_eq!(stream.below(1), 0);
    }

    #[test]
    fn normal_numbers_have_mean_zero_and_variance_one() {
        let mut stream = Stream::new(3, 0);
        let draws: Vec<f64> = (0..20_000).map(|_| f64::from(stream.normal())).collect();
        let mean = draws.iter().sum::<f64>() / 20_000.0;
        let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 20_000.0;
        assert!(mean.abs() < 0.035, "mean {mean}");
        assert!((variance - 1.0).abs() < 0.05, "variance {variance}");
    }

    #[test]
    fn a_permutation_holds_every_number_once_and_is_shuffled() {
        let order = Stream::new(5, 0).permutation(100);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<_>>());
        assert_ne!(order, sorted);
        assert!(Stream::new(5, 0).permutation(0).is_empty());
    }
}
