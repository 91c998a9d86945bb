//! How the backward pass is cut into tasks.

use std::ops::Range;

use super::AttentionPlan;
use super::blocks::{Block, MOST, blocks};

/// Keys of a task where keys and queries have tasks of their own.
const WINDOW: usize = 2 * MOST;

/// The queries of a prompt and its completions, which read and write no token of another family.
pub struct FamilyBlocks<'a> {
    /// All of them.
    pub blocks: Vec<Block<'a>>,
    tokens: Range<usize>,
    work: usize,
}

/// Gradients that one task computes: of the keys of a window and the queries of some blocks, in the heads
/// of one key head.
#[derive(Debug)]
pub struct Unit<'a> {
    /// Queries that meet the window; all their keys lie in it where their gradient is computed.
    pub blocks: &'a [Block<'a>],
    /// Keys.
    pub window: Range<usize>,
    /// The key head.
    pub kv_head: usize,
    /// Whether gradients of queries, keys and values are computed.
    pub of: [bool; 3],
    /// About how many products it takes.
    pub work: usize,
}

/// The blocks of every family.
pub fn family_blocks(plan: &AttentionPlan) -> Vec<FamilyBlocks<'_>> {
    let families = plan.families().into_iter();
    families
        .map(|family| {
            let blocks = blocks(family.spans, plan.heads / plan.kv_heads);
            let work = blocks.iter().map(|block| block.work(plan)).sum();
            FamilyBlocks { blocks, tokens: family.tokens, work }
        })
        .collect()
}

/// The tasks for the gradients that are needed.
pub fn units<'a>(
    plan: &AttentionPlan,
    families: &'a [FamilyBlocks<'a>],
    needs: [bool; 3],
) -> Vec<Unit<'a>> {
    let [of_q, of_k, of_v] = needs;
    let kv_heads = 0..plan.kv_heads;
    let of_families = families.iter().flat_map(|family| {
        kv_heads.clone().map(move |kv_head| Unit {
            blocks: &family.blocks,
            window: family.tokens.clone(),
            kv_head,
            of: needs,
            work: family.work,
        })
    });
    let of_families: Vec<Unit> = of_families.collect();
    if is_shared_well(&of_families) {
        return of_families;
    }
    let halves = of_families.iter().flat_map(|unit| {
        let keys = unit.windows().filter(move |_| of_k || of_v);
        let queries = unit.each_block(plan).filter(move |_| of_q);
        keys.chain(queries)
    });
    halves.collect()
}

/// Whether threads that take these units one after another end about together: seven products of tiles
/// where keys and queries have units of their own are five where they have not.
fn is_shared_well(units: &[Unit]) -> bool {
    let threads = rayon::current_num_threads();
    let mut loads = vec![0; threads];
    for unit in units {
        if let Some(least) = loads.iter_mut().min() {
            *least += unit.work;
        }
    }
    let (total, longest): (usize, usize) =
        (loads.iter().sum(), loads.iter().copied().max().unwrap_or(0));
    5 * longest * threads <= 7 * total
}

impl<'a> Unit<'a> {
    /// Its keys, without the queries' gradients.
    fn windows(&self) -> impl Iterator<Item = Unit<'a>> {
        let (Range { start, end }, of) = (self.window.clone(), [false, self.of[1], self.of[2]]);
        let (blocks, kv_head, work) = (self.blocks, self.kv_head, self.work);
        let work = work / (end - start).div_ceil(WINDOW).max(1);
        (start..end).step_by(WINDOW).map(move |start| {
            let window = start..end.min(start + WINDOW);
            Unit { blocks, window, kv_head, of, work }
        })
    }

    /// Its queries, without the keys' gradients.
    fn each_block(&self, plan: &AttentionPlan) -> impl Iterator<Item = Unit<'a>> {
        let (window, kv_head) = (self.window.clone(), self.kv_head);
        self.blocks.chunks(1).map(move |blocks| Unit {
            blocks,
            window: window.clone(),
            kv_head,
            of: [true, false, false],
            work: blocks[0].work(plan),
        })
    }
}
