//! Which of a run's completions the page has: the newest, and the others evenly spread over the steps.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::error::ReportError;
use super::lines::each_line;
use super::page::embedded;
use super::row::{Row, row};
use super::spread::spread;
use crate::files::open_regular;

/// The share of the room that the newest steps take, one of so many parts.
const NEWEST: usize = 4;
/// The share that one step may take, however many completions it has, unless there are fewer steps.
const ONE_STEP: usize = 8;

/// The completions of a run that the page has.
#[derive(Debug, Default, Serialize)]
pub(super) struct Samples {
    /// By step.
    pub rows: Vec<Row>,
    /// Completions that were left out for want of room.
    pub left_out: usize,
    /// Lines that could not be read.
    #[serde(skip)]
    pub unread: u64,
}

/// Where a line lies in the file.
#[derive(Debug, Clone, Copy)]
struct Place {
    at: u64,
    bytes: usize,
}

#[derive(Deserialize)]
struct StepOnly {
    step: u64,
}

impl Samples {
    /// Those of a file that take at most `room` bytes on the page; none where there is no file.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(super) fn read(path: &Path, room: usize) -> Result<Self, ReportError> {
        match Self::of(path, room) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            found => found.map_err(|reason| ReportError::Unreadable { path: path.into(), reason }),
        }
    }

    fn of(path: &Path, room: usize) -> io::Result<Self> {
        let (steps, mut unread) = places_by_step(path)?;
        let steps: Vec<Vec<Place>> = steps.into_values().collect();
        let count: usize = steps.iter().map(Vec::len).sum();
        let share = room / steps.len().clamp(1, ONE_STEP);
        let file = open_regular(path)?;
        let mut taken = Taken { file, room, share, rows: BTreeMap::new(), unread: 0 };
        let newest = (0..steps.len()).rev();
        taken.take(newest, &steps, room - room / NEWEST)?;
        taken.take(spread(steps.len()), &steps, 0)?;
        unread += taken.unread;
        let rows: Vec<Row> = taken.rows.into_values().flatten().collect();
        let left_out = count - rows.len() - taken.unread as usize;
        Ok(Self { rows, left_out, unread })
    }
}

/// Where the completions of each step lie, and how many lines are none.
fn places_by_step(path: &Path) -> io::Result<(BTreeMap<u64, Vec<Place>>, u64)> {
    let (mut steps, mut unread) = (BTreeMap::<u64, Vec<Place>>::new(), 0);
    let too_long = each_line(path, |line| match serde_json::from_slice(line.bytes) {
        Ok(StepOnly { step }) => {
            steps.entry(step).or_default().push(Place { at: line.at, bytes: line.bytes.len() });
        }
        Err(_) => unread += 1,
    })?;
    Ok((steps, unread + too_long))
}

/// What has been taken so far: the rows of a step by its place among the steps.
struct Taken {
    file: File,
    room: usize,
    /// The most that one step may take of it.
    share: usize,
    rows: BTreeMap<usize, Vec<Row>>,
    unread: u64,
}

impl Taken {
    /// Takes steps in the order given until no more than `left` bytes of room are left, or the next step
    /// does not fit.
    fn take(
        &mut self,
        order: impl Iterator<Item = usize>,
        steps: &[Vec<Place>],
        left: usize,
    ) -> io::Result<()> {
        for step in order {
            if self.rows.contains_key(&step) {
                continue;
            }
            let rows = self.rows_of(&steps[step])?;
            let bytes: usize = rows.iter().map(|(bytes, _)| bytes).sum();
            if bytes > self.room {
                break;
            }
            self.room -= bytes;
            self.rows.insert(step, rows.into_iter().map(|(_, row)| row).collect());
            if self.room <= left {
                break;
            }
        }
        Ok(())
    }

    /// The first rows of a step, as many as its share holds, each with the bytes that it takes on the page.
    fn rows_of(&mut self, places: &[Place]) -> io::Result<Vec<(usize, Row)>> {
        let (mut rows, mut share) = (Vec::new(), self.share);
        for place in places {
            let mut line = vec![0; place.bytes];
            self.file.seek(SeekFrom::Start(place.at))?;
            self.file.read_exact(&mut line)?;
            let Some(row) = row(&line) else {
                self.unread += 1;
                continue;
            };
            let bytes = embedded(&row)?.len() + 1;
            if bytes > share {
                break;
            }
            share -= bytes;
            rows.push((bytes, row));
        }
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn samples(text: &str, room: usize) -> Samples {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("samples.jsonl");
        std::fs::write(&path, text).unwrap();
        Samples::read(&path, room).unwrap()
    }

    fn line(step: u64, completion: &str) -> String {
        json!({"step": step, "problem": "p", "completion": completion}).to_string() + "\n"
    }

    fn steps(samples: &Samples) -> Vec<u64> {
        let rows = serde_json::to_value(&samples.rows).unwrap();
        rows.as_array().unwrap().iter().map(|row: &Value| row["step"].as_u64().unwrap()).collect()
    }

    #[test]
    fn all_are_there_where_there_is_room() {
        let text = line(1, "a") + &line(1, "b") + &line(2, "c");
        let found = samples(&text, 10_000);
        assert_eq!((steps(&found), found.left_out, found.unread), (vec![1, 1, 2], 0, 0));
    }

    #[test]
    fn the_newest_and_an_even_spread_of_the_others_stay_where_there_is_not() {
        let text: String = (1..=1000).map(|step| line(step, "some text")).collect();
        let found = samples(&text, 30_000);
        let steps = steps(&found);
        assert_eq!(steps.len() + found.left_out, 1000);
        assert!(steps.ends_with(&[998, 999, 1000]) && steps.is_sorted(), "{steps:?}");
        let widest = steps.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
        assert!(steps[0] <= 16 && widest <= 16, "{steps:?}");
        let bytes = serde_json::to_string(&found.rows).unwrap().len();
        assert!((25_000..=30_002).contains(&bytes), "{bytes}");
    }

    #[test]
    fn of_a_step_that_is_too_large_a_part_is_there() {
        let text: String = (0..100).map(|_| line(1, "some text")).collect();
        let found = samples(&text, 2_000);
        assert!((5..100).contains(&found.rows.len()), "{}", found.rows.len());
        assert_eq!(found.rows.len() + found.left_out, 100);
        assert_eq!(samples(&text, 0).left_out, 100);
    }

    #[test]
    fn damaged_lines_are_counted_and_a_half_written_one_is_not() {
        let text = line(1, "a") + "oops\n" + "{\"step\":1,\"problem\":7}\n" + "{\"step\":2";
        let found = samples(&text, 10_000);
        assert_eq!((found.rows.len(), found.left_out, found.unread), (1, 0, 2));
    }

    #[test]
    fn a_run_without_samples_has_none() {
        let folder = tempfile::tempdir().unwrap();
        let found = Samples::read(&folder.path().join("samples.jsonl"), 1000).unwrap();
        assert!(found.rows.is_empty());
    }
}
