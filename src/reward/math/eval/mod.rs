//! What a formula comes to at a point: exactly where it is rational, else to some 90 digits.

mod counts;
mod powers;

use std::collections::HashMap;

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Signed, Zero};

use super::ball::Ball;
use super::formula::Formula;
use super::names::Function;
use crate::random::philox4x32;

/// Numerators and denominators of more bits are not worked with.
const MOST_BITS: u64 = 24_000;
/// Work of one comparison, of which a million is some 5 milliseconds.
pub(super) const BUDGET: u64 = 5_000_000;
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
        self.pay(1 + bits * bits / 160)?;
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
