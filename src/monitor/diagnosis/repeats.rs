//! How much of a text was said before in it.

use std::collections::HashSet;

/// Characters of a run: long enough that words alone are no repetition, in any script.
const RUN: usize = 16;
/// A shorter text says too little.
const SHORTEST: usize = 64;
/// No more of a text is looked at.
const LONGEST: usize = 4096;

/// The share of a text's runs of characters that came before in it; none of a short text.
///
/// Runs are told apart by a hash, a polynomial over their characters that moves along, so that a long text costs
/// little.
pub(super) fn repeated(text: &str) -> Option<f64> {
    const BASE: u64 = 0x9e37_79b9_7f4a_7c15;
    let chars: Vec<u64> = text.chars().take(LONGEST).map(u64::from).collect();
    if chars.len() < SHORTEST {
        return None;
    }
    let leaving = (0..RUN).fold(1_u64, |power, _| power.wrapping_mul(BASE));
    let (mut hash, mut seen) = (0_u64, HashSet::new());
    for (at, char) in chars.iter().enumerate() {
        hash = hash.wrapping_mul(BASE).wrapping_add(*char);
        if let Some(left) = at.checked_sub(RUN) {
            hash = hash.wrapping_sub(chars[left].wrapping_mul(leaving));
        }
        if at + 1 >= RUN {
            seen.insert(hash);
        }
    }
    Some(1.0 - seen.len() as f64 / (chars.len() + 1 - RUN) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_repeats_nearly_all_and_prose_nearly_nothing() {
        assert!(repeated(&"I think so. ".repeat(40)).unwrap() > 0.9);
        assert!(repeated(&"7".repeat(100)).unwrap() > 0.9);
        assert!(repeated(&"我认为答案是四。".repeat(20)).unwrap() > 0.8);
        let prose = "Natalia sold 48/2 = 24 clips in May. Natalia sold 48+24 = 72 clips altogether in April and May, \
                     so the answer is 72. Weng earns 12/60 = 0.2 a minute, and worked 50 minutes, so 0.2 x 50 = 10.";
        assert!(repeated(prose).unwrap() < 0.1);
    }

    #[test]
    fn the_share_is_that_of_counting_the_runs_themselves() {
        let text = "abcdefghijklmnopqrst".repeat(4);
        let chars: Vec<char> = text.chars().collect();
        let runs: HashSet<&[char]> = chars.windows(RUN).collect();
        let expected = 1.0 - runs.len() as f64 / chars.windows(RUN).count() as f64;
        assert_eq!(repeated(&text), Some(expected));
    }

    #[test]
    fn a_short_text_says_nothing() {
        assert_eq!(repeated(&"7".repeat(63)), None);
        assert_eq!(repeated(""), None);
    }
}
