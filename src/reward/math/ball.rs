//! Numbers of 320 bits, real or complex, that know how far off they may be.

use std::cell::RefCell;

use astro_float::{BigFloat, Consts, RoundingMode, Sign};
use num_bigint::BigInt;
use num_rational::BigRational;

/// Bits of a number; about 96 digits.
const BITS: usize = 320;
const PRECISION: i64 = BITS as i64;
const ROUNDING: RoundingMode = RoundingMode::ToEven;
/// Two numbers are told equal on at least so many bits, about 30 digits.
const LEAST_BITS: i64 = 100;
/// The exponent of nothing.
const NOTHING: i64 = -1 << 40;

thread_local! {
    static CONSTANTS: RefCell<Option<Consts>> = const { RefCell::new(None) };
}

/// Runs with the constants of this thread; none where memory for them cannot be had.
fn with_constants<T>(run: impl FnOnce(&mut Consts) -> T) -> Option<T> {
    CONSTANTS.with_borrow_mut(|constants| {
        if constants.is_none() {
            *constants = Consts::new().ok();
        }
        constants.as_mut().map(run)
    })
}

/// A complex number and the power of two that bounds its error.
#[derive(Debug, Clone)]
pub(super) struct Ball {
    re: BigFloat,
    im: BigFloat,
    error: i64,
}

fn exponent(of: &BigFloat) -> i64 {
    if of.is_zero() { NOTHING } else { of.exponent().map_or(NOTHING, i64::from) }
}

fn zero() -> BigFloat {
    BigFloat::from_i8(0, BITS)
}

fn integer(value: &BigInt) -> BigFloat {
    let (sign, magnitude) = (value.sign(), value.magnitude());
    let bits = magnitude.bits();
    if bits == 0 {
        return zero();
    }
    // The top words, shifted so that the first bit is set.
    let drop = bits.saturating_sub(BITS as u64 + 64);
    let kept = magnitude >> drop;
    let lead = (64 - kept.bits() % 64) % 64;
    let words = (kept << lead).to_u64_digits();
    let words: Vec<astro_float::Word> =
        words.into_iter().map(|word| word as astro_float::Word).collect();
    let sign = if sign == num_bigint::Sign::Minus { Sign::Neg } else { Sign::Pos };
    BigFloat::from_words(&words, sign, i32::try_from(bits).unwrap_or(i32::MAX))
}

impl Ball {
    fn new(re: BigFloat, im: BigFloat, error: i64) -> Option<Self> {
        let is_finite = |part: &BigFloat| !part.is_nan() && !part.is_inf();
        let ball = Self { re, im, error };
        let floor = ball.size() - PRECISION;
        (is_finite(&ball.re) && is_finite(&ball.im))
            .then(|| Self { error: error.max(floor), ..ball })
    }

    fn real(re: BigFloat, error: i64) -> Option<Self> {
        Self::new(re, zero(), error)
    }

    pub(super) fn exact(value: &BigRational) -> Option<Self> {
        let quotient = integer(value.numer()).div(&integer(value.denom()), BITS, ROUNDING);
        Self::real(quotient, NOTHING)
    }

    pub(super) fn pi() -> Option<Self> {
        Self::real(with_constants(|constants| constants.pi(BITS, ROUNDING))?, NOTHING)
    }

    pub(super) fn e() -> Option<Self> {
        Self::real(with_constants(|constants| constants.e(BITS, ROUNDING))?, NOTHING)
    }

    pub(super) fn i() -> Option<Self> {
        Self::new(zero(), BigFloat::from_i8(1, BITS), NOTHING)
    }

    /// The exponent of the larger part.
    fn size(&self) -> i64 {
        exponent(&self.re).max(exponent(&self.im))
    }

    /// Whether it may be 0 for all we know.
    fn may_vanish(&self) -> bool {
        self.size() <= self.error + 8
    }

    fn relative_error(&self) -> i64 {
        if self.size() == NOTHING { NOTHING } else { self.error - self.size() }
    }

