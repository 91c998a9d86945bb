//! In what a frozen weight may be stored, and what that takes.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Outputs of a panel.
pub const PANEL: usize = 16;

/// Inputs of a block.
pub const BLOCK: usize = 32;

/// Words that are read together; each is of two outputs.
pub(super) const GROUP: usize = 8;

/// The numbers of a frozen weight. Whatever they are stored in, products multiply the f32 that they stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Storage {
    /// 16 bits, 8 of them digits, over the range of f32.
    Bf16,
    /// 16 bits, 11 of them digits; no weight may be beyond 65504.
    F16,
    /// GGUF's Q8_0: 8 bits and a scale for each 32 of them, 8.5 bits a weight.
    Q8_0,
    /// GGUF's Q4_0: 4 bits and a scale for each 32 of them, 4.5 bits a weight.
    Q4_0,
}

impl Storage {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Bf16, Self::F16, Self::Q8_0, Self::Q4_0];

    /// Bits of a number.
    pub const fn bits(self) -> usize {
        match self {
            Self::Bf16 | Self::F16 => 16,
            Self::Q8_0 => 8,
            Self::Q4_0 => 4,
        }
    }

    /// Words of the scales that a block begins with.
    pub const fn words_of_scales(self) -> usize {
        match self {
            Self::Bf16 | Self::F16 => 0,
            Self::Q8_0 | Self::Q4_0 => GROUP,
        }
    }

    /// Inputs that eight words hold.
    pub const fn inputs_of_group(self) -> usize {
        32 / (2 * self.bits())
    }

    /// Words of a block of a panel.
    pub const fn words_of_block(self) -> usize {
        self.words_of_scales() + GROUP * BLOCK / self.inputs_of_group()
    }

    /// Words of a panel of a weight with so many inputs.
    pub const fn words_of_panel(self, input: usize) -> usize {
        input.div_ceil(BLOCK) * self.words_of_block()
    }

    /// Words of a weight `[output, input]`, 4 bytes each.
    pub const fn words(self, [output, input]: [usize; 2]) -> usize {
        output.div_ceil(PANEL) * self.words_of_panel(input)
    }

    /// The name in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
            Self::Q8_0 => "q8_0",
            Self::Q4_0 => "q4_0",
        }
    }
}

impl fmt::Display for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
