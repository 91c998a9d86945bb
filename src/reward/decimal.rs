//! Decimal numbers as people write them, compared digit by digit.

use std::sync::LazyLock;

use regex::Regex;

use crate::pattern::constant;

/// An optional sign, dollars, thousands between commas or plain digits, and decimals.
static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
    constant(r"([-+\u{2212}]?)\$?([-\u{2212}]?)(?:(\d{1,3}(?:,\d{3})+|\d+)(?:\.(\d+))?|\.(\d+))")
});

/// A decimal number of any length, so that no rounding makes two different numbers equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decimal {
    negative: bool,
    /// Without zeros in front.
    whole: String,
    /// Without zeros at the end.
    fraction: String,
}

impl Decimal {
    /// The last number of a text; `1,234`, `$5`, `-$5`, `.5` and `7.` are numbers, `1/2` is two.
    pub(super) fn last_in(text: &str) -> Option<Self> {
        let found = NUMBER.captures_iter(text).last()?;
        let part = |group| found.get(group).map_or("", |part| part.as_str());
        let before = text[..found.get(0)?.start()].chars().next_back();
        // In "12-34" and "x-1" the dash joins; in "= -34" it is a sign.
        let joins = before.is_some_and(|c| c.is_alphanumeric() || c == ')');
        let is_minus = |sign: &str| sign == "-" || sign == "\u{2212}";
        let negative = (is_minus(part(1)) && !joins) || is_minus(part(2));
        let whole = part(3).replace(',', "");
        Some(Self::new(negative, &whole, &format!("{}{}", part(4), part(5))))
    }

    fn new(negative: bool, whole: &str, fraction: &str) -> Self {
        let whole = whole.trim_start_matches('0').to_owned();
        let fraction = fraction.trim_end_matches('0').to_owned();
        let zero = whole.is_empty() && fraction.is_empty();
        Self { negative: negative && !zero, whole, fraction }
    }

    /// The nearest floating-point number.
    pub(super) fn value(&self) -> f64 {
        let sign = if self.negative { "-" } else { "" };
        // Digits always parse; beyond the range of f64 they parse to an infinity.
        format!("{sign}{}.{}", padded(&self.whole), padded(&self.fraction))
            .parse()
            .unwrap_or(f64::NAN)
    }

    /// The share of equal digits, aligned at the decimal point; 0 when the signs differ.
    ///
    /// ```text
    /// equal digits / digits of the number that has more of them
    /// ```
    pub(super) fn shared_digits(&self, other: &Self) -> f64 {
        if self.negative != other.negative {
            return 0.0;
        }
        let decimals = self.fraction.len().max(other.fraction.len());
        let (ours, theirs) = (self.reversed_digits(decimals), other.reversed_digits(decimals));
        let equal = ours.iter().zip(&theirs).filter(|(a, b)| a == b).count();
        equal as f64 / ours.len().max(theirs.len()) as f64
    }

    fn reversed_digits(&self, decimals: usize) -> Vec<u8> {
        let digits = format!("{}{:0<decimals$}", padded(&self.whole), self.fraction);
        digits.into_bytes().into_iter().rev().collect()
    }
}

fn padded(digits: &str) -> &str {
    if digits.is_empty() { "0" } else { digits }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Option<f64> {
        Decimal::last_in(text).map(|number| number.value())
    }

    #[test]
    fn the_last_number_is_found_however_it_is_written() {
        for (text, expected) in [
            ("first 3, then 46", 46.0),
            ("the answer is 72.", 72.0),
            ("costs $1,234.50 in all.", 1234.5),
            ("-$5", -5.0),
            ("$-5", -5.0),
            ("\u{2212}7", -7.0),
            ("12-34=-22", -22.0),
            ("12-34", 34.0),
            ("(1+2)-3", 3.0),
            ("#### 1,000,000", 1_000_000.0),
            ("1,23", 23.0),
            ("007.50", 7.5),
            (".5", 0.5),
            ("+8", 8.0),
            ("50%", 50.0),
            ("-0", 0.0),
            ("naïve 9", 9.0),
        ] {
            assert_eq!(value(text), Some(expected), "{text}");
        }
        assert_eq!(value("no number - at all."), None);
    }

    #[test]
    fn equal_numbers_are_equal_in_any_writing() {
        let number = |text| Decimal::last_in(text).unwrap();
        assert_eq!(number("1,200.00"), number("01200"));
        assert_eq!(number("-0.0"), number("0"));
        assert_ne!(number("9007199254740993"), number("9007199254740992"));
    }

    #[test]
    fn digits_are_compared_from_the_decimal_point() {
        let shared = |a, b| {
            let [a, b] = [a, b].map(|text| Decimal::last_in(text).unwrap());
            assert_eq!(a.shared_digits(&b), b.shared_digits(&a));
            a.shared_digits(&b)
        };
        assert_eq!(shared("46", "45"), 0.5);
        assert_eq!(shared("146", "46"), 2.0 / 3.0);
        assert_eq!(shared("46", "64"), 0.0);
        assert_eq!(shared("1.5", "1"), 0.5);
        assert_eq!(shared("-46", "46"), 0.0);
        assert_eq!(shared("0", "10"), 0.5);
    }
}
