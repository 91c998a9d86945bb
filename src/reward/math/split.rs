//! Where the signs of an answer part: lists, relations, brackets.

use super::token::{Relation, Token};

/// What stands in front of an item of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Join {
    Comma,
    Semicolon,
    Word,
}

/// How a sign changes the number of open brackets.
fn step(token: &Token) -> i32 {
    match token {
        Token::Open(_) | Token::Begin(_) | Token::OpenFloor(_) => 1,
        Token::Close(_) | Token::End | Token::CloseFloor(_) => -1,
        _ => 0,
    }
}

/// The signs without commas, points and rows around them.
pub(super) fn trimmed(tokens: &[Token]) -> &[Token] {
    let is_loose = |token: &Token| {
        matches!(token, Token::Comma | Token::Semicolon | Token::Row | Token::Cell | Token::Joint)
    };
    let start = tokens.iter().position(|token| !is_loose(token)).unwrap_or(tokens.len());
    let end = tokens.iter().rposition(|token| !is_loose(token)).map_or(start, |last| last + 1);
    &tokens[start..end]
}

/// The parts between signs that `parts` picks, outside all brackets.
fn parted(
    tokens: &[Token],
    mut parts: impl FnMut(&Token) -> bool,
) -> Vec<(Option<&Token>, &[Token])> {
    let mut depth = 0;
    let mut start = 0;
    let mut before = None;
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        depth += step(token);
        if depth == 0 && step(token) == 0 && parts(token) {
            found.push((before, &tokens[start..at]));
            before = Some(token);
            start = at + 1;
        }
    }
    found.push((before, &tokens[start..]));
    found
}

/// The parts between one sign.
pub(super) fn at<'a>(tokens: &'a [Token], sign: &Token) -> Vec<&'a [Token]> {
    parted(tokens, |token| token == sign).into_iter().map(|(_, part)| part).collect()
}

/// The sides of relations, each with the relation before it.
pub(super) fn relations(tokens: &[Token]) -> Vec<(Option<Relation>, &[Token])> {
    let parts = parted(tokens, |token| matches!(token, Token::Relation(_)));
    let relation = |token: Option<&Token>| match token {
        Some(Token::Relation(relation)) => Some(*relation),
        _ => None,
    };
    parts.into_iter().map(|(before, part)| (relation(before), part)).collect()
}

/// The items of a list; none where one is empty. `2, 3, and 4` has three.
pub(super) fn items(tokens: &[Token]) -> Option<Vec<(Join, &[Token])>> {
    let parts =
        parted(tokens, |token| matches!(token, Token::Comma | Token::Semicolon | Token::Joint));
    let mut items: Vec<(Join, &[Token])> = Vec::new();
    let mut pending: Option<Join> = None;
    for (before, part) in parts {
        let join = match before {
            Some(Token::Semicolon) => Join::Semicolon,
            Some(Token::Joint) => Join::Word,
            _ => Join::Comma,
        };
        // A word behind a comma is one sign with it.
        if part.is_empty() {
            let is_doubled = pending.is_some();
            if is_doubled || items.is_empty() && before.is_none() {
                return None;
            }
            pending = Some(join);
            continue;
        }
        let join = match (pending.take(), join) {
            (Some(Join::Comma), Join::Word) => Join::Comma,
            (Some(_), Join::Comma) => return None,
            (Some(pending), _) => pending,
            (None, join) => join,
        };
        items.push((join, part));
    }
    pending.is_none().then_some(items)
}

/// `p=5, q=2; p=7, q=2` and `p=5, q=2 and p=7, q=2` as two groups; none where it is one list.
pub(super) fn groups<'a>(items: &[(Join, &'a [Token])]) -> Option<Vec<Vec<&'a [Token]>>> {
    let mut groups: Vec<Vec<&[Token]>> = Vec::new();
    for (at, (join, item)) in items.iter().enumerate() {
        if at == 0 || *join != Join::Comma {
            groups.push(Vec::new());
        }
        groups.last_mut()?.push(item);
    }
    let size = groups.first()?.len();
    let is_even = groups.len() > 1 && size > 1 && groups.iter().all(|group| group.len() == size);
    let named = items.iter().all(|(_, item)| relations(item).len() > 1);
    (is_even && named).then_some(groups)
}

/// What a bracket around all of the signs holds, and of which kind it is.
pub(super) fn bracketed(tokens: &[Token]) -> Option<(char, &[Token], char)> {
    let (Token::Open(open), Token::Close(close)) = (tokens.first()?, tokens.last()?) else {
        return None;
    };
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate() {
        depth += step(token);
        if depth == 0 && at + 1 < tokens.len() {
            return None;
        }
    }
    (depth == 0 && tokens.len() > 1).then(|| (*open, &tokens[1..tokens.len() - 1], *close))
}
