//! The allocator of the program.
//!
//! A step allocates and frees hundreds of activations. Taking each one fresh from the system costs
//! page faults, and clearing the pages took a quarter of the time of a step, so freed pages stay with
//! the process: the next step needs as many.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of mimalloc's option list, which the bindings do not name.
const PURGE_DELAY: i32 = 15;

/// Freed pages are never given back.
const NEVER: i64 = -1;

/// Sets the allocator up; to be called first.
pub fn keep_freed_pages() {
    // SAFETY: the call stores a number in a table of options and may be made at any time.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, NEVER as _) }
}
