//! Numbers and texts of a GGUF header, one behind the other, none of them believed before it is checked.

use std::ops::Range;

/// Longest header that is read: room for five times the largest published vocabulary.
const MOST_BYTES: usize = 64 << 20;

/// What is wrong with a file.
#[derive(Debug)]
pub(super) enum Fault {
    /// It ends too early; so many bytes should be there.
    CutShort(u64),
    /// It is of another kind or contradicts itself.
    Broken(String),
}

impl Fault {
    pub fn broken(problem: impl Into<String>) -> Self {
        Self::Broken(problem.into())
    }
}

/// A place in a file that moves on as it is read. Everything is little-endian.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// Begins at a place of the file.
    pub fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    /// Where it stands.
    pub fn at(&self) -> usize {
        self.at
    }

    /// The range of the next `count` bytes, which are there.
    pub fn skip(&mut self, count: u64) -> Result<Range<usize>, Fault> {
        let end = usize::try_from(count).ok().and_then(|count| self.at.checked_add(count));
        let Some(end) = end.filter(|end| *end <= MOST_BYTES) else {
            let problem =
                format!("a header of more than {MOST_BYTES} bytes, the most there may be");
            return Err(Fault::Broken(problem));
        };
        if end > self.bytes.len() {
            return Err(Fault::CutShort(end as u64));
        }
        let begin = std::mem::replace(&mut self.at, end);
        Ok(begin..end)
    }

    /// The next bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let range = self.skip(N as u64)?;
        let begin = range.start;
        // The range was found inside the file a line ago.
        let found = self.bytes.get(begin..).and_then(|rest| rest.first_chunk());
        found.copied().ok_or(Fault::CutShort(range.end as u64))
    }

    /// The next number of four bytes.
    pub fn u32(&mut self) -> Result<u32, Fault> {
        self.array().map(u32::from_le_bytes)
    }

    /// The next number of eight bytes.
    pub fn u64(&mut self) -> Result<u64, Fault> {
        self.array().map(u64::from_le_bytes)
    }

    /// The range of the next text, which begins with its length.
    pub fn text(&mut self) -> Result<Range<usize>, Fault> {
        let length = self.u64()?;
        self.skip(length)
    }

    /// The next text where it is a name: UTF-8 of at most `longest` bytes.
    pub fn name(&mut self, longest: u64) -> Result<&'a str, Fault> {
        let length = self.u64()?;
        if length > longest {
            let problem = format!("a name of {length} bytes, where {longest} are the most");
            return Err(Fault::Broken(problem));
        }
        let range = self.skip(length)?;
        let text = self.bytes.get(range).and_then(|bytes| std::str::from_utf8(bytes).ok());
        text.ok_or_else(|| Fault::broken("a name that is no text in UTF-8"))
    }
}
