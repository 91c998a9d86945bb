//! A run through the library: what it tells, how it stops, and that it is the run of the command.

use std::cell::RefCell;
use std::rc::Rc;

use wgrpo::config::RunConfig;
use wgrpo::data::Problem;
use wgrpo::monitor::{Event, Monitor, MonitorError, Phase};
use wgrpo::reward::{Completion, Reward};
use wgrpo::run::{Options, Outcome, Run, RunError, Stop};

use crate::command_line::{assert_same_run, metrics};
use crate::program::{Scene, says};
use crate::support::{Cpu, device};

type Heard = Rc<RefCell<Vec<String>>>;

/// Writes down the name of every event, and does something at each step.
struct Witness<F> {
    heard: Heard,
    at_step: F,
}

impl<F: FnMut(u64) -> Result<(), MonitorError>> Monitor for Witness<F> {
    fn name(&self) -> &'static str {
        "the witness"
    }

    fn take(&mut self, event: &Event<'_>) -> Result<(), MonitorError> {
        let name = match event {
            Event::Started(plan) => format!("started, {} held out", plan.held_out),
            Event::Resumed { step, .. } => format!("resumed {step}"),
            Event::PhaseBegan { phase: Phase::WarmStart, .. } => "warm start begins".into(),
            Event::PhaseBegan { done, total, .. } => format!("training begins {done}/{total}"),
            Event::PhaseEnded => "phase ends".into(),
            Event::WarmStartStep { steps, .. } => format!("warm start step {steps}"),
            Event::WarmStarted { steps, .. } => format!("warm started {steps}"),
            Event::Step(step) => format!("step {}", step.metrics.step),
            Event::Evaluating { .. } => return Ok(()),
            Event::Evaluated(metrics) => format!("evaluated {}", metrics.step),
            Event::CheckpointBegins { step } => format!("saving {step}"),
            Event::CheckpointSaved { step, folder } => {
                assert!(folder.join("state.json").exists(), "it is not whole yet");
                format!("saved {step}")
            }
            Event::Finished { facts, .. } => format!("finished {}", facts.steps),
            Event::Finding(_) => return Ok(()),
            Event::Message(text) => format!("message: {text}"),
        };
        self.heard.borrow_mut().push(name);
        match event {
            Event::Step(step) => (self.at_step)(step.metrics.step),
            _ => Ok(()),
        }
    }
}

/// Options with a witness that does `at_step`, and what it hears.
fn watched(at_step: impl FnMut(u64) -> Result<(), MonitorError> + 'static) -> (Options, Heard) {
    let heard = Heard::default();
    (Options::default().monitor(Witness { heard: heard.clone(), at_step }), heard)
}

fn config(scene: &Scene, folder: &str, set: &[&str]) -> RunConfig {
    let set: Vec<String> = set.iter().map(|key| (*key).to_owned()).collect();
    let mut config = RunConfig::load(&scene.path("tiny.yaml"), &set).unwrap();
    config.output_dir = scene.path(folder);
    config
}

fn to_the_end(mut run: Run<Cpu>) -> Result<Outcome, RunError> {
    while !run.is_over() {
        run.step()?;
    }
    run.finish()
}

fn begun(config: RunConfig, options: Options) -> Result<Outcome, RunError> {
    to_the_end(Run::begin(config, &device(), options)?)
}

#[test]
fn a_run_tells_its_events_in_the_order_of_its_life() {
    let scene = Scene::new();
    let set = [
        "max_steps=2",
        "eval.every_steps=1",
        "checkpoint.save_steps=2",
        "warm_start={max_steps: 2, check_every: 2, batch_size: 4, stop_accuracy: 1}",
    ];
    let (options, heard) = watched(|_| Ok(()));
    begun(config(&scene, "run", &set), options).unwrap();
    let expected = [
        "started, 12 held out",
        "warm start begins",
        "warm start step 1",
        "warm start step 2",
        "phase ends",
        "warm started 2",
        "evaluated 0",
        "saving 0",
        "saved 0",
        "training begins 0/2",
        "step 1",
        "evaluated 1",
        "step 2",
        "saving 2",
        "saved 2",
        "phase ends",
        "evaluated 2",
        "finished 2",
    ];
    assert_eq!(*heard.borrow(), expected);
}

#[test]
fn a_run_of_the_library_is_that_of_the_command() {
    let scene = Scene::new();
    scene.train("command", &[]);
    let outcome = begun(config(&scene, "library", &[]), Options::default()).unwrap();
    assert_same_run(&scene, "command", "library");
    assert_eq!(outcome.report, scene.read("library/report.txt"));
    assert_eq!((outcome.facts.steps, outcome.history.len()), (3, 3));
}

