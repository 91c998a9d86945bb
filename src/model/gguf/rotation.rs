//! The order of the rows of q and k.
//!
//! Rotary positions turn pairs of values of a head. Hugging Face pairs value i with value i + d/2 of a head of width
//! d; llama.cpp pairs neighbours for some families, and its converter moves the rows of q and k so that the same
//! pairs meet:
//!
//! ```text
//! row 2i + j of a head in GGUF = row j·d/2 + i of it in Hugging Face's file      i < d/2, j < 2
//! ```

/// The rows of one projection: how wide a head is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reordered {
    head_dim: usize,
}

impl Reordered {
    /// For heads of an even width of so many rows.
    pub fn new(head_dim: usize) -> Self {
        assert!(head_dim > 0 && head_dim.is_multiple_of(2), "pairs in a head of {head_dim}");
        Self { head_dim }
    }

    /// Where a row of Hugging Face's file stands in GGUF.
    pub fn in_gguf(self, row: usize) -> usize {
        let (head, at) = (row / self.head_dim, row % self.head_dim);
        let (j, i) = (at / (self.head_dim / 2), at % (self.head_dim / 2));
        head * self.head_dim + 2 * i + j
    }

    /// Where a row of GGUF stands in Hugging Face's file.
    pub fn in_hugging_face(self, row: usize) -> usize {
        let (head, at) = (row / self.head_dim, row % self.head_dim);
        head * self.head_dim + at % 2 * (self.head_dim / 2) + at / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `np.arange(12).reshape(2, 2, 3).swapaxes(1, 2).reshape(12)`: what the converter does to two heads of width six.
    const GGUF: [usize; 12] = [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11];

    #[test]
    fn rows_are_where_the_converter_puts_them() {
        let order = Reordered::new(6);
        assert_eq!(std::array::from_fn(|row| order.in_hugging_face(row)), GGUF);
        assert!((0..12).all(|row| order.in_gguf(order.in_hugging_face(row)) == row));
    }
}
