//! The `wgrpo` program: parse, run, print the error once.

mod allocator;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    allocator::keep_freed_pages();
    // SAFETY: this is the only thread so far.
    unsafe { wgrpo::device::silence_drivers() };
    compute_on_this_thread();
    match wgrpo::cli::Cli::parse().run() {
        Ok(status) => status,
        Err(error) => {
            // Not the chain below it: each message already tells its cause.
            wgrpo::cli::say(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Makes this thread one of those that compute: it then goes on with its share of a product at once, where it
/// would sleep until others have done it all, and be woken, hundreds of times a step.
///
/// Not beside a GPU, whose own threads may need all others while this one waits for them.
fn compute_on_this_thread() {
    #[cfg(not(any(feature = "wgpu", feature = "cuda")))]
    if let Err(error) = rayon::ThreadPoolBuilder::new().use_current_thread().build_global() {
        wgrpo::cli::say(&format!("note: computing on threads of their own: {error}"));
    }
}
