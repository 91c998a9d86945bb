//! Numbers in 8 bits, block by block: the dynamic tree quantisation of Dettmers et al. 2021 (arXiv 2110.02861), as
//! bitsandbytes' `create_dynamic_map` makes it.
//!
//! A block of 256 numbers is divided by its largest size, and each part is rounded to the nearest of 256 codes: seven
//! decades up to 1, each with twice the codes of the one below, 0 and 1.
//!
//! ```text
//! size of code 2^e + j, 0 ≤ j < 2^e:  10^(e − first − 6) · (0.1 + 0.9 · (j + ½) / 2^e),   e = first … first + 6
//! first = 0 with a sign (−0.99 … 1),  1 without (0 … 1)
//! ```
//!
//! A second moment above 0 takes at least the smallest code above 0. Rounded to 0, as in bitsandbytes, it would leave a
//! first moment that is divided by epsilon alone where the next gradient is 0, as that of a token's embedding often is.
//!
//! The paper's blocks are of 2048, bitsandbytes' are now of 256: an outlier then takes the digits of fewer neighbours,
//! for a scale that costs 1/64 of a byte a number. 256 numbers are also one word of four codes for each unit of a cube.
//!
//! Blocks lie one behind the other, the last filled up with zeros; each is 65 words, the scale and then four codes a
//! word, the first in the lowest bits. To a backend they are a tensor of f32 whose bits nobody takes for numbers.

#[cfg(test)]
mod tests;

/// Numbers of a block.
pub const BLOCK: usize = 256;

/// Codes of a word.
const CODES: usize = 4;

/// Words of a block: its scale and its codes.
pub const WORDS: usize = 1 + BLOCK / CODES;

/// Decades that have codes.
const DECADES: u32 = 7;

/// Words of so many numbers.
pub const fn words_of(count: usize) -> usize {
    count.div_ceil(BLOCK) * WORDS
}

/// What 256 codes stand for.
#[derive(Debug)]
pub struct CodeMap {
    /// Their numbers, rising.
    pub numbers: [f32; BLOCK],
    /// The middle between each and the next, above which a number takes the next; nothing is above the last. Without a
    /// sign the first is 0.
    pub middles: [f32; BLOCK],
}

/// From −0.993 to 1: codes of first moments.
pub static SIGNED: CodeMap = CodeMap::new(0);

/// From 0 to 1: codes of second moments.
pub static UNSIGNED: CodeMap = CodeMap::new(1);

impl CodeMap {
    const fn new(first: u32) -> Self {
        let (mut numbers, mut middles) = ([0.0; BLOCK], [f32::INFINITY; BLOCK]);
        let mut code = 0;
        while code < BLOCK {
            numbers[code] = number(code, first) as f32;
            if code > 0 {
                middles[code - 1] = ((number(code - 1, first) + number(code, first)) / 2.0) as f32;
            }
            code += 1;
        }
        if first == 1 {
            middles[0] = 0.0;
        }
        Self { numbers, middles }
    }

    /// The codes nearest to numbers from −1 to 1; the lower one from just between two. All take a step of the search
    /// together, which a compiler makes SIMD of.
    #[inline(always)]
    fn nearest(&self, parts: &[f32; BLOCK]) -> [u32; BLOCK] {
        let mut codes = [0; BLOCK];
        for step in [128, 64, 32, 16, 8, 4, 2, 1] {
            for (code, part) in codes.iter_mut().zip(parts) {
                let middle = self.middles[(*code + step - 1) as usize % BLOCK];
                *code += if *part > middle { step } else { 0 };
            }
        }
        codes
    }

    /// The numbers that the words of a block stand for.
    #[inline(always)]
    pub fn open(&self, words: &[f32; WORDS]) -> [f32; BLOCK] {
        let mut numbers = [0.0; BLOCK];
        let scale = words[0];
        for (word, out) in words[1..].iter().zip(numbers.as_chunks_mut::<CODES>().0) {
            *out = word.to_bits().to_le_bytes().map(|code| self.numbers[usize::from(code)] * scale);
        }
        numbers
    }

    /// Writes the words of a block.
    #[inline(always)]
    pub fn close(&self, numbers: &[f32; BLOCK], words: &mut [f32; WORDS]) {
        let largest = numbers.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
        let divisor = if largest > 0.0 { largest } else { 1.0 };
        words[0] = largest;
        let codes = self.nearest(&numbers.map(|x| x / divisor));
        for (word, four) in words[1..].iter_mut().zip(codes.as_chunks::<CODES>().0) {
            *word = f32::from_bits(u32::from_le_bytes(four.map(|code| code as u8)));
        }
    }
}

/// What a code stands for, where the lowest decade has 2^first codes of a sign.
const fn number(code: usize, first: u32) -> f64 {
    let place = code as i64 + if first == 0 { -127 } else { 1 };
    let size = place.unsigned_abs();
    if size < 1 << first {
        return 0.0;
    }
    if size == 1 << (first + DECADES) {
        return 1.0;
    }
    let codes = 1 << size.ilog2();
    let within = 0.1 + 0.9 * ((size - codes) as f64 + 0.5) / codes as f64;
    let size = within / tenfold(first + DECADES - 1 - size.ilog2());
    if place < 0 { -size } else { size }
}

/// 10^times.
const fn tenfold(times: u32) -> f64 {
    10_u64.pow(times) as f64
}