    pub(super) fn is_real(&self) -> bool {
        exponent(&self.im) <= self.error.max(exponent(&self.re) - PRECISION) + 8
    }

    pub(super) fn is_negative(&self) -> bool {
        self.re.is_negative()
    }

    pub(super) fn negated(&self) -> Self {
        Self { re: self.re.neg(), im: self.im.neg(), error: self.error }
    }

    /// The sum; none where the smaller number drowns in the error of the larger.
    pub(super) fn plus(&self, other: &Self) -> Option<Self> {
        let (ours, theirs) = (self.size(), other.size());
        if ours == NOTHING {
            return Some(other.clone());
        }
        if theirs == NOTHING {
            return Some(self.clone());
        }
        let error = self.error.max(other.error).max(ours.max(theirs) - PRECISION) + 1;
        if ours.min(theirs) < error + LEAST_BITS {
            return None;
        }
        Self::new(
            self.re.add(&other.re, BITS, ROUNDING),
            self.im.add(&other.im, BITS, ROUNDING),
            error,
        )
    }

    pub(super) fn times(&self, other: &Self) -> Option<Self> {
        let product = |a: &BigFloat, b: &BigFloat| a.mul(b, BITS, ROUNDING);
        let re = product(&self.re, &other.re).sub(&product(&self.im, &other.im), BITS, ROUNDING);
        let im = product(&self.re, &other.im).add(&product(&self.im, &other.re), BITS, ROUNDING);
        let size = self.size() + other.size();
        let error =
            (self.error + other.size()).max(self.size() + other.error).max(size - PRECISION) + 3;
        Self::new(re, im, error.max(NOTHING))
    }

    pub(super) fn over(&self, other: &Self) -> Option<Self> {
        if other.may_vanish() {
            return None;
        }
        let (x, y) = (&other.re, &other.im);
        let square = |part: &BigFloat| part.mul(part, BITS, ROUNDING);
        let length = square(x).add(&square(y), BITS, ROUNDING);
        let part = |part: BigFloat| part.div(&length, BITS, ROUNDING);
        let relative = other.relative_error().max(-PRECISION);
        let inverse = Self::new(part(x.clone()), part(y.neg()), relative - other.size() + 4)?;
        self.times(&inverse)
    }

    pub(super) fn absolute(&self) -> Option<Self> {
        if self.im.is_zero() {
            return Self::real(self.re.abs(), self.error);
        }
        let square = |part: &BigFloat| part.mul(part, BITS, ROUNDING);
        Self::real(
            square(&self.re).add(&square(&self.im), BITS, ROUNDING).sqrt(BITS, ROUNDING),
            self.error + 2,
        )
    }

    /// The square root with the real part that is not negative.
    pub(super) fn root(&self) -> Option<Self> {
        let relative = self.relative_error().max(-PRECISION);
        let error = |size: i64| size / 2 + relative + 4;
        if self.is_real() {
            let root = self.re.abs().sqrt(BITS, ROUNDING);
            let error = error(exponent(&self.re));
            return if self.re.is_negative() {
                Self::new(zero(), root, error)
            } else {
                Self::real(root, error)
            };
        }
        let length = self.absolute()?.re;
        let two = BigFloat::from_i8(2, BITS);
        let half = |sum: BigFloat| sum.div(&two, BITS, ROUNDING).abs().sqrt(BITS, ROUNDING);
        let re = half(length.add(&self.re, BITS, ROUNDING));
        let im = half(length.sub(&self.re, BITS, ROUNDING));
        let im = if self.im.is_negative() { im.neg() } else { im };
        Self::new(re, im, error(self.size()) + PRECISION / 4)
    }

