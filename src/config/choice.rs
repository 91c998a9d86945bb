//! Keys that are a name, or a block where the name needs settings.

use serde::{Deserialize, Serialize};

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

/// Reads `name` as `{kind: name}`.
fn by_name_or_block<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: serde::de::DeserializeOwned,
{
    let value = match serde_json::Value::deserialize(deserializer)? {
        serde_json::Value::String(kind) => serde_json::json!({ "kind": kind }),
        block => block,
    };
    serde_json::from_value(value).map_err(serde::de::Error::custom)
}
