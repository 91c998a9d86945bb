//! Which letter a text chooses.

use std::sync::LazyLock;

use ::regex::{Captures, Regex};

use super::follows::{Kind, kind};
use super::options::Options;
use super::plain::plain;
use crate::pattern::constant;

/// No more of a text is read, from its end.
const LONGEST_READ: usize = 65_536;

/// What a text, or a part of it, says about the letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    Letter(char),
    /// More than one is chosen.
    Several,
}

/// Statements of the answer; the letter is the group `l`.
static STATED: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    const NOUN: &str = r"(?P<noun>(?i:answer|ans|choice|option|response|solution|letter|one)s?)";
    const EACH: &str = r"(?P<each>\b(?i:each|every|following|possible|given)\s+(?:\w+\s+)?)?";
    const IS: &str =
        r"(?:\b(?i:is|are|was|be|would be|will be|should be|must be|has to be)\b|[=:–—→-])";
    const SURE: &str = r"(?i:(?:clearly|therefore|thus|hence|definitely|simply|most likely|probably|likely|indeed)\s+)?";
    const OPTION: &str = r"(?i:(?:the\s+)?(?:option|choice|letter|answer|statement)\s*[:#]?\s*)?";
    const LETTER: &str = r#"["'(\[{<\s]*(?P<l>[A-Za-z])(?:[^A-Za-z]|$)"#;
    let patterns = [
        // The (correct) answer (to the question above) is: option (B)
        format!(
            r#"{EACH}\b{NOUN}(?:\s+(?i:to|for|of|in|here|among|from)\b[^.:\n]{{0,80}}?)?\s*[")']?\s*{IS}\s*:?\s*{SURE}{OPTION}{LETTER}"#
        ),
        // It must be B. I choose B. So, B.
        format!(
            r"\b(?i:it|this|that|which)\s*(?i:is|'s|must be|would be|should be|has to be)\s+{SURE}{OPTION}{LETTER}"
        ),
        format!(
            r"\b(?i:choose|chose|choosing|pick|picked|select|selected|go with|going with|opt for|say|guess|think|vote for|conclude|mark)\s*:?\s+{OPTION}{LETTER}"
        ),
        format!(
            r"(?m)(?:^|[.!?\n]\s*)(?i:so|therefore|thus|hence|finally)\s*[,:]?\s+{OPTION}{LETTER}"
        ),
        // A: B
        format!(r"(?m)^\s*A\s*:\s*{OPTION}{LETTER}"),
        // Other languages that models answer in.
        format!(
            r"(?i:答案|正确答案|选项|答え|正解|정답|답|ответ|antwort|respuesta|réponse|risposta|resposta)\s*(?i:应该|应为|应)?\s*(?i:选择|选|是|为|は|은|는|ist|es|est|è|é|:|-|—)?\s*:?{OPTION}{LETTER}"
        ),
        format!(r"(?:故选|应选|所以选|因此选|选择|选)\s*:?{LETTER}"),
    ];
    patterns.iter().map(|pattern| built(pattern)).collect()
});
/// A letter that is called right.
static CALLED_RIGHT: LazyLock<Regex> = LazyLock::new(|| {
    constant(concat!(
        r#"(?:(?P<before>[A-Za-z]+)\s+)?(?P<option>(?i:option|choice|answer|letter)\s+)?["'(\[]*\b(?P<l>[A-Za-z])["')\]]*"#,
        r"(?:\s*[:.]\s*[^.\n]{1,60}?)??\s+(?i:is|must be|would be|seems|looks)\s+(?i:clearly |definitely |indeed )?(?i:the\s+)?(?i:only\s+|most\s+)?",
        r"(?i:correct|right|best|answer|my answer|accurate|appropriate)\b"
    ))
});
/// Words before a letter that is called right which make it a thought, or one of two.
static UNSURE: LazyLock<Regex> = LazyLock::new(|| {
    constant(r"^(?i:nor|neither|or|and|if|whether|not|why|unless|suppose|assume|assuming|than)$")
});
/// A line of a letter alone.
static ALONE: LazyLock<Regex> = LazyLock::new(|| {
    constant(
        r#"(?m)^[\s#>"'(\[{-]*(?:(?i:option|choice|answer|letter)\s*[:#]?\s*)?["'(\[{]*(?P<l>[A-Za-z])[)\]}.:,;!"'\s]*$"#,
    )
});
/// A line of a letter and the text of its choice.
static LABELLED: LazyLock<Regex> = LazyLock::new(|| {
    constant(
        r#"(?m)^[ \t#>"'-]*(?P<option>(?i:option|choice|answer)\s*)?(?:[(\[](?P<k>[A-Za-z])[)\]][.:]?[ \t]*|(?P<l>[A-Za-z])(?P<sign>[).:\]]|[ \t]+[-–—])[ \t]+)(?P<rest>\S.*)$"#,
    )
});
/// A letter in brackets, or behind the word option.
static MENTIONED: LazyLock<Regex> =
    LazyLock::new(|| constant(r"[(\[](?P<k>[A-Z])[)\]]|\b(?i:option|choice)\s+(?P<l>[A-Za-z])\b"));
