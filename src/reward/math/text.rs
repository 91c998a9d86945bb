//! One writing for each sign: what a text prints, without what only shapes the print.

use std::sync::LazyLock;

use ::regex::Regex;

use crate::pattern::constant;

/// A space that sets groups of thousands apart.
pub(super) const NARROW: char = '\u{2009}';

/// Where ten digits of other scripts begin.
const ZEROS: [u32; 20] = [
    0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xe50,
    0xed0, 0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6, 0xff10,
];

/// Commands whose argument is no part of the answer.
static WITH_ARGUMENT: LazyLock<Regex> = LazyLock::new(|| {
    constant(
        r"\\(?:hspace|vspace|phantom|hphantom|vphantom|label|tag|color|textcolor|kern)\*? *\{[^{}]{0,80}\}",
    )
});
/// A comma of LaTeX that makes no list: `1{,}000`, `1,\!000`.
static TIGHT_COMMA: LazyLock<Regex> =
    LazyLock::new(|| constant(r"\{ *, *\}|(?:\\!\s*)+,(?:\s*\\!)*\s*|,(?:\s*\\!)+\s*"));
/// `14 {,}916` and the like.
static SPACED_COMMA: LazyLock<Regex> = LazyLock::new(|| constant(r"([0-9]) +\{ *, *\} *([0-9])"));
static NEGATIVE_SPACE: LazyLock<Regex> = LazyLock::new(|| constant(r"\\!\s*"));

/// The text with one character for each sign, and without spacing that prints nothing.
pub(super) fn clean(text: &str) -> String {
    let text: String = text.chars().filter_map(plain).collect();
    let text = text.trim();
    if !text.contains(['\\', '{', '~']) {
        return without_emphasis(text).to_owned();
    }
    let text = SPACED_COMMA.replace_all(text, "$1,$2");
    let text = TIGHT_COMMA.replace_all(&text, ",");
    let text = NEGATIVE_SPACE.replace_all(&text, "");
    let text = WITH_ARGUMENT.replace_all(&text, " ");
    let narrow = NARROW.to_string();
    let text = text.replace("\\,", &narrow).replace('~', " ");
    without_emphasis(&text).to_owned()
}

/// The text without Markdown's signs around it.
fn without_emphasis(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || c == '*' || c == '`' || c == '"')
}

/// The character that stands for `c`; none where it prints nothing.
fn plain(c: char) -> Option<char> {
    Some(match c {
        ' '..='~' | '\n' => c,
        '\u{2010}'..='\u{2013}' | '\u{2212}' | '\u{fe63}' | '\u{2796}' | '\u{ff0d}' => '-',
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(c as u32 - 0xfee0)?,
        '\u{3000}' | '\t' | '\r' => ' ',
        '\u{a0}' | '\u{2002}'..='\u{200a}' | '\u{202f}' | '\u{205f}' => NARROW,
        '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}' => {
            return None;
        }
        '\u{66b}' => '.',
        '\u{66c}' | '\u{60c}' | '、' => ',',
        '\u{66a}' => '%',
        '。' | '｡' => '.',
        '‘' | '’' | '′' | 'ʹ' => '\'',
        '“' | '”' => '"',
        'º' | '˚' => '°',
        '∶' => ':',
        _ => digit(c).unwrap_or(c),
    })
}

/// The ASCII digit of a digit of another script.
fn digit(c: char) -> Option<char> {
    let zero = ZEROS.iter().find(|zero| (**zero..**zero + 10).contains(&(c as u32)))?;
    char::from_digit(c as u32 - zero, 10)
}
