//! Thrift's compact form, as far as parquet files need to be looked at before they are read.
//!
//! Source: `thrift-compact-protocol.md` of apache/thrift.

/// How deep structs and lists may nest.
const DEEPEST: usize = 8;

/// A place in bytes. What is asked of it is none where the bytes end or make no sense.
pub(super) struct Cursor<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

impl Cursor<'_> {
    /// The kind of the next field, whose number `field` becomes; `Some(None)` at the end of a struct.
    pub(super) fn field(&mut self, field: &mut i64) -> Option<Option<u8>> {
        let byte = self.byte()?;
        if byte == 0 {
            return Some(None);
        }
        *field = match byte >> 4 {
            0 => self.whole()?,
            more => field.checked_add(i64::from(more))?,
        };
        Some(Some(byte & 15))
    }

    pub(super) fn skip(&mut self, kind: u8, depth: usize) -> Option<()> {
        if depth > DEEPEST {
            return None;
        }
        match kind {
            1 | 2 => Some(()),
            3 => self.pass(1),
            4..=6 => self.varint().map(drop),
            7 => self.pass(8),
            8 => {
                let length = self.varint()?;
                self.pass(usize::try_from(length).ok()?)
            }
            9 | 10 => self.skip_list(depth),
            12 => {
                let mut field = 0;
                while let Some(kind) = self.field(&mut field)? {
                    self.skip(kind, depth + 1)?;
                }
                Some(())
            }
            _ => None,
        }
    }

    fn skip_list(&mut self, depth: usize) -> Option<()> {
        let (count, kind) = self.list()?;
        // A truth value takes a byte in a list.
        let kind = if matches!(kind, 1 | 2) { 3 } else { kind };
        (0..count).try_for_each(|_| self.skip(kind, depth + 1))
    }

    /// The number of items of a list, and their kind.
    pub(super) fn list(&mut self) -> Option<(u64, u8)> {
        let byte = self.byte()?;
        let count = match byte >> 4 {
            15 => self.varint()?,
            few => u64::from(few),
        };
        // No item takes less than a byte.
        (count <= self.bytes.len() as u64).then_some((count, byte & 15))
    }

    pub(super) fn size(&mut self) -> Option<u64> {
        u64::try_from(self.whole()?).ok()
    }

    pub(super) fn whole(&mut self) -> Option<i64> {
        let number = self.varint()?;
        Some((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 127) << shift;
            if byte < 128 {
                return Some(number);
            }
        }
        None
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn pass(&mut self, count: usize) -> Option<()> {
        self.at = self.at.checked_add(count).filter(|at| *at <= self.bytes.len())?;
        Some(())
    }
}
