//! Ctrl-C, termination and a terminal that goes away: the first asks a run to end after its step, the
//! second ends it at once. In a conversation Ctrl-C ends the reply, or between replies the program.

use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU8, Ordering};
use std::thread;
use std::time::Duration;

use super::output;
use crate::monitor::{Doing, Progress};
use crate::run::Stop;

/// What a shell adds to the number of the signal that ended a program.
const SIGNALLED: i32 = 128;

/// What has been asked of a run by signals.
#[derive(Debug, Clone, Default)]
pub(super) struct Interrupt {
    pub stop: Stop,
    signal: Arc<AtomicI32>,
    doing: Doing,
}

/// How long the opening of a run may take to notice that it is to stop.
const PATIENCE: Duration = Duration::from_millis(700);

impl Interrupt {
    /// The exit status of an interrupted run, as a shell has it for a program that a signal ended: 130
    /// after Ctrl-C, 143 after termination, 129 after the terminal went away.
    pub fn exit_code(&self) -> Option<u8> {
        match self.signal.load(Ordering::SeqCst) {
            0 => None,
            signal => u8::try_from(SIGNALLED + signal).ok(),
        }
    }

    fn take(&self, signal: i32, progress: &Progress) {
        if self.stop.is_asked() {
            process::exit(SIGNALLED + signal);
        }
        // Before the run can end by it and be asked for its status.
        self.signal.store(signal, Ordering::SeqCst);
        self.stop.ask();
        progress.message(&self.doing.stop_text());
        // Whoever reads weights or waits for a hub does not look; nothing is lost that a later run does not do again.
        if self.doing.is_opening() {
            thread::sleep(PATIENCE);
            if self.doing.is_opening() {
                process::exit(SIGNALLED + signal);
            }
        }
    }
}

/// Watches for signals from now on; `progress` says what happens next. Called when [`hear`] may be.
pub(super) fn watch(progress: &Progress, doing: &Doing) -> anyhow::Result<Interrupt> {
    let interrupt = Interrupt { doing: doing.clone(), ..Interrupt::default() };
    let (watching, progress) = (interrupt.clone(), progress.clone());
    hear(move |signal| watching.take(signal, &progress))?;
    Ok(interrupt)
}

/// What signals ask of a conversation: Ctrl-C ends the reply under way, or else the program, and any other
/// signal the program.
#[derive(Debug, Clone, Default)]
pub(super) struct ReplyInterrupt(Arc<AtomicU8>);

const NO_REPLY: u8 = 0;
const REPLYING: u8 = 1;
const ASKED_TO_STOP: u8 = 2;

impl ReplyInterrupt {
    /// Watches for signals from now on. Called when [`hear`] may be.
    pub fn watch() -> anyhow::Result<Self> {
        let interrupt = Self::default();
        let watching = interrupt.clone();
        hear(move |signal| watching.take(signal))?;
        Ok(interrupt)
    }

    /// From now on until [`Self::end`] a reply is under way.
    pub fn begin(&self) {
        self.0.store(REPLYING, Ordering::SeqCst);
    }

    /// The reply is over.
    pub fn end(&self) {
        self.0.store(NO_REPLY, Ordering::SeqCst);
    }

    /// Whether the reply is to stop.
    pub fn is_asked(&self) -> bool {
        self.0.load(Ordering::SeqCst) == ASKED_TO_STOP
    }

    fn take(&self, signal: i32) {
        let asks = || {
            let (seq, from, to) = (Ordering::SeqCst, REPLYING, ASKED_TO_STOP);
            self.0.compare_exchange(from, to, seq, seq).is_ok()
        };
        if signal != CTRL_C || !asks() {
            // The shell's prompt begins on a line of its own.
            output::say("");
            process::exit(SIGNALLED + signal);
        }
    }
}

/// The number of Ctrl-C's signal.
const CTRL_C: i32 = 2;

/// Calls `take` with the number of each signal from now on, on a thread of its own. Called before the
/// program has other threads, which would be ended by the signals that only this one's children leave alone.
#[cfg(unix)]
fn hear(take: impl Fn(i32) + Send + 'static) -> anyhow::Result<()> {
    let signals = unix::watched();
    signals.thread_block()?;
    let wait = move || {
        while let Ok(signal) = signals.wait() {
            take(signal as i32);
        }
    };
    std::thread::Builder::new().name("signals".into()).spawn(wait)?;
    Ok(())
}

/// Calls `take` at each Ctrl-C from now on.
#[cfg(not(unix))]
fn hear(take: impl Fn(i32) + Send + 'static) -> anyhow::Result<()> {
    Ok(ctrlc::set_handler(move || take(CTRL_C))?)
}

#[cfg(unix)]
mod unix {
    use std::mem::MaybeUninit;
    use std::ptr;

    use nix::libc;
    use nix::sys::signal::{SigSet, Signal};

    /// The signals that ask a run to end. One that goes away with its terminal stays ignored where
    /// whoever started the program ignores it, as `nohup` does.
    pub(super) fn watched() -> SigSet {
        let mut signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM]);
        if !is_ignored(Signal::SIGHUP) {
            signals.add(Signal::SIGHUP);
        }
        signals
    }

    #[allow(unsafe_code, reason = "nix sets what happens at a signal and does not tell it")]
    fn is_ignored(signal: Signal) -> bool {
        let mut action = MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: without a new action nothing is changed, and `action` has room for the old one, which
        // is read only where the call has filled it in.
        unsafe {
            libc::sigaction(signal as i32, ptr::null(), action.as_mut_ptr()) == 0
                && action.assume_init().sa_sigaction == libc::SIG_IGN
        }
    }
}
