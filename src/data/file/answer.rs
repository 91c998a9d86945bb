//! The answer in a column: whole, or the part of a worked solution that is marked as it.

use serde_json::Value;

use super::super::DataError;
use super::super::rows::Row;
use super::preset::AnswerRule;

/// What stands before the final number of a solution.
const MARK: &str = "####";
/// What a final answer stands in.
const BOXES: [&str; 2] = ["\\boxed", "\\fbox"];

/// The answer of a row in one of its columns; none where it has none.
pub(super) fn answer_of(
    row: &Row<'_>,
    column: &str,
    rule: AnswerRule,
) -> Result<Option<String>, DataError> {
    match rule {
        AnswerRule::Whole => row.optional_text(column),
        AnswerRule::Hashes => after_hashes(row, column).map(Some),
        AnswerRule::Marked => {
            let Some(text) = row.optional_text(column)? else { return Ok(None) };
            let is_solution = column.rsplit('.').next() == Some("solution");
            let whole = || (!is_solution || is_short(&text)).then(|| text.trim().to_owned());
            Ok(marked(&text).or_else(whole).filter(|answer| !answer.is_empty()))
        }
    }
}

/// Whether a solution is no working but the answer itself.
fn is_short(text: &str) -> bool {
    let text = text.trim();
    !text.contains('\n') && text.chars().count() <= 64
}

/// The marked part of a solution.
fn marked(text: &str) -> Option<String> {
    let hashed = || text.rsplit_once(MARK).map(|(_, number)| number.trim().to_owned());
    boxed(text).map(str::to_owned).or_else(hashed)
}

/// What is in the last box: within balanced braces, or the word behind it.
fn boxed(text: &str) -> Option<&str> {
    let (at, name) = BOXES.iter().filter_map(|name| Some((text.rfind(name)?, name))).max()?;
    let rest = text[at + name.len()..].trim_start();
    let Some(inner) = rest.strip_prefix('{') else {
        let end = rest.find([' ', '$', '\n', ',', '.']).unwrap_or(rest.len());
        return Some(rest[..end].trim()).filter(|word| !word.is_empty());
    };
    let mut depth = 1_usize;
    let mut escaped = false;
    for (at, letter) in inner.char_indices() {
        match letter {
            '{' if !escaped => depth += 1,
            '}' if !escaped => depth -= 1,
            _ => {}
        }
        escaped = letter == '\\' && !escaped;
        if depth == 0 {
            return Some(inner[..at].trim());
        }
    }
    None
}

fn after_hashes(row: &Row<'_>, column: &str) -> Result<String, DataError> {
    let solution = row.text(column)?;
    let (_, number) = solution.rsplit_once(MARK).ok_or_else(|| {
        row.error("the answer has no \"####\"", "expected a solution that ends in \"#### number\"")
    })?;
    let number = number.trim().replace(',', "");
    if number.is_empty() {
        return Err(row.error("nothing stands after \"####\"", "expected \"#### number\""));
    }
    Ok(number)
}

/// The text of the first of some columns that a row has.
pub(super) fn first_text(row: &Row<'_>, columns: &[&str]) -> Option<String> {
    columns.iter().find_map(|column| match row.column(column) {
        Some(Value::String(text)) => Some(text.clone()),
        Some(value @ (Value::Number(_) | Value::Bool(_))) => Some(value.to_string()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_box_is_the_answer_with_its_braces_balanced() {
        assert_eq!(boxed(r"So $\boxed{1}$, no: $\boxed{\frac{1}{2}}$."), Some(r"\frac{1}{2}"));
        assert_eq!(boxed(r"\boxed{\{1,2\}}"), Some(r"\{1,2\}"));
        assert_eq!(boxed(r"\fbox{ x }"), Some("x"));
        assert_eq!(boxed(r"is $\boxed 5$"), Some("5"));
        assert_eq!(boxed(r"\boxed{1"), None);
        assert_eq!(boxed("none"), None);
    }

    #[test]
    fn a_mark_is_found_in_either_form() {
        assert_eq!(marked(r"a #### 1,234").as_deref(), Some("1,234"));
        assert_eq!(marked(r"a #### 3 \boxed{4}").as_deref(), Some("4"));
        assert_eq!(marked("nothing"), None);
    }
}
