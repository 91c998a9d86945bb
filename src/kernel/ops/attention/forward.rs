//! The forward pass on the CPU: tiles of keys one after another, with a running maximum and sum for
//! every query, so that no row of scores is ever whole.

use std::ops::Range;

use multiversion::multiversion;

use super::AttentionPlan;
use super::blocks::{Block, Mask, Meeting, blocks};
use super::scratch::{HeadRows, KeyTile, Sizes, Tile, read_turned};
use super::tile::{RowsMut, add_over_keys, scores};
use crate::kernel::cpu::dots::LANES;
use crate::kernel::cpu::simd::exp;
use crate::kernel::cpu::tasks::{Shared, for_each_task};

/// Tensors of one attention: `q [n, heads·d]`, `k` and `v` `[m, kv_heads·d]`.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    /// Queries.
    pub q: &'a [f32],
    /// Keys.
    pub k: &'a [f32],
    /// Values.
    pub v: &'a [f32],
}

/// Output `[n, heads·d]` and the log-sum-exp of every query and head `[n, heads]`.
pub fn forward(plan: &AttentionPlan, inputs: Inputs) -> [Vec<f32>; 2] {
    let n = inputs.q.len() / plan.width();
    let (mut out, mut lse) = (vec![0.0; n * plan.width()], vec![0.0; n * plan.heads]);
    let blocks = blocks(&plan.spans, plan.heads / plan.kv_heads);
    let sizes = Sizes::of(plan, &blocks);
    let to = Outputs { out: Shared::new(&mut out), lse: Shared::new(&mut lse) };
    let tasks: Vec<(&Block, usize)> = blocks
        .iter()
        .flat_map(|block| (0..plan.kv_heads).map(move |kv_head| (block, kv_head)))
        .collect();
    for_each_task(
        &tasks,
        |(block, _)| block.work(plan),
        || Scratch::new(sizes),
        |scratch, (block, kv_head)| scratch.attend(plan, inputs, block, *kv_head, to),
    );
    [out, lse]
}

#[derive(Clone, Copy)]
struct Outputs {
    out: Shared,
    lse: Shared,
}

/// What a thread computes in.
pub(super) struct Scratch {
    keys: KeyTile,
    /// Scaled queries `[d, rows]`.
    queries: Tile,
    /// Scores, then probabilities that are not yet divided by their sum, `[keys, rows]`.
    scores: Tile,
    /// Weighted sums of values `[rows, d]`.
    sums: Tile,
    running: Running,
}

impl Scratch {
    pub(super) fn new(sizes: Sizes) -> Self {
        Self {
            keys: KeyTile::new(sizes),
            queries: sizes.of_turned_rows(),
            scores: sizes.of_scores(),
            sums: sizes.of_rows(),
            running: Running {
                max: sizes.for_each_row(),
                sum: sizes.for_each_row(),
                factor: sizes.for_each_row(),
            },
        }
    }

    /// The queries of a block in the heads of a key head.
    fn attend(
        &mut self,
        plan: &AttentionPlan,
        inputs: Inputs,
        block: &Block,
        kv_head: usize,
        to: Outputs,
    ) {
        let group = plan.heads / plan.kv_heads;
        let rows = block.queries.len() * group;
        let head = HeadRows::of_queries(plan, kv_head, block.queries.start);
        read_turned(head, inputs.q, rows, plan.scale(), &mut self.queries);
        self.sums.clear(rows);
        self.running.clear(rows);
        self.keys.forget();
        let keys_of_head = HeadRows::of_keys(plan, kv_head);
        block.for_each_meeting(&(0..usize::MAX), group, |meeting| {
            let (first, second) = (&meeting.first, &meeting.second);
            self.keys.load(keys_of_head, [inputs.k, inputs.v], first, second);
            self.meet(plan.head_dim, meeting);
        });
        head.for_each(rows, |row, elements| {
            let (max, sum, at) =
                (self.running.max[row], self.running.sum[row], elements.start / plan.head_dim);
            // SAFETY: rows of this block in these heads belong to this task.
            let (out, lse) = unsafe { (to.out.part(elements), to.lse.part(at..at + 1)) };
            lse[0] = max + sum.ln();
            let inverse = 1.0 / sum;
            for (out, sum) in out.iter_mut().zip(self.sums.row(row, plan.head_dim)) {
                *out = sum * inverse;
            }
        });
    }

