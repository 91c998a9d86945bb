//! What a formula comes to at a point: exactly where it is rational, else to some 90 digits.

use std::collections::HashMap;

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Pow, Signed, ToPrimitive, Zero};

use super::ball::Ball;
use super::formula::Formula;
use super::names::Function;
use crate::random::philox4x32;

/// Numerators and denominators of more bits are not worked with.
const MOST_BITS: u64 = 24_000;
/// Terms of a sum that is added up.
const MOST_TERMS: i64 = 400;
/// Work of one verdict, of which a million is some 5 to 10 milliseconds.
pub(super) const BUDGET: u64 = 3_000_000;
/// What a function of 320 bits costs.
const FUNCTION: u64 = 4000;

/// Why a formula has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// It has none here, as `1/0`.
    Undefined,
    /// It has one that cannot be worked out within bounds.
    Beyond,
}

/// A value.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Exact(BigRational),
    Near(Ball),
}

type Found = Result<Value, Stop>;

/// A point: what each unknown is, and how much work is left.
pub(super) struct Point {
    index: u32,
    bound: HashMap<String, BigRational>,
    left: u64,
}

impl Point {
    /// The point of a number, with the work that is left for the verdict.
    pub(super) fn new(index: u32, left: u64) -> Self {
        Self { index, bound: HashMap::new(), left }
    }

    pub(super) fn left(&self) -> u64 {
        self.left
    }

    fn pay(&mut self, work: u64) -> Result<(), Stop> {
        self.left = self.left.checked_sub(work.max(1)).ok_or(Stop::Beyond)?;
        Ok(())
    }

    /// The value of an unknown: drawn from its name, the same on both sides of a comparison.
    fn unknown(&self, name: &str) -> BigRational {
        if let Some(value) = self.bound.get(name) {
            return value.clone();
        }
        let [a, b, ..] = drawn(name, self.index);
        let value = BigRational::new(BigInt::from(a % 997 + 101), BigInt::from(b % 89 + 101));
        // The first points are positive, where roots and logarithms have values; one is negative.
        let negative = self.index == 3 || self.index > 3 && b >> 16 & 1 == 1;
        if negative { -value } else { value }
    }

    pub(super) fn value(&mut self, formula: &Formula) -> Found {
        self.pay(1)?;
        match formula {
            Formula::Number(numeral) => Ok(Value::Exact(numeral.value.clone())),
            Formula::Unknown(name) => Ok(Value::Exact(self.unknown(name))),
            Formula::Pi => near(Ball::pi()),
            Formula::E => near(Ball::e()),
            Formula::I => near(Ball::i()),
            Formula::Sum(parts) => self.folded(parts, Self::plus),
            Formula::Product(parts) => self.folded(parts, Self::times),
            Formula::Negative(of) => Ok(negated(self.value(of)?)),
            Formula::Quotient(above, below) => {
                let (above, below) = (self.value(above)?, self.value(below)?);
                self.over(above, below)
            }
            Formula::Power(base, exponent) => self.power(base, exponent),
            Formula::Root(degree, of) => self.root(degree, of),
            Formula::Of(function, of) => self.of(*function, of),
            Formula::Logarithm(base, of) => {
                let (of, base) = (self.logarithm(of)?, self.logarithm(base)?);
                self.over(of, base)
            }
            Formula::Factorial(of) => self.factorial(of),
            Formula::Binomial(n, k) => self.binomial(n, k),
            Formula::Absolute(of) => match self.value(of)? {
                Value::Exact(value) => Ok(Value::Exact(value.abs())),
                Value::Near(ball) => near(ball.absolute()),
            },
            Formula::Whole(up, of) => match self.value(of)? {
                Value::Exact(value) => {
                    Ok(Value::Exact(if *up { value.ceil() } else { value.floor() }))
                }
                Value::Near(_) => Err(Stop::Beyond),
            },
            Formula::Unnamed(name, arguments) => self.unnamed(name, arguments),
            Formula::Series(adds, index, parts) => self.series(*adds, index, parts),
            Formula::Based(..) | Formula::Infinity | Formula::Either(..) | Formula::Matrix(_) => {
                Err(Stop::Beyond)
            }
        }
    }

    fn folded(&mut self, parts: &[Formula], join: fn(&mut Self, Value, Value) -> Found) -> Found {
        let Some((first, rest)) = parts.split_first() else { return Err(Stop::Beyond) };
        let first = self.value(first)?;
        rest.iter().try_fold(first, |sum, part| {
            let part = self.value(part)?;
            join(self, sum, part)
        })
    }

