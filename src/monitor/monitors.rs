//! All that listens to a run: no failure of a monitor and no time that it takes stays unseen.

use std::time::{Duration, Instant};

use super::event::{Event, Monitor, MonitorError};

/// A monitor without which the run is worth nothing, and which failed.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct RecordFailed {
    /// What it is called.
    pub monitor: &'static str,
    /// What it said; not a `source`, since the message tells it already.
    pub reason: MonitorError,
}

/// The monitors of a run, which take every event in the order in which they were added.
///
/// A record that fails ends the run with what it said, after the others have taken the event. Any
/// other monitor that fails is left out from then on, which the rest are told as a
/// [`Event::Message`]. So is, once for each monitor, that it has taken more than a tenth of the time
/// since the run began, and more than a second.
pub struct Monitors {
    listeners: Vec<Listener>,
    began: Instant,
}

struct Listener {
    monitor: Box<dyn Monitor>,
    spent: Duration,
    called_slow: bool,
}

/// Below this nobody waits for a monitor.
const UNNOTICED: Duration = Duration::from_secs(1);

/// The largest share of a run's time that monitors may take unsaid.
const SMALL_SHARE: f64 = 0.1;

impl Default for Monitors {
    fn default() -> Self {
        Self { listeners: Vec::new(), began: Instant::now() }
    }
}

impl Monitors {
    /// Adds one, which takes every event from now on.
    pub fn add(&mut self, monitor: Box<dyn Monitor>) {
        self.listeners.push(Listener { monitor, spent: Duration::ZERO, called_slow: false });
    }

    /// Tells an event to all.
    ///
    /// # Errors
    /// The first record that failed.
    pub fn tell(&mut self, event: &Event<'_>) -> Result<(), RecordFailed> {
        let mut news = self.hand_out(event)?;
        // A monitor fails once and is called slow once, so this ends.
        while let Some(text) = news.pop() {
            news.extend(self.hand_out(&Event::Message(&text))?);
        }
        Ok(())
    }

    /// Hands an event to all; what is to be said of those that failed or are slow.
    fn hand_out(&mut self, event: &Event<'_>) -> Result<Vec<String>, RecordFailed> {
        let (mut news, mut failed, began) = (Vec::new(), None, self.began);
        self.listeners.retain_mut(|listener| {
            let taken = listener.take(event);
            news.extend(listener.slowness(began.elapsed()));
            let Err(reason) = taken else { return true };
            let monitor = listener.monitor.name();
            match listener.monitor.is_record() {
                true => failed = failed.take().or(Some(RecordFailed { monitor, reason })),
                false => news.push(format!("{monitor} is left out from now on: {reason}")),
            }
            false
        });
        failed.map_or(Ok(news), Err)
    }
}

impl Listener {
    fn take(&mut self, event: &Event<'_>) -> Result<(), MonitorError> {
        let began = Instant::now();
        let taken = self.monitor.take(event);
        self.spent += began.elapsed();
        taken
    }

    /// What is to be said of its pace, the first time that it is too slow.
    fn slowness(&mut self, elapsed: Duration) -> Option<String> {
        if self.called_slow || !is_slow(self.spent, elapsed) {
            return None;
        }
        self.called_slow = true;
        Some(format!(
            "{} has taken {:.1} s of the {:.1} s since the run began, which slows it down",
            self.monitor.name(),
            self.spent.as_secs_f64(),
            elapsed.as_secs_f64()
        ))
    }
}

fn is_slow(spent: Duration, elapsed: Duration) -> bool {
    spent > UNNOTICED && spent.as_secs_f64() > SMALL_SHARE * elapsed.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;

    /// Writes down what it is told, and fails where it is told to.
    struct Witness {
        heard: Rc<RefCell<Vec<String>>>,
        is_record: bool,
        fails_at: &'static str,
        pause: Duration,
    }

    impl Monitor for Witness {
        fn name(&self) -> &'static str {
            "the witness"
        }

        fn is_record(&self) -> bool {
            self.is_record
        }

        fn take(&mut self, event: &Event<'_>) -> Result<(), MonitorError> {
            let Event::Message(text) = event else { return Ok(()) };
            std::thread::sleep(self.pause);
            if *text == self.fails_at {
                return Err("out of ink".into());
            }
            self.heard.borrow_mut().push((*text).to_owned());
            Ok(())
        }
    }

    type Heard = Rc<RefCell<Vec<String>>>;

    fn witness(monitors: &mut Monitors, change: impl FnOnce(&mut Witness)) -> Heard {
        let heard = Heard::default();
        let mut witness =
            Witness { heard: heard.clone(), is_record: false, fails_at: "", pause: Duration::ZERO };
        change(&mut witness);
        monitors.add(Box::new(witness));
        heard
    }

    #[test]
    fn a_view_that_fails_is_left_out_and_the_others_hear_of_it() {
        let mut monitors = Monitors::default();
        let failing = witness(&mut monitors, |it| it.fails_at = "two");
        let other = witness(&mut monitors, |_| ());
        for text in ["one", "two", "three"] {
            monitors.tell(&Event::Message(text)).unwrap();
        }
        assert_eq!(*failing.borrow(), ["one"]);
        let notice = "the witness is left out from now on: out of ink";
        assert_eq!(*other.borrow(), ["one", "two", notice, "three"]);
    }

    #[test]
    fn a_record_that_fails_ends_the_run_after_the_others_have_heard() {
        let mut monitors = Monitors::default();
        witness(&mut monitors, |it| (it.is_record, it.fails_at) = (true, "two"));
        let other = witness(&mut monitors, |_| ());
        monitors.tell(&Event::Message("one")).unwrap();
        let failed = monitors.tell(&Event::Message("two")).unwrap_err();
        assert_eq!((failed.to_string().as_str(), failed.monitor), ("out of ink", "the witness"));
        assert_eq!(*other.borrow(), ["one", "two"]);
    }

    #[test]
    fn a_slow_monitor_is_told_of_once() {
        let mut monitors = Monitors::default();
        let heard = witness(&mut monitors, |it| it.pause = Duration::from_millis(600));
        for text in ["one", "two", "three"] {
            monitors.tell(&Event::Message(text)).unwrap();
        }
        let heard = heard.borrow();
        let notices: Vec<_> = heard.iter().filter(|text| text.contains("slows it down")).collect();
        assert_eq!((notices.len(), heard.len()), (1, 4), "{heard:?}");
        assert!(notices[0].starts_with("the witness has taken 1."), "{heard:?}");
    }

    #[test]
    fn a_small_share_or_a_short_time_is_not_slow() {
        let secs = Duration::from_secs_f64;
        assert!(is_slow(secs(1.1), secs(10.0)));
        assert!(!is_slow(secs(0.9), secs(1.0)));
        assert!(!is_slow(secs(20.0), secs(300.0)));
    }
}
