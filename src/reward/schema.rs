//! A JSON schema that is safe to hold values against, whoever wrote it.

use std::collections::HashMap;

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

use crate::quote::passage;

/// A schema of more bytes is a mistake.
const LONGEST: usize = 1 << 20;
/// A deeper one too.
const DEEPEST: usize = 100;
/// As many parts of a schema may speak of the same value, each counted as often as it is reached.
const MOST_PARTS: u64 = 10_000;
/// Keys whose schemas speak of the same value as the schema that they stand in.
const SAME_VALUE: [&str; 7] = ["allOf", "anyOf", "oneOf", "not", "if", "then", "else"];

/// A schema read; an error says what is wrong with it.
pub(super) fn validator(schema: &Value) -> Result<Validator, String> {
    Parts { root: schema, counts: HashMap::new() }.check(schema, 0)?;
    if schema.to_string().len() > LONGEST {
        return Err(format!("is longer than {LONGEST} bytes; give a shorter one"));
    }
    jsonschema::options()
        .with_pattern_options(PatternOptions::regex())
        .build(schema)
        .map_err(|error| format!("is no schema that can be used: {}", passage(&error.to_string())))
}

/// The parts of a schema, with how many speak of the value that each speaks of.
struct Parts<'a> {
    root: &'a Value,
    /// None while a part is being counted, by its address.
    counts: HashMap<*const Value, Option<u64>>,
}

impl<'a> Parts<'a> {
    /// Refuses what would make a check of a value endless or very long.
    fn check(&mut self, part: &'a Value, depth: usize) -> Result<(), String> {
        if depth > DEEPEST {
            return Err(format!("is more than {DEEPEST} levels deep; give a flatter one"));
        }
        if let Value::Object(keys) = part {
            let other =
                ["$dynamicRef", "$recursiveRef"].iter().find(|key| keys.contains_key(**key));
            if let Some(key) = other {
                return Err(format!("has {key}, which is not followed; use $ref"));
            }
            self.count(part, 0)?;
        }
        match part {
            Value::Object(keys) => keys.values().try_for_each(|v| self.check(v, depth + 1)),
            Value::Array(items) => items.iter().try_for_each(|v| self.check(v, depth + 1)),
            _ => Ok(()),
        }
    }

    /// How many parts speak of the value that this part speaks of.
    fn count(&mut self, part: &'a Value, depth: usize) -> Result<u64, String> {
        match self.counts.get(&std::ptr::from_ref(part)) {
            Some(Some(count)) => return Ok(*count),
            Some(None) => {
                return Err("refers to itself without going into the value; \
                                      remove the circle of $ref"
                    .into());
            }
            None => {}
        }
        if depth > 10 * DEEPEST {
            return Err("has too long a chain of $ref; shorten it".into());
        }
        self.counts.insert(part, None);
        let mut count = 1_u64;
        for inner in self.same_value(part)? {
            count = count.saturating_add(self.count(inner, depth + 1)?);
        }
        if count > MOST_PARTS {
            return Err(format!(
                "holds a value against more than {MOST_PARTS} of its parts; make it simpler"
            ));
        }
        self.counts.insert(part, Some(count));
        Ok(count)
    }

    fn same_value(&self, part: &'a Value) -> Result<Vec<&'a Value>, String> {
        let Value::Object(keys) = part else { return Ok(Vec::new()) };
        let mut inner: Vec<&Value> = Vec::new();
        for value in SAME_VALUE.iter().filter_map(|key| keys.get(*key)) {
            match value {
                Value::Array(items) => inner.extend(items),
                other => inner.push(other),
            }
        }
        if let Some(Value::Object(named)) = keys.get("dependentSchemas") {
            inner.extend(named.values());
        }
        if let Some(Value::String(target)) = keys.get("$ref") {
            inner.push(self.target(target)?);
        }
        Ok(inner)
    }

    /// The part that a reference names.
    fn target(&self, reference: &str) -> Result<&'a Value, String> {
        let pointer = reference.strip_prefix('#').filter(|p| p.is_empty() || p.starts_with('/'));
        let found = pointer.and_then(|pointer| self.root.pointer(pointer));
        found.ok_or_else(|| {
            format!(
                "refers to {:?}; a $ref names a part of the same schema, such as #/$defs/name",
                crate::quote::shown(reference)
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_circle_on_one_value_is_refused_and_one_through_values_is_not() {
        for schema in [
            json!({"$ref": "#"}),
            json!({"allOf": [{"$ref": "#"}]}),
            json!({"properties": {"a": {"not": {"$ref": "#/properties/a"}}}}),
            json!({"dependentSchemas": {"a": {"$ref": "#"}}}),
        ] {
            assert!(validator(&schema).unwrap_err().contains("circle"), "{schema}");
        }
        for schema in [
            json!({"items": {"$ref": "#"}}),
            json!({"not": {"items": {"$ref": "#"}}}),
            json!({"properties": {"next": {"anyOf": [{"type": "null"}, {"$ref": "#"}]}}}),
        ] {
            assert!(validator(&schema).is_ok(), "{schema}");
        }
    }

    #[test]
    fn too_many_parts_and_other_references_are_refused() {
        let next = |level: usize| json!({"$ref": format!("#/$defs/{}", level + 1)});
        let doubling =
            |level: usize| (level.to_string(), json!({"anyOf": [next(level), next(level)]}));
        let mut defs: serde_json::Map<String, Value> = (0..60).map(doubling).collect();
        defs.insert("60".into(), json!(true));
        let error = validator(&json!({"$ref": "#/$defs/0", "$defs": defs})).unwrap_err();
        assert!(error.contains("parts"), "{error}");
        for reference in ["#name", "a.json", "https://example.com", "#/no"] {
            let error = validator(&json!({ "$ref": reference })).unwrap_err();
            assert!(error.contains("refers to"), "{error}");
        }
        assert!(validator(&json!({"$dynamicRef": "#"})).unwrap_err().contains("$dynamicRef"));
    }
}
