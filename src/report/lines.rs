//! The lines of a log, one at a time, whoever wrote them and whether or not the writer was killed.

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use crate::files::open_regular;

/// Bytes of the longest line that is read; ours have a few thousand.
const LONGEST: u64 = 4 << 20;

/// A whole line of a log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'a> {
    /// Where it begins in the file.
    pub at: u64,
    /// Its text with the line end.
    pub bytes: &'a [u8],
}

/// Hands every whole line of a file to `take`, and gives back how many were too long to be read.
///
/// A last line without a line end is one that a run is about to write, or was killed over: it is left out.
///
/// # Errors
/// A file that is missing, is none, or cannot be read.
pub(super) fn each_line(path: &Path, take: impl FnMut(Line<'_>)) -> io::Result<u64> {
    each_of(BufReader::new(open_regular(path)?), LONGEST, take)
}

fn each_of(
    mut reader: impl BufRead,
    longest: u64,
    mut take: impl FnMut(Line<'_>),
) -> io::Result<u64> {
    let (mut line, mut at, mut too_long) = (Vec::new(), 0, 0);
    loop {
        line.clear();
        let read = (&mut reader).take(longest).read_until(b'\n', &mut line)? as u64;
        let is_whole = line.ends_with(b"\n");
        match is_whole {
            true => take(Line { at, bytes: &line }),
            false if read < longest => return Ok(too_long),
            false => too_long += 1,
        }
        at += read;
        if !is_whole {
            at += reader.skip_until(b'\n')? as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of(text: &str, longest: u64) -> (Vec<(u64, String)>, u64) {
        let mut lines = Vec::new();
        let too_long = each_of(text.as_bytes(), longest, |line| {
            lines.push((line.at, String::from_utf8_lossy(line.bytes).trim_end().to_owned()));
        });
        (lines, too_long.unwrap())
    }

    #[test]
    fn whole_lines_come_with_their_places_and_the_half_written_one_is_left_out() {
        let (lines, too_long) = lines_of("one\ntwo\n\nthr", 100);
        assert_eq!(lines, [(0, "one".into()), (4, "two".into()), (8, String::new())]);
        assert_eq!(too_long, 0);
    }

    #[test]
    fn a_line_beyond_all_measure_is_passed_over_and_counted() {
        let text = format!("one\n{}\nthree\n", "x".repeat(50));
        let (lines, too_long) = lines_of(&text, 10);
        assert_eq!(lines, [(0, "one".into()), (55, "three".into())]);
        assert_eq!(too_long, 1);
        assert_eq!(lines_of(&"x".repeat(50), 10), (Vec::new(), 1));
    }
}