    /// Pays for an operation on exact values, whose size is bounded.
    fn exact(&mut self, value: BigRational) -> Found {
        let bits = value.numer().bits().max(value.denom().bits());
        if bits > MOST_BITS {
            return Err(Stop::Beyond);
        }
        // Reducing a fraction takes the square of its length.
        self.pay(1 + bits * bits / 600)?;
        Ok(Value::Exact(value))
    }

    fn plus(&mut self, a: Value, b: Value) -> Found {
        match (a, b) {
            (Value::Exact(a), Value::Exact(b)) => self.exact(a + b),
            (a, b) => {
                self.pay(4)?;
                near_or(ball(a)?.plus(&ball(b)?), Stop::Beyond)
            }
        }
    }

    fn times(&mut self, a: Value, b: Value) -> Found {
        match (a, b) {
            (Value::Exact(a), Value::Exact(b)) => self.exact(a * b),
            (Value::Exact(zero), _) | (_, Value::Exact(zero)) if zero.is_zero() => {
                Ok(Value::Exact(zero))
            }
            (a, b) => {
                self.pay(4)?;
                near(ball(a)?.times(&ball(b)?))
            }
        }
    }

    fn over(&mut self, a: Value, b: Value) -> Found {
        match (a, b) {
            (_, Value::Exact(b)) if b.is_zero() => Err(Stop::Undefined),
            (Value::Exact(a), Value::Exact(b)) => self.exact(a / b),
            (a, b) => {
                self.pay(8)?;
                near(ball(a)?.over(&ball(b)?))
            }
        }
    }

    fn power(&mut self, base: &Formula, exponent: &Formula) -> Found {
        let (base, exponent) = (self.value(base)?, self.value(exponent)?);
        match (base, exponent) {
            (base, Value::Exact(exponent)) if exponent.is_integer() => {
                self.whole_power(base, exponent.numer())
            }
            (Value::Exact(base), Value::Exact(exponent))
                if *exponent.denom() == BigInt::from(2) =>
            {
                let root = self.root_of(Value::Exact(base), 2)?;
                self.whole_power(root, exponent.numer())
            }
            (Value::Exact(base), Value::Exact(exponent)) if base.is_zero() => {
                match exponent.is_positive() {
                    true => Ok(Value::Exact(base)),
                    false => Err(Stop::Undefined),
                }
            }
            (Value::Exact(base), Value::Exact(exponent))
                if base.is_positive() && exponent.denom().bits() < 8 =>
            {
                let degree = exponent.denom().to_u32().ok_or(Stop::Beyond)?;
                let root = self.root_of(Value::Exact(base), degree)?;
                self.whole_power(root, exponent.numer())
            }
            (base, exponent) => {
                self.pay(2 * FUNCTION)?;
                let logarithm = ball(base)?.logarithm().ok_or(Stop::Undefined)?;
                let product = ball(exponent)?.times(&logarithm);
                near(product.and_then(|product| product.exponential()))
            }
        }
    }

    fn whole_power(&mut self, base: Value, exponent: &BigInt) -> Found {
        let exponent = exponent.to_i32().ok_or(Stop::Beyond)?;
        let times = u64::from(exponent.unsigned_abs());
        match base {
            Value::Exact(base) => {
                if base.is_zero() && exponent < 0 {
                    return Err(Stop::Undefined);
                }
                if base.is_one() || base.is_zero() && exponent != 0 {
                    return Ok(Value::Exact(base));
                }
                let bits = base.numer().bits().max(base.denom().bits());
                if bits.saturating_mul(times) > MOST_BITS + 64 {
                    return Err(Stop::Beyond);
                }
                self.exact(Pow::pow(base, exponent))
            }
            Value::Near(base) => {
                if times > 4096 {
                    return Err(Stop::Beyond);
                }
                self.pay(8 * (1 + times.checked_ilog2().map_or(0, u64::from)))?;
                let mut power = Ball::exact(&BigRational::one()).ok_or(Stop::Beyond)?;
                for bit in (0..32 - exponent.unsigned_abs().leading_zeros()).rev() {
                    power = power.times(&power).ok_or(Stop::Beyond)?;
                    if exponent.unsigned_abs() >> bit & 1 == 1 {
                        power = power.times(&base).ok_or(Stop::Beyond)?;
                    }
                }
                let power = Value::Near(power);
                if exponent < 0 {
                    self.over(Value::Exact(BigRational::one()), power)
                } else {
                    Ok(power)
                }
            }
        }
    }

