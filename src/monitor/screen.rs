//! A run on the screen as a monitor: what it begins, how far it is, and now and then a completion.

use super::event::{Event, Monitor, MonitorError, RunPlan, StepEvent};
use super::progress::{Phase, Progress, Stage};
use super::sample_text::{finding_text, sample_text};

/// Shows a run by way of a [`Progress`].
pub struct Screen {
    progress: Progress,
    stage: Option<Stage>,
    evaluation: Option<Stage>,
    max_steps: u64,
}

impl Screen {
    /// One that shows nothing yet.
    pub fn new(progress: Progress) -> Self {
        Self { progress, stage: None, evaluation: None, max_steps: 0 }
    }

    fn started(&mut self, plan: &RunPlan) {
        self.max_steps = plan.max_steps;
        self.progress.message(&plan_text(plan));
        for note in &plan.notes {
            self.progress.warning(&format!("note       {note}"));
        }
        if let Some((asked, found)) = plan.reference_storage {
            self.progress.message(&storage_text(&plan.device, asked, found));
        }
    }

    fn advance(&mut self, done: u64, note: &str) {
        if let Some(stage) = &mut self.stage {
            stage.advance(done, note);
        }
    }

    fn evaluating(&mut self, step: u64, problems: u64, done: u64, total: u64) {
        if done == 0 {
            self.progress.message(&evaluation_text(step, problems));
            self.evaluation = Some(self.progress.begin(Phase::Evaluate, 0, total));
        } else if let Some(stage) = &mut self.evaluation {
            stage.advance(done, "");
        }
    }

    fn step(&mut self, step: &StepEvent<'_>) {
        if let Some(sample) = step.shown {
            self.progress.message(&sample_text(sample));
        }
        if let Some(stage) = &mut self.stage {
            stage.step(step.metrics);
        }
    }
}

impl Monitor for Screen {
    fn name(&self) -> &'static str {
        "the screen"
    }

    fn take(&mut self, event: &Event<'_>) -> Result<(), MonitorError> {
        if !matches!(event, Event::Evaluating { .. }) {
            self.evaluation = None;
        }
        match *event {
            Event::Started(plan) => self.started(plan),
            Event::Resumed { checkpoint, step } => {
                let folder = checkpoint.display();
                self.progress.message(&format!("resumed from {folder} after step {step}"));
            }
            Event::PhaseBegan { phase, done, total } => {
                self.stage = Some(self.progress.begin(phase, done, total));
            }
            Event::PhaseEnded => self.stage = None,
            Event::WarmStartStep { steps, loss, accuracy } => {
                let note = format!("loss {loss:.3}, accuracy {:.1} %", 100.0 * accuracy);
                self.advance(steps, &note);
            }
            Event::WarmStarted { steps, accuracy } => self.progress.message(&format!(
                "warm start {steps} supervised steps, accuracy {:.1} % on problems not shown",
                100.0 * accuracy
            )),
            Event::Step(step) => self.step(&step),
            Event::Evaluating { step, problems, done, total } => {
                self.evaluating(step, problems, done, total);
            }
            // The last one stands in the report.
            Event::Evaluated(found) if found.step < self.max_steps => {
                let (step, percent) = (found.step, 100.0 * found.accuracy);
                self.progress.message(&format!("step {step}: accuracy {percent:.1} % held out"));
            }
            // A quiet run tells it in its logs and its report.
            Event::Finding(finding) => self.progress.message(&finding_text(finding)),
            Event::Message(text) => self.progress.warning(text),
            Event::Evaluated(_)
            | Event::CheckpointBegins { .. }
            | Event::CheckpointSaved { .. }
            | Event::Finished { .. } => {}
        }
        Ok(())
    }
}

fn plan_text(plan: &RunPlan) -> String {
    let left_out = match plan.left_out {
        0 => String::new(),
        count => format!("; {count} left out, longer than prompt_length {}", plan.prompt_length),
    };
    format!(
        "model      {} parameters on {}\n\
         problems   {} to train on, {} held out{left_out}\n\
         steps      {} of {} prompts × {} completions\n\
         memory     {}",
        plan.parameters,
        plan.device,
        plan.problems,
        plan.held_out,
        plan.max_steps,
        plan.prompts,
        plan.completions,
        plan.memory,
    )
}

fn evaluation_text(step: u64, problems: u64) -> String {
    match step {
        0 => format!(
            "evaluation of {problems} held-out problems before training; eval.problems: COUNT takes fewer"
        ),
        step => format!("evaluation of {problems} held-out problems after step {step}"),
    }
}

fn storage_text(device: &str, asked: &str, found: &str) -> String {
    let why = match asked == found {
        true => String::new(),
        false => format!(", for {device} has no {asked}"),
    };
    format!("reference  its weights stored in {found}{why}")
}
