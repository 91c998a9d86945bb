//! The `wgrpo` program: parse, run, print the error once.

mod allocator;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    allocator::keep_freed_pages();
    // SAFETY: this is the only thread so far.
    unsafe { wgrpo::device::silence_drivers() };
    match wgrpo::cli::Cli::parse().run() {
        Ok(status) => status,
        Err(error) => {
            // Not the chain below it: each message already tells its cause.
            wgrpo::cli::say(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}
