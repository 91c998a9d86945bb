//! Rewards of a person's own, without Rust: a program, a Python function, a web server, a judging model.
//!
//! They run outside of this program and may fail. A failure is never a score: it ends the run, or the
//! group that it concerns leaves the step and is counted ([`OnFailure`]).

mod command;
mod failure;
mod http;
mod judge;
mod keys;
mod place;
mod program;
mod python;
mod reply;
mod request;
#[cfg(test)]
mod tests;
mod web;

use std::path::Path;
use std::thread;
use std::time::Duration;

use super::{Asks, Item, Reward, RewardError};

pub use command::CommandReward;
pub use http::HttpReward;
pub use judge::JudgeReward;
pub use keys::OnFailure;
pub use python::PythonReward;

use failure::Failure;
use keys::Keys;
use place::Place;

/// A reward of a few lines that runs as `command` and as `python`.
pub const EXAMPLE: &str = include_str!("example.py");

/// The wait before a second try; each further one takes twice as long, up to [`LONGEST_PAUSE`].
const PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// A way to somebody who answers a request with scores.
trait Way: Send + Sync {
    /// Begins what has to be there before the first request.
    fn begin(&self) -> Result<(), Failure> {
        Ok(())
    }

    /// The answer to a request of one line of JSON, within a time.
    fn ask(&self, request: &[u8], time: Duration) -> Result<Vec<u8>, Failure>;

    /// Gives up whoever gave an answer that nobody understands: what else they say may be of another
    /// request.
    fn abandon(&self) {}
}

/// A reward at the end of a way.
struct Own<W> {
    keys: Keys,
    way: W,
    place: Place,
}

impl<W: Way> Own<W> {
    fn ask_in_parts(
        &self,
        items: &[Item],
        scores: &mut Vec<Option<f64>>,
    ) -> Result<(), RewardError> {
        match request::of(items) {
            Some(request) => scores.extend(self.ask(&request, items.len())?),
            None if items.len() > 1 => {
                let (first, second) = items.split_at(items.len() / 2);
                self.ask_in_parts(first, scores)?;
                self.ask_in_parts(second, scores)?;
            }
            None => return Err(self.place.report(Failure::Large, None)),
        }
        Ok(())
    }

    fn ask(&self, request: &[u8], count: usize) -> Result<Vec<Option<f64>>, RewardError> {
        let answer = patiently(self.keys.retries, || {
            let answer = self.way.ask(request, self.keys.timeout)?;
            let scores = reply::scores(&answer, count);
            if scores.as_ref().is_err_and(|failure| !matches!(failure, Failure::Reported(_))) {
                self.way.abandon();
            }
            scores
        });
        answer.map_err(|failure| self.place.report(failure, Some(request)))
    }
}

impl<W: Way> Reward for Own<W> {
    fn name(&self) -> &str {
        &self.keys.name
    }

    fn score_batch(&self, items: &[Item]) -> Result<Vec<Option<f64>>, RewardError> {
        let mut scores = Vec::with_capacity(items.len());
        if !items.is_empty() {
            self.ask_in_parts(items, &mut scores)?;
        }
        Ok(scores)
    }

    fn full_score(&self) -> Option<f64> {
        self.keys.solved_at
    }

    fn start(&self) -> Result<(), RewardError> {
        self.way.begin().map_err(|failure| self.place.report(failure, None))
    }

    fn keep_in(&self, folder: &Path, name: &str) {
        self.place.keep_in(folder, name);
    }

    fn asks(&self) -> Asks {
        if self.drops_groups() { Asks::ByGroup } else { Asks::Once }
    }

    fn drops_groups(&self) -> bool {
        self.keys.on_failure == OnFailure::Drop
    }
}

/// Does what may fail in passing again, with longer and longer pauses.
fn patiently<T>(
    retries: usize,
    mut attempt: impl FnMut() -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut pause = PAUSE;
    for _ in 0..retries {
        match attempt() {
            Err(failure) if failure.is_passing() => thread::sleep(pause),
            done => return done,
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    attempt()
}
