//! Texts and numbers as they are written in a tag.

use super::super::TemplateError;
use super::{Kind, Lexer};

impl Lexer<'_> {
    pub(super) fn string(&self, quote: char) -> Result<(Kind, usize), TemplateError> {
        let mut escaped = false;
        for (at, letter) in self.rest.char_indices().skip(1) {
            match letter {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                _ if letter == quote => {
                    let text =
                        unescaped(&self.rest[1..at]).map_err(|problem| self.error(problem))?;
                    return Ok((Kind::Text(text), at + 1));
                }
                _ => {}
            }
        }
        Err(self.error("a text has no closing quote"))
    }

    pub(super) fn number(&self) -> Result<(Kind, usize), TemplateError> {
        let bytes = self.rest.as_bytes();
        let digits = |from: usize| {
            let part = |byte: &&u8| byte.is_ascii_digit() || **byte == b'_';
            bytes[from..].iter().take_while(part).count()
        };
        if let Some(radix) = self.radix() {
            return self.radix_number(radix);
        }
        let mut length = digits(0);
        let mut is_float = false;
        if bytes.get(length) == Some(&b'.') && bytes.get(length + 1).is_some_and(u8::is_ascii_digit)
        {
            length += 1 + digits(length + 1);
            is_float = true;
        }
        if matches!(bytes.get(length), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(length + 1), Some(b'+' | b'-')));
            let exponent = digits(length + 1 + sign);
            if exponent > 0 {
                length += 1 + sign + exponent;
                is_float = true;
            }
        }
        let text = self.rest[..length].replace('_', "");
        let bad = || self.error(format!("{text:?} is no number that is read here"));
        let kind = match is_float {
            true => Kind::Float(text.parse().map_err(|_| bad())?),
            false => Kind::Int(text.parse().map_err(|_| bad())?),
        };
        Ok((kind, length))
    }

    fn radix(&self) -> Option<u32> {
        match self.rest.get(..2)? {
            "0x" | "0X" => Some(16),
            "0o" | "0O" => Some(8),
            "0b" | "0B" => Some(2),
            _ => None,
        }
    }

    fn radix_number(&self, radix: u32) -> Result<(Kind, usize), TemplateError> {
        let end = self.rest[2..].find(|c: char| !c.is_digit(radix) && c != '_');
        let length = end.map_or(self.rest.len(), |end| end + 2);
        let digits = self.rest[2..length].replace('_', "");
        let value = i128::from_str_radix(&digits, radix);
        Ok((Kind::Int(value.map_err(|_| self.error("a number that is not read here"))?), length))
    }
}

/// Python's escapes; one that Python does not know stays as it is written.
fn unescaped(text: &str) -> Result<String, String> {
    let mut result = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            result.push(letter);
            continue;
        }
        match letters.next() {
            Some('n') => result.push('\n'),
            Some('t') => result.push('\t'),
            Some('r') => result.push('\r'),
            Some('a') => result.push('\x07'),
            Some('b') => result.push('\x08'),
            Some('f') => result.push('\x0c'),
            Some('v') => result.push('\x0b'),
            Some('\n') | None => {}
            Some(same @ ('\\' | '\'' | '"')) => result.push(same),
            Some('x') => result.push(code_point(&mut letters, 2)?),
            Some('u') => result.push(code_point(&mut letters, 4)?),
            Some('U') => result.push(code_point(&mut letters, 8)?),
            Some(first @ '0'..='7') => result.push(octal(first, &mut letters)),
            Some(other) => result.extend(['\\', other]),
        }
    }
    Ok(result)
}

fn code_point(letters: &mut std::str::Chars, count: usize) -> Result<char, String> {
    let digits: String = letters.take(count).collect();
    let code = u32::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == count);
    let bad = || format!("a text holds the broken escape {digits:?}");
    let code = code.ok_or_else(bad)?;
    // Half of a surrogate pair is no character; two of them in a row are joined nowhere in jinja2 either.
    char::from_u32(code).ok_or_else(bad)
}

fn octal(first: char, letters: &mut std::str::Chars) -> char {
    let mut code = first.to_digit(8).unwrap_or(0);
    for _ in 0..2 {
        let Some(digit) = letters.clone().next().and_then(|letter| letter.to_digit(8)) else {
            break;
        };
        letters.next();
        code = code * 8 + digit;
    }
    char::from_u32(code).unwrap_or('\0')
}
