//! Showing a run while it goes: a bar on a terminal, now and then a line elsewhere, or nothing.

use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::metrics::StepMetrics;

/// A part of a run that is shown by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Supervised learning before reinforcement learning.
    WarmStart,
    /// Reinforcement learning.
    Train,
    /// Solving held-out problems.
    Evaluate,
}

/// Where a run shows itself; cheap to ask when it shows nothing.
#[derive(Clone)]
pub struct Progress {
    watch: Watch,
}

/// One phase being shown, from [`Progress::begin`] until it is dropped.
pub struct Stage {
    progress: Progress,
    phase: Phase,
    total: u64,
    bar: Option<ProgressBar>,
    pacer: Pacer,
    began: Instant,
}

#[derive(Clone)]
enum Watch {
    Quiet,
    Lines(Arc<Mutex<Box<dyn Write + Send>>>),
    Bars(MultiProgress),
}

impl Progress {
    /// Bars when standard error is a terminal, lines on standard error when not, warnings alone when
    /// `quiet`.
    pub fn new(quiet: bool) -> Self {
        let watch = match quiet {
            true => Watch::Quiet,
            false if std::io::stderr().is_terminal() => Watch::Bars(MultiProgress::new()),
            false => return Self::lines(std::io::stderr()),
        };
        Self { watch }
    }

    /// Plain lines into `writer`.
    pub fn lines(writer: impl Write + Send + 'static) -> Self {
        Self { watch: Watch::Lines(Arc::new(Mutex::new(Box::new(writer)))) }
    }

    /// Shows a message above the bars, or as a line of its own.
    pub fn message(&self, text: &str) {
        // A terminal that went away must not end a run that can go on without it.
        let _ = match &self.watch {
            Watch::Quiet => Ok(()),
            Watch::Bars(bars) => bars.println(text),
            Watch::Lines(writer) => {
                writeln!(writer.lock().unwrap_or_else(PoisonError::into_inner), "{text}")
            }
        };
    }

    /// Shows what a person must know of a run, which a quiet one tells, too.
    pub fn warning(&self, text: &str) {
        match &self.watch {
            Watch::Quiet => drop(writeln!(std::io::stderr(), "{text}")),
            _ => self.message(text),
        }
    }

    /// Begins to show a phase of `total` units, of which `done` were done before, as on a resume.
    pub fn begin(&self, phase: Phase, done: u64, total: u64) -> Stage {
        let bar = match &self.watch {
            Watch::Bars(bars) => Some(bars.add(new_bar(phase, done, total))),
            _ => None,
        };
        let pacer = Pacer { start: done, total, last: None };
        Stage { progress: self.clone(), phase, total, bar, pacer, began: Instant::now() }
    }
}

impl Stage {
    /// Shows that `done` units are done, with a short `note` such as "loss 0.31".
    pub fn advance(&mut self, done: u64, note: &str) {
        if let Some(bar) = &self.bar {
            bar.set_position(done);
            bar.set_message(note.to_owned());
        } else if matches!(self.progress.watch, Watch::Lines(_)) {
            self.advance_line(done, note);
        }
    }

    /// Shows the metrics of a training step.
    pub fn step(&mut self, metrics: &StepMetrics) {
        self.advance(metrics.step, &step_note(metrics));
    }

    fn advance_line(&mut self, done: u64, note: &str) {
        let elapsed_secs = self.began.elapsed().as_secs_f64();
        if !self.pacer.is_due(done, elapsed_secs) {
            return;
        }
        let eta = self.pacer.eta_secs(done, elapsed_secs);
        let eta = eta.map(|secs| format!("{}{} left", self.phase.bound(), duration_text(secs)));
        let parts = [note, eta.as_deref().unwrap_or_default()];
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        let place = format!("{} {done}/{}", self.phase.name(), self.total);
        let line = format!("{place}: {}", parts.join(", "));
        self.progress.message(line.trim_end_matches(": "));
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Phase {
    fn name(self) -> &'static str {
        match self {
            Self::WarmStart => "warm start",
            Self::Train => "train",
            Self::Evaluate => "evaluate",
        }
    }

    /// What stands before the time left: a warm start ends as soon as it is good enough.
    fn bound(self) -> &'static str {
        if self == Self::WarmStart { "at most " } else { "" }
    }
}

/// Decides which of many updates become a line of a log.
struct Pacer {
    start: u64,
    total: u64,
    last: Option<(u64, f64)>,
}

impl Pacer {
    const MOST_SILENCE_SECS: f64 = 10.0;

    /// True for the first and the last update, after a twentieth of all, and after ten seconds.
    fn is_due(&mut self, done: u64, elapsed_secs: f64) -> bool {
        let stride = (self.total - self.start.min(self.total)).div_ceil(20).max(1);
        let due = match self.last {
            None => true,
            Some((last_done, last_secs)) => {
                done >= last_done + stride
                    || elapsed_secs - last_secs >= Self::MOST_SILENCE_SECS
                    || (done >= self.total && last_done < self.total)
            }
        };
        if due {
            self.last = Some((done, elapsed_secs));
        }
        due
    }

    /// Seconds left at the pace so far; `None` before there is a pace and after the end.
    fn eta_secs(&self, done: u64, elapsed_secs: f64) -> Option<f64> {
        let (fresh, left) = (done.checked_sub(self.start)?, self.total.checked_sub(done)?);
        (fresh > 0 && left > 0).then(|| elapsed_secs / fresh as f64 * left as f64)
    }
}

