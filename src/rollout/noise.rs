//! The random numbers of generation, each computed from what it is for.

use crate::random::{key_of, philox4x32, unit_f32};

/// What a draw is for; different purposes of one seed never share a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Rollouts that are trained on.
    Training = 0x7261,
    /// Samples on held-out problems.
    Evaluation = 0x6576,
    /// Extra rollouts that a baseline is judged by.
    Diagnosis = 0x6469,
    /// Samples for a person to read.
    Reading = 0x7265,
}

/// Uniform numbers addressed by problem, sample and position.
#[derive(Debug, Clone, Copy)]
pub struct Noise {
    key: [u32; 2],
    step: u32,
}

impl Noise {
    /// The numbers of one step of one purpose.
    pub fn new(seed: u64, purpose: Purpose, step: u64) -> Self {
        let [low, high] = key_of(seed);
        // The top bits of a seed are hardly ever used; that is where the purpose goes.
        Self { key: [low, high ^ ((purpose as u32) << 16)], step: step as u32 }
    }

    /// The numbers of one of several rounds of prompts within a step; the first is the step's own.
    ///
    /// A later round may meet a problem again, which then shall draw other completions. Steps beyond
    /// 2^24 would meet the numbers of a round; no run is that long.
    pub fn of_round(seed: u64, purpose: Purpose, step: u64, round: usize) -> Self {
        let mut noise = Self::new(seed, purpose, step | (round as u64) << 24);
        // The step's word has room for 256 rounds.
        noise.key[1] ^= (round >> 8) as u32;
        noise
    }

    /// The number strictly inside (0, 1) that decides one token.
    pub fn uniform(&self, problem: u32, sample: u32, position: u32) -> f32 {
        unit_f32(philox4x32(self.key, [self.step, problem, sample, position])[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_has_a_number_of_its_own() {
        let noise = Noise::new(1, Purpose::Training, 3);
        let mut seen: Vec<u32> = Vec::new();
        for address in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)] {
            seen.push(noise.uniform(address.0, address.1, address.2).to_bits());
        }
        seen.push(Noise::new(1, Purpose::Evaluation, 3).uniform(0, 0, 0).to_bits());
        seen.push(Noise::new(1, Purpose::Training, 4).uniform(0, 0, 0).to_bits());
        seen.push(Noise::new(2, Purpose::Training, 3).uniform(0, 0, 0).to_bits());
        for round in [1, 255, 256, 257, 999] {
            let noise = Noise::of_round(1, Purpose::Training, 3, round);
            seen.push(noise.uniform(0, 0, 0).to_bits());
        }
        let all = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), all);
    }
}
