//! Completions and what they earn, as a table.

use super::test::Judged;

/// How many characters of a text a cell shows.
const SHOWN: usize = 48;
const EXTRACTED: usize = 24;

/// A row for each completion: its beginning and end, the answer in it, every reward, the total, and
/// whether it solves its problem; `-` where nothing is judged.
pub(super) fn table(names: &[&str], judged: &[Judged]) -> String {
    let head = ["completion", "extracted"].into_iter().chain(names.iter().copied());
    let head: Vec<String> = head.chain(["total", "solved"]).map(str::to_owned).collect();
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(judged.iter().map(row)).collect();
    let columns = rows.first().map_or(0, Vec::len);
    let width = |at: usize| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    rows.iter().map(|row| line(row, &widths)).collect()
}

fn row(judged: &Judged) -> Vec<String> {
    let number = |score: &Option<f64>| score.map_or("-".to_owned(), short);
    let solved = match judged.score.solved {
        Some(true) => "yes",
        Some(false) => "no",
        None => "-",
    };
    let texts = [
        shortened(&judged.text, SHOWN),
        judged.extracted.as_deref().map_or("-".into(), |found| shortened(found, EXTRACTED)),
    ];
    let numbers = judged.score.each.iter().chain([&judged.score.total]).map(number);
    texts.into_iter().chain(numbers).chain([solved.to_owned()]).collect()
}

/// Texts to the left, numbers to the right.
fn line(row: &[String], widths: &[usize]) -> String {
    let cells = row.iter().zip(widths).enumerate().map(|(at, (cell, &width))| match at {
        0 | 1 => format!("{cell:<width$}"),
        _ => format!("{cell:>width$}"),
    });
    cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
}

/// At most three digits after the point.
fn short(score: f64) -> String {
    let text = format!("{score:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// One line with the beginning and the end of a text, which is where answers stand.
fn shortened(text: &str, most: usize) -> String {
    // No more than can be shown is looked at, from either end.
    let plain = |c: char| if c.is_control() || c.is_whitespace() { ' ' } else { c };
    let text = text.trim();
    let head: String = text.chars().take(most + 1).map(plain).collect();
    if head.chars().count() <= most {
        return head;
    }
    let begins: String = head.chars().take(most / 3).collect();
    let ends: Vec<char> = text.chars().rev().take(most - most / 3 - 1).map(plain).collect();
    format!("{begins}…{}", ends.into_iter().rev().collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reward::Score;

    fn judged(text: &str, extracted: Option<&str>, each: &[Option<f64>]) -> Judged {
        let total = each.iter().flatten().copied().reduce(|sum, score| sum + score);
        let solved = each.first().copied().flatten().map(|score| score >= 1.0);
        let score = Score { each: each.to_vec(), total, solved, failed: false };
        Judged { text: text.into(), extracted: extracted.map(str::to_owned), score }
    }

    #[test]
    fn columns_stand_below_each_other_and_what_is_not_judged_is_a_dash() {
        let rows = [
            judged("It is 2.\n", Some("2"), &[Some(1.0), Some(-0.25)]),
            judged("no", None, &[None, Some(1.0 / 3.0)]),
        ];
        let expected = "\
completion  extracted  exact  length   total  solved
It is 2.    2              1   -0.25    0.75     yes
no          -              -   0.333   0.333       -
";
        let found = table(&["exact", "length"], &rows);
        let squeezed = |text: &str| {
            text.lines()
                .map(|l| l.split_whitespace().collect::<Vec<_>>().join(" "))
                .collect::<Vec<_>>()
        };
        assert_eq!(squeezed(&found), squeezed(expected));
        let ends: Vec<Option<usize>> = found.lines().map(|l| l.find("  ")).collect();
        assert!(ends.iter().all(Option::is_some), "{found}");
    }

    #[test]
    fn a_long_text_shows_how_it_begins_and_ends_in_one_line() {
        let text = format!("First{}the answer is 5", "\n".repeat(100_000));
        let short = shortened(&text, 48);
        assert_eq!(short.chars().count(), 48);
        assert!(short.starts_with("First") && short.ends_with("the answer is 5"), "{short}");
        assert!(!short.contains('\n'));
        assert_eq!(shortened("\u{1b}[2J", 48), " [2J");
    }
}
