//! The number that a text states as its answer.

use std::sync::LazyLock;

use regex::Regex;

use super::decimal::Decimal;
use super::mark::marked;
use super::numeral::plain;
use super::single::{MOST_BYTES, last_number, one_number};
use crate::pattern::constant;

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
