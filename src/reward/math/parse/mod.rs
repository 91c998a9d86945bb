//! From signs to formulas.

mod atoms;

use super::formula::Formula;
use super::token::Token;

/// Brackets, powers and functions within each other; nobody writes so many.
const MOST_NESTED: usize = 40;

/// The formula that a row of signs is, from end to end.
pub(super) fn formula(tokens: &[Token]) -> Option<Formula> {
    let (formula, rest) = prefix(tokens)?;
    rest.is_empty().then_some(formula)
}

/// The formula that a row of signs begins with, and the signs behind it.
pub(super) fn prefix(tokens: &[Token]) -> Option<(Formula, &[Token])> {
    let mut parser =
        Parser { tokens: tokens.to_vec(), at: 0, nested: 0, in_bars: 0, in_function: 0 };
    let formula = parser.sum()?;
    // A numeral that was divided, as in \frac12, is used up.
    let left = parser.tokens.len() - parser.at;
    Some((formula, &tokens[tokens.len() - left.min(tokens.len())..]))
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    nested: usize,
    /// Open bars of absolute values.
    in_bars: usize,
    /// Arguments of functions around, where degrees are angles.
    in_function: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn ahead(&self, by: usize) -> Option<&Token> {
        self.tokens.get(self.at + by)
    }

    fn take(&mut self, token: &Token) -> bool {
        let is = self.peek() == Some(token);
        self.at += usize::from(is);
        is
    }

    /// Runs one level deeper.
    fn within<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        self.nested += 1;
        if self.nested > MOST_NESTED {
            return None;
        }
        let read = read(self);
        self.nested -= 1;
        read
    }

    fn sum(&mut self) -> Option<Formula> {
        self.within(Self::sum_here)
    }

    fn sum_here(&mut self) -> Option<Formula> {
        let mut parts = Vec::new();
        loop {
            let mut minus = false;
            let mut either = None;
            let signs = self.at;
            loop {
                match self.peek() {
                    Some(Token::Plus) => {}
                    Some(Token::Minus) => minus = !minus,
                    Some(Token::PlusMinus) => either = Some(false),
                    Some(Token::MinusPlus) => either = Some(true),
                    _ => break,
                }
                self.at += 1;
            }
            if self.at == signs && !parts.is_empty() {
                break;
            }
            let mut part = self.product()?;
            if minus {
                part = Formula::negative(part);
            }
            if let Some(opposite) = either {
                part = Formula::Either(opposite, Box::new(part));
            }
            parts.push(part);
        }
        Some(if parts.len() == 1 { parts.remove(0) } else { Formula::Sum(parts) })
    }

    fn product(&mut self) -> Option<Formula> {
        let mut factors = vec![self.power()?];
        loop {
            let token = self.peek();
            match token {
                Some(Token::Times) => {
                    self.at += 1;
                    let factor = self.signed_power()?;
                    factors.push(factor);
                }
                Some(Token::Over) => {
                    self.at += 1;
                    let below = self.signed_power()?;
                    let above = product_of(std::mem::take(&mut factors));
                    factors = vec![Formula::over(above, below)];
                }
                Some(token) if starts_factor(token, self.in_bars > 0) => {
                    let joins = self.joins_numeral();
                    let factor = self.power()?;
                    self.join(&mut factors, factor, joins)?;
                }
                _ => return Some(product_of(factors)),
            }
        }
    }

    /// A factor behind a sign of operation may have a sign of its own: `2 \cdot -3`.
    fn signed_power(&mut self) -> Option<Formula> {
        let minus = self.take(&Token::Minus);
        let factor = self.power()?;
        Some(if minus { Formula::negative(factor) } else { factor })
    }

    /// Whether the next sign is a numeral right behind another.
    fn joins_numeral(&self) -> bool {
        matches!(self.peek(), Some(Token::Number(_)))
            && matches!(
                self.at.checked_sub(1).and_then(|at| self.tokens.get(at)),
                Some(Token::Number(_))
            )
    }

    /// Multiplies by a factor that stands right behind; a fraction behind a whole number is added.
    fn join(&mut self, factors: &mut Vec<Formula>, factor: Formula, joins: bool) -> Option<()> {
        let is_first = factors.len() == 1;
        let whole = factors.last().and_then(Formula::numeral);
        let whole = whole.filter(|(numeral, negative)| {
            !negative && numeral.value.is_integer() && numeral.decimals == 0
        });
        let can_mix = is_first && whole.is_some();
        if joins {
            // `4 4/9`: two numerals make a number only so.
            let over = self.take(&Token::Over).then(|| self.power()).flatten()?;
            let fraction = Formula::over(factor, over);
            return (can_mix && is_proper(&fraction)).then(|| mix(factors, fraction));
        }
        if can_mix && is_proper(&factor) {
            mix(factors, factor);
        } else {
            factors.push(factor);
        }
        Some(())
    }

    fn power(&mut self) -> Option<Formula> {
        self.within(|parser| {
            let base = parser.atom()?;
            let base = parser.postfix(base)?;
            // Raised degrees at the end of a value are its unit.
            if parser.is_raised_degree() || !parser.take(&Token::Power) {
                return Some(base);
            }
            let exponent = parser.exponent()?;
            let power = Formula::Power(Box::new(base), Box::new(exponent));
            parser.postfix(power)
        })
    }

    fn exponent(&mut self) -> Option<Formula> {
        let minus = self.take(&Token::Minus);
        let _ = !minus && self.take(&Token::Plus);
        // Powers of powers bind to the right.
        let exponent = self.power()?;
        Some(if minus { Formula::negative(exponent) } else { exponent })
    }

    fn postfix(&mut self, mut formula: Formula) -> Option<Formula> {
        const MOST: usize = 3;
        for _ in 0..MOST {
            match self.peek() {
                Some(Token::Factorial) => {
                    self.at += 1;
                    formula = Formula::Factorial(Box::new(formula));
                }
                Some(Token::Percent) if self.ahead(1).is_some() && !self.rest_is_unit() => {
                    self.at += 1;
                    formula = Formula::over(formula, Formula::whole(100));
                }
                Some(Token::Degree) if self.in_function > 0 => {
                    self.at += 1;
                    formula = degrees(formula);
                }
                Some(Token::Power) if self.in_function > 0 && self.is_raised_degree() => {
                    self.at += if self.ahead(1) == Some(&Token::Degree) { 2 } else { 4 };
                    formula = degrees(formula);
                }
                _ => return Some(formula),
            }
        }
        Some(formula)
    }

    fn rest_is_unit(&self) -> bool {
        let rest = &self.tokens[self.at..];
        rest.iter().all(|token| matches!(token, Token::Percent | Token::Word(_)))
    }

    /// `^\circ` or `^{\circ}` comes next.
    fn is_raised_degree(&self) -> bool {
        is_raised_degree(&self.tokens[self.at..]).is_some()
    }
}

