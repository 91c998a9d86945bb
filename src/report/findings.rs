//! What a run found out about itself: the findings among its events.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::lines::each_line;
use crate::monitor::RunPaths;

/// Findings that are kept, the first of them.
const MOST: usize = 50;
/// Characters of each text.
const LONGEST: usize = 800;

/// What was found, and what to change.
#[derive(Debug, PartialEq, Deserialize, Serialize)]
pub(super) struct Finding {
    /// The training step, where it was found at one.
    #[serde(default)]
    step: Option<u64>,
    /// What was found.
    problem: String,
    /// The key that changes it, and its value.
    #[serde(default)]
    key: Option<String>,
    #[serde(default, deserialize_with = "as_text")]
    value: Option<String>,
    /// A case of it.
    #[serde(default, deserialize_with = "as_lines")]
    example: Option<String>,
}

#[derive(Deserialize)]
struct Event {
    event: String,
}

/// The findings of a run; none where no event is one, or none can be read.
pub(super) fn read(paths: &RunPaths) -> Vec<Finding> {
    let mut findings = Vec::new();
    // Events are told beside a run: a file that cannot be read tells none.
    let _ = each_line(&paths.events(), |line| {
        let is_one =
            serde_json::from_slice::<Event>(line.bytes).is_ok_and(|e| e.event == "finding");
        if is_one && findings.len() < MOST {
            findings.extend(serde_json::from_slice::<Finding>(line.bytes).ok().map(shortened));
        }
    });
    findings
}

fn shortened(found: Finding) -> Finding {
    let short = |text: String| text.chars().take(LONGEST).collect::<String>();
    Finding {
        step: found.step,
        problem: short(found.problem),
        key: found.key.map(short),
        value: found.value.map(short),
        example: found.example.map(short),
    }
}

/// Text as it is, anything else as JSON.
fn as_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(text(&Value::deserialize(deserializer)?))
}

/// An object as lines, each a name and a value; anything else as text.
fn as_lines<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let found = Value::deserialize(deserializer)?;
    let Value::Object(parts) = &found else { return Ok(text(&found)) };
    let line = |(name, value): (&String, &Value)| Some(format!("{name}: {}", text(value)?));
    Ok(Some(parts.iter().filter_map(line).collect::<Vec<_>>().join("\n")))
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(text: &str) -> Vec<Finding> {
        let folder = tempfile::tempdir().unwrap();
        let paths = RunPaths::new(folder.path());
        std::fs::write(paths.events(), text).unwrap();
        read(&paths)
    }

    #[test]
    fn findings_are_picked_out_of_the_events() {
        let text = "{\"event\":\"started\"}\noops\n\
            {\"event\":\"finding\",\"step\":4,\"problem\":\"cut off\",\"key\":\"response_length\",\"value\":64,\
             \"example\":{\"prompt\":\"1+1=\",\"answer\":null,\"reward\":0.5}}\n\
            {\"event\":\"finding\",\"problem\":\"alone\"}\n{\"event\":\"finding\"}\n";
        let found = findings(text);
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!((found[0].step, found[0].value.as_deref()), (Some(4), Some("64")));
        assert_eq!(found[0].example.as_deref(), Some("prompt: 1+1=\nreward: 0.5"));
        assert_eq!((&*found[1].problem, &found[1].key), ("alone", &None));
    }

    #[test]
    fn a_run_without_events_has_no_findings() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(&RunPaths::new(folder.path())), []);
    }

    #[test]
    fn findings_without_end_are_not_all_kept() {
        let line = format!("{{\"event\":\"finding\",\"problem\":\"{}\"}}\n", "x".repeat(5_000));
        let found = findings(&line.repeat(500));
        assert_eq!((found.len(), found[0].problem.len()), (MOST, LONGEST));
    }
}
