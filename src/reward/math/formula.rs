//! What a formula says, as a tree.

use std::collections::BTreeSet;

use num_bigint::BigInt;
use num_rational::BigRational;

use super::names::Function;
use super::token::Numeral;

/// A formula; no deeper than the parser lets it be, so that work on it may recurse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Formula {
    Number(Numeral),
    /// A numeral of another base: its digits and the base.
    Based(String, u32),
    /// An unknown, with its index as written: `x_1`.
    Unknown(String),
    Pi,
    E,
    I,
    Infinity,
    Sum(Vec<Formula>),
    Product(Vec<Formula>),
    Quotient(Box<Formula>, Box<Formula>),
    Negative(Box<Formula>),
    Power(Box<Formula>, Box<Formula>),
    /// The degree and what is under the root.
    Root(Box<Formula>, Box<Formula>),
    Of(Function, Box<Formula>),
    /// The base and the argument.
    Logarithm(Box<Formula>, Box<Formula>),
    Factorial(Box<Formula>),
    Binomial(Box<Formula>, Box<Formula>),
    Absolute(Box<Formula>),
    /// Rounded to a whole number, up if so told.
    Whole(bool, Box<Formula>),
    /// A function that nobody defined: its name and arguments.
    Unnamed(String, Vec<Formula>),
    /// `a ± b`; `∓` if so told.
    Either(bool, Box<Formula>),
    /// A sum (or product): index, from, to, of.
    Series(bool, String, Box<[Formula; 3]>),
    Matrix(Vec<Vec<Formula>>),
}

impl Formula {
    pub(super) fn whole(value: i64) -> Self {
        let value = BigRational::from_integer(BigInt::from(value));
        let digits = value.to_string();
        Self::Number(Numeral { value, digits, decimals: 0 })
    }

    pub(super) fn over(above: Self, below: Self) -> Self {
        Self::Quotient(Box::new(above), Box::new(below))
    }

    pub(super) fn negative(of: Self) -> Self {
        Self::Negative(Box::new(of))
    }

    /// `left - right`.
    pub(super) fn difference(left: Self, right: Self) -> Self {
        Self::Sum(vec![left, Self::negative(right)])
    }

    /// The parts of which it is made.
    pub(super) fn parts(&self) -> Vec<&Self> {
        use Formula::*;
        match self {
            Number(_) | Based(..) | Unknown(_) | Pi | E | I | Infinity => Vec::new(),
            Sum(parts) | Product(parts) | Unnamed(_, parts) => parts.iter().collect(),
            Quotient(a, b) | Power(a, b) | Root(a, b) | Logarithm(a, b) | Binomial(a, b) => {
                vec![a, b]
            }
            Negative(a) | Of(_, a) | Factorial(a) | Absolute(a) | Whole(_, a) | Either(_, a) => {
                vec![a]
            }
            Series(_, _, parts) => parts.iter().collect(),
            Matrix(rows) => rows.iter().flatten().collect(),
        }
    }

    /// Whether any part of it is such.
    pub(super) fn has(&self, is: &dyn Fn(&Self) -> bool) -> bool {
        is(self) || self.parts().into_iter().any(|part| part.has(is))
    }

    /// The unknowns in it.
    pub(super) fn unknowns(&self) -> BTreeSet<&str> {
        let mut names: BTreeSet<&str> =
            self.parts().into_iter().flat_map(|part| part.unknowns()).collect();
        match self {
            Self::Unknown(name) | Self::Unnamed(name, _) => {
                names.insert(name);
            }
            Self::Series(_, index, _) => {
                names.remove(index.as_str());
            }
            _ => {}
        }
        names
    }

    /// The numeral that it is, with its sign.
    pub(super) fn numeral(&self) -> Option<(&Numeral, bool)> {
        match self {
            Self::Number(numeral) => Some((numeral, false)),
            Self::Negative(of) => match of.as_ref() {
                Self::Number(numeral) => Some((numeral, true)),
                _ => None,
            },
            _ => None,
        }
    }

    /// The formulas that it stands for by its signs `±`: itself where it has none.
    pub(super) fn choices(self) -> Option<Vec<Self>> {
        let signs = self.count_of_choices();
        let has_opposite = self.has(&|part| matches!(part, Self::Either(true, _)));
        match signs {
            0 => Some(vec![self]),
            // With `∓` all signs go together.
            _ if has_opposite => {
                Some([true, false].map(|plus| self.chosen(&mut |_| plus)).to_vec())
            }
            1..=3 => {
                let choose = |mask: usize| self.chosen(&mut |index| mask >> index & 1 == 0);
                Some((0..1 << signs).map(choose).collect())
            }
            _ => None,
        }
    }

    fn count_of_choices(&self) -> usize {
        let own = usize::from(matches!(self, Self::Either(..)));
        own + self.parts().into_iter().map(Self::count_of_choices).sum::<usize>()
    }

    /// The formula with each `±` replaced, by whether the plus is chosen for it.
    fn chosen(&self, plus: &mut dyn FnMut(usize) -> bool) -> Self {
        fn walk(
            formula: &Formula,
            next: &mut usize,
            plus: &mut dyn FnMut(usize) -> bool,
        ) -> Formula {
            if let Formula::Either(opposite, of) = formula {
                let index = *next;
                *next += 1;
                let of = walk(of, next, plus);
                return if plus(index) != *opposite { of } else { Formula::negative(of) };
            }
            formula.rebuilt(&mut |part| walk(part, next, plus))
        }
        walk(self, &mut 0, plus)
    }

    /// The same formula with its parts changed.
    fn rebuilt(&self, change: &mut dyn FnMut(&Self) -> Self) -> Self {
        use Formula::*;
        let mut boxed = |part: &Self| Box::new(change(part));
        match self {
            Number(_) | Based(..) | Unknown(_) | Pi | E | I | Infinity => self.clone(),
            Quotient(a, b) => Quotient(boxed(a), boxed(b)),
            Power(a, b) => Power(boxed(a), boxed(b)),
            Root(a, b) => Root(boxed(a), boxed(b)),
            Logarithm(a, b) => Logarithm(boxed(a), boxed(b)),
            Binomial(a, b) => Binomial(boxed(a), boxed(b)),
            Negative(a) => Negative(boxed(a)),
            Of(function, a) => Of(*function, boxed(a)),
            Factorial(a) => Factorial(boxed(a)),
            Absolute(a) => Absolute(boxed(a)),
            Whole(up, a) => Whole(*up, boxed(a)),
            Either(opposite, a) => Either(*opposite, boxed(a)),
            Sum(parts) => Sum(parts.iter().map(change).collect()),
            Product(parts) => Product(parts.iter().map(change).collect()),
            Unnamed(name, parts) => Unnamed(name.clone(), parts.iter().map(change).collect()),
            Series(adds, index, parts) => {
                Series(*adds, index.clone(), Box::new(parts.each_ref().map(change)))
            }
            Matrix(rows) => {
                Matrix(rows.iter().map(|row| row.iter().map(&mut *change).collect()).collect())
            }
        }
    }
}
