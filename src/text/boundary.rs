//! Where code that was written for well-meant files meets files from anywhere.
//!
//! The `tokenizers` crate panics on some of what it accepts as a file, and a template may nest deep. Here a panic
//! becomes an error, nothing of it is printed, and work that may not end is waited for only so long.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Once, mpsc};
use std::thread;
use std::time::Duration;

/// A stack that the deepest template of the budget does not fill, in a debug build too. Memory is taken as it is used.
const STACK_BYTES: usize = 64 << 20;

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// What `work` gives, or what its panic says.
///
/// # Errors
/// What a panic says.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    listen();
    let outside = QUIET.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    QUIET.set(outside);
    result.map_err(|panic| message_of(&*panic))
}

/// What `work` gives on a thread with a large stack of its own.
///
/// # Errors
/// What a panic says, or why no thread could be started.
pub fn with_large_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, String> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(STACK_BYTES);
        let thread = thread.spawn_scoped(scope, || caught(work));
        let thread = thread.map_err(|error| format!("no thread could be started: {error}"))?;
        thread.join().unwrap_or_else(|panic| Err(message_of(&*panic)))
    })
}

/// What `work` gives, if it gives it in time; work that does not is left behind.
pub(super) fn in_time<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, String> {
    let (sender, receiver) = mpsc::channel();
    let thread = thread::Builder::new().stack_size(STACK_BYTES);
    let thread = thread.spawn(move || {
        // Nobody listens any more where time is up.
        let _ = sender.send(caught(work));
    });
    thread.map_err(|error| format!("no thread could be started: {error}"))?;
    let late = |_| Err(format!("takes longer than {} s", limit.as_secs()));
    receiver.recv_timeout(limit).unwrap_or_else(late)
}

/// Makes panics of quiet threads silent; those of others are told as before.
fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                previous(info);
            }
        }));
    });
}

fn message_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "it gave up without a message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_its_message() {
        assert_eq!(caught(|| 3), Ok(3));
        assert_eq!(caught(|| panic!("a {}", "b")), Err::<(), _>("a b".to_owned()));
        assert_eq!(with_large_stack(|| panic!("c")), Err::<(), _>("c".to_owned()));
    }

    #[test]
    fn work_without_end_is_left_behind() {
        let (end, wait) = mpsc::channel::<()>();
        let late = in_time(Duration::from_millis(20), move || wait.recv().is_ok());
        assert!(late.unwrap_err().contains("takes longer"));
        drop(end);
        assert_eq!(in_time(Duration::from_secs(60), || 5), Ok(5));
    }

    #[test]
    fn a_large_stack_holds_what_an_ordinary_one_does_not() {
        fn deep(levels: usize) -> usize {
            let frame = std::hint::black_box([levels; 512]);
            if levels == 0 { 0 } else { 1 + deep(levels - 1) + frame[0] - levels }
        }
        // 6,000 frames of at least 4 kB.
        assert_eq!(with_large_stack(|| deep(6_000)), Ok(6_000));
    }
}
