//! Numbers with what stands behind them: percent, degrees, units.

use num_traits::{One, Signed};

use super::answer::Unit;
use super::equal::Equality;
use super::formula::Formula;
use super::units::differ;

type Quantity<'a> = (&'a Formula, &'a Unit);

/// Whether a completion's number with its unit is the reference.
pub(super) fn same(
    equality: &Equality,
    (a, ours): Quantity<'_>,
    (b, theirs): Quantity<'_>,
) -> bool {
    let percent = |of: &Formula| Formula::over(of.clone(), Formula::whole(100));
    match (ours, theirs) {
        (Unit::Named(ours), Unit::Named(theirs)) if differ(ours, theirs) => false,
        (Unit::Percent, Unit::Percent) => equality.same(a, b),
        (Unit::Percent, _) => {
            equality.same(&percent(a), b) || drops_sign(a, b) && equality.same(a, b)
        }
        (_, Unit::Percent) => {
            equality.same(a, &percent(b)) || drops_sign(b, a) && equality.same(a, b)
        }
        (Unit::Degree, Unit::None) => {
            equality.same(a, b) || has_pi(b) && equality.same(&radians(a), b)
        }
        (Unit::None, Unit::Degree) => {
            equality.same(a, b) || has_pi(a) && equality.same(a, &radians(b))
        }
        _ => equality.same(a, b),
    }
}

/// `28%` and `28` are the same where the sign was left out: both are numerals, and no shares of one.
fn drops_sign(percent: &Formula, bare: &Formula) -> bool {
    let is_above_one =
        |of: &Formula| of.numeral().is_some_and(|(numeral, _)| numeral.value.abs() > One::one());
    is_above_one(percent) && is_above_one(bare)
}

fn has_pi(formula: &Formula) -> bool {
    formula.has(&|part| *part == Formula::Pi)
}

fn radians(degrees: &Formula) -> Formula {
    Formula::over(Formula::Product(vec![degrees.clone(), Formula::Pi]), Formula::whole(180))
}