/// What a text says of the answer, to the end of the line.
static SAYS: LazyLock<Regex> = LazyLock::new(|| {
    constant(r"\b(?i:answer|choice|option)\b[^.:\n]{0,80}?(?:\b(?i:is|be)\b|:)(?P<said>[^\n]*)")
});
/// What is marked as the answer by a tag.
static TAGGED: LazyLock<Regex> = LazyLock::new(|| constant(r"(?is)<answer>(.*?)</answer>"));

fn built(pattern: &str) -> Regex {
    match Regex::new(pattern) {
        Ok(regex) => regex,
        Err(error) => panic!("a pattern of the program is broken: {error}"),
    }
}

/// The letter of the right answer as data gives it: a letter, a letter with its text, or a text.
pub(super) fn reference(answer: &str, options: &Options) -> Option<char> {
    let text = plain(answer);
    let alone = || only(ALONE.captures_iter(&text).filter_map(|found| letter(&found, options)));
    options.equal(answer).or_else(alone).or_else(|| labelled(&text, options)).or_else(|| {
        let inside = marked(answer)?;
        options.equal(&inside).or_else(|| match read(&plain(&inside), options)? {
            Reading::Letter(letter) => Some(letter),
            Reading::Several => None,
        })
    })
}

/// The letter that a text chooses.
pub(super) fn chosen(text: &str, options: &Options) -> Option<char> {
    let text = answered(end_of(text));
    let in_mark = || {
        let inside = marked(text)?;
        options.equal(&inside).map(Reading::Letter).or_else(|| read(&plain(&inside), options))
    };
    match in_mark().or_else(|| read(&plain(text), options))? {
        Reading::Letter(letter) => Some(letter),
        Reading::Several => None,
    }
}

fn end_of(text: &str) -> &str {
    let mut start = text.len().saturating_sub(LONGEST_READ);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}

/// What stands after the thinking, if there is any.
fn answered(text: &str) -> &str {
    let after = text.rsplit_once("</think>").map(|(_, after)| after);
    after.filter(|after| !after.trim().is_empty()).unwrap_or(text)
}

/// What the last mark of a text holds.
fn marked(text: &str) -> Option<String> {
    let tagged = TAGGED.captures_iter(text).last().map(|found| found[1].to_owned());
    tagged.or_else(|| boxed(text)).or_else(|| hashed(text))
}

fn boxed(text: &str) -> Option<String> {
    let at = text.rfind("\\boxed")?;
    let inner = text[at + "\\boxed".len()..].trim_start();
    let Some(inner) = inner.strip_prefix('{') else {
        return inner.chars().next().map(String::from);
    };
    let mut open = 1_usize;
    let closes = |(_, c): &(usize, char)| {
        match c {
            '{' => open += 1,
            '}' => open -= 1,
            _ => {}
        }
        open == 0
    };
    let (end, _) = inner.char_indices().find(closes)?;
    Some(inner[..end].to_owned())
}

fn hashed(text: &str) -> Option<String> {
    let (_, after) = text.rsplit_once("#### ")?;
    after.lines().next().map(str::to_owned)
}

/// What a plain text chooses.
fn read(text: &str, options: &Options) -> Option<Reading> {
    let letter = |found: Option<char>| found.map(Reading::Letter);
    stated(text, options)
        .or_else(|| letter(alone(text, options)))
        .or_else(|| first(text, options))
        .or_else(|| letter(labelled(text, options)))
        .or_else(|| letter(by_text(text, options)))
        .or_else(|| letter(mentioned(text, options)))
}

