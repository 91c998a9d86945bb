//! The innermost loop of every matrix product: a tile of the result whose sums stay in registers.

use super::Place;
use super::arithmetic::Arithmetic;
use crate::kernel::cpu::dots::{LANES, Lanes};

/// Rows of `a`: element `(i, k)` of the tile that begins with `row` is
/// `first[row * step + i * row_stride + k * inner_stride]`.
#[derive(Clone, Copy)]
pub struct Rows {
    /// The first element.
    pub first: *const f32,
    /// From the first row of a tile to that of the next, for each row of the tile.
    pub step: usize,
    /// From one row of a tile to the next.
    pub row_stride: usize,
    /// From one column to the next.
    pub inner_stride: usize,
}

impl Rows {
    /// The tile that begins with `row`.
    ///
    /// # Safety
    /// There must be such a tile.
    #[inline(always)]
    pub unsafe fn at(self, row: usize) -> Self {
        // SAFETY: as the caller promises.
        Self { first: unsafe { self.first.add(row * self.step) }, ..self }
    }
}

/// What a tile does with its sums.
#[derive(Clone, Copy, PartialEq)]
pub enum Start {
    /// They are the result.
    Zero,
    /// They go on from what is there, so that a sum in pieces has the order of a sum in one.
    Result,
}

/// What is read next, to be fetched into the cache while a tile is computed: some of the next panels.
#[derive(Clone, Copy)]
pub struct Ahead<const P: usize> {
    /// From here on in each of them; it may lie beyond their end.
    pub panels: [*const Lanes; P],
    /// So many bytes further for each step of the inner dimension.
    pub step: usize,
}

impl<const P: usize> Ahead<P> {
    /// Asks for what belongs to the next step.
    #[inline(always)]
    fn fetch(&mut self) {
        for panel in &mut self.panels {
            #[cfg(target_arch = "x86_64")]
            {
                use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
                // SAFETY: a prefetch never faults, wherever it points, and every x86-64 has it.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(panel.cast()) };
            }
            *panel = panel.wrapping_byte_add(self.step);
        }
    }
}

/// `M` rows and `P` panels of a product: `y[i][p] = Σ_k a[i][k] · panels[p][k]`.
///
/// Each element is added up in the order of k, whatever the size of the tile and wherever it lies; so
/// with [`Fused`](super::arithmetic::Fused) it is the same on every machine, to the last bit.
///
/// # Safety
/// The machine must have the instructions of `S`; `a` must have `M` rows of `inner` lanes, each panel `inner` rows,
/// and `y` room for `M` rows of `16 · P` elements, which nobody else touches meanwhile.
#[inline(always)]
pub unsafe fn tile<S: Arithmetic, const M: usize, const P: usize>(
    a: Rows,
    panels: [*const Lanes; P],
    inner: usize,
    y: Place,
    start: Start,
    mut ahead: Ahead<P>,
) {
    let mut sums = [[[0.0_f32; LANES]; P]; M];
    // SAFETY: all places are those that the caller promises.
    unsafe {
        if start == Start::Result {
            for (i, sums) in sums.iter_mut().enumerate() {
                for (p, sums) in sums.iter_mut().enumerate() {
                    *sums = y.at(i, LANES * p).first.cast::<Lanes>().read();
                }
            }
        }
        for k in 0..inner {
            ahead.fetch();
            // Plain loops: what `map` and `from_fn` call does not have the instructions of the caller, and may
            // not be inlined.
            let mut b = [[0.0_f32; LANES]; P];
            for p in 0..P {
                b[p] = panels[p].add(k).read();
            }
            for (i, sums) in sums.iter_mut().enumerate() {
                let x = *a.first.add(i * a.row_stride + k * a.inner_stride);
                for p in 0..P {
                    S::add(&mut sums[p], x, &b[p]);
                }
            }
        }
        for (i, sums) in sums.iter().enumerate() {
            for (p, sums) in sums.iter().enumerate() {
                y.at(i, LANES * p).first.cast::<Lanes>().write(*sums);
            }
        }
    }
}
