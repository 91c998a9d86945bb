//! A program in a process of its own, which ends in time with all that it began.

use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::json;

use super::Limits;
use super::cases::Cases;

/// What python3 runs; it sets the limits and then runs the program.
const DRIVER: &str = include_str!("driver.py");
/// How often a process is asked whether it has ended.
const ASKED: Duration = Duration::from_millis(2);

/// How many tests a program passes; none where it cannot be run.
pub(super) fn passed(program: &str, cases: &Cases, limits: Limits) -> usize {
    let until = Instant::now() + limits.time;
    match cases {
        Cases::Asserts(asserts) => passed_asserts(program, asserts, limits, until).unwrap_or(0),
        Cases::Pairs(pairs) => {
            let passes = |(input, output): &&(String, String)| {
                writes(program, input, output, limits, until).unwrap_or(false)
            };
            pairs.iter().filter(passes).count()
        }
    }
}

fn passed_asserts(
    program: &str,
    asserts: &[String],
    limits: Limits,
    until: Instant,
) -> io::Result<usize> {
    let folder = tempfile::tempdir()?;
    let results = folder.path().join("results");
    File::create(&results)?;
    let word = RandomState::new().hash_one(program).to_string();
    let job = json!({ "program": program, "tests": asserts, "results": results, "word": word });
    run(folder.path(), job, "", limits, until)?;
    let found = fs::read_to_string(&results)?;
    let passed = |number: &usize| found.lines().any(|line| line == format!("{word} {number}"));
    Ok((0..asserts.len()).filter(passed).count())
}

/// Whether a program, given an input, ends well and writes the output.
fn writes(
    program: &str,
    input: &str,
    output: &str,
    limits: Limits,
    until: Instant,
) -> io::Result<bool> {
    let folder = tempfile::tempdir()?;
    let job = json!({ "program": program, "tests": null });
    let status = run(folder.path(), job, input, limits, until)?;
    let mut written = Vec::new();
    let file = File::open(folder.path().join("output"))?;
    file.take(limits.output_bytes).read_to_end(&mut written)?;
    let is_same = same_lines(&String::from_utf8_lossy(&written), output);
    Ok(status.is_some_and(|status| status.success()) && is_same)
}

/// Whether two texts have the same lines, but for white space at the ends of lines and of the text.
fn same_lines(one: &str, other: &str) -> bool {
    let lines = |text: &str| {
        text.trim_end().lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>()
    };
    lines(one) == lines(other)
}

/// Runs a job in a folder; none if it took too long.
fn run(
    folder: &Path,
    mut job: serde_json::Value,
    input: &str,
    limits: Limits,
    until: Instant,
) -> io::Result<Option<ExitStatus>> {
    if Instant::now() >= until {
        return Ok(None);
    }
    job["memory_bytes"] = limits.memory_bytes.into();
    job["output_bytes"] = limits.output_bytes.into();
    job["cpu_secs"] = limits.time.as_secs().saturating_add(1).into();
    let path = folder.join("job");
    fs::write(&path, job.to_string())?;
    fs::write(folder.join("input"), input)?;
    let work = folder.join("work");
    fs::create_dir(&work)?;
    let child = python(&path, &work)
        .stdin(File::open(folder.join("input"))?)
        .stdout(File::create(folder.join("output"))?)
        .stderr(Stdio::null())
        .spawn()?;
    wait(child, until)
}

/// A python3 that knows nothing of this process but its PATH, in a process group of its own.
fn python(job: &Path, work: &Path) -> Command {
    let mut python = Command::new("python3");
    python.args(["-I", "-B", "-c", DRIVER]).arg(job).current_dir(work).env_clear();
    python.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    python.envs([("HOME", work), ("TMPDIR", work)]);
    // A library that starts threads must do without them.
    python.envs([("OMP_NUM_THREADS", "1"), ("OPENBLAS_NUM_THREADS", "1"), ("LC_ALL", "C.UTF-8")]);
    python.process_group(0);
    python
}

/// Waits for a process to end and ends it in time; what is left of its group ends too.
fn wait(mut child: Child, until: Instant) -> io::Result<Option<ExitStatus>> {
    let status = loop {
        match child.try_wait() {
            Ok(None) if Instant::now() < until => sleep(ASKED),
            other => break other,
        }
    };
    if let Ok(group) = i32::try_from(child.id()) {
        // There is no group any more where all has ended.
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
    }
    if !matches!(status, Ok(Some(_))) {
        child.wait()?;
    }
    status
}
