//! `wgrpo bench --token-logprob`: the log-probability kernel against the tensor operations that it
//! replaces, in time and memory.
//!
//! Peak memory belongs to a process, so each form is measured in one of its own: the program starts
//! itself again, tells it the part, and reads one line of JSON. What a process takes that only makes
//! the logits is not counted.

use std::process::{Command, Stdio};

use anyhow::Context;
use clap::Args;
use serde::Serialize;

use super::bench::median;
use super::logprob_forms::{Forms, LogitShape, Measured, Part};
use super::output;
use crate::device::{self, Buffer, Device, Kind, Mend};

/// Larger differences between the forms are no rounding.
const TOLERANCE: f32 = 1e-3;

/// Resident memory comes in pages and the allocator's chunks; ratios of less would be noise.
const LEAST_MIB: f64 = 4.0;

/// Arguments of `wgrpo bench --token-logprob`.
#[derive(Debug, Args)]
pub(super) struct LogprobArgs {
    /// Instead of a run, measure the log-probability kernel on logits of these shapes, as in
    /// `512x50257`
    #[arg(long, value_name = "ROWSxWORDS", value_delimiter = ',')]
    #[arg(conflicts_with_all = ["config", "set", "steps", "warmup"])]
    token_logprob: Vec<LogitShape>,
    /// Times that each form of it is measured
    #[arg(long, default_value_t = 5, requires = "token_logprob")]
    repeats: usize,
    /// Print its figures as one JSON line for each shape
    #[arg(long, requires = "token_logprob")]
    json: bool,
    /// What this process measures, which another one started
    #[arg(long, hide = true, requires = "token_logprob")]
    token_logprob_part: Option<Part>,
}

impl LogprobArgs {
    pub(super) fn run(&self, device: &str) -> anyhow::Result<()> {
        anyhow::ensure!(self.repeats > 0, "--repeats must be at least 1");
        let found = device::find(device)?;
        found.limits().check(&self.token_logprob.iter().map(buffer).collect::<Vec<_>>())?;
        self.token_logprob.iter().try_for_each(|shape| match self.token_logprob_part {
            Some(part) => {
                let forms = Forms { shape: *shape, part, repeats: self.repeats };
                output::print_json(&found.run(forms)??)
            }
            None => self.compare(*shape, device, &found),
        })
    }

    fn compare(&self, shape: LogitShape, name: &str, device: &Device) -> anyhow::Result<()> {
        let part = |part| in_a_process(shape, part, name, self.repeats);
        let difference = part(Part::Difference)?.largest_difference;
        let (of, largest_difference) = difference.context("the process told no difference")?;
        anyhow::ensure!(
            largest_difference <= TOLERANCE,
            "the {of} of kernel and tensor operations is {largest_difference:e} apart for {shape} on \
             {device}, so one of them is wrong there; `wgrpo devices --check` tells whether it is \
             the kernel"
        );
        let (memory, logits) = (Memory::of(device), part(Part::Logits)?);
        let figures = |measured| Figures::new(&measured, &logits, memory);
        let (kernel, composed) = (figures(part(Part::Kernel)?), figures(part(Part::Composed)?));
        let comparison = Comparison {
            rows: shape.rows,
            words: shape.words,
            logits_mib: rounded(shape.bytes() as f64 / f64::from(1 << 20), 100.0),
            device: device.to_string(),
            repeats: self.repeats,
            largest_difference,
            memory,
            time_ratio: rounded(composed.median_s / kernel.median_s, 100.0),
            memory_ratio: memory_ratio(&kernel, &composed),
            kernel,
            composed,
        };
        match self.json {
            true => output::print_json(&comparison),
            false => output::print(&comparison.table()),
        }
    }
}

fn buffer(shape: &LogitShape) -> Buffer {
    Buffer {
        what: format!("a tensor of logits [{}, {}]", shape.rows, shape.words),
        bytes: shape.bytes(),
        mend: Mend::Change("take fewer rows"),
    }
}

/// What this program measures when it is started for one part.
fn in_a_process(
    shape: LogitShape,
    part: Part,
    device: &str,
    repeats: usize,
) -> anyhow::Result<Measured> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["bench", "--token-logprob", &shape.to_string(), "--device", device]);
    command.args(["--repeats", &repeats.to_string(), "--token-logprob-part", &format!("{part:?}")]);
    let ended = command.stdin(Stdio::null()).output()?;
    if !ended.status.success() {
        let said = String::from_utf8_lossy(&ended.stderr);
        let said = said.trim().rsplit("error: ").next().unwrap_or_default().to_owned();
        anyhow::bail!("{part:?} of {shape} on {device}: {} {said}", ended.status);
    }
    Ok(serde_json::from_slice(&ended.stdout)?)
}

