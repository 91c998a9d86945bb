//! Whether two answers say the same.

mod across;

use std::cell::Cell;

use super::answer::{Answer, Bound};
use super::equal::Equality;
use super::formula::Formula;
use super::quantity;

/// Sets with as many items are compared item by item.
const MOST_PAIRS: usize = 2048;

/// A comparison, and the work that is left for it.
pub(super) struct Comparison {
    pub(super) equality: Equality,
    pairs: Cell<usize>,
}

impl Comparison {
    pub(super) fn new() -> Self {
        Self { equality: Equality::new(), pairs: Cell::new(MOST_PAIRS) }
    }

    /// Whether a completion's answer is the reference.
    pub(super) fn same(&self, reference: &Answer, given: &Answer) -> bool {
        let Some(left) = self.pairs.get().checked_sub(1) else { return false };
        self.pairs.set(left);
        self.same_kind(reference, given)
            || self.unwrapped(reference, given)
            || self.same_line(reference, given)
            || self.across_kinds(reference, given)
    }

    fn same_kind(&self, reference: &Answer, given: &Answer) -> bool {
        use Answer::*;
        match (reference, given) {
            (Value(a, ours), Value(b, theirs)) => {
                quantity::same(&self.equality, (a, ours), (b, theirs))
            }
            (Named(ours, a), Named(theirs, b)) => ours == theirs && self.same(a, b),
            (Equation(a, b), Equation(c, d)) => {
                let (ours, theirs) = (difference(a, b), difference(c, d));
                self.equality.is_multiple(&ours, &theirs, None)
            }
            (Unequal(a, b), Unequal(c, d)) => {
                self.equality.is_multiple(&difference(a, b), &difference(c, d), None)
            }
            (Below(ours), Below(theirs)) => {
                let same = |(a, closed): &(Formula, bool), (b, also): &(Formula, bool)| {
                    closed == also && self.equality.is_multiple(a, b, Some(true))
                };
                matched(ours, theirs, &same)
            }
            (Interval(a, b), Interval(c, d)) => self.same_bound(a, c) && self.same_bound(b, d),
            (Tuple(ours), Tuple(theirs)) | (Row(ours), Row(theirs)) => self.in_order(ours, theirs),
            (List(ours), List(theirs)) => self.same_list(ours, theirs),
            (Set(ours), Set(theirs))
            | (AllBut(ours), AllBut(theirs))
            | (Union(ours), Union(theirs)) => matched(ours, theirs, &|a, b| self.same(a, b)),
            (Ratio(ours), Ratio(theirs)) => self.same_ratio(ours, theirs),
            (Words(ours, bracketed), Words(theirs, also)) => {
                ours == theirs || (*bracketed || *also) && ours.eq_ignore_ascii_case(theirs)
            }
            (Dots, Dots) => true,
            _ => false,
        }
    }

    fn same_bound(&self, ours: &Bound, theirs: &Bound) -> bool {
        ours.closed == theirs.closed && self.equality.same(&ours.at, &theirs.at)
    }

    fn in_order(&self, ours: &[Answer], theirs: &[Answer]) -> bool {
        ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| self.same(a, b))
    }

    /// Solutions in any order; values of several names in the order of the names.
    fn same_list(&self, ours: &[Answer], theirs: &[Answer]) -> bool {
        let has_names = |items: &[Answer]| {
            let mut names = items.iter().filter_map(|item| match item {
                Answer::Named(name, _) => Some(name),
                _ => None,
            });
            names.next().is_some_and(|first| names.any(|name| name != first))
        };
        let is_ordered = |items: &[Answer]| items.contains(&Answer::Dots);
        if has_names(ours) != has_names(theirs)
            || has_units(ours)
            || has_units(theirs)
            || is_ordered(ours)
            || is_ordered(theirs)
        {
            return self.in_order(ours, theirs);
        }
        matched(ours, theirs, &|a, b| self.same(a, b))
    }

    fn same_ratio(&self, ours: &[Formula], theirs: &[Formula]) -> bool {
        // `12:30` may be a time.
        let is_time = |parts: &[Formula]| {
            parts.len() <= 3
                && parts[1..].iter().all(|part| {
                    part.numeral().is_some_and(|(numeral, _)| numeral.digits.len() == 2)
                })
        };
        if ours.len() != theirs.len() {
            return false;
        }
        if is_time(ours) || is_time(theirs) {
            return ours.iter().zip(theirs).all(|(a, b)| self.equality.same(a, b));
        }
        let (Some(first), Some(other)) = (ours.first(), theirs.first()) else { return false };
        let cross = |a: &Formula, b: &Formula| Formula::Product(vec![a.clone(), b.clone()]);
        ours.iter()
            .zip(theirs)
            .skip(1)
            .all(|(a, b)| self.equality.same(&cross(first, b), &cross(other, a)))
            && !ours.iter().chain(theirs).any(|part| self.equality.same(part, &Formula::whole(0)))
    }

    /// `x = 5` says 5, and a list of one thing says that thing.
    fn unwrapped(&self, reference: &Answer, given: &Answer) -> bool {
        use Answer::*;
        match (reference, given) {
            (Named(..), Named(..)) => false,
            // A line's equation is not its right side, unless that is what was asked for.
            (Named(name, value), other) => !mentions(value, name) && self.same(value, other),
            (other, Named(name, value)) => !mentions(value, name) && self.same(other, value),
            (List(items) | Union(items), List(_) | Union(_)) if items.len() != 1 => false,
            (List(items), other) | (other, List(items)) if items.len() == 1 => {
                if matches!(reference, List(_)) {
                    self.same(&items[0], other)
                } else {
                    self.same(other, &items[0])
                }
            }
            _ => false,
        }
    }
}

/// Whether items have units that differ, so that each belongs to its own: `3 apples and 2 pears`.
fn has_units(items: &[Answer]) -> bool {
    let mut units = items.iter().filter_map(|item| match item {
        Answer::Value(_, super::answer::Unit::Named(unit)) => Some(unit),
        _ => None,
    });
    units.next().is_some_and(|first| units.any(|unit| unit != first))
}

fn mentions(answer: &Answer, name: &str) -> bool {
    match answer {
        Answer::Value(formula, _) => formula.unknowns().contains(name),
        _ => false,
    }
}

fn difference(a: &Formula, b: &Formula) -> Formula {
    Formula::difference(a.clone(), b.clone())
}

/// Whether each item of one list is in the other, in any order.
fn matched<T>(ours: &[T], theirs: &[T], same: &dyn Fn(&T, &T) -> bool) -> bool {
    let mut free: Vec<&T> = theirs.iter().collect();
    let paired = ours.len() == theirs.len()
        && ours.iter().all(|a| match free.iter().position(|b| same(a, b)) {
            Some(at) => {
                free.swap_remove(at);
                true
            }
            None => false,
        });
    // A set names an item as often as it likes.
    paired
        || ours.len() != theirs.len()
            && !ours.is_empty()
            && ours.iter().all(|a| theirs.iter().any(|b| same(a, b)))
            && theirs.iter().all(|b| ours.iter().any(|a| same(a, b)))
}