    fn meet(&mut self, d: usize, meeting: Meeting) {
        let (n_keys, n_rows, mask) = (meeting.keys(), meeting.rows.len(), meeting.mask);
        let first = meeting.rows.start;
        let queries = self.queries.at_column(first);
        let k = self.keys.k.at_row(0);
        scores(self.scores.at_row_mut(0), k, queries, [n_keys, n_rows, d], mask);
        self.running.absorb(self.scores.at_row_mut(0), meeting.rows.clone(), n_keys, mask);
        for row in meeting.rows {
            let factor = self.running.factor[row];
            if factor != 1.0 {
                self.sums.row_mut(row, d).iter_mut().for_each(|sum| *sum *= factor);
            }
        }
        let (p, v) = (self.scores.at_row(0), self.keys.v.at_row(0));
        add_over_keys(self.sums.at_row_mut(first), p, v, [n_rows, n_keys, d], mask);
    }

    /// Number of floats.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let tiles = [&self.keys.k, &self.keys.v, &self.queries, &self.scores, &self.sums];
        tiles.iter().map(|tile| tile.len()).sum::<usize>() + 3 * self.running.max.len()
    }
}

/// The softmax of every row over the keys that it has met.
struct Running {
    /// The largest score.
    max: Vec<f32>,
    /// Sum of e^(score − max).
    sum: Vec<f32>,
    /// What earlier sums are multiplied by, now that the largest score may be larger.
    factor: Vec<f32>,
}

impl Running {
    fn clear(&mut self, rows: usize) {
        self.max[..rows].fill(f32::NEG_INFINITY);
        self.sum[..rows].fill(0.0);
    }

    /// Scores `[keys, rows]` become probabilities, 0 where a row does not see the key.
    fn absorb(&mut self, scores: RowsMut, rows: Range<usize>, keys: usize, mask: Mask) {
        let states = [&mut self.max, &mut self.sum, &mut self.factor];
        absorb(scores, states.map(|state| &mut state[rows.clone()]), keys, mask);
    }
}

/// Sixteen rows at a time.
#[multiversion(targets = "simd")]
fn absorb(scores: RowsMut<'_>, [max, sum, factor]: [&mut [f32]; 3], keys: usize, mask: Mask) {
    let rows = max.len();
    for first in (0..rows).step_by(LANES) {
        let lanes = first..rows.min(first + LANES);
        let seen = mask.keys_of(lanes.end - 1).min(keys);
        let mut old = [f32::NEG_INFINITY; LANES];
        old[..lanes.len()].copy_from_slice(&max[lanes.clone()]);
        let mut new = old;
        for key in 0..seen {
            let Some(scores) = lanes_mut(&mut *scores.data, key * scores.stride + first) else {
                return;
            };
            let unseen = mask.unseen(key, first);
            if unseen > 0 {
                scores[..unseen].fill(f32::NEG_INFINITY);
            }
            for (new, score) in new.iter_mut().zip(scores) {
                *new = if *score > *new { *score } else { *new };
            }
        }
        let mut sums = [0.0; LANES];
        for key in 0..seen {
            let Some(scores) = lanes_mut(&mut *scores.data, key * scores.stride + first) else {
                return;
            };
            for lane in 0..LANES {
                scores[lane] = exp(scores[lane] - new[lane]);
                sums[lane] += scores[lane];
            }
        }
        for key in seen..keys {
            let at = key * scores.stride + first;
            scores.data[at..at + LANES].fill(0.0);
        }
        for (lane, row) in lanes.enumerate() {
            factor[row] = exp(old[lane] - new[lane]);
            sum[row] = sum[row] * factor[row] + sums[lane];
            max[row] = new[lane];
        }
    }
}

/// A register's worth of a tile.
#[inline(always)]
pub(super) fn lanes_mut(data: &mut [f32], at: usize) -> Option<&mut [f32; LANES]> {
    data[at..].first_chunk_mut()
}