/// The last statement of the answer.
fn stated(text: &str, options: &Options) -> Option<Reading> {
    let statements = STATED.iter().flat_map(|pattern| pattern.captures_iter(text));
    let said = statements.filter_map(|found| {
        let letter = found.name("l")?;
        if lists_choices(&found, &text[..letter.start()]) {
            return None;
        }
        let chosen = choice(letter.as_str(), &text[letter.end()..], options)?;
        Some((letter.start(), chosen))
    });
    let right = CALLED_RIGHT.captures_iter(text).filter_map(|found| called_right(&found, options));
    said.chain(right).max_by_key(|(at, _)| *at).map(|(_, reading)| reading)
}

/// Whether a statement only announces the choices, on lines that follow: `The options are:`.
fn lists_choices(found: &Captures<'_>, before: &str) -> bool {
    let Some(noun) = found.name("noun") else { return false };
    let is_plural = noun.as_str().ends_with(['s', 'S']) && noun.as_str().len() > "ans".len();
    before[noun.end()..].contains('\n') && (is_plural || found.name("each").is_some())
}

fn choice(letter: &str, rest: &str, options: &Options) -> Option<Reading> {
    let written = letter.chars().next()?;
    let letter = options.letter(written)?;
    match kind(written, rest, options) {
        Kind::Choice => Some(Reading::Letter(letter)),
        Kind::OneOfSeveral => Some(Reading::Several),
        Kind::Word => None,
    }
}

fn called_right(found: &Captures<'_>, options: &Options) -> Option<(usize, Reading)> {
    let unsure = found.name("before").is_some_and(|word| UNSURE.is_match(word.as_str()));
    let written = found.name("l")?;
    let is_letter =
        found.name("option").is_some() || written.as_str().chars().all(char::is_uppercase);
    let letter = letter(found, options).filter(|_| is_letter && !unsure)?;
    Some((written.start(), Reading::Letter(letter)))
}

/// The letter of the last line that is nothing else.
fn alone(text: &str, options: &Options) -> Option<char> {
    ALONE.captures_iter(text).filter_map(|found| letter(&found, options)).last()
}

/// A letter that the text begins with.
fn first(text: &str, options: &Options) -> Option<Reading> {
    let start = text.trim_start().trim_start_matches(['"', '\'', '(', '[', '{']);
    let letter = &start[..start.chars().next().filter(char::is_ascii_uppercase)?.len_utf8()];
    let rest = &start[letter.len()..];
    // `A: …` and `A. …` may be labels, which are looked at together.
    let is_label = rest.starts_with([')', ']', '.', ':']);
    (!is_label).then(|| choice(letter, rest, options)).flatten()
}

/// The letter of the lines that begin with one, if it is the same in all of them.
fn labelled(text: &str, options: &Options) -> Option<char> {
    only(LABELLED.captures_iter(text).filter_map(|found| {
        let written = letter(&found, options)?;
        // `A: …` answers a `Q: …`.
        let is_answer = written == 'A' && found.name("sign").is_some_and(|s| s.as_str() == ":");
        let rest = found.name("rest").map_or("", |rest| rest.as_str());
        let keeps = found.name("option").is_some()
            || !is_answer
            || options.begins_with_text_of(written, rest);
        keeps.then_some(written)
    }))
}

/// The choice whose text is said to be the answer, or stands in the text or its last line alone.
fn by_text(text: &str, options: &Options) -> Option<char> {
    let said = SAYS.captures_iter(text).last();
    let said = said.and_then(|found| found.name("said")).map(|said| said.as_str());
    let last_line = text.trim_end().lines().next_back();
    options
        .equal(text)
        .or_else(|| options.inside(said?))
        .or_else(|| options.inside(text))
        .or_else(|| options.inside(last_line?))
}

/// The only letter that stands in brackets or behind the word option.
fn mentioned(text: &str, options: &Options) -> Option<char> {
    only(MENTIONED.captures_iter(text).filter_map(|found| {
        // A choice a person makes is no choice A.
        let is_article = found.name("l").is_some_and(|l| {
            let rest = text[l.end()..].trim_start_matches(' ');
            l.as_str() == "a" && rest.starts_with(char::is_alphanumeric)
        });
        letter(&found, options).filter(|_| !is_article)
    }))
}

fn letter(found: &Captures<'_>, options: &Options) -> Option<char> {
    let written = found.name("l").or_else(|| found.name("k"))?;
    options.letter(written.as_str().chars().next()?)
}

fn only(mut letters: impl Iterator<Item = char>) -> Option<char> {
    let first = letters.next()?;
    letters.all(|letter| letter == first).then_some(first)
}
