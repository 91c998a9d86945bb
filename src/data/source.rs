//! The files that a configuration names: one or several, how much of each, and how they are mixed.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};

/// A file, a folder or a data set on the hub.
///
/// Written `path`, `path#N` for the first N rows, or `{path: ..., take: N, weight: W}`.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// Where it is.
    pub path: PathBuf,
    /// Only so many rows, from the first.
    pub take: Option<usize>,
    /// Its share of the problems, beside the weights of the others.
    pub weight: Option<f64>,
}

/// One source, or a list of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Sources(pub Vec<Source>);

const MOST_WEIGHT: f64 = 1e6;

impl Source {
    fn of_text(text: &str) -> Result<Self, String> {
        let (path, take) = match text.rsplit_once('#') {
            Some((path, count)) if is_number(count) => (path, Some(number(count)?)),
            _ => (text, None),
        };
        if path.is_empty() {
            return Err(format!("{text:?} names no file"));
        }
        Ok(Self { path: path.into(), take, weight: None })
    }

    fn of_block(block: Map<String, Value>) -> Result<Self, String> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Block {
            path: String,
            take: Option<usize>,
            weight: Option<f64>,
        }
        let block: Block =
            serde_json::from_value(Value::Object(block)).map_err(|error| error.to_string())?;
        let source = Self::of_text(&block.path)?;
        let is_weight = |weight: &f64| *weight > 0.0 && *weight <= MOST_WEIGHT;
        if let Some(weight) = block.weight.filter(|weight| !is_weight(weight)) {
            return Err(format!(
                "weight is {weight}; it must be above 0 and at most {MOST_WEIGHT}"
            ));
        }
        match (source.take, block.take) {
            (Some(_), Some(_)) => Err("says twice how many rows to take; keep #N or take".into()),
            (_, Some(0)) => Err("take is 0; take at least 1 row".into()),
            (first, second) => Ok(Self { take: first.or(second), weight: block.weight, ..source }),
        }
    }

    fn of(value: Value) -> Result<Self, String> {
        match value {
            Value::String(text) => Self::of_text(&text),
            Value::Object(block) => Self::of_block(block),
            other => Err(format!("{other} is no path; write a path, or {{path: ..., weight: 1}}")),
        }
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn number(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("#0 takes no row; take at least 1".into()),
        Ok(count) => Ok(count),
        Err(_) => Err(format!("#{text} is more rows than there can be")),
    }
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.path.display())?;
        self.take.iter().try_for_each(|count| write!(formatter, "#{count}"))
    }
}

impl Serialize for Source {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.weight {
            None => serializer.serialize_str(&self.to_string()),
            Some(weight) => {
                let block = serde_json::json!({"path": self.to_string(), "weight": weight});
                block.serialize(serializer)
            }
        }
    }
}

impl<'de> Deserialize<'de> for Sources {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let sources = match Value::deserialize(deserializer)? {
            Value::Array(values) if values.is_empty() => Err("names no file".to_owned()),
            Value::Array(values) => values.into_iter().map(Source::of).collect(),
            one => Source::of(one).map(|source| vec![source]),
        };
        sources.map(Self).map_err(D::Error::custom)
    }
}

impl Serialize for Sources {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            // Beside no other it has no share.
            [one] => serializer.serialize_str(&one.to_string()),
            several => several.serialize(serializer),
        }
    }
}

impl JsonSchema for Sources {
    fn schema_name() -> Cow<'static, str> {
        "Sources".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let source = json!({
            "anyOf": [
                { "type": "string", "description": "A path, or `path#N` for the first N rows." },
                {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["path"],
                    "properties": {
                        "path": { "type": "string", "description": "Where it is." },
                        "take": {
                            "type": "integer",
                            "minimum": 1,
                            "description": "Only so many rows, from the first.",
                        },
                        "weight": {
                            "type": "number",
                            "exclusiveMinimum": 0,
                            "maximum": MOST_WEIGHT,
                            "description": "Its share of the problems, beside the weights of the others.",
                        },
                    },
                },
            ],
        });
        json_schema!({ "anyOf": [source, { "type": "array", "minItems": 1, "items": source }] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: Value) -> Result<Sources, String> {
        serde_json::from_value(value).map_err(|error| error.to_string())
    }

    fn source(path: &str, take: Option<usize>, weight: Option<f64>) -> Source {
        Source { path: path.into(), take, weight }
    }

    #[test]
    fn files_are_named_one_or_several_with_a_number_of_rows_and_a_weight() {
        let one = |value| read(value).unwrap().0.remove(0);
        assert_eq!(one(json!("a.jsonl")), source("a.jsonl", None, None));
        assert_eq!(one(json!("a.jsonl#12")), source("a.jsonl", Some(12), None));
        assert_eq!(one(json!("c#/a#x.jsonl")), source("c#/a#x.jsonl", None, None));
        assert_eq!(one(json!({"path": "a", "take": 3})), source("a", Some(3), None));
        let both = json!(["a.jsonl#2", {"path": "b", "weight": 0.5}]);
        let expected = vec![source("a.jsonl", Some(2), None), source("b", None, Some(0.5))];
        assert_eq!(read(both).unwrap().0, expected);
    }

    #[test]
    fn what_names_no_file_is_refused() {
        let refused = |value, part: &str| {
            let error = read(value).unwrap_err();
            assert!(error.contains(part), "{error}");
        };
        refused(json!([]), "names no file");
        refused(json!("#3"), "names no file");
        refused(json!("a#0"), "takes no row");
        refused(json!("a#99999999999999999999999"), "more rows");
        refused(json!({"path": "a#1", "take": 3}), "says twice");
        refused(json!({"path": "a", "wieght": 3}), "wieght");
        refused(json!(3), "is no path");
    }

    #[test]
    fn sources_are_written_as_they_are_read() {
        for text in
            [json!("a.jsonl"), json!("a.jsonl#2"), json!(["a", {"path": "b#4", "weight": 2.0}])]
        {
            assert_eq!(serde_json::to_value(read(text.clone()).unwrap()).unwrap(), text);
        }
    }
}
