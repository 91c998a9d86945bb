//! How tasks of attention are spread over threads.

use rayon::prelude::*;

use super::AttentionPlan;
use super::blocks::Block;
use crate::kernel::cpu::WORTH_A_THREAD;

impl Block<'_> {
    /// About how many products its scores in the heads of one key head take.
    pub fn work(&self, plan: &AttentionPlan) -> usize {
        let rows = self.queries.len() * plan.heads / plan.kv_heads;
        rows * self.most_keys() * plan.head_dim
    }
}

/// Runs tasks on all threads, several at a time where they are small, each with the scratch of its thread.
pub fn for_each_task<T: Sync, S>(
    tasks: &[T],
    work: impl Fn(&T) -> usize,
    scratch: impl Fn() -> S + Sync + Send,
    run: impl Fn(&mut S, &T) + Sync + Send,
) {
    let total: usize = tasks.iter().map(work).sum();
    if total <= WORTH_A_THREAD {
        let mut scratch = scratch();
        return tasks.iter().for_each(|task| run(&mut scratch, task));
    }
    let worth = (WORTH_A_THREAD * tasks.len()).div_ceil(total);
    tasks.par_iter().with_min_len(worth).for_each_init(scratch, run);
}
