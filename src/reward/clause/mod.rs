//! The clause that a number stands in: whether it states that number and nothing more.
//!
//! What may stand beside the number is listed: words, an equals sign, marks of emphasis, the end of
//! the sentence. Anything else makes a term, a list or a comparison, and so does a second number that
//! only `and`, a comma or a single word sets apart.

mod after;
mod before;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use regex::Regex;

use crate::pattern::constant;

pub(super) use after::leaves_number;
pub(super) use before::leads_to_number;

/// A clause is not longer than that; nothing farther away is looked at, in bytes.
const REACH: usize = 600;

static WORD: LazyLock<Regex> = LazyLock::new(|| constant(r"\p{L}+"));
