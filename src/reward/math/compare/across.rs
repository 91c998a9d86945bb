//! Answers of different kinds that say the same.

use super::super::answer::{Answer, Bound, Unit};
use super::super::formula::Formula;
use super::super::token::Numeral;
use super::{Comparison, difference, matched};

impl Comparison {
    /// Intervals, and what says the same of the line.
    pub(super) fn same_line(&self, reference: &Answer, given: &Answer) -> bool {
        use Answer::*;
        let open = |pair: &[Answer]| match pair {
            [Value(low, Unit::None), Value(high, Unit::None)] => {
                let bound = |at: &Formula| Bound { at: at.clone(), closed: false };
                Some(Interval(bound(low), bound(high)))
            }
            _ => None,
        };
        match (reference, given) {
            (Tuple(pair), Interval(..)) => {
                open(pair).is_some_and(|ours| self.same_kind(&ours, given))
            }
            (Interval(..), Tuple(pair)) => {
                open(pair).is_some_and(|theirs| self.same_kind(reference, &theirs))
            }
            (Below(steps), Interval(..)) => {
                self.solved(steps).is_some_and(|ours| self.same_kind(&ours, given))
            }
            (Interval(..), Below(steps)) => {
                self.solved(steps).is_some_and(|theirs| self.same_kind(reference, &theirs))
            }
            (AllBut(holes), Union(parts)) | (Union(parts), AllBut(holes)) => {
                self.is_rest_of_line(holes, parts)
            }
            _ => false,
        }
    }

    /// One linear inequality as the interval that it allows.
    fn solved(&self, steps: &[(Formula, bool)]) -> Option<Answer> {
        let [(formula, closed)] = steps else { return None };
        let (root, rises) = self.equality.linear_root(formula)?;
        let at = Formula::Number(Numeral { digits: String::new(), decimals: 0, value: root });
        let infinite = |at| Bound { at, closed: false };
        let found = Bound { at, closed: *closed };
        Some(if rises {
            Answer::Interval(infinite(Formula::negative(Formula::Infinity)), found)
        } else {
            Answer::Interval(found, infinite(Formula::Infinity))
        })
    }

    /// Whether intervals are the line without one point.
    fn is_rest_of_line(&self, holes: &[Answer], parts: &[Answer]) -> bool {
        let ([Answer::Value(hole, _)], [first, second]) = (holes, parts) else { return false };
        let bound = |at: Formula| Bound { at, closed: false };
        let below =
            Answer::Interval(bound(Formula::negative(Formula::Infinity)), bound(hole.clone()));
        let above = Answer::Interval(bound(hole.clone()), bound(Formula::Infinity));
        let is = |a: &Answer, b: &Answer| self.same(&below, a) && self.same(&above, b);
        is(first, second) || is(second, first)
    }

    pub(super) fn across_kinds(&self, reference: &Answer, given: &Answer) -> bool {
        use Answer::*;
        match (reference, given) {
            (Set(ours), List(theirs)) | (List(ours), Set(theirs)) => {
                matched(ours, theirs, &|a, b| self.same(a, b))
            }
            (Tuple(ours) | Row(ours), List(theirs)) | (List(ours), Tuple(theirs) | Row(theirs)) => {
                self.in_order(ours, theirs)
            }
            (Tuple(ours), Row(theirs)) | (Row(ours), Tuple(theirs)) => {
                ours.len() > 2 && self.in_order(ours, theirs)
            }
            (Set(items), other @ Value(..)) | (other @ Value(..), Set(items))
                if items.len() == 1 =>
            {
                if matches!(reference, Set(_)) {
                    self.same(&items[0], other)
                } else {
                    self.same(other, &items[0])
                }
            }
            (Tuple(ours), Value(matrix @ Formula::Matrix(_), _)) => self.same_vector(ours, matrix),
            (Value(matrix @ Formula::Matrix(_), _), Tuple(theirs)) => {
                self.same_vector(theirs, matrix)
            }
            (Ratio(parts), Value(value, _)) | (Value(value, _), Ratio(parts)) => match parts
                .as_slice()
            {
                [a, b] => {
                    let is_fraction = value.has(&|part| matches!(part, Formula::Quotient(..)));
                    is_fraction && self.equality.same(&Formula::over(a.clone(), b.clone()), value)
                }
                _ => false,
            },
            (Words(letter, _), Value(value, Unit::None))
            | (Value(value, Unit::None), Words(letter, _)) => match value {
                Formula::Unknown(name) => {
                    letter == name
                        || letter.len() == 1 && letter.eq_ignore_ascii_case(name) && is_choice(name)
                }
                Formula::E => letter == "e",
                Formula::I => letter == "i",
                _ => false,
            },
            // An equation whose solution was asked for, as y = 2x + 1 and 2x - y + 1 = 0.
            (Named(name, value), Equation(a, b)) | (Equation(a, b), Named(name, value)) => {
                match value.as_ref() {
                    Value(right, _) if is_plain_name(name) => {
                        let ours = difference(&Formula::Unknown(name.clone()), right);
                        self.equality.is_multiple(&ours, &difference(a, b), None)
                    }
                    _ => false,
                }
            }
            // `(x, y) = (1, 2)` and `x = 1, y = 2`.
            (Named(names, value), List(items)) | (List(items), Named(names, value)) => {
                match value.as_ref() {
                    Tuple(values) => self.named_in_tuple(names, values, items),
                    _ => false,
                }
            }
            _ => false,
        }
    }

    fn named_in_tuple(&self, names: &str, values: &[Answer], items: &[Answer]) -> bool {
        let names: Vec<&str> = names.trim_matches(['(', ')']).split(',').collect();
        let named = names
            .iter()
            .zip(values)
            .map(|(name, value)| Answer::Named((*name).to_owned(), Box::new(value.clone())));
        let named: Vec<Answer> = named.collect();
        names.len() == values.len()
            && matched(&named, items, &|a, b| matches!(b, Answer::Named(..)) && self.same(a, b))
    }

    fn same_vector(&self, items: &[Answer], matrix: &Formula) -> bool {
        let Formula::Matrix(rows) = matrix else { return false };
        let cells: Vec<&Formula> = rows.iter().flatten().collect();
        let is_vector = rows.len() == 1 || rows.iter().all(|row| row.len() == 1);
        is_vector
            && cells.len() == items.len()
            && cells.iter().zip(items).all(|(cell, item)| match item {
                Answer::Value(value, _) => self.equality.same(cell, value),
                _ => false,
            })
    }
}

/// Letters of choices, which may be written small.
fn is_choice(name: &str) -> bool {
    name.len() == 1 && name.to_ascii_uppercase().starts_with(|c: char| ('A'..='H').contains(&c))
}

fn is_plain_name(name: &str) -> bool {
    name.len() == 1 || name.chars().all(|c| c.is_alphanumeric() || c == '_')
}
