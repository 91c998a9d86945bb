//! The backward pass on the CPU, which computes probabilities again from the saved log-sum-exp.
//!
//! ```text
//! dv = pᵀ·do    ds = p · (do·vᵀ − o·do)    dq = ds·k / √d    dk = dsᵀ·q / √d
//! ```
//!
//! A key head of a family (a prompt and its completions) is one task where that gives all threads
//! enough to do. Else keys and queries go to tasks of their own, which compute the probabilities twice.
//! Either way every element is one chain of additions in the order of keys or queries, so the gradients
//! do not depend on the number of threads.

use multiversion::multiversion;

use super::AttentionPlan;
use super::blocks::{Block, Mask, Meeting};
use super::forward::{Inputs, lanes_mut};
use super::scratch::{HeadRows, KeyTile, Sizes, Tile, copy, read, read_turned};
use super::tile::{RowsMut, add_over_keys, add_over_queries, scores};
use super::units::{Unit, family_blocks, units};
use crate::kernel::cpu::dots::LANES;
use crate::kernel::cpu::simd::{dot, exp};
use crate::kernel::cpu::tasks::{Shared, for_each_task};

/// What the forward pass returned and the gradient of its output.
#[derive(Clone, Copy)]
pub struct Saved<'a> {
    /// Output `[n, heads·d]`.
    pub out: &'a [f32],
    /// Log-sum-exp `[n, heads]`.
    pub lse: &'a [f32],
    /// Gradient of the output `[n, heads·d]`.
    pub dout: &'a [f32],
}

/// Gradients `[dq, dk, dv]`, each empty where it is not needed. Queries and keys must be the same tokens
/// (a pass without a cache).
pub fn backward(
    plan: &AttentionPlan,
    inputs: Inputs,
    saved: Saved,
    needs: [bool; 3],
) -> [Vec<f32>; 3] {
    let (width, kv_width) = (plan.width(), plan.kv_width());
    assert_eq!(
        inputs.q.len() * kv_width,
        inputs.k.len() * width,
        "gradients need a pass without a cache"
    );
    let lengths = [inputs.q.len(), inputs.k.len(), inputs.v.len()];
    let mut gradients = [0, 1, 2].map(|i| vec![0.0; if needs[i] { lengths[i] } else { 0 }]);
    let to = gradients.each_mut().map(|gradient| Shared::new(gradient));
    let families = family_blocks(plan);
    let units = units(plan, &families, needs);
    let all: Vec<Block> = families.iter().flat_map(|family| family.blocks.clone()).collect();
    let sizes = Sizes::of(plan, &all);
    for_each_task(
        &units,
        |unit| unit.work,
        || Scratch::new(sizes),
        |scratch, unit| {
            let task = Task { plan, inputs, saved, unit, to };
            task.run(scratch);
        },
    );
    gradients
}

/// What a thread computes in.
pub(super) struct Scratch {
    keys: KeyTile,
    /// Scaled queries `[rows, d]`, and turned.
    queries: [Tile; 2],
    /// Gradients of the output `[rows, d]`, and turned.
    douts: [Tile; 2],
    /// Log-sum-exp, and o·do, of every row.
    lse: Vec<f32>,
    along: Vec<f32>,
    /// Scores, then probabilities, `[keys, rows]`.
    p: Tile,
    /// do·vᵀ, then gradients of the scores, `[keys, rows]`.
    ds: Tile,
    /// Gradients of queries `[rows, d]`.
    dq: Tile,
    /// Gradients of keys or values `[keys, d]`.
    dkv: Tile,
}

impl Scratch {
    pub(super) fn new(sizes: Sizes) -> Self {
        Self {
            keys: KeyTile::new(sizes),
            queries: [sizes.of_rows(), sizes.of_turned_rows()],
            douts: [sizes.of_rows(), sizes.of_turned_rows()],
            lse: sizes.for_each_row(),
            along: sizes.for_each_row(),
            p: sizes.of_scores(),
            ds: sizes.of_scores(),
            dq: sizes.of_rows(),
            dkv: sizes.of_keys(),
        }
    }

