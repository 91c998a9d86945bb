//! The values of a GGUF file's metadata. Texts and lists stay in the file until they are asked for.

use std::ops::Range;

use super::cursor::{Cursor, Fault};

/// A value of the metadata.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// A whole number without a sign.
    Unsigned(u64),
    /// A whole number with one.
    Signed(i64),
    /// A number, as the shortest decimal that means it: 1e-5, not 9.99999974737875e-6.
    Number(f64),
    /// Yes or no.
    Bool(bool),
    /// Where in the file a text lies.
    Text(Range<usize>),
    /// Many values of one kind.
    List(List),
}

/// Many values of one kind.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct List {
    /// Their kind, by the format's number.
    pub kind: u32,
    /// How many there are.
    pub count: usize,
    /// Where in the file they lie.
    pub bytes: Range<usize>,
}

/// The kinds, by the format's numbers.
pub(super) mod kind {
    pub const U8: u32 = 0;
    pub const I8: u32 = 1;
    pub const U16: u32 = 2;
    pub const I16: u32 = 3;
    pub const U32: u32 = 4;
    pub const I32: u32 = 5;
    pub const F32: u32 = 6;
    pub const BOOL: u32 = 7;
    pub const TEXT: u32 = 8;
    pub const LIST: u32 = 9;
    pub const U64: u32 = 10;
    pub const I64: u32 = 11;
    pub const F64: u32 = 12;
}

impl Value {
    /// Reads the next value with its kind.
    pub fn read(cursor: &mut Cursor) -> Result<Self, Fault> {
        match cursor.u32()? {
            kind::LIST => List::read(cursor).map(Self::List),
            other => Self::single(cursor, other),
        }
    }

    /// Reads the next value of a kind that is no list.
    pub fn single(cursor: &mut Cursor, kind: u32) -> Result<Self, Fault> {
        Ok(match kind {
            kind::U8 => Self::Unsigned(u8::from_le_bytes(cursor.array()?).into()),
            kind::I8 => Self::Signed(i8::from_le_bytes(cursor.array()?).into()),
            kind::U16 => Self::Unsigned(u16::from_le_bytes(cursor.array()?).into()),
            kind::I16 => Self::Signed(i16::from_le_bytes(cursor.array()?).into()),
            kind::U32 => Self::Unsigned(cursor.u32()?.into()),
            kind::I32 => Self::Signed(i32::from_le_bytes(cursor.array()?).into()),
            kind::F32 => Self::Number(shortest(f32::from_le_bytes(cursor.array()?))),
            kind::BOOL => Self::Bool(u8::from_le_bytes(cursor.array()?) != 0),
            kind::TEXT => Self::Text(cursor.text()?),
            kind::U64 => Self::Unsigned(cursor.u64()?),
            kind::I64 => Self::Signed(i64::from_le_bytes(cursor.array()?)),
            kind::F64 => Self::Number(f64::from_le_bytes(cursor.array()?)),
            kind::LIST => return Err(Fault::broken("a list of lists, which no model has")),
            other => {
                return Err(Fault::Broken(format!("a value of kind {other}, which there is not")));
            }
        })
    }

    /// The whole number it is, where it is one that is not below zero.
    pub fn whole(&self) -> Option<u64> {
        match self {
            Self::Unsigned(number) => Some(*number),
            Self::Signed(number) => u64::try_from(*number).ok(),
            _ => None,
        }
    }

    /// The number it is. No whole number in a model is beyond what f64 holds.
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Unsigned(number) => Some(*number as f64),
            Self::Signed(number) => Some(*number as f64),
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }
}

impl List {
    fn read(cursor: &mut Cursor) -> Result<Self, Fault> {
        let (kind, count) = (cursor.u32()?, cursor.u64()?);
        let begin = cursor.at();
        match size_of(kind) {
            Some(size) => {
                let too_long = || Fault::broken("a list that is longer than any file");
                cursor.skip(count.checked_mul(size).ok_or_else(too_long)?)?;
            }
            None => {
                for _ in 0..count {
                    Value::single(cursor, kind)?;
                }
            }
        }
        let too_many = |_| Fault::broken("a list that is longer than any file");
        let count = usize::try_from(count).map_err(too_many)?;
        Ok(Self { kind, count, bytes: begin..cursor.at() })
    }
}

/// Bytes of a value, for kinds that have a size.
fn size_of(kind: u32) -> Option<u64> {
    match kind {
        kind::U8 | kind::I8 | kind::BOOL => Some(1),
        kind::U16 | kind::I16 => Some(2),
        kind::U32 | kind::I32 | kind::F32 => Some(4),
        kind::U64 | kind::I64 | kind::F64 => Some(8),
        _ => None,
    }
}

/// An f32 was a short decimal before somebody stored it.
fn shortest(number: f32) -> f64 {
    number.to_string().parse().unwrap_or(f64::from(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_the_shortest_decimal_that_means_it() {
        for number in [1e-5, 1e-6, 0.1, 1e4, 5e5, 1e30, -0.0625] {
            assert_eq!(shortest(number as f32), number);
        }
        assert!(shortest(f32::NAN).is_nan() && shortest(f32::INFINITY) == f64::INFINITY);
    }
}
