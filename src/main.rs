//! The `wgrpo` program: parse, run, print the error once.

use std::process::ExitCode;

use clap::Parser;

// Freed pages stay with the process: a step allocates and frees hundreds of activations, and taking
// each one fresh from the system costs more in page faults than the arithmetic on it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match wgrpo::cli::Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Not the chain below it: each message already tells its cause.
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
