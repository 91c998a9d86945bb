//! What one rendering may take: work, memory, depth and output.
//!
//! Every value is made here and every step is counted here. What a rendering has made is never given back to
//! its budget, so the memory it holds and the time it takes are both bounded by the same count, and a template
//! that fails here fails on any machine, however busy. The clock is looked at too, as a last resort: for work that
//! turns out to be dearer than its count.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::value::{Entries, Items, Value};

/// The result of an operation; the error is a message without a place.
pub(super) type Outcome<T> = Result<T, String>;

/// Steps of the machine. A prompt of a hundred turns takes some ten thousand.
const STEPS: u64 = 2_000_000;
/// Longest time of one rendering, which takes milliseconds otherwise.
const TIME: Duration = Duration::from_secs(4);
/// The clock is looked at once in so many steps.
const LOOK: u64 = 256;
/// Bytes of all values made on the way.
const BYTES: u64 = 128 << 20;
/// Bytes of text that a template may print, captured parts included.
const OUTPUT: u64 = 16 << 20;
/// Expressions, statements and calls within one another.
const DEPTH: usize = 600;
/// Lists and dicts within one another.
const NESTING: usize = 100;
/// An item of a list in memory.
const ITEM: u64 = size_of::<Value>() as u64;

/// What is left of it.
#[derive(Debug)]
pub(super) struct Budget {
    steps: u64,
    bytes: u64,
    output: u64,
    depth: usize,
    began: Instant,
}

impl Budget {
    pub(super) fn new() -> Self {
        let began = Instant::now();
        Self { steps: STEPS, bytes: BYTES, output: OUTPUT, depth: DEPTH, began }
    }

    /// Counts work of about `count` simple operations.
    pub(super) fn steps(&mut self, count: usize) -> Outcome<()> {
        let left = self.steps.checked_sub(count as u64);
        let left = left.ok_or_else(|| format!("it takes more than {STEPS} steps"))?;
        let looks = left / LOOK != self.steps / LOOK;
        self.steps = left;
        match looks && self.began.elapsed() > TIME {
            true => Err(format!("it takes longer than {} seconds", TIME.as_secs())),
            false => Ok(()),
        }
    }

    /// Counts memory; asked before what could be large is made.
    pub(super) fn bytes(&mut self, count: usize) -> Outcome<()> {
        let left = self.bytes.checked_sub(count as u64);
        self.bytes = left.ok_or_else(|| format!("its values take more than {} MB", BYTES >> 20))?;
        Ok(())
    }

    /// Counts text that is printed.
    pub(super) fn output(&mut self, count: usize) -> Outcome<()> {
        let left = self.output.checked_sub(count as u64);
        self.output = left.ok_or_else(|| format!("it prints more than {} MB", OUTPUT >> 20))?;
        Ok(())
    }

    /// Counts one level of depth, until `leave`.
    pub(super) fn enter(&mut self) -> Outcome<()> {
        let deeper = self.depth.checked_sub(1);
        self.depth = deeper.ok_or("macros, loops or expressions nest too deep, or without end")?;
        self.steps(1)
    }

    pub(super) fn leave(&mut self) {
        self.depth += 1;
    }

    pub(super) fn text(&mut self, text: impl Into<Arc<str>> + AsRef<str>) -> Outcome<Value> {
        self.bytes(text.as_ref().len() + size_of::<Value>())?;
        Ok(Value::Str(text.into()))
    }

    /// A list of texts, its size counted before it is made.
    pub(super) fn texts<'p>(
        &mut self,
        parts: impl Iterator<Item = &'p str> + Clone,
    ) -> Outcome<Vec<Value>> {
        let count = parts.clone().count();
        self.room(count)?;
        let mut values = Vec::with_capacity(count);
        for part in parts {
            values.push(self.text(part)?);
        }
        Ok(values)
    }

    /// A list of values that were counted before they were made.
    pub(super) fn counted_list(&mut self, values: Vec<Value>) -> Outcome<Value> {
        Ok(Value::List(items_of(values)?))
    }

    pub(super) fn list(&mut self, values: Vec<Value>) -> Outcome<Value> {
        Ok(Value::List(self.items(values)?))
    }

    pub(super) fn tuple(&mut self, values: Vec<Value>) -> Outcome<Value> {
        Ok(Value::Tuple(self.items(values)?))
    }

    fn items(&mut self, values: Vec<Value>) -> Outcome<Arc<Items>> {
        self.room(values.len())?;
        items_of(values)
    }

    /// A dict of pairs whose keys differ.
    pub(super) fn dict(&mut self, pairs: Vec<(Value, Value)>) -> Outcome<Value> {
        self.room(2 * pairs.len())?;
        let depth = nested(pairs.iter().flat_map(|(key, value)| [key, value]))?;
        Ok(Value::Dict(Arc::new(Entries { pairs, depth })))
    }

    /// Counts a list of so many items, and the work of filling it.
    pub(super) fn room(&mut self, items: usize) -> Outcome<()> {
        self.steps(items / 8)?;
        self.bytes(items.saturating_mul(ITEM as usize) + 64)
    }
}

fn items_of(values: Vec<Value>) -> Outcome<Arc<Items>> {
    let depth = nested(values.iter())?;
    let hashable = values.iter().all(Value::is_hashable);
    Ok(Arc::new(Items { values, depth, hashable }))
}

fn nested<'v>(values: impl Iterator<Item = &'v Value>) -> Outcome<usize> {
    let depth = 1 + values.map(Value::depth).max().unwrap_or(0);
    match depth <= NESTING {
        true => Ok(depth),
        false => Err(format!("lists or dicts are nested more than {NESTING} deep")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_ends_what_its_steps_did_not() {
        let began = Instant::now().checked_sub(TIME + Duration::from_secs(1)).unwrap();
        let mut late = Budget { began, ..Budget::new() };
        let error = (0..LOOK).find_map(|_| late.steps(1).err()).unwrap();
        assert_eq!(error, "it takes longer than 4 seconds");
        let mut early = Budget::new();
        assert!((0..STEPS / 2).all(|_| early.steps(1).is_ok()));
    }
}
