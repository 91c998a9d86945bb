//! Ctrl-C, termination and a terminal that goes away: the first asks the run to end after its step, the
//! second ends it at once.

use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use crate::monitor::Progress;
use crate::run::Stop;

/// What a shell adds to the number of the signal that ended a program.
const SIGNALLED: i32 = 128;

/// What has been asked of a run by signals.
#[derive(Debug, Clone, Default)]
pub(super) struct Interrupt {
    pub stop: Stop,
    signal: Arc<AtomicI32>,
}

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
        progress.message("ending after this step and saving it; Ctrl-C again ends at once");
    }
}

/// Watches for signals from now on; `progress` says what happens next. Called before the program has
/// other threads, which would be ended by the signals that only this one's children leave alone.
#[cfg(unix)]
pub(super) fn watch(progress: &Progress) -> anyhow::Result<Interrupt> {
    let interrupt = Interrupt::default();
    let signals = unix::watched();
    signals.thread_block()?;
    let (watching, progress) = (interrupt.clone(), progress.clone());
    let wait = move || {
        while let Ok(signal) = signals.wait() {
            watching.take(signal as i32, &progress);
        }
    };
    std::thread::Builder::new().name("signals".into()).spawn(wait)?;
    Ok(interrupt)
}

/// Watches for Ctrl-C from now on; `progress` says what happens next.
#[cfg(not(unix))]
pub(super) fn watch(progress: &Progress) -> anyhow::Result<Interrupt> {
    const CTRL_C: i32 = 2;
    let interrupt = Interrupt::default();
    let (watching, progress) = (interrupt.clone(), progress.clone());
    ctrlc::set_handler(move || watching.take(CTRL_C, &progress))?;
    Ok(interrupt)
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