    fn root(&mut self, degree: &Formula, of: &Formula) -> Found {
        let (degree, of) = (self.value(degree)?, self.value(of)?);
        let Value::Exact(degree) = degree else { return Err(Stop::Beyond) };
        let small = degree
            .is_integer()
            .then(|| degree.to_u32())
            .flatten()
            .filter(|degree| (1..=64).contains(degree));
        match small {
            Some(degree) => self.root_of(of, degree),
            None if degree.is_zero() => Err(Stop::Undefined),
            None => {
                self.pay(2 * FUNCTION)?;
                let logarithm = ball(of)?.logarithm().ok_or(Stop::Undefined)?;
                let quotient = Ball::exact(&degree).and_then(|degree| logarithm.over(&degree));
                near(quotient.and_then(|quotient| quotient.exponential()))
            }
        }
    }

    /// The root of a small degree; of odd degree it is real where the number is.
    fn root_of(&mut self, of: Value, degree: u32) -> Found {
        if let Value::Exact(value) = &of {
            self.pay(1 + value.numer().bits().max(value.denom().bits()) / 16)?;
            if let Some(root) = exact_root(value, degree) {
                return Ok(Value::Exact(root));
            }
        }
        let of = ball(of)?;
        if degree == 2 {
            self.pay(40)?;
            return near(of.root());
        }
        self.pay(2 * FUNCTION)?;
        let flips = degree % 2 == 1 && of.is_real() && of.is_negative();
        let of = if flips { of.negated() } else { of };
        let logarithm = of.logarithm().ok_or(Stop::Undefined)?;
        let degree = Ball::exact(&BigRational::from_integer(degree.into())).ok_or(Stop::Beyond)?;
        let root =
            logarithm.over(&degree).and_then(|part| part.exponential()).ok_or(Stop::Beyond)?;
        Ok(Value::Near(if flips { root.negated() } else { root }))
    }

    fn logarithm(&mut self, of: &Formula) -> Found {
        let of = self.value(of)?;
        if matches!(&of, Value::Exact(value) if value.is_one()) {
            return Ok(Value::Exact(BigRational::zero()));
        }
        self.pay(FUNCTION)?;
        near_or(ball(of)?.logarithm(), Stop::Undefined)
    }

    fn of(&mut self, function: Function, of: &Formula) -> Found {
        use Function::*;
        if function == Ln {
            return self.logarithm(of);
        }
        if function == Log {
            let ten = Formula::whole(10);
            let (of, ten) = (self.logarithm(of)?, self.logarithm(&ten)?);
            return self.over(of, ten);
        }
        let of = self.value(of)?;
        self.pay(2 * FUNCTION)?;
        let x = ball(of)?;
        let one = Ball::exact(&BigRational::one()).ok_or(Stop::Beyond)?;
        let quotient = |a: Option<Ball>, b: Option<Ball>| a?.over(&b?);
        let hyperbolic = |sign: bool| {
            let (up, down) = (x.exponential()?, x.negated().exponential()?);
            up.plus(&if sign { down } else { down.negated() })
        };
        let two = one.plus(&one);
        near(match function {
            Sin => x.sine(),
            Cos => x.cosine(),
            Tan => quotient(x.sine(), x.cosine()),
            Cot => quotient(x.cosine(), x.sine()),
            Sec => quotient(Some(one), x.cosine()),
            Csc => quotient(Some(one), x.sine()),
            Arcsin => x.arcsine(),
            Arccos => x.arccosine(),
            Arctan => x.arctangent(),
            Sinh => quotient(hyperbolic(false), two),
            Cosh => quotient(hyperbolic(true), two),
            Tanh => quotient(hyperbolic(false), hyperbolic(true)),
            Exp => x.exponential(),
            Ln | Log => None,
        })
    }

    fn factorial(&mut self, of: &Formula) -> Found {
        match self.value(of)? {
            Value::Exact(n) if n.is_integer() && !n.is_negative() => {
                let n = n.to_u64().filter(|n| *n <= 2200).ok_or(Stop::Beyond)?;
                self.pay(n * (1 + n / 64))?;
                self.exact(BigRational::from_integer(
                    (2..=n).fold(BigInt::one(), |product, k| product * k),
                ))
            }
            _ => Err(Stop::Undefined),
        }
    }

    fn binomial(&mut self, n: &Formula, k: &Formula) -> Found {
        let (n, k) = (self.value(n)?, self.value(k)?);
        let (Value::Exact(n), Value::Exact(k)) = (n, k) else { return Err(Stop::Beyond) };
        if !n.is_integer() || !k.is_integer() {
            // A function of both, for which nothing but itself stands.
            return Ok(Value::Exact(hashed("binomial", &[n, k], self.index)));
        }
        if k.is_negative() || n.is_negative() || k > n {
            return Ok(Value::Exact(BigRational::zero()));
        }
        let k = if &k + &k > n { &n - &k } else { k };
        let k = k.to_u64().filter(|k| *k <= 1000).ok_or(Stop::Beyond)?;
        let n = n.to_integer();
        let mut value = BigInt::one();
        for step in 0..k {
            value = value * (&n - step) / (step + 1);
            if value.bits() > MOST_BITS {
                return Err(Stop::Beyond);
            }
            self.pay(1 + value.bits() / 64)?;
        }
        self.exact(BigRational::from_integer(value))
    }

