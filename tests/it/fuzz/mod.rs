//! Generated inputs, and one rule for all of them: no panic, nothing over 5 seconds, nothing over 1 GB,
//! and a message that a person can read.
//!
//! Everything is seeded, so that a failure comes again. `WGRPO_FUZZ_CASES=N` tries N of each kind in place
//! of the few of an ordinary run; what was tried is printed (`cargo test fuzz -- --nocapture`).

mod binary;
pub mod changes;
mod folders;
pub mod memory;
mod roll;
mod yaml;
mod yaml_values;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use memory::peak_of;

/// Longest time that one input may take.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// Most memory that one input may take, in bytes.
pub const MOST_MEMORY: usize = 1 << 30;
/// Bytes of the longest message: more is not read by anybody.
const LONGEST_MESSAGE: usize = 4_000;

/// How many inputs of a kind are tried; `ordinary` without `WGRPO_FUZZ_CASES`.
pub fn cases(ordinary: u64) -> u64 {
    std::env::var("WGRPO_FUZZ_CASES").map_or(ordinary, |count| count.parse().unwrap())
}

/// What the inputs of a kind came to, printed at the end.
pub struct Tally {
    kind: String,
    /// Most bytes that an input may take.
    pub most: usize,
    pub tried: u64,
    pub refused: u64,
    slowest: Duration,
    peak: usize,
}

impl Tally {
    pub fn new(kind: &str) -> Self {
        let (slowest, peak) = (Duration::ZERO, 0);
        Self { kind: kind.into(), most: MOST_MEMORY, tried: 0, refused: 0, slowest, peak }
    }

    /// Gives one input to `work` on this thread and holds it to the rule.
    #[track_caller]
    pub fn watch<T>(
        &mut self,
        case: &str,
        work: impl FnOnce() -> Result<T, String>,
    ) -> Result<T, String> {
        let began = Instant::now();
        let (result, peak) = peak_of(|| catch_unwind(AssertUnwindSafe(work)));
        let result = result.unwrap_or_else(|_| panic!("{}: {case}: a panic", self.kind));
        self.note(case, began.elapsed(), peak, result.as_ref().err().map(String::as_str));
        result
    }

    /// Takes note of one input.
    #[track_caller]
    pub fn note(&mut self, case: &str, took: Duration, peak: usize, refusal: Option<&str>) {
        let kind = &self.kind;
        assert!(took < PATIENCE, "{kind}: {case}: {took:?}");
        assert!(peak <= self.most, "{kind}: {case}: {peak} bytes of {} at most", self.most);
        self.tried += 1;
        self.slowest = self.slowest.max(took);
        self.peak = self.peak.max(peak);
        let Some(message) = refusal else { return };
        self.refused += 1;
        assert!(message.len() < LONGEST_MESSAGE, "{kind}: {case}: {} bytes", message.len());
        let is_safe = |c: char| !c.is_control() || c == '\n';
        assert!(message.chars().all(is_safe), "{kind}: {case}: {message:?}");
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        println!(
            "{}: {} tried, {} refused, slowest {:.3} s, peak {:.1} MB",
            self.kind,
            self.tried,
            self.refused,
            self.slowest.as_secs_f64(),
            self.peak as f64 / 1e6
        );
    }
}
