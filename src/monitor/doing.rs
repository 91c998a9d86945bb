//! What a run is doing, for whoever asks it to stop: how long that takes, and what is lost if it ends at once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::event::{Event, Monitor, MonitorError};
use super::progress::{Phase, duration_text};

/// Seconds below which nobody needs to be told how long a step takes.
const SOON_SECS: f64 = 1.0;

/// What a run is doing now; a monitor, of which any thread may ask.
#[derive(Debug, Clone, Default)]
pub struct Doing(Arc<Mutex<Now>>);

#[derive(Debug, Default)]
struct Now {
    what: What,
    /// Training steps done, and of these those that a checkpoint has.
    done: u64,
    saved: u64,
    /// When the step under way began, and how long the one before it took.
    began: Option<Instant>,
    step_secs: Option<f64>,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum What {
    #[default]
    Opening,
    WarmStart,
    Evaluation,
    Training,
    Ending,
}

impl Doing {
    /// Whether nothing is there yet that could be lost or has to be ended in order.
    pub fn is_opening(&self) -> bool {
        self.now().what == What::Opening
    }

    /// What happens when the run is asked to stop now.
    pub fn stop_text(&self) -> String {
        let now = self.now();
        let again = format!("Ctrl-C again ends at once and loses {}", now.lost());
        match now.what {
            What::Opening => "ending before the run began; nothing is lost".into(),
            What::WarmStart => {
                "ending the warm start, which is not kept; Ctrl-C again ends at once".into()
            }
            What::Evaluation => format!("ending the evaluation and saving the run; {again}"),
            What::Training => {
                format!("ending after this step{} and saving it; {again}", now.left())
            }
            What::Ending => format!("the run is being saved; {again}"),
        }
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Now {
    fn lost(&self) -> String {
        match self.done - self.saved.min(self.done) {
            0 => "this step alone".into(),
            1 => format!("step {} and this one", self.done),
            count if self.saved == 0 => format!("all {count} steps"),
            count => format!("the {count} steps since step {}", self.saved),
        }
    }

    /// How long the step under way still takes.
    fn left(&self) -> String {
        let spent = self.began.map_or(0.0, |began| began.elapsed().as_secs_f64());
        match self.step_secs {
            None => ", the first one, of which nobody knows how long it takes,".into(),
            Some(secs) if secs - spent > SOON_SECS => {
                format!(", in about {},", duration_text(secs - spent))
            }
            Some(_) => String::new(),
        }
    }

    fn take(&mut self, event: &Event<'_>) {
        match event {
            Event::PhaseBegan { phase: Phase::WarmStart, .. } => self.what = What::WarmStart,
            Event::PhaseBegan { phase: Phase::Train, done, .. } => {
                (self.what, self.done) = (What::Training, *done);
                self.began = Some(Instant::now());
            }
            Event::Started(_) | Event::Evaluating { .. } => self.what = What::Evaluation,
            Event::Evaluated(_) => {
                self.what = What::Training;
                self.began = Some(Instant::now());
            }
            Event::Resumed { step, .. } => (self.done, self.saved) = (*step, *step),
            Event::CheckpointSaved { step, .. } => self.saved = *step,
            Event::Step(step) => {
                self.done = step.metrics.step;
                self.step_secs = Some(step.metrics.step_secs);
                self.began = Some(Instant::now());
            }
            Event::PhaseEnded => self.what = What::Ending,
            _ => {}
        }
    }
}

impl Monitor for Doing {
    fn name(&self) -> &'static str {
        "what is told when the run is asked to stop"
    }

    fn take(&mut self, event: &Event<'_>) -> Result<(), MonitorError> {
        self.now().take(event);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::{RunPlan, StepEvent, StepMetrics};

    #[test]
    fn whoever_stops_a_run_is_told_what_ends_when_and_what_would_be_lost() {
        let mut doing = Doing::default();
        let told = |doing: &Doing, words: &[&str]| {
            let text = doing.stop_text();
            words.iter().for_each(|word| assert!(text.contains(word), "{text}"));
        };
        assert!(doing.is_opening());
        told(&doing, &["nothing is lost"]);
        let take = |doing: &mut Doing, event: Event<'_>| doing.take(&event).unwrap();
        take(&mut doing, Event::Started(&RunPlan::default()));
        assert!(!doing.is_opening());
        take(&mut doing, Event::PhaseBegan { phase: Phase::WarmStart, done: 0, total: 9 });
        told(&doing, &["ending the warm start"]);
        take(&mut doing, Event::PhaseBegan { phase: Phase::Train, done: 0, total: 9 });
        told(&doing, &["the first one", "loses this step alone"]);
        let metrics = StepMetrics { step: 3, step_secs: 60.0, ..StepMetrics::default() };
        take(&mut doing, Event::Step(StepEvent { metrics: &metrics, samples: &[], shown: None }));
        told(&doing, &["ending after this step, in about", "loses all 3 steps"]);
        take(&mut doing, Event::CheckpointSaved { step: 1, folder: "".as_ref() });
        told(&doing, &["loses the 2 steps since step 1"]);
        take(&mut doing, Event::Evaluating { step: 3, problems: 9, done: 1, total: 9 });
        told(&doing, &["ending the evaluation"]);
        take(&mut doing, Event::PhaseEnded);
        told(&doing, &["being saved"]);
    }
}
