//! The clause that a number stands in: whether it states that number and nothing more.
//!
//! What may stand beside the number is listed here: words, an equals sign, marks of emphasis, the end
//! of the sentence. Anything else makes a term, a list or a comparison, and so does a second number
//! that only `and`, a comma or a single word sets apart.

use std::sync::LazyLock;

use regex::Regex;

use super::unit::{in_words, is_word_of_unit, words_of_latex};
use super::wording::{is_number, is_operation};
use crate::pattern::constant;

/// A clause is not longer than that; nothing farther away is looked at.
const REACH: usize = 600;

static SENTENCE_END: LazyLock<Regex> = LazyLock::new(|| {
    constant(r#"[.!?][)"'*]*\s+|[。！？]|[^\s,;+*/×=<>(&|^_-]\s*\n\s*|\n\s*\n\s*"#)
});
/// What may stand around a number and says nothing of its value.
static OPENERS: LazyLock<Regex> = LazyLock::new(|| {
    constant(concat!(
        r#"(?:[\s"'“‘`#€£¥₹$(\[]|\\[(\[]|\*{1,3}|(?:\\\p{L}+ *)?\{"#,
        r"|\\f?box(?:ed)?|\\displaystyle|\b(?:US|USD|EUR|GBP|INR|Rs))*$"
    ))
});
/// Commands whose braces set apart a term.
static STYLE_OPENERS: LazyLock<Regex> = LazyLock::new(|| {
    constant(r"\\(?:text|textrm|textbf|mathrm|mathbf|boldsymbol|bm|f?box(?:ed)?|displaystyle)\b")
});
/// What the result stands behind.
static STATES: LazyLock<Regex> = LazyLock::new(|| {
    constant(concat!(
        r"(?i)(?:(?:^|[^<>!=:])={1,3}|:=|[=-]>|[→⇒⟹∴≈]|[\p{L})*]:",
        r"|\\(?:approx|implies|iff|Rightarrow|Longrightarrow|rightarrow|therefore)",
        r"|\b(?:is|are|was|were|be|equals?|gives?|makes?|gets?|get|leaves?|yields?|becomes?|so|thus",
        r"|hence|therefore|answer|result|sum|total|totals|exactly|altogether))$"
    ))
});
/// Words right before a number that make a term of it or compare with it.
static TAKES_THE_NUMBER: LazyLock<Regex> = LazyLock::new(|| {
    constant(concat!(
        r"(?i)\b(?:than|at least|at most|not|under|above|below|up to|without|except|nor|or",
        r"|(?:divided|multiplied|divisible) by|(?:raised|power|base) ?(?:to|of)?|to the",
        r"|(?:root|half|third|quarter|logarithm|log|factorial|square|cube|power|multiple|twice|out",
        r"|percent|multiples|factorials|product|function) of)$"
    ))
});
static COORDINATOR: LazyLock<Regex> =
    LazyLock::new(|| constant(r"(?i)(?:[,;、，；&]|\b(?:and|to|through|until|vs|versus))$"));
static LAST_WORD: LazyLock<Regex> = LazyLock::new(|| {
    constant(r"(?:^|[^\\\p{L}\p{N}_])(\p{L}[\p{L}'’-]*\p{L})[.:]?$|[\p{L}&&[^\x00-\u{3ff}]]$")
});
static LABEL_OF_CHOICE: LazyLock<Regex> = LazyLock::new(|| constant(r"(?:^|\s)\(?[A-E]\)$"));
static OR: LazyLock<Regex> = LazyLock::new(|| constant(r"(?i)[0-9].*\bor\b"));
/// `x = 3 and y`, to which `= 8` belongs.
static SECOND_EQUATION: LazyLock<Regex> = LazyLock::new(|| {
    constant(concat!(
        r"(?:^|[\s$(,;{])\p{L}+(?:_\{?\w+\}?)? *(?:=|:|\bis\b) *[-$]*[0-9][0-9.,]*[^0-9,;=]{0,20}",
        r"(?:[,;&]|\band\b)[\s$(\\{*]*(\p{L}+)(?:_\{?\w+\}?|[0-9])?[\s$)}*]*$"
    ))
});
static CONCLUSION: LazyLock<Regex> = LazyLock::new(|| {
    constant(
        r"(?i)^(?:total|answer|sum|result|so|thus|hence|therefore|then|altogether|that|it|which)$",
    )
});
/// A product of letters between digits, as in `2 x 4`.
static TIMES: LazyLock<Regex> = LazyLock::new(|| constant(r"([0-9)]) ?x ?([0-9($])"));
/// An unknown within a term: `2x`, `y + 3`, `n^2`.
static UNKNOWN_IN_TERM: LazyLock<Regex> = LazyLock::new(|| {
    constant(concat!(
        r"[0-9)}] ?[a-ckpqrtuvwxyzn]\b|\b[a-ckpqrtuvwxyzn] ?[-+*/^×·÷²³!|]",
        r"|[-+*/×·÷√|] ?[a-ckpqrtuvwxyzn]\b|(?:sqrt|log|ln|sin|cos|tan) ?[({]? ?[a-z]\b"
    ))
});

static CLOSERS: LazyLock<Regex> =
    LazyLock::new(|| constant(r#"^(?:\*{1,3}|["'”’`%°€£¥₹]| *(?:[$)\]}%°]|\\[)\]])|>>|\\%)*"#));
/// What ends the clause after the number.
static CLAUSE_END: LazyLock<Regex> = LazyLock::new(|| {
    constant(concat!(
        r#"^(?:\s*$|[ \t]*\n| ?\.(?:$|[\s)"'*$}\]]|\p{L}{2})| ?[,;:](?:\s*$|\s*\n|\s*["'(*“]*\p{L}[\p{L}'’]"#,
        r"|\s*[IaA] \p{L})| ?—| *[。！？，；、]",
        r"| *\\\\\s*(?:$|\\end\{(?:align|aligned|equation|gather)\*?\})|\s*\\(?:quad|qquad|checkmark)\b)"
    ))
});
static OR_NEXT: LazyLock<Regex> = LazyLock::new(|| constant(r"(?i)^[ ,;:]*(?:or|nor)\b"));
/// Signs of mathematics in the rest of a clause.
static SIGNS: LazyLock<Regex> =
    LazyLock::new(|| constant(r"(?i)[+×÷^√<>±≤≥≠∞]|\\[a-z]|\b(?:plus|minus)\b"));
static CLAUSE: LazyLock<Regex> = LazyLock::new(|| constant(r"^(?:[^.,;:!?\n]|[.,:]\p{L})*"));
static WORD: LazyLock<Regex> = LazyLock::new(|| constant(r"\p{L}+"));

/// Whether the clause in front of a number, up to it, leaves it alone.
pub(super) fn leads_to_number(before: &str, after: &str) -> bool {
    let clause = words_of_latex(clause_before(before));
    let opened = OPENERS.find(&clause).map_or("", |found| found.as_str());
    let left = &clause[..clause.len() - opened.len()];
    if has_command(opened) {
        return false;
    }
    let is_apart = opened.starts_with(char::is_whitespace);
    if left.is_empty() || (opened.is_empty() || is_apart) && ["-", "+", "•"].contains(&left) {
        return true;
    }
    let is_closed = !opened.contains('*') || after.contains('*') || left.contains("**");
    let is_glued = !is_apart && ends_in_letter(left);
    is_closed && !is_glued && !is_argument(left) && is_introduction(left)
}

/// Whether anything but a style is opened, such as a root or a set.
fn has_command(opened: &str) -> bool {
    let rest = STYLE_OPENERS.replace_all(opened, "").replace("\\(", "").replace("\\[", "");
    rest.contains('\\')
}

fn ends_in_letter(left: &str) -> bool {
    left.ends_with(|c: char| c.is_alphanumeric() && c <= '\u{3ff}')
}

/// Whether what stands in front of a number introduces it.
fn is_introduction(left: &str) -> bool {
    if TAKES_THE_NUMBER.is_match(left) {
        return false;
    }
    if let Some(found) = STATES.find(left) {
        // A letter before the sign belongs to the left side.
        let skipped = found.as_str().find(['=', ':']).unwrap_or(0);
        return is_result_of(&left[..found.start() + skipped], found.as_str());
    }
    if let Some(found) = COORDINATOR.find(left) {
        let first = left[..found.start()].trim_end();
        return LAST_WORD.is_match(first) && !has_digit(first) && innermost_open(first).is_none();
    }
    LABEL_OF_CHOICE.is_match(left) || is_behind_word(left)
}

/// Whether the left side of an equation, or of a sentence like one, has its result on the right.
fn is_result_of(left: &str, sign: &str) -> bool {
    let second = SECOND_EQUATION.captures(left).and_then(|found| found.get(1));
    let is_second = second.is_some_and(|label| !CONCLUSION.is_match(label.as_str()));
    let is_equation = sign.ends_with(['=', '≈']) || sign.ends_with("approx");
    !OR.is_match(left) && !is_second && !(is_equation && is_unsolved(left))
}

fn is_unsolved(left: &str) -> bool {
    let left = TIMES.replace_all(left, "$1*$2");
    left.split('=').all(|member| UNKNOWN_IN_TERM.is_match(member))
}

/// Whether a number stands behind a word, and no other number is told apart by that word alone.
fn is_behind_word(left: &str) -> bool {
    let Some(found) = LAST_WORD.captures(left) else { return false };
    let word = found.get(1).map_or("", |word| word.as_str());
    if is_number(word)
        || is_operation(word)
        || left.ends_with(['加', '減', '减', '乘', '除', '負', '负'])
    {
        return false;
    }
    let Some(digit) = left.rfind(|c: char| c.is_ascii_digit()) else { return true };
    !OR.is_match(left) && WORD.find_iter(&left[digit..]).nth(1).is_some()
}

fn has_digit(text: &str) -> bool {
    text.contains(|c: char| c.is_ascii_digit())
}

/// Whether the innermost open bracket makes an argument of the number, as in `P(X = 8)`.
fn is_argument(left: &str) -> bool {
    let Some((outside, bracket)) = innermost_open(left) else { return false };
    let is_style = STYLE_OPENERS
        .find_iter(outside)
        .last()
        .is_some_and(|f| f.end() == outside.trim_end().len());
    let is_set = bracket == '{' && outside.ends_with('\\');
    is_set || !is_style && (ends_in_letter(outside) || outside.ends_with(['^', '_', '}', ']', ')']))
}

fn innermost_open(text: &str) -> Option<(&str, char)> {
    let mut closed = 0;
    for (at, c) in text.char_indices().rev() {
        match c {
            ')' | ']' | '}' => closed += 1,
            '(' | '[' | '{' if closed == 0 => return Some((&text[..at], c)),
            '(' | '[' | '{' => closed -= 1,
            _ => {}
        }
    }
    None
}

fn clause_before(before: &str) -> &str {
    let mut start = before.len().saturating_sub(REACH);
    while !before.is_char_boundary(start) {
        start += 1;
    }
    let near = &before[start..];
    SENTENCE_END.find_iter(near).last().map_or(near, |end| &near[end.end()..])
}

/// Whether what follows a number ends its clause, or goes on in words that leave it what it is.
pub(super) fn leaves_number(after: &str) -> bool {
    let mut end = after.len().min(REACH);
    while !after.is_char_boundary(end) {
        end -= 1;
    }
    let after = in_words(&after[..end]);
    let closers = CLOSERS.find(&after).map_or("", |found| found.as_str());
    let rest = &after[closers.len()..];
    if OR_NEXT.is_match(rest)
        || next_word(rest.trim_start_matches([',', ';'])).is_some_and(is_number)
    {
        return false;
    }
    CLAUSE_END.is_match(rest) || goes_on_in_words(rest, closers)
}

fn next_word(rest: &str) -> Option<&str> {
    let rest = rest.trim_start();
    WORD.find(rest).filter(|found| found.start() == 0).map(|found| found.as_str())
}

fn goes_on_in_words(rest: &str, closers: &str) -> bool {
    let spaced = rest.trim_start_matches([' ', '(', '"', '“', '/']);
    let is_glued = spaced.len() == rest.len();
    let Some(word) = next_word(spaced) else { return false };
    if is_glued && closers.contains(|c| !"%°€£¥₹".contains(c)) || rest.starts_with("(") {
        return false;
    }
    let clause = CLAUSE.find(rest).map_or("", |found| found.as_str());
    let words: Vec<&str> = WORD.find_iter(clause).map(|found| found.as_str()).take(4).collect();
    !SIGNS.is_match(clause) && is_plain_word(word, is_glued) && !joins_number(&words)
}

/// Whether a word right behind a number leaves it what it is; a letter alone may be an article.
fn is_plain_word(word: &str, is_glued: bool) -> bool {
    let is_article = !is_glued && ["a", "A", "I"].contains(&word);
    let may_join = ["and", "to", "by", "times", "out"].contains(&word);
    is_article || !is_glued && may_join || is_word_of_unit(word, false, is_glued)
}

/// Whether words join a number or an unknown, as `and a half` and `times x` do.
fn joins_number(words: &[&str]) -> bool {
    let Some((first, rest)) = words.split_first() else { return false };
    let joins = ["and", "to", "by", "times", "out", "in", "per", "of", "for"].contains(first);
    let next = rest.iter().find(|word| !["a", "an", "the", "of"].contains(word));
    let has_unknown = words.iter().any(|word| ["x", "y", "z", "n", "k"].contains(word));
    has_unknown
        || joins && next.is_some_and(|word| is_number(word) || word.len() == 1 && *word != "I")
}

#[cfg(test)]
mod tests {
    use crate::reward::stated::stated;

    fn check(texts: &[&str], expected: Option<f64>) {
        for text in texts {
            assert_eq!(stated(text).map(|number| number.value()), expected, "{text}");
        }
    }

    #[test]
    fn an_operation_states_none() {
        check(
            &[
                "2+8",
                "228*8",
                r"2 \times 8",
                "2**8",
                "10^(8)",
                "10^-8",
                "3 × 8",
                "3 ÷ 8",
                "3 · 8",
                "3 − 8",
                "8 + x",
                "8 - x",
                "8 * x",
                "8*x",
                "length * 8",
                "12-8",
                "-(8)",
                "2(8)",
                "(8)x",
                "3 ± 8",
                r"\pm 8",
                r"8 \pm 3",
                "8 plus x",
                "8 apples plus x",
                "10 choose 8",
                "5 mod 8",
                "10C8",
                "divided by 8",
            ],
            None,
        );
    }

    #[test]
    fn a_function_root_factorial_or_power_states_none() {
        check(
            &[
                "√8",
                "∛8",
                r"\sqrt 8",
                r"\sqrt[3]{8}",
                "8!",
                "(8)!",
                "log 8",
                "log(8)",
                r"\ln 8",
                r"\log_2 8",
                r"\sin 8",
                "f(8)",
                "max(3, 8)",
                "P(X = 8)",
                r"\sum_{i=8}",
                "the square root of 8",
                "half of 8",
                "twice 8",
                "e^8",
                "x<sup>8</sup>",
                "a8",
                "8a",
                "f (8)",
                r"0.\overline{8}",
            ],
            None,
        );
    }

    #[test]
    fn a_list_or_an_interval_states_none() {
        check(
            &[
                "3, 5, 8",
                "3,\n8",
                r"\{3, 8\}",
                "{3,8}",
                r"\{8\}",
                "[3; 8]",
                "(3, 8)",
                r"(-\infty, 8)",
                r"(8, \infty)",
                "(8, x)",
                "8, x",
                "∞, 8",
                "3 and 8",
                "3|8",
                "7 8",
                "3 to 8",
                "3 of 8",
                "1:8",
                "3 dogs and 8 cats",
                "3 hours and 8 minutes",
                "8 and a half",
                "8 or 3",
                "8 or none",
                "3 or maybe 8",
                "x = 3 or x = 8",
                "x = 3 and y = 8",
                "x=3, y=8",
                "x is 3 or x is 8",
                "Tom: 3, Ann: 8",
            ],
            None,
        );
    }

    #[test]
    fn a_comparison_or_an_equation_without_solution_states_none() {
        check(
            &[
                "x > 8",
                "x >= 8",
                "x <= 8",
                "x != 8",
                r"x \ne 8",
                "x ≥ 8",
                "8 < x",
                "more than 8",
                "at least 8",
                "negative 8",
                "~8",
                "2x = 8",
                "x + 3 = 8",
                "x^2 = 8",
                "|x| = 8",
                "8...",
                "8…",
                "8?",
                "8 million",
                "8 sevenths",
                "8 thousandths",
                "8th",
            ],
            None,
        );
    }

    #[test]
    fn a_single_number_is_stated_however_it_is_introduced() {
        check(
            &[
                "8",
                "(8)",
                "+8",
                "8.",
                "= 8",
                "x = 8",
                "$x = 8$",
                r"\[ x = 8 \]",
                r"\( 8 \)",
                "The answer is 8.",
                "The answer is **8**.",
                "**Answer:** 8",
                "Answer: 8\n\n",
                "<answer>8</answer>",
                "$8 per hour, a good wage",
                "8 km/h",
                "8 is the answer",
                "We get 8, which is even.",
                "In all:\n- 8",
                "(B) 8",
                r"\text{so } 8",
                "so it happens 8 times.",
                "It is 8 (eight).",
                "答案是8。",
                "所以一共8个苹果",
                "Each of the 4 kids gets 8 apples.",
            ],
            Some(8.0),
        );
    }

    #[test]
    fn the_result_of_a_calculation_is_stated() {
        check(
            &[
                "5+3=8",
                "so 5 + 3 = 8 apples.",
                "She has 3 dogs and 5 cats, so in total 8",
                "2x = 16, x = 8",
                "f(2) = 8",
                "48/8 = 6, 6+2 = 8",
                "V = 2 x 2 x 2 = 8 m^3",
                "A = l * w = 2 * 4 = 8 cm^2",
                "Half of 6 is 3 and 3+5 is 8.",
                "The sum of 3 and 5 is 8",
                "3 apples, so 8",
                "10% of 80 is 8",
                "2 + 6\n= 8",
                "Step 2: 5 + 3 = 8",
                "She sold 5+3 = <<5+3=8>>8 clips in April and May.",
                "0.5 x 2 = $1 and 4 x 2 = $8.",
            ],
            Some(8.0),
        );
    }

    #[test]
    fn a_mark_is_judged_as_a_whole() {
        check(
            &[
                r"\boxed{3, 8}",
                r"\boxed{2*8}",
                r"\boxed{x > 8}",
                r"\boxed{x >= 8}",
                r"\boxed{\pm 8}",
                r"\boxed{2x = 8}",
                r"\boxed{x = 3 or x = 8}",
                r"\boxed{x=3, y=8}",
                r"\boxed{3} or \boxed{8}",
                r"\boxed{3}, \boxed{8}",
                "#### 3, 8",
                "#### 8, 3",
                "#### 8 * 3",
                "#### 8 million",
                "#### 8 apples and 3 pears",
                "#### x = 3 or x = 8",
                "#### log 8",
            ],
            None,
        );
        check(&[r"\boxed{x = 8}", r"\boxed{5 + 3 = 8}", "#### x = 8", "#### 8 apples"], Some(8.0));
    }

    #[test]
    fn long_clauses_take_no_time() {
        let began = std::time::Instant::now();
        for piece in
            ["x = 8 or ", "8, ", "((8", "a ", "8 and ", "{8} ", "\\text{8}", "8\n", "*", "y="]
        {
            stated(&format!("{}8", piece.repeat(200_000 / piece.len())));
            stated(&format!("8{}", piece.repeat(200_000 / piece.len())));
        }
        assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
    }
}
