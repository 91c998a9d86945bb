//! The JSON schema of a configuration, and what it says of a key: made from the comments that stand beside the keys in
//! this program, and from its ranges of numbers.

mod describe;
mod places;
#[cfg(test)]
mod tests;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

pub use describe::{Described, describe};

use super::{RunConfig, numbers, trl};
use crate::train::TrainConfig;

/// The schema, draft 2020-12, of which an editor completes keys and shows their meaning.
pub fn schema() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    // Serde reads these keys by themselves, see `RunConfig::training`; to a person they are like any other.
    let training = TrainConfig::json_schema(&mut generator);
    let mut root = generator.into_root_schema_for::<RunConfig>().to_value();
    let of_training = training.get("properties").and_then(Value::as_object);
    let mut keys = of_training.cloned().unwrap_or_default();
    if let Some(properties) = root.get_mut("properties").and_then(Value::as_object_mut) {
        keys.append(properties);
        *properties = keys;
    }
    root["title"] = "wgrpo".into();
    add_meaning_of_kind(&mut root);
    let kinds = root.pointer_mut("/$defs/DataConfig/oneOf").and_then(Value::as_array_mut);
    kinds.into_iter().flatten().for_each(needs_no_kind);
    add_names_of_trl(&mut root);
    for (key, bounds, _) in numbers::ranges() {
        let way: Vec<&str> = key.split('.').collect();
        for pointer in places::numbers_at(&root, &way) {
            let Some(Value::Object(place)) = root.pointer_mut(&pointer) else { continue };
            place.extend(bounds.iter().map(|(name, bound)| ((*name).to_owned(), bound.clone())));
        }
    }
    root
}

/// Blocks of several kinds are told apart by a key that has no comment of its own.
fn add_meaning_of_kind(node: &mut Value) {
    let properties = node.get_mut("properties").and_then(Value::as_object_mut);
    for property in properties.into_iter().flat_map(serde_json::Map::values_mut) {
        if let Value::Object(property) = property
            && property.contains_key("const")
        {
            property.entry("description").or_insert_with(|| "Which kind it is.".into());
        }
    }
    let inner: Vec<&mut Value> = match node {
        Value::Object(fields) => fields.values_mut().collect(),
        Value::Array(items) => items.iter_mut().collect(),
        _ => Vec::new(),
    };
    // As deep as the types of this program are nested.
    inner.into_iter().for_each(add_meaning_of_kind);
}

/// Of data the kind may be left out; then it is `auto`.
fn needs_no_kind(kind: &mut Value) {
    if kind.pointer("/properties/kind/const") == Some(&json!("auto"))
        && let Some(required) = kind.get_mut("required").and_then(Value::as_array_mut)
    {
        required.retain(|key| key != "kind");
    }
}

/// TRL's names for keys are read, too.
fn add_names_of_trl(root: &mut Value) {
    for (name, key) in trl::same() {
        let way: Vec<&str> = key.split('.').collect();
        let Some(place) = places::properties_at(root, &way).into_iter().next() else { continue };
        let mut schema = root.pointer(&place).cloned().unwrap_or_else(|| json!({}));
        if let Value::Object(schema) = &mut schema {
            schema.remove("default");
            schema.insert("description".into(), format!("TRL's name of {key}.").into());
        }
        root["properties"][name] = schema;
    }
}
