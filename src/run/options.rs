//! What a caller gives a run beside its configuration.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::device::{Device, Limits};
use crate::monitor::Monitor;
use crate::reward::Reward;

/// What a run is given beside its configuration; by default nothing, for a device that only its
/// memory limits.
pub struct Options {
    /// What the device can hold, and its name.
    pub limits: Limits,
    /// Whether a run that the folder holds already is replaced, its files removed.
    pub overwrite: bool,
    /// Whether a resumed run goes on though its configuration, its data or its model is not what it
    /// was, or its logs are not whole.
    pub allow_changes: bool,
    /// The step whose checkpoint a resumed run goes on from; the newest where there is none.
    pub resume_from: Option<u64>,
    /// Whether a few completions are tried before the first step, to say what keeps it from learning.
    pub tries_first: bool,
    /// Rewards beside those of the configuration, with their weights.
    pub rewards: Vec<(f64, Box<dyn Reward>)>,
    /// What listens to the run, beside its logs and its report, which are always written.
    pub monitors: Vec<Box<dyn Monitor>>,
    /// Asks the run to stop.
    pub stop: Stop,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            limits: Limits::none("the CPU"),
            overwrite: false,
            allow_changes: false,
            resume_from: None,
            tries_first: false,
            rewards: Vec::new(),
            monitors: Vec::new(),
            stop: Stop::default(),
        }
    }
}

impl Options {
    /// Those for a run on `device`.
    pub fn on(device: &Device) -> Self {
        Self { limits: device.limits(), ..Self::default() }
    }

    /// Adds a reward to those of the configuration.
    pub fn reward(mut self, weight: f64, reward: impl Reward + 'static) -> Self {
        self.rewards.push((weight, Box::new(reward)));
        self
    }

    /// Adds a monitor.
    pub fn monitor(mut self, monitor: impl Monitor + 'static) -> Self {
        self.monitors.push(Box::new(monitor));
        self
    }
}

/// A handle by which a run is asked to stop after its step, from any thread.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Asks it; whether it had been asked before.
    pub fn ask(&self) -> bool {
        self.0.swap(true, Ordering::SeqCst)
    }

    /// Whether it has been asked.
    pub fn is_asked(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}
