//! Which problems are only measured by, where a column or a share says it.

use serde_json::Value;

use super::super::split::{self, Parts};
use super::super::{DataError, Problem};
use super::FileData;

/// Words of a column that hold a problem out.
const WORDS: [&str; 11] = [
    "true",
    "yes",
    "1",
    "test",
    "testing",
    "validation",
    "valid",
    "val",
    "dev",
    "eval",
    "held_out",
];

/// Whether a value of `held_out_column` holds the problem out.
pub(super) fn is_held_out(value: Option<&Value>) -> bool {
    match value {
        Some(Value::Bool(value)) => *value,
        Some(Value::Number(number)) => number.as_f64() == Some(1.0),
        Some(Value::String(text)) => WORDS.contains(&text.trim().to_lowercase().as_str()),
        _ => false,
    }
}

/// A share of so many problems: at least one, and never all of them.
pub(super) fn of_share(share: f64, problems: usize) -> usize {
    ((share * problems as f64).round() as usize).clamp(1, problems.saturating_sub(1).max(1))
}

impl FileData {
    /// The parts that a column says, of the held-out one so many as are asked for.
    pub(super) fn by_column(
        &self,
        train: Vec<Problem>,
        held_out: Vec<Problem>,
        seed: u64,
    ) -> Result<Parts, DataError> {
        let column = self.held_out_column.as_deref().unwrap_or_default();
        let refuse = |problem: String| Err(DataError::setting("held_out_column", problem));
        match (train.is_empty(), held_out.is_empty()) {
            (true, _) => refuse(format!("is {column:?}, which holds out every row; name another")),
            (_, true) => refuse(format!(
                "is {column:?}, and no row has there what holds a problem out (true, 1, test, \
                 validation, ...); name another column, or leave it out"
            )),
            _ => split::apart(train, held_out, self.held_out, seed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_column_holds_out_by_a_truth_value_a_number_or_a_word() {
        for value in [json!(true), json!(1), json!(1.0), json!("Test"), json!(" validation ")] {
            assert!(is_held_out(Some(&value)), "{value}");
        }
        for value in [json!(false), json!(0), json!(2), json!("train"), json!(""), json!(null)] {
            assert!(!is_held_out(Some(&value)), "{value}");
        }
        assert!(!is_held_out(None));
    }

    #[test]
    fn a_share_is_rounded_and_leaves_something_on_both_sides() {
        assert_eq!((of_share(0.1, 100), of_share(0.25, 10), of_share(0.01, 10)), (10, 3, 1));
        assert_eq!((of_share(0.99, 10), of_share(0.5, 1)), (9, 1));
    }
}
