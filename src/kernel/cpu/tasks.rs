//! Tasks spread over threads, and the tensors that they write at once.

use std::ops::Range;

use rayon::prelude::*;

use super::WORTH_A_THREAD;

/// Makes this thread one of those that a CPU computes on, for as long as the process lives. It then goes on
/// with its share of a product at once, where it would sleep until others have done all of it, and be woken,
/// hundreds of times a step.
///
/// For a program's first thread, once its signals are blocked: the other threads are started here. Where they
/// run already, nothing changes.
pub fn compute_on_this_thread() {
    // The error says that they are there, and they compute as well without this one.
    let _ = rayon::ThreadPoolBuilder::new().use_current_thread().build_global();
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

/// A tensor that tasks write at once, each its own rows.
#[derive(Clone, Copy)]
pub struct Shared {
    first: *mut f32,
    len: usize,
}

// SAFETY: a task writes only what is its own, and nobody else reads before all tasks have ended.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    /// All of a tensor, which must stay borrowed while tasks write it.
    pub fn new(tensor: &mut [f32]) -> Self {
        Self { first: tensor.as_mut_ptr(), len: tensor.len() }
    }

    /// Some of its elements.
    ///
    /// # Safety
    /// The tensor is alive, and no one else uses these elements as long as the slice lives.
    pub unsafe fn part<'a>(self, elements: Range<usize>) -> &'a mut [f32] {
        assert!(elements.start <= elements.end && elements.end <= self.len, "beyond the tensor");
        // SAFETY: inside the tensor, and the caller's alone.
        unsafe { std::slice::from_raw_parts_mut(self.first.add(elements.start), elements.len()) }
    }
}