    /// Number of floats.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let [q, q_turned] = &self.queries;
        let [dout, dout_turned] = &self.douts;
        let keys = [&self.keys.k, &self.keys.v, &self.dkv];
        let tiles = [q, q_turned, dout, dout_turned, &self.p, &self.ds, &self.dq];
        let of = |tiles: &[&Tile]| tiles.iter().map(|tile| tile.len()).sum::<usize>();
        of(&keys) + of(&tiles) + self.lse.len() + self.along.len()
    }
}

/// The gradients of a unit.
struct Task<'a> {
    plan: &'a AttentionPlan,
    inputs: Inputs<'a>,
    saved: Saved<'a>,
    unit: &'a Unit<'a>,
    to: [Shared; 3],
}

impl Task<'_> {
    fn run(&self, scratch: &mut Scratch) {
        let [of_q, ..] = self.unit.of;
        scratch.keys.forget();
        for block in self.unit.blocks.iter().filter(|block| block.sees(&self.unit.window)) {
            let head = HeadRows::of_queries(self.plan, self.unit.kv_head, block.queries.start);
            let rows = block.queries.len() * self.group();
            self.read(scratch, head, rows);
            block.for_each_meeting(&self.unit.window, self.group(), |meeting| {
                self.meet(scratch, meeting);
            });
            if of_q {
                self.write_queries(&scratch.dq, head, rows);
            }
        }
    }

    /// Query heads of the key head.
    fn group(&self) -> usize {
        self.plan.heads / self.plan.kv_heads
    }

    /// Whether gradients of scores are needed.
    fn of_scores(&self) -> bool {
        self.unit.of[0] || self.unit.of[1]
    }

    /// What the rows of a block bring along.
    fn read(&self, scratch: &mut Scratch, head: HeadRows, rows: usize) {
        let ([of_q, of_k, of_v], Saved { out, lse, dout }) = (self.unit.of, self.saved);
        let ([queries, queries_turned], [douts, douts_turned]) =
            (&mut scratch.queries, &mut scratch.douts);
        read_turned(head, self.inputs.q, rows, self.plan.scale(), queries_turned);
        if of_k {
            read(head, self.inputs.q, rows, self.plan.scale(), queries);
        }
        if of_v {
            read(head, dout, rows, 1.0, douts);
        }
        if self.of_scores() {
            read_turned(head, dout, rows, 1.0, douts_turned);
        }
        head.for_each(rows, |row, elements| {
            scratch.lse[row] = lse[elements.start / self.plan.head_dim]
        });
        dots_of_rows(head, [out, dout], rows, &mut scratch.along);
        if of_q {
            scratch.dq.clear(rows);
        }
    }

    fn meet(&self, scratch: &mut Scratch, meeting: Meeting) {
        let ([of_q, of_k, of_v], d) = (self.unit.of, self.plan.head_dim);
        let (n_keys, n_rows, mask) = (meeting.keys(), meeting.rows.len(), meeting.mask);
        let first = meeting.rows.start;
        let Scratch { keys, queries, douts, p, ds, dq, dkv, lse, along } = scratch;
        let head = HeadRows::of_keys(self.plan, self.unit.kv_head);
        keys.load(head, [self.inputs.k, self.inputs.v], &meeting.first, &meeting.second);
        let shape = [n_keys, n_rows, d];
        scores(p.at_row_mut(0), keys.k.at_row(0), queries[1].at_column(first), shape, mask);
        let (lse, along) = (&lse[meeting.rows.clone()], &along[meeting.rows.clone()]);
        if self.of_scores() {
            let douts = douts[1].at_column(first);
            scores(ds.at_row_mut(0), keys.v.at_row(0), douts, shape, mask);
            score_gradients(p.at_row_mut(0), ds.at_row_mut(0), lse, along, n_keys, mask);
        } else {
            probabilities(p.at_row_mut(0), lse, n_keys, mask);
        }
        let gradients = [(of_k, 1, &*ds, &queries[0]), (of_v, 2, &*p, &douts[0])];
        for (_, which, weights, rows) in gradients.into_iter().filter(|(needed, ..)| *needed) {
            self.carry_keys(dkv, which, &meeting, |to, of| copy(of, to));
            let rows = rows.at_row(first);
            add_over_queries(dkv.at_row_mut(0), weights.at_row(0), rows, shape, mask);
            self.carry_keys(dkv, which, &meeting, |of, to| copy(of, to));
        }
        if of_q {
            let (to, shape) = (dq.at_row_mut(first), [n_rows, n_keys, d]);
            add_over_keys(to, ds.at_row(0), keys.k.at_row(0), shape, mask);
        }
    }

    /// Takes the gradients of a tile's keys out of the tensor or back, row by row: `(tile, tensor)`.
    fn carry_keys(
        &self,
        tile: &mut Tile,
        which: usize,
        meeting: &Meeting,
        carry: impl Fn(&mut [f32], &mut [f32]),
    ) {
        let head = HeadRows::of_keys(self.plan, self.unit.kv_head);
        let keys = meeting.first.clone().chain(meeting.second.clone());
        for (row, key) in keys.enumerate() {
            // SAFETY: the keys of the unit's window, in its key head, belong to this task.
            let tensor = unsafe { self.to[which].part(head.elements(key)) };
            carry(tile.row_mut(row, self.plan.head_dim), tensor);
        }
    }

    fn write_queries(&self, dq: &Tile, head: HeadRows, rows: usize) {
        let scale = self.plan.scale();
        head.for_each(rows, |row, elements| {
            // SAFETY: the rows of the unit's blocks, in its key head, belong to this task.
            let to = unsafe { self.to[0].part(elements) };
            for (to, of) in to.iter_mut().zip(dq.row(row, self.plan.head_dim)) {
                *to = of * scale;
            }
        });
    }
}