    fn unnamed(&mut self, name: &str, arguments: &[Formula]) -> Found {
        let mut values = Vec::new();
        for argument in arguments {
            match self.value(argument)? {
                Value::Exact(value) => values.push(value),
                Value::Near(_) => return Err(Stop::Beyond),
            }
        }
        Ok(Value::Exact(hashed(name, &values, self.index)))
    }

    fn series(&mut self, adds: bool, index: &str, parts: &[Formula; 3]) -> Found {
        let [from, to, of] = parts;
        let (from, to) = (self.value(from)?, self.value(to)?);
        let (Value::Exact(from), Value::Exact(to)) = (from, to) else { return Err(Stop::Beyond) };
        let before = self.bound.get(index).cloned();
        let ends = (from.is_integer() && to.is_integer())
            .then(|| Some((from.to_i64()?, to.to_i64()?)))
            .flatten();
        let value = match ends {
            Some((first, last)) if last - first < MOST_TERMS && first.abs() < 1 << 40 => {
                self.added(adds, index, first, last, of)
            }
            Some(_) => Err(Stop::Beyond),
            None => self.unknown_series(adds, index, [from, to], of),
        };
        match before {
            Some(before) => self.bound.insert(index.to_owned(), before),
            None => self.bound.remove(index),
        };
        value
    }

    fn added(&mut self, adds: bool, index: &str, first: i64, last: i64, of: &Formula) -> Found {
        let start = if adds { BigRational::zero() } else { BigRational::one() };
        let mut value = Value::Exact(start);
        for term in first..=last {
            self.bound.insert(index.to_owned(), BigRational::from_integer(term.into()));
            let term = self.value(of)?;
            value = if adds { self.plus(value, term)? } else { self.times(value, term)? };
        }
        Ok(value)
    }

    /// A sum without known ends stands for nothing but itself.
    fn unknown_series(
        &mut self,
        adds: bool,
        index: &str,
        ends: [BigRational; 2],
        of: &Formula,
    ) -> Found {
        let [a, b, ..] = drawn("index of a series", self.index);
        let at = BigRational::new(BigInt::from(a % 997 + 101), BigInt::from(b % 89 + 101));
        self.bound.insert(index.to_owned(), at);
        let Value::Exact(of) = self.value(of)? else { return Err(Stop::Beyond) };
        let [from, to] = ends;
        let name = if adds { "sum" } else { "product" };
        Ok(Value::Exact(hashed(name, &[from, to, of], self.index)))
    }
}

fn near(ball: Option<Ball>) -> Found {
    near_or(ball, Stop::Undefined)
}

fn near_or(ball: Option<Ball>, stop: Stop) -> Found {
    ball.map(Value::Near).ok_or(stop)
}

fn ball(value: Value) -> Result<Ball, Stop> {
    match value {
        Value::Exact(value) => Ball::exact(&value).ok_or(Stop::Beyond),
        Value::Near(ball) => Ok(ball),
    }
}

fn negated(value: Value) -> Value {
    match value {
        Value::Exact(value) => Value::Exact(-value),
        Value::Near(ball) => Value::Near(ball.negated()),
    }
}

/// Random words for a name at a point; the seed is that of the comparison, always the same.
fn drawn(name: &str, index: u32) -> [u32; 4] {
    // FNV-1a, which only has to tell names apart.
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    philox4x32([hash as u32, (hash >> 32) as u32], [index, 0x3A7E, 0, 0])
}

/// The value of a function that nobody defined: any, but the same for the same arguments.
fn hashed(name: &str, arguments: &[BigRational], index: u32) -> BigRational {
    let written: Vec<String> = arguments.iter().map(ToString::to_string).collect();
    let [a, b, c, _] = drawn(&format!("{name}({})", written.join(",")), index);
    BigRational::new(BigInt::from(a) * BigInt::from(c) + 1_i32, BigInt::from(b % 997 + 2))
}

fn exact_root(value: &BigRational, degree: u32) -> Option<BigRational> {
    if degree.is_multiple_of(2) && value.is_negative() {
        return None;
    }
    let root = |of: &BigInt| {
        let root = of.nth_root(degree);
        (Pow::pow(&root, degree) == *of).then_some(root)
    };
    Some(BigRational::new(root(value.numer())?, root(value.denom())?))
}
