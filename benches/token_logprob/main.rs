//! `cargo bench --bench token_logprob -- 512x50257`: the log-probability kernel against the tensor
//! operations that it replaces, in time and memory.
//!
//! Peak memory belongs to a process, so each form is measured in one of its own: the benchmark starts
//! itself again, tells it the part, and reads one line of JSON.

#[path = "../../src/allocator.rs"]
mod allocator;
mod compare;
mod forms;

use std::process::{Command, ExitCode, Stdio};

use clap::Parser;

use compare::Arguments;
use forms::{LogitShape, Measured, Part};

fn main() -> ExitCode {
    // As the program does, whose figures these are.
    allocator::keep_freed_pages();
    // SAFETY: this is the only thread so far.
    unsafe { wgrpo::device::silence_drivers() };
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let device = arguments.device()?;
    for shape in &arguments.shapes {
        println!("{}", arguments.line(*shape, &device, in_a_process)?);
    }
    Ok(())
}

/// What this program measures when it is started for one part.
fn in_a_process(arguments: &Arguments, shape: LogitShape, part: Part) -> anyhow::Result<Measured> {
    let (device, repeats) = (&arguments.device, arguments.repeats.to_string());
    let mut command = Command::new(std::env::current_exe()?);
    command.args([&shape.to_string(), "--device", device, "--repeats", &repeats]);
    command.args(["--part", &format!("{part:?}")]);
    let ended = command.stdin(Stdio::null()).output()?;
    if !ended.status.success() {
        let said = String::from_utf8_lossy(&ended.stderr);
        let said = said.trim().rsplit("error: ").next().unwrap_or_default().to_owned();
        anyhow::bail!("{part:?} of {shape} on {device}: {} {said}", ended.status);
    }
    Ok(serde_json::from_slice(&ended.stdout)?)
}
