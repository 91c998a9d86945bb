//! The two forms against each other: what the benchmark takes and prints.
//!
//! What a process takes that only makes the logits is not counted.

use anyhow::Context;
use clap::Parser;
use serde::Serialize;
use wgrpo::device::{self, Buffer, Device, Kind, Mend};

use super::forms::{Forms, LogitShape, Measured, Part};

/// Larger differences between the forms are no rounding.
const TOLERANCE: f32 = 1e-3;

/// Resident memory comes in pages and the allocator's chunks; ratios of less would be noise.
const LEAST_MIB: f64 = 4.0;

/// Times the log-probability kernel against the tensor operations that it replaces.
#[derive(Debug, Clone, Parser)]
#[command(name = "token_logprob")]
pub struct Arguments {
    /// Shapes of logits, as in `512x50257`
    #[arg(required = true, value_name = "ROWSxTOKENS", value_delimiter = ',')]
    pub shapes: Vec<LogitShape>,
    /// Measure on this device, such as cpu, gpu or vulkan:1
    #[arg(long, value_name = "NAME", default_value = "cpu")]
    pub device: String,
    /// Times that each form is measured
    #[arg(long, default_value_t = 5)]
    pub repeats: usize,
    /// Print figures as one JSON line for each shape
    #[arg(long)]
    pub json: bool,
    /// What this process measures, which another one started
    #[arg(long, hide = true)]
    pub part: Option<Part>,
    /// What `cargo bench` says to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

impl Arguments {
    /// The device, once it is known to hold what was asked for.
    ///
    /// # Errors
    /// No repeats, a device that is not there, logits that it cannot hold.
    pub fn device(&self) -> anyhow::Result<Device> {
        anyhow::ensure!(self.repeats > 0, "--repeats must be at least 1");
        let device = device::find(&self.device)?;
        device.limits().check(&self.shapes.iter().map(buffer).collect::<Vec<_>>())?;
        Ok(device)
    }

    /// What the line of one shape says: figures of a part in this process, or a comparison of the forms,
    /// whose figures `measure` gets.
    ///
    /// # Errors
    /// A device that breaks down, forms that differ.
    pub fn line(
        &self,
        shape: LogitShape,
        device: &Device,
        measure: impl Fn(&Self, LogitShape, Part) -> anyhow::Result<Measured>,
    ) -> anyhow::Result<String> {
        if let Some(part) = self.part {
            return Ok(serde_json::to_string(&self.here(shape, device, part)?)?);
        }
        let comparison = self.compare(shape, device, |part| measure(self, shape, part))?;
        match self.json {
            true => Ok(serde_json::to_string(&comparison)?),
            false => Ok(comparison.table()),
        }
    }

    /// Measures a part in this process.
    ///
    /// # Errors
    /// A device that breaks down.
    pub fn here(&self, shape: LogitShape, device: &Device, part: Part) -> anyhow::Result<Measured> {
        device.run(Forms { shape, part, repeats: self.repeats })?
    }

    fn compare(
        &self,
        shape: LogitShape,
        device: &Device,
        part: impl Fn(Part) -> anyhow::Result<Measured>,
    ) -> anyhow::Result<Comparison> {
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
        Ok(Comparison {
            rows: shape.rows,
            vocabulary: shape.vocabulary,
            logits_mib: rounded(shape.bytes() as f64 / f64::from(1 << 20), 100.0),
            device: device.to_string(),
            repeats: self.repeats,
            largest_difference,
            memory,
            time_ratio: rounded(composed.median_s / kernel.median_s, 100.0),
            memory_ratio: memory_ratio(&kernel, &composed),
            kernel,
            composed,
        })
    }
}

fn buffer(shape: &LogitShape) -> Buffer {
    Buffer {
        what: format!("a tensor of logits [{}, {}]", shape.rows, shape.vocabulary),
        bytes: shape.bytes(),
        mend: Mend::Change("take fewer rows"),
    }
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
    vocabulary: usize,
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
        let Self { rows, vocabulary, device, repeats, logits_mib, memory, .. } = self;
        let times = |ratio: Option<f64>| ratio.map_or("–".into(), |ratio| format!("{ratio:.2}×"));
        [
            format!("{rows} × {vocabulary} on {device}\n"),
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
            "less the logits\n".into(),
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

/// The median of sorted values.
fn median(sorted: &[f64]) -> f64 {
    let (low, high) = ((sorted.len() - 1) / 2, sorted.len() / 2);
    0.5 * (sorted[low] + sorted[high])
}
