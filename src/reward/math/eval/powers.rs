//! Powers and roots.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Pow, Signed, ToPrimitive, Zero};

use super::super::ball::Ball;
use super::super::formula::Formula;
use super::{FUNCTION, Found, MOST_BITS, Point, Stop, Value, ball, near};

impl Point {
    pub(super) fn power(&mut self, base: &Formula, exponent: &Formula) -> Found {
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

    pub(super) fn root(&mut self, degree: &Formula, of: &Formula) -> Found {
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
            self.pay(150 + value.numer().bits().max(value.denom().bits()))?;
            if let Some(root) = exact_root(value, degree) {
                return Ok(Value::Exact(root));
            }
        }
        let of = ball(of)?;
        if degree == 2 {
            self.pay(1500)?;
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