    pub(super) fn exponential(&self) -> Option<Self> {
        if self.size() > 14 {
            return None;
        }
        let relative = self.error.max(-PRECISION) + 4;
        let length = with_constants(|constants| self.re.exp(BITS, ROUNDING, constants))?;
        let length = Self::real(length.clone(), exponent(&length) + relative)?;
        if self.im.is_zero() {
            return Some(length);
        }
        let angle = Self::real(self.im.clone(), self.error)?;
        let direction = Self::new(angle.cosine()?.re, angle.sine()?.re, relative)?;
        length.times(&direction)
    }

    /// The natural logarithm with the angle above -π and at most π.
    pub(super) fn logarithm(&self) -> Option<Self> {
        if self.may_vanish() {
            return None;
        }
        let error = self.relative_error().max(-PRECISION) + 6;
        let length = self.absolute()?.re;
        let re = with_constants(|constants| length.ln(BITS, ROUNDING, constants))?;
        let error = error.max(exponent(&re) - PRECISION);
        Self::new(re, self.angle()?, error)
    }

    fn angle(&self) -> Option<BigFloat> {
        if self.is_real() {
            return if self.re.is_negative() { Some(Self::pi()?.re) } else { Some(zero()) };
        }
        with_constants(|constants| {
            if self.re.is_zero() {
                let half =
                    constants.pi(BITS, ROUNDING).div(&BigFloat::from_i8(2, BITS), BITS, ROUNDING);
                return if self.im.is_negative() { half.neg() } else { half };
            }
            let angle = self.im.div(&self.re, BITS, ROUNDING).atan(BITS, ROUNDING, constants);
            let pi = constants.pi(BITS, ROUNDING);
            match (self.re.is_negative(), self.im.is_negative()) {
                (false, _) => angle,
                (true, false) => angle.add(&pi, BITS, ROUNDING),
                (true, true) => angle.sub(&pi, BITS, ROUNDING),
            }
        })
    }

    /// A function of real numbers; `widens` bits of its argument's error.
    fn of_real(
        &self,
        widens: i64,
        of: impl FnOnce(&BigFloat, &mut Consts) -> BigFloat,
    ) -> Option<Self> {
        if !self.is_real() || self.size() > 64 {
            return None;
        }
        let value = with_constants(|constants| of(&self.re, constants))?;
        Self::real(value, self.error.max(-PRECISION) + widens)
    }

    pub(super) fn sine(&self) -> Option<Self> {
        self.of_real(4, |x, constants| x.sin(BITS, ROUNDING, constants))
    }

    pub(super) fn cosine(&self) -> Option<Self> {
        self.of_real(4, |x, constants| x.cos(BITS, ROUNDING, constants))
    }

    pub(super) fn arcsine(&self) -> Option<Self> {
        self.of_real(48, |x, constants| x.asin(BITS, ROUNDING, constants))
    }

    pub(super) fn arccosine(&self) -> Option<Self> {
        self.of_real(48, |x, constants| x.acos(BITS, ROUNDING, constants))
    }

    pub(super) fn arctangent(&self) -> Option<Self> {
        self.of_real(4, |x, constants| x.atan(BITS, ROUNDING, constants))
    }

    /// Whether both are one number, as far as can be told, on at least 30 digits.
    pub(super) fn equals(&self, other: &Self) -> bool {
        let error = self.error.max(other.error).max(self.size().max(other.size()) - PRECISION) + 8;
        let known = self.size().max(other.size()).max(-64) - error;
        let difference = |a: &BigFloat, b: &BigFloat| exponent(&a.sub(b, BITS, ROUNDING));
        known >= LEAST_BITS
            && difference(&self.re, &other.re).max(difference(&self.im, &other.im)) <= error
    }

    /// Whether it is `value` within `off`.
    pub(super) fn is_within(&self, value: &BigRational, off: &BigRational) -> bool {
        let (Some(value), Some(off)) = (Self::exact(value), Self::exact(off)) else { return false };
        let distance = self.re.sub(&value.re, BITS, ROUNDING).abs();
        self.is_real() && distance.sub(&off.re, BITS, ROUNDING).is_negative()
    }
}
