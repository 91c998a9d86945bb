//! From signs to formulas.

use super::formula::Formula;
use super::names::Function;
use super::token::{Numeral, Relation, Token};

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

    fn atom(&mut self) -> Option<Formula> {
        let token = self.peek()?.clone();
        match token {
            Token::Function(function) => return self.of_function(function),
            Token::Fraction => return self.fraction(),
            Token::Root => return self.root(),
            Token::Binomial => return self.binomial(),
            Token::Sum(adds) => return self.series(adds),
            Token::Begin(_) => return self.matrix(),
            Token::Overline => {
                self.at += 1;
                return self.argument();
            }
            Token::Bar => return self.absolute(),
            Token::OpenFloor(up) => return self.rounded(up),
            Token::Open(open) => return self.bracket(open),
            _ => {}
        }
        self.at += 1;
        match token {
            Token::Number(numeral) => self.number(numeral),
            Token::Letter(name) => self.letter(name),
            Token::Infinity => Some(Formula::Infinity),
            _ => None,
        }
    }

    fn number(&mut self, numeral: Numeral) -> Option<Formula> {
        if self.peek() != Some(&Token::Below) {
            return Some(Formula::Number(numeral));
        }
        self.at += 1;
        let base = self.index()?;
        let base = if let Some(value) = super::units::number_word(&base) {
            value
        } else {
            base.parse().ok()?
        };
        let fits = (2..=36).contains(&base) && numeral.decimals == 0;
        fits.then(|| Formula::Based(numeral.digits.trim_start_matches('0').to_owned(), base))
    }

    /// An index as written, such as `1`, `n` or `five`.
    fn index(&mut self) -> Option<String> {
        let mut written = String::new();
        let mut add = |token: &Token| {
            match token {
                Token::Number(numeral) => written.push_str(&numeral.digits),
                Token::Letter(name) | Token::Word(name) => written.push_str(name),
                Token::Comma => written.push(','),
                _ => return None,
            }
            Some(())
        };
        if self.peek() == Some(&Token::Open('{')) {
            self.at += 1;
            while self.peek()? != &Token::Close('}') {
                add(self.peek()?)?;
                self.at += 1;
            }
            self.at += 1;
        } else {
            add(self.peek()?)?;
            self.at += 1;
        }
        Some(written)
    }

    fn letter(&mut self, name: String) -> Option<Formula> {
        let mut name = name;
        while self.take(&Token::Prime) {
            name.push('\'');
        }
        if self.peek() == Some(&Token::Below) {
            self.at += 1;
            let start = self.at;
            match self.index() {
                Some(index) => name = format!("{name}_{index}"),
                None => {
                    self.at = start;
                    let index = self.argument()?;
                    return Some(Formula::Unnamed(format!("{name}_"), vec![index]));
                }
            }
        }
        let applies = matches!(name.trim_end_matches('\''), "f" | "g" | "h" | "F" | "G" | "H");
        if applies && self.peek() == Some(&Token::Open('(')) {
            return self.arguments().map(|arguments| Formula::Unnamed(name, arguments));
        }
        Some(match name.as_str() {
            "pi" => Formula::Pi,
            "e" => Formula::E,
            "i" => Formula::I,
            _ => Formula::Unknown(name),
        })
    }

    fn arguments(&mut self) -> Option<Vec<Formula>> {
        self.at += 1;
        let mut arguments = vec![self.sum()?];
        while self.take(&Token::Comma) {
            arguments.push(self.sum()?);
        }
        self.take(&Token::Close(')')).then_some(arguments)
    }

    fn bracket(&mut self, open: char) -> Option<Formula> {
        let close = match open {
            '(' => ')',
            '[' => ']',
            '{' => '}',
            _ => return None,
        };
        self.at += 1;
        let bars = std::mem::take(&mut self.in_bars);
        let mut inner = self.sum()?;
        if open == '{' && self.take(&Token::Choose) {
            inner = Formula::Binomial(Box::new(inner), Box::new(self.sum()?));
        }
        if open == '{' && self.take(&Token::Across) {
            inner = Formula::over(inner, self.sum()?);
        }
        self.in_bars = bars;
        self.take(&Token::Close(close)).then_some(inner)
    }

    /// The argument of a command: a group, or one sign; of a numeral its first digit.
    fn argument(&mut self) -> Option<Formula> {
        match self.peek()? {
            Token::Open('{') => self.bracket('{'),
            Token::Number(_) => self.first_digit(),
            _ => self.within(Self::atom),
        }
    }

    fn first_digit(&mut self) -> Option<Formula> {
        let Some(Token::Number(numeral)) = self.peek().cloned() else { return None };
        let plain = numeral.decimals == 0 && numeral.value.is_integer();
        if !plain || numeral.digits.len() < 2 {
            self.at += 1;
            return Some(Formula::Number(numeral));
        }
        let (first, rest) = numeral.digits.split_at(1);
        let value = rest.parse().ok()?;
        let rest = Numeral { value, digits: rest.to_owned(), decimals: 0 };
        self.tokens[self.at] = Token::Number(rest);
        first.parse().ok().map(Formula::whole)
    }

    fn fraction(&mut self) -> Option<Formula> {
        self.within(|parser| {
            parser.at += 1;
            let above = parser.argument()?;
            let below = parser.argument()?;
            Some(Formula::over(above, below))
        })
    }

    fn binomial(&mut self) -> Option<Formula> {
        self.within(|parser| {
            parser.at += 1;
            let above = parser.argument()?;
            let below = parser.argument()?;
            Some(Formula::Binomial(Box::new(above), Box::new(below)))
        })
    }

    fn root(&mut self) -> Option<Formula> {
        self.within(|parser| {
            parser.at += 1;
            let degree = match parser.peek() {
                Some(Token::Open('[')) => parser.bracket('[')?,
                _ => Formula::whole(2),
            };
            // `\sqrt12` is meant as it is read.
            let of = match parser.peek()? {
                Token::Open('{') => parser.bracket('{')?,
                Token::Open('(') => parser.bracket('(')?,
                _ => parser.within(Self::atom)?,
            };
            Some(Formula::Root(Box::new(degree), Box::new(of)))
        })
    }

    fn absolute(&mut self) -> Option<Formula> {
        self.at += 1;
        self.in_bars += 1;
        let inner = self.sum()?;
        self.in_bars -= 1;
        self.take(&Token::Bar).then(|| Formula::Absolute(Box::new(inner)))
    }

    fn rounded(&mut self, up: bool) -> Option<Formula> {
        self.at += 1;
        let inner = self.sum()?;
        self.take(&Token::CloseFloor(up)).then(|| Formula::Whole(up, Box::new(inner)))
    }

    fn of_function(&mut self, function: Function) -> Option<Formula> {
        self.within(|parser| {
            parser.at += 1;
            let base = if function == Function::Log && parser.take(&Token::Below) {
                Some(parser.argument_of_log()?)
            } else {
                None
            };
            let power = if parser.take(&Token::Power) { Some(parser.argument()?) } else { None };
            parser.in_function += 1;
            let of = parser.function_argument()?;
            parser.in_function -= 1;
            Some(applied(function, base, power, of))
        })
    }

    fn argument_of_log(&mut self) -> Option<Formula> {
        match self.peek()? {
            Token::Open('{') => self.bracket('{'),
            // `\log_2 8`; but `\log_28` is as LaTeX prints it.
            _ => self.argument(),
        }
    }

    /// A bracket, or factors up to the next sign of operation or function.
    fn function_argument(&mut self) -> Option<Formula> {
        if matches!(self.peek()?, Token::Open('(' | '[' | '{')) {
            let inner = self.within(Self::atom)?;
            return Some(inner);
        }
        let mut factors = vec![self.signed_power()?];
        while self.peek().is_some_and(|token| {
            starts_factor(token, self.in_bars > 0)
                && !matches!(token, Token::Function(_) | Token::Open(_))
        }) {
            if self.joins_numeral() {
                return None;
            }
            factors.push(self.power()?);
        }
        // `\sin \pi/3`
        if matches!(self.peek(), Some(Token::Over))
            && matches!(self.ahead(1), Some(Token::Number(_)))
        {
            self.at += 1;
            let below = self.power()?;
            return Some(Formula::over(product_of(factors), below));
        }
        Some(product_of(factors))
    }

    /// `\sum_{k=1}^{n} a_k`: everything up to the next sum is summed.
    fn series(&mut self, adds: bool) -> Option<Formula> {
        self.within(|parser| {
            parser.at += 1;
            if !parser.take(&Token::Below) || !parser.take(&Token::Open('{')) {
                return None;
            }
            let Some(Token::Letter(index)) = parser.peek().cloned() else { return None };
            parser.at += 1;
            if !parser.take(&Token::Relation(Relation::Equal)) {
                return None;
            }
            let from = parser.sum()?;
            if !parser.take(&Token::Close('}')) || !parser.take(&Token::Power) {
                return None;
            }
            let to = parser.argument()?;
            let of = parser.product()?;
            Some(Formula::Series(adds, index, Box::new([from, to, of])))
        })
    }

    fn matrix(&mut self) -> Option<Formula> {
        self.at += 1;
        let mut rows = vec![Vec::new()];
        loop {
            match self.peek()? {
                Token::End => {
                    self.at += 1;
                    break;
                }
                Token::Cell => self.at += 1,
                Token::Row => {
                    self.at += 1;
                    rows.push(Vec::new());
                }
                _ => {
                    let cell = self.sum()?;
                    rows.last_mut()?.push(cell);
                }
            }
        }
        rows.retain(|row| !row.is_empty());
        let width = rows.first()?.len();
        rows.iter().all(|row| row.len() == width).then_some(Formula::Matrix(rows))
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

fn applied(
    function: Function,
    base: Option<Formula>,
    power: Option<Formula>,
    of: Formula,
) -> Formula {
    let inverse = match function {
        Function::Sin => Some(Function::Arcsin),
        Function::Cos => Some(Function::Arccos),
        Function::Tan => Some(Function::Arctan),
        _ => None,
    };
    let is_inverse =
        power.as_ref().is_some_and(|power| *power == Formula::negative(Formula::whole(1)));
    if let (Some(inverse), true) = (inverse, is_inverse) {
        return Formula::Of(inverse, Box::new(of));
    }
    let applied = match base {
        Some(base) => Formula::Logarithm(Box::new(base), Box::new(of)),
        None => Formula::Of(function, Box::new(of)),
    };
    match power {
        Some(power) => Formula::Power(Box::new(applied), Box::new(power)),
        None => applied,
    }
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
