//! How wide a formatted value is, and what fills it up.

use super::super::budget::{Budget, Outcome};

/// How a value is laid out.
#[derive(Debug, Default, Clone)]
pub(super) struct Layout {
    pub(super) fill: Option<char>,
    /// `<`, `>`, `^` or `=`.
    pub(super) align: Option<char>,
    pub(super) plus: Option<char>,
    pub(super) alternate: bool,
    pub(super) width: usize,
    pub(super) comma: bool,
    pub(super) precision: Option<usize>,
    pub(super) kind: Option<char>,
}

pub(super) fn count(letters: &mut std::iter::Peekable<std::str::Chars>) -> Outcome<Option<usize>> {
    let mut digits = String::new();
    while let Some(digit) = letters.next_if(char::is_ascii_digit) {
        digits.push(digit);
    }
    match digits.is_empty() {
        true => Ok(None),
        false => digits.parse().map(Some).map_err(|_| format!("{digits} is too wide for a format")),
    }
}

pub(super) fn cut(text: String, precision: Option<usize>) -> String {
    match precision {
        Some(count) => text.chars().take(count).collect(),
        None => text,
    }
}

/// Fills a text up to the width; `=` fills between sign and digits.
pub(super) fn padded(text: String, layout: &Layout, budget: &mut Budget) -> Outcome<String> {
    let missing = layout.width.saturating_sub(text.chars().count());
    if missing == 0 {
        return Ok(text);
    }
    budget.bytes(missing.saturating_mul(4))?;
    let fill = |count: usize| layout.fill.unwrap_or(' ').to_string().repeat(count);
    Ok(match layout.align {
        Some('<') => text + &fill(missing),
        Some('^') => fill(missing / 2) + &text + &fill(missing - missing / 2),
        Some('=') => {
            let sign = usize::from(text.starts_with(['-', '+', ' ']));
            format!("{}{}{}", &text[..sign], fill(missing), &text[sign..])
        }
        _ => fill(missing) + &text,
    })
}
