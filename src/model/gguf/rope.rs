//! Llama 3's scaled rotary frequencies, which GGUF has as a tensor of factors and Hugging Face as four numbers.
//!
//! ```text
//! wavelength w of pair i = 2π · theta^(2i/d),  o = original positions
//! w < o/high:  1        w > o/low:  factor        between:  1 / ((1 − s)/factor + s),  s = (o/w − low)/(high − low)
//! ```
//!
//! A frequency is divided by its factor. As in `modeling_rope_utils.py` of transformers.

use std::f64::consts::PI;

use serde_json::{Value, json};

/// How far a factor may be off: it was computed in f32, where a difference of two numbers loses digits.
const TOLERANCE: f64 = 1e-3;

/// The four numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Llama3 {
    /// What long waves are stretched by.
    pub factor: f64,
    /// Waves longer than the original positions over this are stretched wholly.
    pub low: f64,
    /// Waves shorter than the original positions over this are left as they are.
    pub high: f64,
    /// Positions of the model before it was stretched.
    pub original: f64,
}

impl Llama3 {
    /// What every Llama 3.1, 3.2 and 3.3 has, but for the factor: 8 or 32.
    fn published(factor: f64) -> Self {
        Self { factor, low: 1.0, high: 4.0, original: 8192.0 }
    }

    /// What a `config.json` says.
    pub fn from_json(rope: &Value) -> Option<Self> {
        let number = |key: &str| rope[key].as_f64().filter(|number| *number > 0.0);
        let all = Self {
            factor: number("factor")?,
            low: number("low_freq_factor")?,
            high: number("high_freq_factor")?,
            original: number("original_max_position_embeddings")?,
        };
        (all.low < all.high).then_some(all)
    }

    /// What a `config.json` says, the other way.
    pub fn to_json(self) -> Value {
        json!({
            "rope_type": "llama3",
            "factor": self.factor,
            "low_freq_factor": self.low,
            "high_freq_factor": self.high,
            "original_max_position_embeddings": self.original as u64,
        })
    }

    /// The factors of the pairs of a head.
    pub fn factors(self, head_dim: usize, theta: f64) -> Vec<f64> {
        let pairs = (0..head_dim / 2).map(|pair| (2 * pair) as f64 / head_dim as f64);
        pairs.map(|exponent| self.of_wave(2.0 * PI * theta.powf(exponent))).collect()
    }

    /// The numbers that factors come from, where those are a published Llama's.
    pub fn recover(factors: &[f64], theta: f64) -> Option<Self> {
        let found = Self::published(*factors.last()?);
        let expected = found.factors(2 * factors.len(), theta);
        let fits = |(a, b): (&f64, f64)| (a / b - 1.0).abs() <= TOLERANCE;
        factors.iter().zip(expected).all(fits).then_some(found)
    }

    fn of_wave(self, wave: f64) -> f64 {
        match wave {
            _ if wave < self.original / self.high => 1.0,
            _ if wave > self.original / self.low => self.factor,
            _ => {
                let smooth = (self.original / wave - self.low) / (self.high - self.low);
                1.0 / ((1.0 - smooth) / self.factor + smooth)
            }
        }
    }
}
