//! Keys that are a name, or a block where the name needs settings.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::advantage::Estimator;
use crate::loss::PolicyLoss;

/// An estimator by name, or as a block with its settings.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(transparent)]
pub struct EstimatorChoice(pub Estimator);

impl<'de> Deserialize<'de> for EstimatorChoice {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        by_name_or_block(deserializer).map(Self)
    }
}

/// A policy loss by name, or as a block with its settings.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(transparent)]
pub struct LossChoice(pub PolicyLoss);

impl<'de> Deserialize<'de> for LossChoice {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        by_name_or_block(deserializer).map(Self)
    }
}

impl JsonSchema for EstimatorChoice {
    fn schema_name() -> Cow<'static, str> {
        "EstimatorChoice".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        name_or_block::<Estimator>(generator)
    }
}

impl JsonSchema for LossChoice {
    fn schema_name() -> Cow<'static, str> {
        "LossChoice".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        name_or_block::<PolicyLoss>(generator)
    }
}

/// One of a type's kinds, or a block of one of them.
fn name_or_block<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let blocks = T::json_schema(generator);
    let kinds = blocks.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    let names: Vec<Value> =
        kinds.filter_map(|kind| kind.pointer("/properties/kind/const")).cloned().collect();
    json_schema!({ "anyOf": [{ "enum": names }, generator.subschema_for::<T>()] })
}

/// Reads `name` as `{kind: name}`.
fn by_name_or_block<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: serde::de::DeserializeOwned,
{
    let value = match Value::deserialize(deserializer)? {
        Value::String(kind) => serde_json::json!({ "kind": kind }),
        block => block,
    };
    serde_json::from_value(value).map_err(serde::de::Error::custom)
}
