//! The number that a text states as its answer.

use std::sync::LazyLock;

use regex::Regex;

use super::clause::{leads_to_number, leaves_number};
use super::decimal::Decimal;
use super::numeral::{self, plain};
use super::unit::{is_unit, without_powers};
use crate::pattern::constant;

/// A longer answer is no number; nothing longer is searched for one.
const MOST_BYTES: usize = 16_384;
/// What stands before the final number of a solution in GSM8K's format.
const HASHES: &str = "####";
/// As many marks are looked at, from the last one.
const MOST_MARKS: usize = 100;
/// Signs around a number that say nothing of its value.
const WRAPPED: [(&str, &str); 6] =
    [("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"), ("(", ")"), ("[", "]"), ("{", "}")];

static BOX: LazyLock<Regex> = LazyLock::new(|| constant(r"\\f?box(?:ed)? *\{"));
static STYLE: LazyLock<Regex> = LazyLock::new(|| {
    constant(r"^\\(?:text|textrm|textbf|mathrm|mathbf|boldsymbol|bm) *\{([^{}]*)\}$")
});
/// The heading of a numbered section, as `#### 2. Add them`; texts have fewer than 20.
static HEADING: LazyLock<Regex> = LazyLock::new(|| constant(r"^1?[0-9][.):] +\p{L}"));
/// After a marked number, words that explain it.
static EXPLAINED: LazyLock<Regex> =
    LazyLock::new(|| constant(r#"^(?:[.,;]? *$|[.,;]? +[\p{L}("'<\[*]|[(<\[*])"#));
/// After a marked number, another one.
static CONTINUED: LazyLock<Regex> =
    LazyLock::new(|| constant(r"^[,;]? *(?:or|and|to|&)? *[-$]*[0-9]"));
/// A number that the sentence behind a marked one adds to it.
static JOINED: LazyLock<Regex> = LazyLock::new(|| {
    constant(r"^[^.\n(0-9]*(?:[,;]|\b(?:or|and|to|plus|minus|times)\b) *[-$]*[0-9]")
});
/// Two boxes of one statement.
static SAME_STATEMENT: LazyLock<Regex> = LazyLock::new(|| {
    constant(r"^\}[\s$]*(?:[,;&]|and|or|\\text *\{ *(?:,? *and|,? *or) *\})[\s$]*$")
});
/// GSM8K's note of what a calculator gave, before the number itself.
static CALCULATED: LazyLock<Regex> = LazyLock::new(|| constant(r"<<[^<>\n]{1,200}>>([-$]*[0-9.])"));
/// Tags of HTML and the like, apart from powers and indices.
static TAG: LazyLock<Regex> = LazyLock::new(|| {
    constant(
        r"</?(?:b|i|u|p|em|strong|span|div|br|answer|final|think|result|solution|final_answer) ?/?>",
    )
});

/// The number that an answer is; none where it is anything else than one number, perhaps with a
/// unit: no fraction, pair, root, interval or formula. Of a worked solution, the marked part counts.
pub(super) fn answer(text: &str) -> Option<Decimal> {
    if text.len() > MOST_BYTES {
        return None;
    }
    let text = plain(text);
    marked(&text).unwrap_or_else(|| one_number(&text))
}

/// The number that a completion states: the one that it marks by `\boxed{}` or `####`, whatever
/// follows, or else its last number. None where there is no number, or the answer is more than one.
pub(super) fn stated(text: &str) -> Option<Decimal> {
    let text = plain(text);
    let text = TAG.replace_all(&text, "\n");
    let text = CALCULATED.replace_all(&text, "$1");
    marked(&text).unwrap_or_else(|| last_number(&text))
}

/// The number of a text that is one number from end to end.
fn one_number(text: &str) -> Option<Decimal> {
    if text.len() > MOST_BYTES {
        return None;
    }
    let found = numeral::first(unwrapped(text))?;
    found.number.filter(|_| is_unit(found.after))
}

/// The text without white space, emphasis and brackets around it.
fn unwrapped(text: &str) -> &str {
    // No one wraps a number more often; a text of brackets alone must end too.
    const LAYERS: usize = 8;
    let layers = std::iter::successors(Some(trimmed(text)), |text| inner(text).map(trimmed));
    layers.take(LAYERS).last().unwrap_or(text)
}

fn trimmed(text: &str) -> &str {
    let text = text.trim();
    // Dots at the end go on with the number: 0.333...
    let one = text.strip_suffix('.').filter(|rest| !rest.ends_with('.'));
    one.unwrap_or(text).trim_matches(['*', '`', '"', '\'', ' '])
}

fn inner(text: &str) -> Option<&str> {
    let between = |(open, close): &(&str, &str)| text.strip_prefix(open)?.strip_suffix(close);
    let styled = || STYLE.captures(text).and_then(|found| found.get(1)).map(|inner| inner.as_str());
    WRAPPED.iter().find_map(between).or_else(styled)
}

/// The last number of a text; none where its clause states more than that number.
fn last_number(text: &str) -> Option<Decimal> {
    let text = without_powers(text);
    let found = numeral::last(&text)?;
    let is_alone = leads_to_number(found.before, found.after) && leaves_number(found.after);
    found.number.filter(|_| is_alone)
}

/// The number in the last mark of a text: none where nothing is marked, and a mark without a number
/// where what is marked is not one number.
fn marked(text: &str) -> Option<Option<Decimal>> {
    let marks = [boxed(text), hashed(text)];
    marks.into_iter().flatten().max_by_key(|(at, _)| *at).map(|(_, number)| number)
}

fn boxed(text: &str) -> Option<(usize, Option<Decimal>)> {
    let boxes: Vec<_> = BOX.find_iter(text).collect();
    let mut whole = boxes.iter().rev().take(MOST_MARKS).filter_map(|found| {
        let content = until_closed(&text[found.end()..])?;
        let number = one_number(content).or_else(|| right_side(content));
        Some((found.start(), number.filter(|_| !is_joined(text, &boxes, found.start()))))
    });
    whole.next()
}

/// Whether the box before the one that begins at `start` belongs to the same statement.
fn is_joined(text: &str, boxes: &[regex::Match<'_>], start: usize) -> bool {
    let previous = boxes.iter().take_while(|found| found.start() < start).last();
    previous.is_some_and(|previous| {
        let inside = &text[previous.end()..start];
        until_closed(inside)
            .is_some_and(|content| SAME_STATEMENT.is_match(&inside[content.len()..]))
    })
}

fn until_closed(text: &str) -> Option<&str> {
    let mut open = 1_usize;
    for (at, byte) in text.bytes().enumerate().take(MOST_BYTES) {
        match byte {
            b'{' => open += 1,
            b'}' if open == 1 => return Some(&text[..at]),
            b'}' => open -= 1,
            _ => {}
        }
    }
    None
}

fn hashed(text: &str) -> Option<(usize, Option<Decimal>)> {
    let mut end = text.len();
    let marks = text.rmatch_indices(HASHES).take(MOST_MARKS);
    marks.into_iter().find_map(|(at, _)| {
        let after = &text[at..std::mem::replace(&mut end, at)];
        let line =
            after.trim_start_matches(|c: char| c == '#' || c.is_whitespace()).lines().next()?;
        of_hashed_line(line.trim().trim_matches(['*', '`', '_'])).map(|number| (at, number))
    })
}

/// The number of a line behind `####`; none where the line is the heading of a section.
fn of_hashed_line(line: &str) -> Option<Option<Decimal>> {
    if HEADING.is_match(line) {
        return None;
    }
    if let Some(number) = one_number(line).or_else(|| explained(line)).or_else(|| right_side(line))
    {
        return Some(Some(number));
    }
    match line.chars().next() {
        None => None,
        Some(c) if !c.is_alphabetic() => Some(None),
        Some(_) if line.to_lowercase().contains("answer") => Some(last_number(line)),
        Some(_) => None,
    }
}

/// The number at the start of a line that goes on in words.
fn explained(line: &str) -> Option<Decimal> {
    let found = numeral::first(line)?;
    let joins = CONTINUED.is_match(found.after) || JOINED.is_match(found.after);
    // A calculation in brackets explains the number; `(mod 5)` does not.
    let is_sum = |inside: &str| inside.starts_with(|c: char| c.is_ascii_digit());
    let bracket = found.after.split_once(" (").filter(|(_, inside)| is_sum(inside));
    let after = bracket.map_or(found.after, |(outside, _)| outside);
    let goes_on = EXPLAINED.is_match(after) && leaves_number(after);
    found.number.filter(|_| goes_on && !joins)
}

/// The number after the equals sign of `x = 5` and `48/2 = 24`.
fn right_side(text: &str) -> Option<Decimal> {
    let at = text.rfind('=')? + 1;
    one_number(&text[at..]).filter(|_| leads_to_number(&text[..at], ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(number: Option<Decimal>) -> Option<f64> {
        number.map(|number| number.value())
    }

    #[test]
    fn an_answer_is_one_number_with_its_sign_power_and_unit() {
        for (text, expected) in [
            ("46", 46.0),
            (" -9 ", -9.0),
            ("- 12", -12.0),
            ("2e3", 2000.0),
            ("2.5e6", 2_500_000.0),
            (r"2.5 \times 10^{6}", 2_500_000.0),
            ("１２", 12.0),
            ("25 cm^2", 25.0),
            (r"25 \text{ cm}^2", 25.0),
            ("10{,}000", 10_000.0),
            ("1,234.50", 1234.5),
            ("$18", 18.0),
            (r"\$18.00", 18.0),
            ("$5$", 5.0),
            (r"\(5\)", 5.0),
            ("**72**.", 72.0),
            ("50%", 50.0),
            (r"90^\circ", 90.0),
            ("72 apples", 72.0),
            (r"\text{72}", 72.0),
            (r"\boxed{5}", 5.0),
            ("6*200=<<6*200=1200>>1,200\n#### 1,200", 1200.0),
            ("(5)", 5.0),
        ] {
            assert_eq!(value(answer(text)), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_not_one_number_is_none() {
        for text in [
            "1/2",
            r"\frac{3}{4}",
            r"\frac34",
            r"\sqrt{2}",
            "x^2",
            "(1, 2)",
            "3:4",
            "6 - 5i",
            "[0, 1)",
            r"2\pi",
            "2π",
            "2x",
            "5i",
            "x = 5",
            "1 1/2",
            "2^{10}",
            "5 or 6",
            "1,23",
            "12:30",
            "5!",
            r"\boxed{\frac{1}{2}}",
            "#### 1/2",
            "2 million",
            "blue",
            "",
            "-",
            "1.2.3",
            "1,2345",
            r"x \in \{1, 2\}",
            r"\pm 5",
            "< 5",
            "101_2",
            "5%+1",
            "3 feet 2 inches",
            "A5",
            "1e",
            "0x1F",
            "0.333...",
            "8...",
            "8-",
            "8+",
            "≥8",
            "8 am",
            "8 to nine",
        ] {
            assert_eq!(value(answer(text)), None, "{text}");
        }
        assert_eq!(answer(&format!("1{}", " ".repeat(100_000))), None);
    }

    #[test]
    fn the_marked_part_beats_what_follows_it() {
        for (text, expected) in [
            (r"The answer is \boxed{18}. This took 3 steps.", 18.0),
            ("#### 72\n\nNote: 48/2=24", 72.0),
            (r"\boxed{25 \text{ cm}^2}", 25.0),
            ("#### 5\n\nQuestion: next, 7+8", 5.0),
            (r"\boxed{x = 5} of 9", 5.0),
            (r"\boxed {\boxed{5}} 9", 5.0),
            (r"\boxed{1}, no, \boxed{2}, 3", 2.0),
            (r"#### 7, so \boxed{8} 9", 8.0),
            (r"\boxed{8}\n#### 7\n9", 7.0),
            ("####72 9", 0.0),
            ("#### $1,200.00 in all, of 3000", 1200.0),
            ("#### 72 (48+24=72)\nin 2 steps", 72.0),
            ("#### 72. It took 2 steps", 72.0),
            ("#### 48/2 = 24\n7", 24.0),
            ("#### x = 5\n7", 5.0),
            ("#### **72**\n7", 72.0),
            ("#### The answer is 72.\n7", 72.0),
            ("####\n72\n\n7", 72.0),
            ("#### - 12\n3", -12.0),
            (r"\boxed{18", 18.0),
        ] {
            let text = text.replace(r"\n", "\n");
            let expected = Some(expected).filter(|expected| *expected != 0.0);
            assert_eq!(value(stated(&text)), expected, "{text}");
        }
    }

    #[test]
    fn a_heading_is_no_mark() {
        for text in ["#### Step 2: add\nIt is 46", "#### 2. Add them\nIt is 46", "#### Sum\n46"] {
            assert_eq!(value(stated(text)), Some(46.0), "{text}");
        }
    }

    #[test]
    fn a_completion_that_states_more_than_a_number_states_none() {
        for text in [
            r"\boxed{\frac{1}{4}}",
            r"\boxed{(3, 2)}",
            "#### 1/2",
            "#### 5 or 6",
            r"so \frac{3}{4}",
            r"\frac12",
            "y^2",
            r"y^{2}",
            "2^10",
            "x_2",
            r"2\pi",
            r"\sqrt{2}",
            "It is 1/2",
            "1:4",
            "(3, 2)",
            r"\frac{1}{x+2}",
            "9 - 5i",
            "4x",
            "none",
        ] {
            assert_eq!(value(stated(text)), None, "{text}");
        }
        for (text, expected) in [
            ("25 cm^2", 25.0),
            (r"25 \text{ cm}^{2}", 25.0),
            ("so 90^\\circ", 90.0),
            ("1/2 = 0.5", 0.5),
        ] {
            assert_eq!(value(stated(text)), Some(expected), "{text}");
        }
    }

    #[test]
    fn long_texts_of_marks_and_brackets_take_no_time() {
        let began = std::time::Instant::now();
        for piece in ["####", r"\boxed{", "(", "{1", "1/", "- ", "9", "9,", r"\frac{1}{"] {
            stated(&piece.repeat(200_000 / piece.len()));
            answer(&piece.repeat(200_000 / piece.len()));
        }
        assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
    }
}
