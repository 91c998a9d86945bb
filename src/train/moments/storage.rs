//! In what AdamW's moments are kept.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kernel::words_of_codes;

/// Parameters of fewer numbers keep moments of f32 whatever is asked for: norms and biases, of which 8 bits save
/// nothing and whose steps they make coarser. The bound is that of bitsandbytes.
const LEAST: usize = 4096;

/// The key `optimizer.moments` of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MomentStorage {
    /// Both moments in f32: 8 bytes a parameter.
    #[default]
    F32,
    /// Both in codes of 8 bits, with a scale for each 256 of them: 2 bytes and 8/256 a parameter. Parameters of fewer
    /// than 4096 numbers keep f32.
    ///
    /// Source: Dettmers et al. 2021, arXiv 2110.02861.
    Q8,
}

impl MomentStorage {
    /// The name in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Q8 => "q8",
        }
    }

    /// Whether the moments of a parameter of so many numbers are in codes.
    pub(super) fn has_codes(self, count: usize) -> bool {
        self == Self::Q8 && count >= LEAST
    }

    /// Words of four bytes that each moment of such a parameter takes.
    pub(in crate::train) fn words(self, count: usize) -> usize {
        if self.has_codes(count) { words_of_codes(count) } else { count }
    }

    /// Bytes that the moments of one parameter among many take.
    pub fn bytes_per_parameter(self) -> f64 {
        const MANY: usize = 1 << 20;
        (2 * size_of::<f32>() * self.words(MANY)) as f64 / MANY as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_take_a_quarter_and_a_scale_and_only_where_there_are_many_numbers() {
        assert_eq!(MomentStorage::F32.bytes_per_parameter(), 8.0);
        assert_eq!(MomentStorage::Q8.bytes_per_parameter(), 2.0 + 8.0 / 256.0);
        assert_eq!(
            [4095, 4096, 4097].map(|count| MomentStorage::Q8.words(count)),
            [4095, 1040, 1105]
        );
        assert_eq!(MomentStorage::F32.words(5000), 5000);
    }
}