/// `along[row] = a_row · b_row`.
#[multiversion(targets = "simd")]
fn dots_of_rows(head: HeadRows, [a, b]: [&[f32]; 2], rows: usize, along: &mut [f32]) {
    head.for_each(rows, |row, elements| along[row] = dot(&a[elements.clone()], &b[elements]));
}

/// Scores become probabilities, and `ds` (holding do·vᵀ) the gradient of the scores; both 0 where a row
/// does not see the key.
#[multiversion(targets = "simd")]
fn score_gradients(
    p: RowsMut<'_>,
    ds: RowsMut<'_>,
    lse: &[f32],
    along: &[f32],
    keys: usize,
    mask: Mask,
) {
    for first in (0..lse.len()).step_by(LANES) {
        let (lse, along) = (lanes_of(lse, first), lanes_of(along, first));
        for key in 0..keys {
            let at = key * p.stride + first;
            let (Some(p), Some(ds)) = (lanes_mut(p.data, at), lanes_mut(ds.data, at)) else {
                return;
            };
            let unseen = mask.unseen(key, first);
            if unseen == LANES {
                (*p, *ds) = ([0.0; LANES], [0.0; LANES]);
                continue;
            }
            for lane in 0..LANES {
                p[lane] = exp(p[lane] - lse[lane]);
                ds[lane] = p[lane] * (ds[lane] - along[lane]);
            }
            if unseen > 0 {
                p[..unseen].fill(0.0);
                ds[..unseen].fill(0.0);
            }
        }
    }
}

/// Scores become probabilities, 0 where a row does not see the key.
#[multiversion(targets = "simd")]
fn probabilities(p: RowsMut<'_>, lse: &[f32], keys: usize, mask: Mask) {
    for first in (0..lse.len()).step_by(LANES) {
        let lse = lanes_of(lse, first);
        for key in 0..keys {
            let Some(p) = lanes_mut(p.data, key * p.stride + first) else { return };
            for lane in 0..LANES {
                p[lane] = exp(p[lane] - lse[lane]);
            }
            p[..mask.unseen(key, first)].fill(0.0);
        }
    }
}

/// Sixteen numbers, zeros behind the last.
#[inline(always)]
fn lanes_of(numbers: &[f32], first: usize) -> [f32; LANES] {
    let rest = &numbers[first..numbers.len().min(first + LANES)];
    let mut lanes = [0.0; LANES];
    lanes[..rest.len()].copy_from_slice(rest);
    lanes
}