/// What peak memory is told by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
enum Memory {
    /// The process's largest resident memory, where tensors lie in it.
    #[serde(rename = "resident memory")]
    Resident,
    /// What the device's allocator took by the end, in pages that it does not give back.
    #[serde(rename = "device memory reserved")]
    Reserved,
}

impl Memory {
    /// A device with memory of its own leaves no trace in that of the process.
    fn of(device: &Device) -> Self {
        match device {
            Device::Host(_) => Self::Resident,
            Device::Graphics(adapter) if adapter.kind == Kind::Software => Self::Resident,
            _ => Self::Reserved,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Resident => "resident memory",
            Self::Reserved => "device memory reserved",
        }
    }

    fn peak(self, measured: &Measured) -> Option<f64> {
        match self {
            Self::Resident => measured.resident_mib,
            Self::Reserved => measured.reserved_mib,
        }
    }
}

/// What one form takes; memory is what it takes beyond the logits.
#[derive(Debug, Serialize)]
struct Figures {
    median_s: f64,
    min_s: f64,
    max_s: f64,
    peak_mib: Option<f64>,
    kept_mib: Option<f64>,
}

impl Figures {
    fn new(measured: &Measured, logits: &Measured, memory: Memory) -> Self {
        let mut seconds = measured.seconds.clone();
        seconds.sort_by(f64::total_cmp);
        let second = |s| rounded(s, 1e6);
        let peaks = memory.peak(measured).zip(memory.peak(logits));
        Self {
            median_s: second(median(&seconds)),
            min_s: second(seconds[0]),
            max_s: second(seconds[seconds.len() - 1]),
            peak_mib: peaks.map(|(all, logits)| rounded(all - logits, 10.0)),
            kept_mib: measured.kept_mib.map(|mib| rounded(mib, 100.0)),
        }
    }

    fn row(&self, name: &str) -> String {
        row(name, format!("{:.6}", self.median_s), figure(self.peak_mib), figure(self.kept_mib))
    }
}

/// The two forms on one shape.
#[derive(Debug, Serialize)]
struct Comparison {
    rows: usize,
    words: usize,
    logits_mib: f64,
    device: String,
    repeats: usize,
    largest_difference: f32,
    memory: Memory,
    kernel: Figures,
    composed: Figures,
    time_ratio: f64,
    memory_ratio: Option<f64>,
}

impl Comparison {
    fn table(&self) -> String {
        let Self { rows, words, device, repeats, logits_mib, memory, .. } = self;
        let times = |ratio: Option<f64>| ratio.map_or("–".into(), |ratio| format!("{ratio:.2}×"));
        [
            format!("{rows} × {words} on {device}\n"),
            format!("{logits_mib} MiB of logits, forwards and backwards, median of {repeats}\n"),
            row("", "seconds".into(), "peak MiB".into(), "kept MiB".into()),
            self.kernel.row("kernel"),
            self.composed.row("composed"),
            row("ratio", times(Some(self.time_ratio)), times(self.memory_ratio), String::new()),
            format!(
                "largest difference {:.1e}; peak: {}, ",
                self.largest_difference,
                memory.name()
            ),
            "less the logits\n\n".into(),
        ]
        .concat()
    }
}

fn memory_ratio(kernel: &Figures, composed: &Figures) -> Option<f64> {
    let peaks = kernel.peak_mib.zip(composed.peak_mib);
    let told = peaks.filter(|(kernel, composed)| *kernel >= LEAST_MIB && *composed >= LEAST_MIB);
    told.map(|(kernel, composed)| rounded(composed / kernel, 100.0))
}

fn row(name: &str, seconds: String, peak: String, kept: String) -> String {
    format!("{name:<10}{seconds:>12}{peak:>12}{kept:>12}\n").trim_end().to_owned() + "\n"
}

fn figure(mib: Option<f64>) -> String {
    mib.map_or("–".into(), |mib| format!("{mib:.1}"))
}

fn rounded(value: f64, parts: f64) -> f64 {
    // A zero is added because a small negative number would be printed as -0.
    (value * parts).round() / parts + 0.0
}
