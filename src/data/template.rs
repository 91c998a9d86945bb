//! Prompts with places for columns.

use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json::{Map, Value};

use crate::pattern::constant;

/// `{{`, `}}` or a `{name}`. Braces around anything else, as in LaTeX, stay as they are.
static PLACE: LazyLock<Regex> =
    LazyLock::new(|| constant(r"\{\{|\}\}|\{([A-Za-z_][A-Za-z0-9_]*)\}"));

/// Puts columns where the template names them: `{question}`; `{{` and `}}` stand for single braces.
///
/// The error says which column is missing.
pub(super) fn fill(template: &str, columns: &Map<String, Value>) -> Result<String, String> {
    if let Some(name) = names(template).find(|name| !columns.contains_key(*name)) {
        let known: Vec<&String> = columns.keys().collect();
        return Err(format!("the template names {{{name}}}, and the columns are {known:?}"));
    }
    let filled = PLACE.replace_all(template, |place: &Captures| match place.get(1) {
        Some(name) => as_text(&columns[name.as_str()]),
        None => place[0][..1].to_owned(),
    });
    Ok(filled.into_owned())
}

fn names(template: &str) -> impl Iterator<Item = &str> {
    PLACE.captures_iter(template).filter_map(|place| place.get(1)).map(|name| name.as_str())
}

fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn filled(template: &str) -> Result<String, String> {
        let columns = json!({"question": "1+{n}?", "n": 3});
        fill(template, columns.as_object().unwrap())
    }

    #[test]
    fn names_in_braces_become_columns() {
        assert_eq!(filled("Q: {question} n={n}").unwrap(), "Q: 1+{n}? n=3");
    }

    #[test]
    fn other_braces_stay_and_doubled_ones_become_single() {
        assert_eq!(filled(r"\boxed{} {a b} {{n}}").unwrap(), r"\boxed{} {a b} {n}");
    }

    #[test]
    fn an_unknown_name_is_an_error_that_lists_the_columns() {
        let error = filled("{qestion}").unwrap_err();
        assert!(error.contains("{qestion}") && error.contains("\"question\""), "{error}");
    }
}
