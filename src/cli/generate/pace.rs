//! How fast tokens come.

use std::fmt;
use std::time::{Duration, Instant};

/// The tokens of a generation and when they came.
#[derive(Debug)]
pub(super) struct Pace {
    began: Instant,
    first: Option<Duration>,
    last: Duration,
    tokens: usize,
}

impl Pace {
    /// The generation begins now.
    pub(super) fn begin() -> Self {
        Self { began: Instant::now(), first: None, last: Duration::ZERO, tokens: 0 }
    }

    /// So many more tokens have come.
    pub(super) fn count(&mut self, tokens: usize) {
        self.count_at(tokens, self.began.elapsed());
    }

    fn count_at(&mut self, tokens: usize, now: Duration) {
        self.first.get_or_insert(now);
        self.last = now;
        self.tokens += tokens;
    }
}

impl fmt::Display for Pace {
    /// As in `23 tokens in 1.20 s, 19.2 tok/s, the first after 0.31 s`; the time is that of the prompt, too.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, secs) = (self.first.unwrap_or_default(), self.last.as_secs_f64());
        let (tokens, plural) = (self.tokens, if self.tokens == 1 { "" } else { "s" });
        let rate = tokens as f64 / secs.max(1e-9);
        write!(f, "{tokens} token{plural} in {secs:.2} s, {rate:.1} tok/s")?;
        write!(f, ", the first after {:.2} s", first.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_counted_over_the_time_from_the_beginning_to_the_last() {
        let mut pace = Pace::begin();
        pace.count_at(1, Duration::from_millis(500));
        assert_eq!(pace.to_string(), "1 token in 0.50 s, 2.0 tok/s, the first after 0.50 s");
        pace.count_at(8, Duration::from_millis(1000));
        pace.count_at(3, Duration::from_millis(1250));
        assert_eq!(pace.to_string(), "12 tokens in 1.25 s, 9.6 tok/s, the first after 0.50 s");
    }
}
