//! The built program on generated inputs, its time and memory measured from outside.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use wgrpo::random::Stream;

use super::folders::{FILES, changed};
use super::{PATIENCE, Tally, cases, folders, roll, yaml};

/// The most that a process has held by now, in bytes; none where it is over or the system does not tell.
fn peak_of(child: &Child) -> Option<usize> {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse::<usize>().ok().map(|kilobytes| kilobytes << 10)
}

/// Runs the program in `folder` and holds it to the rule: it ends by its own decision, in time.
fn watch(tally: &mut Tally, case: &str, folder: &Path, arguments: &[&str]) {
    let said = folder.join("stderr.txt");
    let mut command = Command::new(env!("CARGO_BIN_EXE_wgrpo"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null());
    let (began, mut peak) = (Instant::now(), 0);
    let mut child = command.stderr(File::create(&said).unwrap()).spawn().unwrap();
    let status = loop {
        peak = peak.max(peak_of(&child).unwrap_or(0));
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if began.elapsed() > PATIENCE {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    let said = String::from_utf8_lossy(&fs::read(said).unwrap()).into_owned();
    assert!(matches!(status.code(), Some(0..=2)), "{case}: {status}: {said}");
    assert!(!said.contains("panicked"), "{case}: {said}");
    let message = said.split_once("error: ").map(|(_, message)| message);
    assert_eq!(message.is_none(), status.success(), "{case}: {said}");
    tally.note(case, began.elapsed(), peak, message);
}

#[test]
fn fuzz_the_program_ends_on_any_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, mut tally) = (yaml::whole(), Tally::new("wgrpo config"));
    for seed in 0..cases(20) {
        let bytes = yaml::generated(&whole, &mut Stream::new(seed, 0xC1));
        fs::write(folder.path().join("run.yaml"), bytes).unwrap();
        watch(&mut tally, &format!("seed {seed}"), folder.path(), &["config", "run.yaml"]);
    }
}

#[test]
fn fuzz_the_program_ends_on_any_pipeline_of_roll() {
    let folder = tempfile::tempdir().unwrap();
    let mut tally = Tally::new("wgrpo import-roll");
    for seed in 0..cases(20) {
        fs::write(folder.path().join("roll.yaml"), roll::generated(&mut Stream::new(seed, 0xC2)))
            .unwrap();
        watch(&mut tally, &format!("seed {seed}"), folder.path(), &["import-roll", "roll.yaml"]);
    }
}

#[test]
fn fuzz_the_program_ends_on_any_model_folder() {
    let folder = folders::whole();
    let generate =
        ["generate", ".", "--chat", "--prompt", "1+1", "--max-tokens", "4", "--samples", "2"];
    for (number, file) in FILES.iter().enumerate() {
        let path = folder.path().join(file);
        let bytes = fs::read(&path).unwrap();
        let mut tally = Tally::new(&format!("wgrpo generate with another {file}"));
        for seed in 0..cases(35).div_ceil(FILES.len() as u64) {
            let mut stream = Stream::new(seed, 0xD0 + number as u32);
            fs::write(&path, changed(file, &bytes, &mut stream)).unwrap();
            watch(&mut tally, &format!("{file} by seed {seed}"), folder.path(), &generate);
        }
        fs::write(&path, &bytes).unwrap();
    }
}
