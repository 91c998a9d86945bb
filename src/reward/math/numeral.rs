//! Numerals: digits with thousands and decimals, in every writing that is beyond doubt.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Pow};

use super::text::NARROW;
use super::token::Numeral;

/// A numeral of more digits is none to us.
const MOST_DIGITS: usize = 4096;
const MOST_EXPONENT: i64 = 4096;

/// The numeral that the characters begin with, and its length; `in_list` says that a comma parts items.
pub(super) fn read(chars: &[char], in_list: bool, decimal_comma: bool) -> Option<(Numeral, usize)> {
    let (whole, mut at) = whole(chars, in_list);
    let by_points = chars[..at].contains(&'.');
    let mark =
        decimal_mark(&chars[at..], &whole, by_points || decimal_comma && !in_list, by_points);
    let mut fraction = String::new();
    if let Some(length) = mark {
        fraction = digits(&chars[at + 1..at + 1 + length]);
        at += 1 + length;
    }
    let (repeated, length) = repeated(&chars[at..], mark.is_some());
    at += length;
    let (exponent, length) = exponent(&chars[at..]);
    if whole.len() + fraction.len() + repeated.len() > MOST_DIGITS || exponent.abs() > MOST_EXPONENT
    {
        return None;
    }
    let value = value(&whole, &fraction, &repeated)? * scale(exponent);
    let digits = format!("{whole}{fraction}");
    // A repeated decimal is exact, as a fraction is.
    let decimals = if repeated.is_empty() && exponent == 0 { fraction.len() } else { 0 };
    Some((Numeral { value, digits, decimals }, at + length))
}

fn digits(chars: &[char]) -> String {
    chars.iter().filter(|c| c.is_ascii_digit()).collect()
}

fn run(chars: &[char]) -> usize {
    chars.iter().take_while(|c| c.is_ascii_digit()).count()
}

/// The digits in front of the decimal mark, and their length with what sets thousands apart.
fn whole(chars: &[char], in_list: bool) -> (String, usize) {
    let first = run(chars);
    let mut at = first;
    let can_group = (1..=3).contains(&first) && chars[0] != '0';
    let mut mark = None;
    while let Some(separator) = chars.get(at).copied() {
        let is_group = run(&chars[at + 1..]) == 3 && mark.is_none_or(|mark| mark == separator);
        if !can_group || !is_group || !groups(separator, chars, at, in_list) {
            break;
        }
        mark = Some(separator);
        at += 4;
    }
    (digits(&chars[..at]), at)
}

/// Whether a character between three digits and those before sets thousands apart.
fn groups(separator: char, chars: &[char], at: usize, in_list: bool) -> bool {
    let next = chars.get(at + 4).copied();
    match separator {
        ',' => !in_list,
        NARROW | '\'' => true,
        // `2 100/3` is nothing that we know.
        ' ' => !in_list && next != Some('/'),
        // One point is a decimal one, unless a comma with digits follows or more points do.
        '.' => {
            let then_comma = next == Some(',') && (1..=2).contains(&run(&chars[at + 5..]));
            let one_more = next == Some('.') && run(&chars[at + 5..]) == 3;
            let one_before = at >= 4 && chars[at - 4] == '.';
            then_comma || one_more || one_before
        }
        _ => false,
    }
}

/// How many digits stand behind the decimal mark that comes next; none where there is no such mark.
fn decimal_mark(chars: &[char], whole: &str, comma: bool, by_points: bool) -> Option<usize> {
    let mark = *chars.first()?;
    let length = run(&chars[1..]);
    let ends = !chars.get(1 + length).is_some_and(|c| *c == ',' || *c == '.');
    let is_mark = match mark {
        '.' => length > 0 || is_repeat(&chars[1..]),
        // `2,74` and `0,125`; `2,7` may be two numbers.
        ',' => {
            comma
                && length > 0
                && ends
                && (by_points || length == 2 || length > 3 || length == 3 && whole == "0")
        }
        _ => false,
    };
    is_mark.then_some(length)
}