#[test]
fn a_run_that_is_asked_to_stop_ends_after_its_step_and_goes_on_as_if_it_had_not() {
    let scene = Scene::new();
    scene.train("whole", &[]);
    let set = ["checkpoint.save_steps=0"];
    let stop = Stop::default();
    let asked = stop.clone();
    let (options, heard) = watched(move |step| {
        if step == 2 {
            asked.ask();
        }
        Ok(())
    });
    let outcome = begun(config(&scene, "run", &set), Options { stop, ..options }).unwrap();
    says(&outcome.report, &["2 of 3, stopped early"]);
    assert_eq!(heard.borrow()[4..], ["step 2", "phase ends", "saving 2", "saved 2", "finished 2"]);

    let (options, heard) = watched(|_| Ok(()));
    let run = Run::<Cpu>::resume(config(&scene, "run", &set), &device(), options).unwrap();
    to_the_end(run).unwrap();
    let expected = ["started, 12 held out", "resumed 2", "training begins 2/3", "step 3"];
    assert_eq!(heard.borrow()[..4], expected);
    assert_same_run(&scene, "whole", "run");
}

/// Asks a run to stop in the middle of its evaluation after a step.
struct StopsEvaluation {
    after: u64,
    stop: Stop,
}

impl Monitor for StopsEvaluation {
    fn name(&self) -> &'static str {
        "the impatient"
    }

    fn take(&mut self, event: &Event<'_>) -> Result<(), MonitorError> {
        if matches!(event, Event::Evaluating { step, done: 1.., .. } if *step == self.after) {
            self.stop.ask();
        }
        Ok(())
    }
}

#[test]
fn an_evaluation_that_was_stopped_is_made_up_for_when_the_run_goes_on() {
    let scene = Scene::new();
    let set = ["eval.every_steps=1", "device.cache_tokens=20", "use_kl_loss=true"];
    begun(config(&scene, "whole", &set), Options::default()).unwrap();
    for after in [2, 3] {
        let folder = format!("stopped after {after}");
        let stop = Stop::default();
        let impatient = StopsEvaluation { after, stop: stop.clone() };
        let options = Options { stop, ..Options::default().monitor(impatient) };
        begun(config(&scene, &folder, &set), options).unwrap();
        let evaluations = scene.lines(&format!("{folder}/eval.jsonl")).len() as u64;
        assert_eq!(evaluations, after, "the one after step {after} was not stopped");
        let run = Run::<Cpu>::resume(config(&scene, &folder, &set), &device(), Options::default());
        to_the_end(run.unwrap()).unwrap();
        assert_same_run(&scene, "whole", &folder);
    }
}

#[test]
fn a_run_that_is_stopped_before_it_began_writes_nothing() {
    let scene = Scene::new();
    let options = Options::default();
    assert!(!options.stop.ask());
    let error = begun(config(&scene, "run", &[]), options).map(drop).unwrap_err();
    says(&error.to_string(), &["before the run began"]);
    assert!(!scene.path("run").exists());
}

#[test]
fn a_monitor_that_fails_is_told_of_and_left_out_and_the_run_ends_well() {
    let scene = Scene::new();
    let (options, failing) = watched(|step| match step {
        2 => Err("no ink".into()),
        _ => Ok(()),
    });
    let (other, heard) = watched(|_| Ok(()));
    let monitors = options.monitors.into_iter().chain(other.monitors).collect();
    begun(config(&scene, "run", &[]), Options { monitors, ..Options::default() }).unwrap();
    assert_eq!(failing.borrow().last().unwrap(), "step 2");
    let notice = "message: the witness is left out from now on: no ink".to_owned();
    assert!(heard.borrow().contains(&notice), "{heard:?}");
    assert_eq!(metrics(&scene, "run").len(), 3);
}

/// One point for a completion that begins with a one.
struct BeginsWithOne;

impl Reward for BeginsWithOne {
    fn name(&self) -> &'static str {
        "begins_with_one"
    }

    fn score(&self, _: &Problem, completion: &Completion) -> Option<f64> {
        Some(f64::from(completion.text.starts_with('1')))
    }
}

#[test]
fn a_reward_of_ones_own_counts_beside_those_of_the_configuration() {
    let scene = Scene::new();
    let set = ["rewards=[{kind: exact, weight: 0}]", "tracking.samples_every=1"];
    let options = Options::default().reward(2.0, BeginsWithOne);
    begun(config(&scene, "run", &set), options).unwrap();
    let samples = scene.lines("run/samples.jsonl");
    assert_eq!(samples.len(), 12);
    for line in samples {
        let is_one = line["completion"].as_str().unwrap().starts_with('1');
        let point = if is_one { 1.0 } else { 0.0 };
        assert_eq!(line["rewards"]["begins_with_one"], point);
        assert_eq!(line["reward"], 2.0 * point);
    }
}

#[test]
fn a_folder_that_holds_a_run_is_replaced_only_where_that_is_asked_for() {
    let scene = Scene::new();
    let set = ["max_steps=1"];
    begun(config(&scene, "run", &set), Options::default()).unwrap();
    let error = begun(config(&scene, "run", &set), Options::default()).map(drop).unwrap_err();
    assert!(matches!(error, RunError::Folder(_)), "{error}");
    begun(config(&scene, "run", &set), Options { overwrite: true, ..Options::default() }).unwrap();
    assert_eq!(metrics(&scene, "run").len(), 1);
    let nowhere = config(&scene, "nowhere", &set);
    let error = Run::<Cpu>::resume(nowhere, &device(), Options::default()).map(drop).unwrap_err();
    says(&error.to_string(), &["nowhere", "no checkpoint to resume from"]);
    assert!(!scene.path("nowhere").exists());
}
