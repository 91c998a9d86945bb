//! What a factor may be: a number, a letter, a bracket, what a command of LaTeX or a function makes.

use super::super::formula::Formula;
use super::super::names::Function;
use super::super::token::{Numeral, Relation, Token};
use super::super::units::number_word;
use super::{Parser, product_of, starts_factor};

impl Parser {
    pub(super) fn atom(&mut self) -> Option<Formula> {
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
        let base = if let Some(value) = number_word(&base) { value } else { base.parse().ok()? };
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