fn is_repeat(chars: &[char]) -> bool {
    let text: String = chars.iter().take(12).collect();
    ["\\overline{", "\\bar{", "\\dot{", "\\dot ", "\\overline ", "\\bar "]
        .iter()
        .any(|mark| text.starts_with(mark))
        || text.starts_with('(') && text[1..].starts_with(|c: char| c.is_ascii_digit())
}

/// Repeated decimals, `0.\overline{3}` and `0.(3)`, and the length of how they are written.
fn repeated(chars: &[char], has_mark: bool) -> (String, usize) {
    let none = (String::new(), 0);
    if !is_repeat(chars) || !has_mark && chars.first() == Some(&'(') {
        return none;
    }
    let open = if chars[0] == '(' {
        0
    } else {
        chars.iter().take(12).position(|c| *c == '{').unwrap_or(0)
    };
    let length = run(&chars[open + 1..]);
    let close = if chars[0] == '(' { ')' } else { '}' };
    if length == 0 || chars.get(open + 1 + length) != Some(&close) {
        return none;
    }
    (digits(&chars[open + 1..open + 1 + length]), open + length + 2)
}

/// A power of ten as `e3`, and its length.
fn exponent(chars: &[char]) -> (i64, usize) {
    let sign = usize::from(matches!(chars.get(1), Some('+' | '-')));
    let length = run(chars.get(1 + sign..).unwrap_or_default());
    let ends = !chars.get(1 + sign + length).is_some_and(|c| c.is_alphanumeric());
    if !matches!(chars.first(), Some('e' | 'E')) || length == 0 || length > 5 || !ends {
        return (0, 0);
    }
    let value: i64 = digits(&chars[1 + sign..1 + sign + length]).parse().unwrap_or(0);
    (if chars[1] == '-' { -value } else { value }, 1 + sign + length)
}

fn value(whole: &str, fraction: &str, repeated: &str) -> Option<BigRational> {
    let integer = |digits: &str| -> Option<BigInt> {
        if digits.is_empty() { Some(BigInt::ZERO) } else { digits.parse().ok() }
    };
    let fixed = BigRational::new(integer(&format!("{whole}{fraction}"))?, ten(fraction.len()));
    if repeated.is_empty() {
        return Some(fixed);
    }
    let below = (ten(repeated.len()) - BigInt::one()) * ten(fraction.len());
    Some(fixed + BigRational::new(integer(repeated)?, below))
}

fn ten(exponent: usize) -> BigInt {
    Pow::pow(BigInt::from(10), exponent)
}

fn scale(exponent: i64) -> BigRational {
    let power = BigRational::from_integer(ten(exponent.unsigned_abs() as usize));
    if exponent < 0 { power.recip() } else { power }
}

/// The parts of a fraction that is one character.
pub(super) fn vulgar(c: char) -> Option<(i64, i64)> {
    Some(match c {
        '½' => (1, 2),
        '⅓' => (1, 3),
        '⅔' => (2, 3),
        '¼' => (1, 4),
        '¾' => (3, 4),
        '⅕' => (1, 5),
        '⅖' => (2, 5),
        '⅗' => (3, 5),
        '⅘' => (4, 5),
        '⅙' => (1, 6),
        '⅚' => (5, 6),
        '⅛' => (1, 8),
        '⅜' => (3, 8),
        '⅝' => (5, 8),
        '⅞' => (7, 8),
        _ => return None,
    })
}

/// A raised or lowered character as a plain one.
pub(super) fn of_script(c: char) -> Option<char> {
    let raised = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    let value = raised.iter().position(|raised| *raised == c);
    let value = value.or_else(|| ('₀'..='₉').position(|lowered| lowered == c));
    match c {
        '⁻' => Some('-'),
        'ⁿ' => Some('n'),
        _ => value.and_then(|value| char::from_digit(value as u32, 10)),
    }
}
