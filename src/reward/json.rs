//! The text is JSON, and fits a schema.

use jsonschema::Validator;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::schema::validator;
use super::{Completion, Extraction, Reward, RewardError, compared, one};
use crate::data::Problem;

/// 1 if the whole text is one JSON value that fits the schema, `valid` if it is JSON that does not,
/// else 0; without a schema any JSON value is right.
///
/// Around the value there may be white space and, as `fence` says, a fence of three backticks. A value
/// more than 127 levels deep is not taken for JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JsonReward {
    /// Factor in the sum of rewards.
    #[serde(default = "one")]
    pub weight: f64,
    /// A JSON schema; it may refer to its own parts and to nothing outside.
    #[serde(default)]
    pub schema: Option<Value>,
    /// What JSON earns that does not fit the schema; at least 0 and less than 1.
    #[serde(default)]
    pub valid: f64,
    /// Whether the value stands in a fence.
    #[serde(default)]
    pub fence: Fence,
    /// Where in the text the value stands; all of it if left out.
    #[serde(default)]
    pub answer: Option<Extraction>,
}

/// Whether a value stands in a fence, as in Markdown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fence {
    /// With or without a fence.
    #[default]
    Optional,
    /// Only in a fence, with nothing outside.
    Required,
    /// Without a fence.
    Never,
    /// In the last fence of the text, whatever stands around it.
    Last,
}

/// The reward with its schema read.
pub(super) struct JsonRule {
    valid: f64,
    fence: Fence,
    answer: Option<Extraction>,
    schema: Option<Validator>,
}

impl JsonReward {
    pub(super) fn checked(&self) -> Result<JsonRule, RewardError> {
        if !(0.0..1.0).contains(&self.valid) {
            let problem = format!("is {}; it must be at least 0 and less than 1", self.valid);
            return Err(RewardError::setting("json", "valid", problem));
        }
        let schema = self.schema.as_ref().map(validator).transpose();
        let schema = schema.map_err(|problem| RewardError::setting("json", "schema", problem))?;
        let answer = self.answer.clone();
        Ok(JsonRule { valid: self.valid, fence: self.fence, answer, schema })
    }
}

impl Reward for JsonRule {
    fn name(&self) -> &'static str {
        "json"
    }

    fn score(&self, _problem: &Problem, completion: &Completion) -> Option<f64> {
        let text = compared(self.answer.as_ref(), completion.text);
        let inner = text.as_deref().and_then(|text| inside(text, self.fence));
        let value = inner.and_then(|text| serde_json::from_str::<Value>(text).ok());
        Some(match (value, &self.schema) {
            (None, _) => 0.0,
            (Some(value), Some(schema)) if !schema.is_valid(&value) => self.valid,
            (Some(_), _) => 1.0,
        })
    }
}

/// The part of the text that should be JSON.
fn inside(text: &str, fence: Fence) -> Option<&str> {
    let text = text.trim();
    match fence {
        Fence::Never => Some(text),
        Fence::Optional => Some(fenced(text).unwrap_or(text)),
        Fence::Required => fenced(text),
        Fence::Last => last_fenced(text),
    }
}

/// The content of a text that is one fence.
fn fenced(text: &str) -> Option<&str> {
    let inner = text.strip_prefix("```")?.strip_suffix("```")?;
    let (kind, content) = inner.split_once('\n')?;
    is_json(kind).then_some(content)
}

/// The content of the last fence of a text.
fn last_fenced(text: &str) -> Option<&str> {
    let end = text.rfind("```")?;
    let start = text[..end].rfind("```")? + 3;
    let (kind, content) = text[start..end].split_once('\n')?;
    is_json(kind).then_some(content)
}