/// How many signs `^\circ` or `^{\circ}` takes at the start of these.
pub(super) fn is_raised_degree(tokens: &[Token]) -> Option<usize> {
    match tokens {
        [Token::Power, Token::Degree, ..] => Some(2),
        [Token::Power, Token::Open('{'), Token::Degree, Token::Close('}'), ..] => Some(4),
        _ => None,
    }
}

fn degrees(formula: Formula) -> Formula {
    Formula::over(Formula::Product(vec![formula, Formula::Pi]), Formula::whole(180))
}

fn product_of(mut factors: Vec<Formula>) -> Formula {
    if factors.len() == 1 { factors.remove(0) } else { Formula::Product(factors) }
}

/// Whether a sign begins a factor right behind another.
fn starts_factor(token: &Token, in_bars: bool) -> bool {
    match token {
        Token::Number(_)
        | Token::Letter(_)
        | Token::Function(_)
        | Token::Fraction
        | Token::Root
        | Token::Binomial
        | Token::Open('(' | '[' | '{')
        | Token::Begin(_)
        | Token::OpenFloor(_)
        | Token::Overline
        | Token::Sum(_) => true,
        Token::Bar => !in_bars,
        _ => false,
    }
}

/// Whether it is a fraction of whole numbers below one.
fn is_proper(formula: &Formula) -> bool {
    let Formula::Quotient(above, below) = formula else { return false };
    let (Formula::Number(above), Formula::Number(below)) = (above.as_ref(), below.as_ref()) else {
        return false;
    };
    above.value.is_integer() && below.value.is_integer() && above.value < below.value
}

fn mix(factors: &mut Vec<Formula>, fraction: Formula) {
    let whole = std::mem::take(factors);
    let mut parts = whole;
    parts.push(fraction);
    factors.push(Formula::Sum(parts));
}
