//! What counts: factorials, binomials, sums over an index, and functions that nobody defined.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Signed, ToPrimitive, Zero};

use super::super::formula::Formula;
use super::{Found, MOST_BITS, Point, Stop, Value, drawn};

/// Terms of a sum that is added up.
const MOST_TERMS: i64 = 400;

impl Point {
    pub(super) fn factorial(&mut self, of: &Formula) -> Found {
        match self.value(of)? {
            Value::Exact(n) if n.is_integer() && !n.is_negative() => {
                let n = n.to_u64().filter(|n| *n <= 2200).ok_or(Stop::Beyond)?;
                self.pay(n * (1 + n / 64))?;
                let product = (2..=n).fold(BigInt::one(), |product, k| product * k);
                Ok(Value::Exact(BigRational::from_integer(product)))
            }
            _ => Err(Stop::Undefined),
        }
    }

    pub(super) fn binomial(&mut self, n: &Formula, k: &Formula) -> Found {
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

    pub(super) fn unnamed(&mut self, name: &str, arguments: &[Formula]) -> Found {
        let mut values = Vec::new();
        for argument in arguments {
            match self.value(argument)? {
                Value::Exact(value) => values.push(value),
                Value::Near(_) => return Err(Stop::Beyond),
            }
        }
        Ok(Value::Exact(hashed(name, &values, self.index)))
    }

    pub(super) fn series(&mut self, adds: bool, index: &str, parts: &[Formula; 3]) -> Found {
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

/// The value of a function that nobody defined: any, but the same for the same arguments.
fn hashed(name: &str, arguments: &[BigRational], index: u32) -> BigRational {
    let written: Vec<String> = arguments.iter().map(ToString::to_string).collect();
    let [a, b, c, _] = drawn(&format!("{name}({})", written.join(",")), index);
    BigRational::new(BigInt::from(a) * BigInt::from(c) + 1_i32, BigInt::from(b % 997 + 2))
}
