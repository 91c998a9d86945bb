//! A text that is one number, or ends with one.

use std::sync::LazyLock;

use regex::Regex;

use super::clause::{leads_to_number, leaves_number};
use super::decimal::Decimal;
use super::numeral;
use super::unit::{is_unit, without_powers};
use crate::pattern::constant;

/// A longer answer is no number; nothing longer is searched for one.
pub(super) const MOST_BYTES: usize = 16_384;
/// Signs around a number that say nothing of its value.
const WRAPPED: [(&str, &str); 6] =
    [("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"), ("(", ")"), ("[", "]"), ("{", "}")];

static STYLE: LazyLock<Regex> = LazyLock::new(|| {
    constant(r"^\\(?:text|textrm|textbf|mathrm|mathbf|boldsymbol|bm) *\{([^{}]*)\}$")
});

/// The number of a text that is one number from end to end.
pub(super) fn one_number(text: &str) -> Option<Decimal> {
    if text.len() > MOST_BYTES {
        return None;
    }
    let found = numeral::first(unwrapped(text))?;
    found.number.filter(|_| is_unit(found.after))
}

/// The text without white space, emphasis and brackets around it.
fn unwrapped(text: &str) -> &str {
    // No one wraps a number more often; a text of brackets alone must end too.
    const LAYERS: usize = 8;
    let layers = std::iter::successors(Some(trimmed(text)), |text| inner(text).map(trimmed));
    layers.take(LAYERS).last().unwrap_or(text)
}

fn trimmed(text: &str) -> &str {
    let text = text.trim();
    // Dots at the end go on with the number: 0.333...
    let one = text.strip_suffix('.').filter(|rest| !rest.ends_with('.'));
    one.unwrap_or(text).trim_matches(['*', '`', '"', '\'', ' '])
}

fn inner(text: &str) -> Option<&str> {
    let between = |(open, close): &(&str, &str)| text.strip_prefix(open)?.strip_suffix(close);
    let styled = || STYLE.captures(text).and_then(|found| found.get(1)).map(|inner| inner.as_str());
    WRAPPED.iter().find_map(between).or_else(styled)
}

/// The last number of a text; none where its clause states more than that number.
pub(super) fn last_number(text: &str) -> Option<Decimal> {
    let text = without_powers(text);
    let found = numeral::last(&text)?;
    let is_alone = leads_to_number(found.before, found.after) && leaves_number(found.after);
    found.number.filter(|_| is_alone)
}
