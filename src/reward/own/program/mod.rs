//! A program that answers lines on its standard input with lines on its standard output, for as long as the
//! run takes.

mod errors;
mod group;
mod lines;

use std::io::Write;
use std::process::{ChildStdin, ExitStatus};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

pub(super) use errors::Errors;

use super::failure::Failure;
use super::{Way, reply};
use crate::quote::shown;
use group::Group;
use lines::Line;

/// How often a silent program is looked after.
const LOOK: Duration = Duration::from_millis(50);
/// How long the last line of a program that has ended may take.
const LAST_LINE: Duration = Duration::from_millis(300);
/// How long a program that says when it is ready may take to: importing PyTorch takes its time.
const START: Duration = Duration::from_secs(120);

/// A program, started when it is first needed and started anew where it failed.
pub(super) struct Program {
    /// The program and its arguments; nothing of it goes through a shell.
    line: Vec<String>,
    /// Whether its first line says that it is ready.
    says_ready: bool,
    live: Mutex<Option<Live>>,
    errors: Arc<Errors>,
}

/// A program under way.
struct Live {
    group: Group,
    requests: SyncSender<Vec<u8>>,
    answers: Receiver<Line>,
    errors: thread::JoinHandle<()>,
}

impl Program {
    pub(super) fn new(line: Vec<String>, says_ready: bool, errors: Arc<Errors>) -> Self {
        Self { line, says_ready, live: Mutex::default(), errors }
    }

    fn live(&self) -> MutexGuard<'_, Option<Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self) -> Result<Live, Failure> {
        let mut live = Live::start(&self.line, &self.errors).map_err(|error| Failure::Start {
            program: shown(&self.line[0]).into_owned(),
            reason: error.to_string(),
        })?;
        if self.says_ready {
            live.answer(START).and_then(|line| reply::ready(&line))?;
        }
        Ok(live)
    }

    /// The program under way, started if there is none.
    fn started<'a>(&self, live: &'a mut Option<Live>) -> Result<&'a mut Live, Failure> {
        match live {
            Some(live) => Ok(live),
            none => Ok(none.insert(self.start()?)),
        }
    }
}

impl Way for Program {
    fn begin(&self) -> Result<(), Failure> {
        self.started(&mut self.live()).map(|_| ())
    }

    fn ask(&self, request: &[u8], time: Duration) -> Result<Vec<u8>, Failure> {
        let mut live = self.live();
        let answer = self.started(&mut live).and_then(|live| live.ask(request, time));
        if answer.is_err() {
            *live = None;
        }
        answer
    }

    fn abandon(&self) {
        *self.live() = None;
    }
}

impl Live {
    fn start(line: &[String], errors: &Arc<Errors>) -> std::io::Result<Self> {
        let (group, pipes) = Group::start(line)?;
        let (requests, to_write) = sync_channel(1);
        let (read, answers) = sync_channel(1);
        named("reward requests", move || write(pipes.stdin, &to_write))?;
        named("reward answers", move || lines::read(pipes.stdout, &read))?;
        let errors = Arc::clone(errors);
        let errors = named("reward errors", move || errors.read(pipes.stderr))?;
        Ok(Self { group, requests, answers, errors })
    }

    fn ask(&mut self, request: &[u8], time: Duration) -> Result<Vec<u8>, Failure> {
        if let Ok(early) = self.answers.try_recv() {
            let shown = shown(&String::from_utf8_lossy(&whole(early)?)).into_owned();
            return Err(Failure::Unasked { shown });
        }
        let line = [request, b"\n"].concat();
        // A writer that is gone is told by what follows: no answer comes.
        let _ = self.requests.try_send(line);
        self.answer(time)
    }

    /// The next line, within a time.
    fn answer(&mut self, time: Duration) -> Result<Vec<u8>, Failure> {
        let begun = Instant::now();
        loop {
            let left = time.saturating_sub(begun.elapsed());
            match self.answers.recv_timeout(left.min(LOOK)) {
                Ok(line) => return whole(line),
                Err(RecvTimeoutError::Disconnected) => return Err(self.died(begun, time)),
                Err(RecvTimeoutError::Timeout) if left.is_zero() => {
                    return Err(Failure::TimedOut { seconds: time.as_secs_f64() });
                }
                // What it started may still hold its standard output open.
                Err(RecvTimeoutError::Timeout) if let Some(status) = self.group.ended() => {
                    let last = self.answers.recv_timeout(LAST_LINE);
                    return last.map_or_else(|_| Err(died(status)), whole);
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// What to say of a program that has closed its standard output.
    fn died(&mut self, begun: Instant, time: Duration) -> Failure {
        loop {
            if let Some(status) = self.group.ended() {
                return died(status);
            }
            if begun.elapsed() > time {
                return Failure::Died { status: "its standard output is closed".to_owned() };
            }
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Live {
    /// Ends the program with all that it has started, and lets the last it said be read.
    fn drop(&mut self) {
        self.group.end();
        let begun = Instant::now();
        while !self.errors.is_finished() && begun.elapsed() < LAST_LINE {
            thread::sleep(Duration::from_millis(2));
        }
    }
}

fn whole(line: Line) -> Result<Vec<u8>, Failure> {
    match line {
        Line::Whole(line) => Ok(line),
        Line::TooLong => Err(Failure::Long { bytes: reply::MOST_BYTES }),
    }
}

fn died(status: ExitStatus) -> Failure {
    Failure::Died { status: status.to_string() }
}

/// Writes requests until nobody has any, or the program no longer reads.
fn write(mut to: ChildStdin, requests: &Receiver<Vec<u8>>) {
    for request in requests {
        if to.write_all(&request).and_then(|()| to.flush()).is_err() {
            return;
        }
    }
}

/// A thread that lives as long as its program, and touches nothing but pipes.
fn named(
    name: &str,
    work: impl FnOnce() + Send + 'static,
) -> std::io::Result<thread::JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).spawn(work)
}