fn new_bar(phase: Phase, done: u64, total: u64) -> ProgressBar {
    // The message comes last and is cut at the edge: a line that wraps leaves its parts behind.
    let bound = phase.bound();
    let template =
        format!("{{prefix:<10}} {{bar:10}} {{pos}}/{{len}} {bound}{{eta}} left, {{wide_msg}}");
    let style = ProgressStyle::with_template(&template);
    let bar = ProgressBar::new(total).with_position(done).with_prefix(phase.name());
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.reset_eta();
    // A step may take a minute: the clock shows that the program still lives.
    bar.enable_steady_tick(Duration::from_secs(1));
    bar
}

fn step_note(metrics: &StepMetrics) -> String {
    let skipped = if metrics.skipped { ", skipped" } else { "" };
    format!(
        "reward {:.3}, accuracy {:.1} %, {:.0} tok/s{skipped}",
        metrics.reward,
        100.0 * metrics.accuracy,
        metrics.rollout_tokens_per_s
    )
}

/// Seconds as a person says them: `42 s`, `3 min 05 s`, `2 h 07 min`.
pub fn duration_text(secs: f64) -> String {
    let whole_secs = secs.max(0.0).round() as u64;
    match (whole_secs / 3600, whole_secs / 60 % 60, whole_secs % 60) {
        (0, 0, secs) => format!("{secs} s"),
        (0, minutes, secs) => format!("{minutes} min {secs:02} s"),
        (hours, minutes, _) => format!("{hours} h {minutes:02} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Page {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn pacer(start: u64, total: u64) -> Pacer {
        Pacer { start, total, last: None }
    }

    #[test]
    fn a_fast_run_of_many_steps_prints_about_twenty_lines() {
        let mut pacer = pacer(0, 1000);
        let due: Vec<u64> = (1..=1000).filter(|&done| pacer.is_due(done, 0.001)).collect();
        assert_eq!((due[0], due[1], due[due.len() - 1]), (1, 51, 1000));
        assert_eq!(due.len(), 21);
    }

    #[test]
    fn a_slow_run_is_never_silent_for_much_longer_than_ten_seconds() {
        let mut pacer = pacer(0, 1000);
        let due: Vec<u64> = (1..=8).filter(|&done| pacer.is_due(done, 4.0 * done as f64)).collect();
        assert_eq!(due, [1, 4, 7]);
    }

    #[test]
    fn the_time_left_counts_only_steps_of_this_sitting() {
        assert_eq!(pacer(90, 100).eta_secs(95, 10.0), Some(10.0));
        assert_eq!(pacer(90, 100).eta_secs(90, 10.0), None);
        assert_eq!(pacer(0, 100).eta_secs(100, 10.0), None);
    }

    #[test]
    fn a_line_tells_step_reward_accuracy_and_speed() {
        let page = Page::default();
        let progress = Progress::lines(page.clone());
        let metrics = StepMetrics {
            step: 3,
            reward: 0.5,
            accuracy: 0.25,
            rollout_tokens_per_s: 1234.4,
            ..StepMetrics::default()
        };
        progress.begin(Phase::Train, 2, 3).step(&metrics);
        assert_eq!(page.text(), "train 3/3: reward 0.500, accuracy 25.0 %, 1234 tok/s\n");
    }

    #[test]
    fn a_line_without_a_note_tells_only_how_far_it_is() {
        let page = Page::default();
        let progress = Progress::lines(page.clone());
        progress.begin(Phase::Evaluate, 0, 5).advance(5, "");
        assert_eq!(page.text(), "evaluate 5/5\n");
    }

    #[test]
    fn messages_stand_between_the_lines_of_a_stage() {
        let page = Page::default();
        let progress = Progress::lines(page.clone());
        let mut stage = progress.begin(Phase::WarmStart, 0, 2);
        stage.advance(1, "loss 2.00");
        progress.message("checkpoint saved");
        stage.advance(2, "loss 1.00");
        let text = page.text();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("warm start 1/2: loss 2.00"));
        assert_eq!(lines[1..], ["checkpoint saved", "warm start 2/2: loss 1.00"]);
    }

    #[test]
    fn a_stage_of_no_units_is_no_error() {
        let page = Page::default();
        Progress::lines(page.clone()).begin(Phase::Evaluate, 0, 0).advance(0, "no problems");
        assert_eq!(page.text(), "evaluate 0/0: no problems\n");
    }

    #[test]
    fn bars_give_way_to_messages_and_leave_nothing_behind() {
        let terminal = indicatif::InMemoryTerm::new(5, 100);
        let target = indicatif::ProgressDrawTarget::term_like(Box::new(terminal.clone()));
        let bars = MultiProgress::with_draw_target(target);
        let progress = Progress { watch: Watch::Bars(bars) };
        let mut stage = progress.begin(Phase::Train, 0, 4);
        stage.advance(1, "reward 0.500");
        progress.message("checkpoint saved");
        stage.advance(2, "reward 0.750");
        drop(stage);
        assert_eq!(terminal.contents(), "checkpoint saved");
    }

    #[test]
    fn times_are_told_in_the_units_of_a_person() {
        let told = [0.4, 42.0, 185.0, 7620.0].map(duration_text);
        assert_eq!(told, ["0 s", "42 s", "3 min 05 s", "2 h 07 min"]);
    }
}
