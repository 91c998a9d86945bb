//! How ggml stores numbers: the encodings that there are, and how those that are read become f32.
//!
//! A row of a tensor is a row of blocks; a block is some values with what they share (a scale, a minimum).
//! Layouts: <https://github.com/ggml-org/ggml/blob/master/src/ggml-common.h>.

mod blocks;
mod super_blocks;
pub(super) mod write;

/// An encoding of numbers.
#[derive(Debug)]
pub(super) struct Encoding {
    /// The format's number for it.
    pub id: u32,
    /// ggml's name for it.
    pub name: &'static str,
    /// Values of a block.
    pub block: usize,
    /// Bytes of a block.
    pub bytes: usize,
    /// Writes the values of whole blocks; none where the encoding is not read.
    pub decode: Option<Decode>,
}

/// Blocks in, their values out.
pub(super) type Decode = fn(&[u8], &mut [f32]);

const fn read(id: u32, name: &'static str, block: usize, bytes: usize, decode: Decode) -> Encoding {
    Encoding { id, name, block, bytes, decode: Some(decode) }
}

const fn known(id: u32, name: &'static str, block: usize, bytes: usize) -> Encoding {
    Encoding { id, name, block, bytes, decode: None }
}

/// What the sizes of those that are not read are for: the tensors behind such a one are found all the same.
static ENCODINGS: [Encoding; 34] = [
    read(0, "F32", 1, 4, blocks::f32s),
    read(1, "F16", 1, 2, blocks::f16s),
    read(2, "Q4_0", 32, 18, blocks::q4_0),
    read(3, "Q4_1", 32, 20, blocks::q4_1),
    read(6, "Q5_0", 32, 22, blocks::q5_0),
    read(7, "Q5_1", 32, 24, blocks::q5_1),
    read(8, "Q8_0", 32, 34, blocks::q8_0),
    known(9, "Q8_1", 32, 40),
    known(10, "Q2_K", 256, 84),
    known(11, "Q3_K", 256, 110),
    read(12, "Q4_K", 256, 144, super_blocks::q4_k),
    read(13, "Q5_K", 256, 176, super_blocks::q5_k),
    read(14, "Q6_K", 256, 210, super_blocks::q6_k),
    known(15, "Q8_K", 256, 292),
    known(16, "IQ2_XXS", 256, 66),
    known(17, "IQ2_XS", 256, 74),
    known(18, "IQ3_XXS", 256, 98),
    known(19, "IQ1_S", 256, 50),
    known(20, "IQ4_NL", 32, 18),
    known(21, "IQ3_S", 256, 110),
    known(22, "IQ2_S", 256, 82),
    known(23, "IQ4_XS", 256, 136),
    known(24, "I8", 1, 1),
    known(25, "I16", 1, 2),
    known(26, "I32", 1, 4),
    known(27, "I64", 1, 8),
    known(28, "F64", 1, 8),
    known(29, "IQ1_M", 256, 56),
    read(30, "BF16", 1, 2, blocks::bf16s),
    known(34, "TQ1_0", 256, 54),
    known(35, "TQ2_0", 256, 66),
    known(39, "MXFP4", 32, 17),
    known(40, "NVFP4", 64, 36),
    known(41, "Q1_0", 128, 18),
];

impl Encoding {
    /// The encoding with the format's number `id`.
    pub fn of(id: u32) -> Option<&'static Self> {
        ENCODINGS.iter().find(|encoding| encoding.id == id)
    }

    /// The names of those that are read, for messages.
    pub fn names_read() -> String {
        let read = ENCODINGS.iter().filter(|encoding| encoding.decode.is_some());
        read.map(|encoding| encoding.name).collect::<Vec<_>>().join(", ")
    }
}
