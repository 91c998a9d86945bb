//! Whether two formulas are the same function: exactly where they are rational, else on 30 digits.

use std::cell::Cell;

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{Pow, Signed, Zero};

use super::ball::Ball;
use super::eval::{BUDGET, Point, Stop, Value};
use super::formula::Formula;
use super::matrix;

/// Points at which functions are compared.
const POINTS: u32 = 6;
/// At as many of them both must have a value.
const LEAST_POINTS: usize = 3;

/// Comparisons of formulas, and the work that is left for them.
pub(super) struct Equality {
    left: Cell<u64>,
}

impl Equality {
    pub(super) fn new() -> Self {
        Self { left: Cell::new(BUDGET) }
    }

    /// The values of both at a point.
    fn at(&self, index: u32, a: &Formula, b: &Formula) -> Result<(Value, Value), Stop> {
        let mut point = Point::new(index, self.left.get());
        let values = point.value(a).and_then(|a| Ok((a, point.value(b)?)));
        self.left.set(point.left());
        values
    }

    /// Whether a formula has a value that can be compared at all.
    pub(super) fn can_judge(&self, formula: &Formula) -> bool {
        match formula {
            Formula::Based(..) | Formula::Infinity | Formula::Number(_) => true,
            Formula::Negative(of) if **of == Formula::Infinity => true,
            _ if matrix::has_matrix(formula) => matrix::cells(formula)
                .is_some_and(|rows| rows.iter().flatten().all(|cell| self.can_judge(cell))),
            _ => self.agree(formula, formula),
        }
    }

    /// Whether two formulas are one function.
    pub(super) fn same(&self, a: &Formula, b: &Formula) -> bool {
        if let (Some((ours, minus)), Some((theirs, also))) = (a.numeral(), b.numeral()) {
            let is_zero = ours.value.is_zero();
            return ours.value == theirs.value && (minus == also || is_zero);
        }
        if let (Formula::Based(ours, base), Formula::Based(theirs, other)) = (a, b) {
            return base == other && ours.eq_ignore_ascii_case(theirs);
        }
        if let (Some(ours), Some(theirs)) = (infinite(a), infinite(b)) {
            return ours == theirs;
        }
        if matrix::has_matrix(a) || matrix::has_matrix(b) {
            return self.same_matrix(a, b);
        }
        a.has(&is_opaque) == b.has(&is_opaque)
            && (self.agree(a, b) || self.is_rounded(a, b) || self.is_rounded(b, a))
    }