/// Whether a fence may hold JSON by what stands beside it.
fn is_json(kind: &str) -> bool {
    let kind = kind.trim();
    kind.is_empty() || kind.eq_ignore_ascii_case("json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reward::test_support::{completion, problem, reward};
    use serde_json::json;
    use std::time::Instant;

    fn score(settings: &Value, text: &str) -> f64 {
        let json: JsonReward = reward(&settings.to_string());
        json.checked().unwrap().score(&problem(None), &completion(text)).unwrap()
    }

    #[test]
    fn one_json_value_and_nothing_else_is_json() {
        for text in ["{}", " [1, 2.5e3]\n", "\"a\"", "null", r#"{"a":{"b":[true]}}"#] {
            assert_eq!(score(&json!({}), text), 1.0, "{text}");
        }
        for text in
            ["", "{", "{}{}", "{'a': 1}", "[1,]", "NaN", "Here: {}", "{} // done", "{\"a\":01}"]
        {
            assert_eq!(score(&json!({}), text), 0.0, "{text}");
        }
    }

    #[test]
    fn a_fence_is_taken_as_asked() {
        let scores = |text: &str| {
            ["optional", "required", "never", "last"].map(|f| score(&json!({"fence": f}), text))
        };
        assert_eq!(scores("{}"), [1.0, 0.0, 1.0, 0.0]);
        assert_eq!(scores("```json\n{\"a\": 1}\n```\n"), [1.0, 1.0, 0.0, 1.0]);
        assert_eq!(scores("```\n{}\n```"), [1.0, 1.0, 0.0, 1.0]);
        assert_eq!(scores("```JSON\r\n{}\r\n```"), [1.0, 1.0, 0.0, 1.0]);
        assert_eq!(scores("So:\n```json\n{}\n```\nDone."), [0.0, 0.0, 0.0, 1.0]);
        assert_eq!(scores("```json\n[\n```\n```json\n{}\n```"), [0.0, 0.0, 0.0, 1.0]);
        assert_eq!(scores("```python\n{}\n```"), [0.0; 4]);
        assert_eq!(scores("```json\n{}"), [0.0; 4]);
        assert_eq!(scores("```"), [0.0; 4]);
    }

    #[test]
    fn a_value_fits_its_schema_or_earns_what_is_set_for_json() {
        let schema = json!({
            "type": "object",
            "properties": {
                "name": {"type": "string", "minLength": 1},
                "age": {"type": "integer", "minimum": 0}
            },
            "required": ["name", "age"],
            "additionalProperties": false
        });
        let settings = json!({"schema": schema, "valid": 0.25});
        assert_eq!(score(&settings, r#"{"name": "Ada", "age": 36}"#), 1.0);
        for text in [r#"{"name": "Ada"}"#, r#"{"name": "Ada", "age": -1}"#, "[]"] {
            assert_eq!(score(&settings, text), 0.25, "{text}");
        }
        assert_eq!(score(&settings, r#"{"name": "Ada", "age": 36"#), 0.0);
    }

    #[test]
    fn a_schema_may_refer_to_its_own_parts_alone() {
        let list = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$ref": "#/$defs/list",
            "$defs": {"list": {"type": "array", "items": {"$ref": "#/$defs/list"}}}
        });
        assert_eq!(score(&json!({"schema": list}), "[[], [[]]]"), 1.0);
        assert_eq!(score(&json!({"schema": list}), "[[], [1]]"), 0.0);
        for outside in
            ["https://example.com/a.json", "file:///etc/passwd", "other.json", "#/$defs/no"]
        {
            let json: JsonReward = reward(&json!({"schema": {"$ref": outside}}).to_string());
            let error = json.checked().err().unwrap().to_string();
            assert!(error.contains("json.schema"), "{error}");
        }
    }

    #[test]
    fn settings_that_cannot_be_used_are_refused_with_their_key() {
        for (settings, key) in [
            (json!({"valid": 1}), "json.valid"),
            (json!({"schema": {"type": "text"}}), "json.schema"),
            (json!({"schema": {"pattern": "(a"}}), "json.schema"),
            (json!({"schema": {"pattern": "(?=a)"}}), "json.schema"),
            (json!({"schema": {"const": "a".repeat(2_000_000)}}), "json.schema"),
            (json!({"schema": 5}), "json.schema"),
        ] {
            let error = reward::<JsonReward>(&settings.to_string()).checked().err().unwrap();
            assert!(error.to_string().contains(key), "{error}");
        }
    }

    #[test]
    fn deep_long_and_tricky_values_end_soon() {
        let start = Instant::now();
        let unique = json!({"schema": {"uniqueItems": true}});
        let pattern = json!({"schema": {"pattern": "^(a+)+$"}});
        for settings in [&json!({}), &unique, &pattern] {
            for text in [
                "[".repeat(1_000_000),
                "[".repeat(500_000) + &"]".repeat(500_000),
                "{\"a\":".repeat(150_000),
                format!("[{}]", vec!["1"; 500_000].join(",")),
                format!("[{}0]", (0..150_000).map(|n| format!("{n},")).collect::<String>()),
                format!("[{}[]]", (0..100_000).map(|n| format!("[{n}],")).collect::<String>()),
                format!("\"{}b\"", "a".repeat(1_000_000)),
                format!("1{}", "0".repeat(1_000_000)),
                format!("1e{}", "9".repeat(1_000_000)),
                "`".repeat(1_000_000),
            ] {
                score(settings, &text);
            }
        }
        assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
    }

    #[test]
    fn schemas_without_an_end_are_read_or_refused() {
        let start = Instant::now();
        let mut doubling = serde_json::Map::new();
        for level in 0..60 {
            let next = json!({"$ref": format!("#/$defs/{}", level + 1)});
            doubling.insert(level.to_string(), json!({"anyOf": [next, next]}));
        }
        doubling.insert("60".into(), json!({"type": "null"}));
        let deep = (0..1_000).fold(json!(true), |inner, _| json!({ "not": inner }));
        let wide = json!({"enum": (0..50_000).collect::<Vec<_>>()});
        for schema in [
            json!({"$ref": "#"}),
            json!({"allOf": [{"$ref": "#"}]}),
            json!({"anyOf": [{"not": {"$ref": "#"}}]}),
            json!({"$ref": "#/$defs/0", "$defs": doubling}),
            json!({"$dynamicRef": "#"}),
            wide,
        ] {
            let json: JsonReward = reward(&json!({"schema": schema}).to_string());
            if let Ok(rule) = json.checked() {
                rule.score(&problem(None), &completion("[1, {\"a\": []}]"));
            }
        }
        let json = JsonReward {
            weight: 1.0,
            schema: Some(deep),
            valid: 0.0,
            fence: Fence::Never,
            answer: None,
        };
        assert!(json.checked().is_err());
        assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
    }
}
