//! Lines of a program's standard output, none of them longer than is borne.

use std::io::{BufRead, BufReader, Read};
use std::sync::mpsc::SyncSender;

use crate::reward::own::reply::MOST_BYTES;

/// What a program wrote.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A line, without its end.
    Whole(Vec<u8>),
    /// More than a line may have; nothing more is read.
    TooLong,
}

/// Hands on line by line until the output ends, or nobody wants more.
pub(super) fn read(output: impl Read, to: &SyncSender<Line>) {
    let mut output = BufReader::with_capacity(1 << 16, output);
    while let Some(line) = next(&mut output) {
        let is_last = line == Line::TooLong;
        if to.send(line).is_err() || is_last {
            return;
        }
    }
}

fn next(output: &mut impl BufRead) -> Option<Line> {
    let mut line = Vec::new();
    let read = output.take(MOST_BYTES as u64 + 1).read_until(b'\n', &mut line);
    // What is left of a broken pipe is no line.
    read.ok()?;
    match line.last() {
        None => None,
        Some(b'\n') => {
            line.pop();
            Some(Line::Whole(line))
        }
        Some(_) if line.len() > MOST_BYTES => Some(Line::TooLong),
        Some(_) => Some(Line::Whole(line)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::sync_channel;

    #[test]
    fn lines_end_at_their_ends_and_too_long_ones_end_the_reading() {
        let long = [b"one\n\ntwo\n".to_vec(), vec![b'x'; MOST_BYTES + 1], b"\nthree\n".to_vec()];
        let (to, from) = sync_channel(9);
        read(long.concat().as_slice(), &to);
        drop(to);
        let lines: Vec<Line> = from.iter().collect();
        let whole = |text: &str| Line::Whole(text.into());
        assert_eq!(lines, [whole("one"), whole(""), whole("two"), Line::TooLong]);
    }
}
