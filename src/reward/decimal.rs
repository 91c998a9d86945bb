//! Decimal numbers of any size, compared digit by digit.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::Pow;

/// A number of more digits is none to us: no answer has so many, and work on them is bounded.
const MOST_DIGITS: usize = 4096;

/// A decimal number, exact, so that no rounding makes two different numbers equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decimal {
    negative: bool,
    /// Without zeros in front.
    whole: String,
    /// Without zeros at the end.
    fraction: String,
}

impl Decimal {
    /// `±whole.fraction · 10^exponent` from ASCII digits; none beyond 4,096 digits.
    pub(super) fn new(negative: bool, whole: &str, fraction: &str, exponent: i32) -> Option<Self> {
        let shift = exponent.unsigned_abs() as usize;
        let zeros = |count: usize| "0".repeat(count.min(MOST_DIGITS));
        let (whole, fraction) = match exponent < 0 {
            false => (whole.to_owned(), format!("{fraction}{}", zeros(shift))),
            true => (format!("{}{whole}", zeros(shift)), fraction.to_owned()),
        };
        if shift > MOST_DIGITS {
            return None;
        }
        let (whole, fraction) = match exponent < 0 {
            false => (format!("{whole}{}", &fraction[..shift]), fraction[shift..].to_owned()),
            true => {
                let (whole, moved) = whole.split_at(whole.len() - shift);
                (whole.to_owned(), format!("{moved}{fraction}"))
            }
        };
        Self::trimmed(negative, &whole, &fraction)
    }

    fn trimmed(negative: bool, whole: &str, fraction: &str) -> Option<Self> {
        let whole = whole.trim_start_matches('0').to_owned();
        let fraction = fraction.trim_end_matches('0').to_owned();
        let zero = whole.is_empty() && fraction.is_empty();
        let fits = whole.len() + fraction.len() <= MOST_DIGITS;
        fits.then_some(Self { negative: negative && !zero, whole, fraction })
    }

    /// The nearest floating-point number.
    pub(super) fn value(&self) -> f64 {
        let sign = if self.negative { "-" } else { "" };
        // Digits always parse; beyond the range of f64 they parse to an infinity.
        format!("{sign}{}.{}", padded(&self.whole), padded(&self.fraction))
            .parse()
            .unwrap_or(f64::NAN)
    }

    /// Whether it is negative, and its size as a fraction.
    pub(super) fn rational(&self) -> Option<(bool, BigRational)> {
        let digits = format!("{}{}", padded(&self.whole), self.fraction);
        let below = Pow::pow(BigInt::from(10), self.fraction.len());
        Some((self.negative, BigRational::new(digits.parse().ok()?, below)))
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
        let mut digits = [padded(&self.whole), &self.fraction].concat().into_bytes();
        digits.resize(digits.len() + decimals - self.fraction.len(), b'0');
        digits.reverse();
        digits
    }
}

fn padded(digits: &str) -> &str {
    if digits.is_empty() { "0" } else { digits }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Decimal {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        Decimal::new(negative, whole, fraction, 0).unwrap()
    }

    #[test]
    fn equal_numbers_are_equal_in_any_writing() {
        assert_eq!(number("1200.00"), number("01200"));
        assert_eq!(number("-0.0"), number("0"));
        assert_ne!(number("9007199254740993"), number("9007199254740992"));
    }

    #[test]
    fn an_exponent_moves_the_decimal_point() {
        let scaled = |whole, fraction, exponent| Decimal::new(false, whole, fraction, exponent);
        assert_eq!(scaled("2", "5", 6), Some(number("2500000")));
        assert_eq!(scaled("2", "5", 0), Some(number("2.5")));
        assert_eq!(scaled("12", "345", 2), Some(number("1234.5")));
        assert_eq!(scaled("12", "345", -1), Some(number("1.2345")));
        assert_eq!(scaled("12", "345", -4), Some(number("0.0012345")));
        assert_eq!(scaled("", "5", 1), Some(number("5")));
    }

    #[test]
    fn a_number_of_too_many_digits_is_none() {
        let ones = |count| "1".repeat(count);
        assert!(Decimal::new(false, &ones(4096), "", 0).is_some());
        assert_eq!(Decimal::new(false, &ones(4097), "", 0), None);
        assert_eq!(Decimal::new(false, "1", &ones(70_000), 0), None);
        assert_eq!(Decimal::new(false, "1", "", 5000), None);
        assert_eq!(Decimal::new(false, "1", "", i32::MIN), None);
        assert_eq!(Decimal::new(false, &"0".repeat(70_000), "", 0), Some(number("0")));
    }

    #[test]
    fn digits_are_compared_from_the_decimal_point() {
        let shared = |a, b| {
            let [a, b] = [a, b].map(number);
            assert_eq!(a.shared_digits(&b), b.shared_digits(&a));
            a.shared_digits(&b)
        };
        assert_eq!(shared("46", "45"), 0.5);
        assert_eq!(shared("146", "46"), 2.0 / 3.0);
        assert_eq!(shared("46", "64"), 0.0);
        assert_eq!(shared("1.5", "1"), 0.5);
        assert_eq!(shared("-46", "46"), 0.0);
        assert_eq!(shared("0", "10"), 0.5);
        let long = format!("0.{}", "1".repeat(4000));
        assert_eq!(shared(&long, "0.1"), 2.0 / 4001.0);
    }
}