    fn same_matrix(&self, a: &Formula, b: &Formula) -> bool {
        let (Some(ours), Some(theirs)) = (matrix::cells(a), matrix::cells(b)) else { return false };
        ours.len() == theirs.len()
            && ours
                .iter()
                .zip(&theirs)
                .all(|(a, b)| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| self.same(a, b)))
    }

    /// Whether both have the same value at every point where both have one.
    fn agree(&self, a: &Formula, b: &Formula) -> bool {
        let is_constant = a.unknowns().is_empty() && b.unknowns().is_empty();
        let needs_all =
            is_constant || a.has(&|part| *part == Formula::I) || b.has(&|part| *part == Formula::I);
        let (points, least) = if is_constant { (1, 1) } else { (POINTS, LEAST_POINTS) };
        let mut agreed = 0;
        for index in 0..points {
            match self.at(index, a, b) {
                Ok((a, b)) if !needs_all && (!is_real(&a) || !is_real(&b)) => {
                    // A root of what is negative: the real function has no value here.
                    agreed += usize::from(!is_real(&a) && !is_real(&b) && equals(&a, &b));
                }
                Ok((a, b)) if equals(&a, &b) => agreed += 1,
                Ok(_) | Err(Stop::Beyond) => return false,
                Err(Stop::Undefined) => {}
            }
        }
        agreed >= least
    }

    /// Whether `decimal` is written as a decimal with six digits or more, and is `exact` rounded to them
    /// or cut off behind them.
    fn is_rounded(&self, decimal: &Formula, exact: &Formula) -> bool {
        const LEAST_DIGITS: usize = 6;
        let Some((numeral, minus)) = decimal.numeral() else { return false };
        let digits = numeral.digits.trim_start_matches('0').len();
        let is_short = digits < LEAST_DIGITS || numeral.decimals == 0;
        if is_short || exact.numeral().is_some() || !exact.unknowns().is_empty() {
            return false;
        }
        let last = BigRational::new(BigInt::from(1), Pow::pow(BigInt::from(10), numeral.decimals));
        let half = last / BigInt::from(2);
        let signed = |value: BigRational| if minus { -value } else { value };
        let value = numeral.value.clone();
        let near = [signed(value.clone()), signed(value + &half)];
        near.iter().any(|value| match self.at(0, exact, exact) {
            Ok((Value::Exact(exact), _)) => (exact - value).abs() < half,
            Ok((Value::Near(exact), _)) => exact.is_within(value, &half),
            Err(_) => false,
        })
    }

    /// Whether one function is the other times a constant, of the sign that is asked for.
    pub(super) fn is_multiple(&self, a: &Formula, b: &Formula, positive: Option<bool>) -> bool {
        let mut factor: Option<Value> = None;
        let mut agreed = 0;
        if a.unknowns() != b.unknowns() {
            return false;
        }
        for index in 0..POINTS {
            let (a, b) = match self.at(index, a, b) {
                Ok(values) => values,
                Err(Stop::Undefined) => continue,
                Err(Stop::Beyond) => return false,
            };
            let quotient = match quotient(a, b) {
                Quotient::Number(quotient) => quotient,
                Quotient::Any => continue,
                Quotient::None => return false,
            };
            match &factor {
                Some(factor) if !equals(factor, &quotient) => return false,
                Some(_) => {}
                None => factor = Some(quotient),
            }
            agreed += 1;
        }
        let has_sign = |factor: Value| match (positive, factor) {
            (None, _) => true,
            (Some(positive), Value::Exact(factor)) => factor.is_positive() == positive,
            (Some(positive), Value::Near(factor)) => {
                factor.is_real() && factor.is_negative() != positive
            }
        };
        agreed >= LEAST_POINTS && factor.is_some_and(has_sign)
    }

    /// Where a linear function of one unknown is 0, and whether it rises.
    pub(super) fn linear_root(&self, formula: &Formula) -> Option<(BigRational, bool)> {
        let unknowns = formula.unknowns();
        let name = unknowns.iter().next().filter(|_| unknowns.len() == 1)?;
        let x = Formula::Unknown((*name).to_owned());
        let mut points = Vec::new();
        for index in 0..3 {
            match self.at(index, &x, formula) {
                Ok((Value::Exact(x), Value::Exact(y))) => points.push((x, y)),
                _ => return None,
            }
        }
        let [(x0, y0), (x1, y1), (x2, y2)] = points.as_slice() else { return None };
        let slope = if x0 == x1 { return None } else { (y1 - y0) / (x1 - x0) };
        let is_linear = y2 - y0 == &slope * (x2 - x0);
        (is_linear && !slope.is_zero()).then(|| (x0 - y0 / &slope, slope.is_positive()))
    }
}

/// What is compared as it stands.
fn is_opaque(formula: &Formula) -> bool {
    matches!(formula, Formula::Based(..) | Formula::Infinity)
}

fn infinite(formula: &Formula) -> Option<bool> {
    match formula {
        Formula::Infinity => Some(true),
        Formula::Negative(of) => (**of == Formula::Infinity).then_some(false),
        _ => None,
    }
}

fn is_real(value: &Value) -> bool {
    match value {
        Value::Exact(_) => true,
        Value::Near(ball) => ball.is_real(),
    }
}

pub(super) fn equals(a: &Value, b: &Value) -> bool {
    let ball = |value: &Value| match value {
        Value::Exact(value) => Ball::exact(value),
        Value::Near(ball) => Some(ball.clone()),
    };
    match (a, b) {
        (Value::Exact(a), Value::Exact(b)) => a == b,
        (a, b) => matches!((ball(a), ball(b)), (Some(a), Some(b)) if a.equals(&b)),
    }
}

/// What one value divided by another is.
enum Quotient {
    Number(Value),
    /// Both vanish.
    Any,
    None,
}

fn quotient(a: Value, b: Value) -> Quotient {
    let ball = |value: Value| match value {
        Value::Exact(value) => Ball::exact(&value),
        Value::Near(ball) => Some(ball),
    };
    let number = match (a, b) {
        (Value::Exact(a), Value::Exact(b)) if a.is_zero() && b.is_zero() => return Quotient::Any,
        (Value::Exact(a), Value::Exact(b)) if a.is_zero() || b.is_zero() => None,
        (Value::Exact(a), Value::Exact(b)) => Some(Value::Exact(a / b)),
        (a, b) => ball(a).zip(ball(b)).and_then(|(a, b)| a.over(&b)).map(Value::Near),
    };
    number.map_or(Quotient::None, Quotient::Number)
}
