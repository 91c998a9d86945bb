//! Arithmetic expressions worked out exactly.

/// Brackets deeper than this are refused, so that no text can exhaust the stack.
const MOST_NESTED: usize = 64;

/// An exact value: numerator over a denominator that is more than 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fraction {
    numerator: i128,
    denominator: i128,
}

/// What an expression comes to, and the numbers that stand in it from left to right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Evaluated {
    pub(super) value: Fraction,
    pub(super) numbers: Vec<i64>,
}

/// Works out `+ - * /` and brackets over whole numbers; none if the text is no such expression,
/// divides by zero or leaves the range of numbers.
pub(super) fn evaluate(text: &str) -> Option<Evaluated> {
    let rest: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).rev().collect();
    let mut parser = Parser { rest, numbers: Vec::new(), nested: 0 };
    let value = parser.sum()?;
    parser.rest.is_empty().then_some(Evaluated { value, numbers: parser.numbers })
}

impl Fraction {
    pub(super) fn whole(value: i64) -> Self {
        Self { numerator: i128::from(value), denominator: 1 }
    }

    fn new(numerator: i128, denominator: i128) -> Option<Self> {
        // A denominator of 0 has no sign, so the divisor is 0 and the division gives none.
        let divisor = greatest_common_divisor(numerator, denominator) * denominator.signum();
        Some(Self {
            numerator: numerator.checked_div(divisor)?,
            denominator: denominator.checked_div(divisor)?,
        })
    }

    fn joined(self, sign: char, other: Self) -> Option<Self> {
        let crossed = |a: Self, b: Self| a.numerator.checked_mul(b.denominator);
        let below = self.denominator.checked_mul(other.denominator)?;
        match sign {
            '+' => Self::new(crossed(self, other)?.checked_add(crossed(other, self)?)?, below),
            '-' => Self::new(crossed(self, other)?.checked_sub(crossed(other, self)?)?, below),
            '*' => Self::new(self.numerator.checked_mul(other.numerator)?, below),
            _ => Self::new(crossed(self, other)?, self.denominator.checked_mul(other.numerator)?),
        }
    }
}

/// Descends from sums over products to brackets and numbers; `rest` is reversed, so that the next
/// character is its last.
struct Parser {
    rest: Vec<char>,
    numbers: Vec<i64>,
    nested: usize,
}

impl Parser {
    fn sum(&mut self) -> Option<Fraction> {
        let mut value = self.product()?;
        while let Some(sign) = self.take_any("+-") {
            value = value.joined(sign, self.product()?)?;
        }
        Some(value)
    }

    fn product(&mut self) -> Option<Fraction> {
        let mut value = self.atom()?;
        while let Some(sign) = self.take_any("*/") {
            value = value.joined(sign, self.atom()?)?;
        }
        Some(value)
    }

    fn atom(&mut self) -> Option<Fraction> {
        if self.take_any("(").is_none() {
            return self.number();
        }
        self.nested += 1;
        if self.nested > MOST_NESTED {
            return None;
        }
        let value = self.sum()?;
        self.nested -= 1;
        self.take_any(")").map(|_| value)
    }

    fn number(&mut self) -> Option<Fraction> {
        let mut digits = String::new();
        while let Some(digit) = self.take_any("0123456789") {
            digits.push(digit);
        }
        let number = digits.parse().ok()?;
        self.numbers.push(number);
        Some(Fraction::whole(number))
    }

    fn take_any(&mut self, wanted: &str) -> Option<char> {
        let next = *self.rest.last()?;
        wanted.contains(next).then(|| self.rest.pop()).flatten()
    }
}

fn greatest_common_divisor(a: i128, b: i128) -> i128 {
    let (mut a, mut b) = (a.unsigned_abs(), b.unsigned_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    i128::try_from(a).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Option<(i128, i128)> {
        evaluate(text).map(|found| (found.value.numerator, found.value.denominator))
    }

    #[test]
    fn products_bind_closer_than_sums_and_go_from_left_to_right() {
        assert_eq!(value("2+3*4"), Some((14, 1)));
        assert_eq!(value("(2 + 3) * 4"), Some((20, 1)));
        assert_eq!(value("20-5-5"), Some((10, 1)));
        assert_eq!(value("100/5/2"), Some((10, 1)));
    }

    #[test]
    fn divisions_are_exact() {
        assert_eq!(value("1/3"), Some((1, 3)));
        assert_eq!(value("1/3*3"), Some((1, 1)));
        assert_eq!(value("8/(3-8/3)"), Some((24, 1)));
        assert_eq!(value("1/(2-5)"), Some((-1, 3)));
    }

    #[test]
    fn the_numbers_are_listed_as_they_stand() {
        assert_eq!(evaluate("(3+5)*12").unwrap().numbers, [3, 5, 12]);
    }

    #[test]
    fn what_is_no_expression_has_no_value() {
        for text in ["", "1+", "(1", "1)", "a", "1 = 1", "1/0", "1/(2-2)", "99999999999999999999"] {
            assert_eq!(value(text), None, "{text}");
        }
        assert_eq!(value(&"(".repeat(100_000)), None);
        // -2^127 / -1 is the one quotient of two numbers in range that is out of range.
        assert_eq!(value("(0-4611686018427387904)*4611686018427387904*8/(0-1)"), None);
        assert_eq!(value(&vec!["9999999999"; 20].join("*")), None);
    }
}
