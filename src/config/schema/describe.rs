//! What there is to know of a key.

use serde::Serialize;
use serde_json::Value;

use super::places::{forms_of, numbers_at, properties_at};
use super::schema;
use crate::config::{numbers, trl};
use crate::quote::shown;

/// What there is to know of a key.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Described {
    /// The key, with the keys of the blocks around it.
    pub key: String,
    /// What it means.
    pub meaning: String,
    /// What it takes: `a number`, `a list`, `true or false`.
    pub takes: String,
    /// The numbers that it takes.
    pub range: Option<String>,
    /// What it is where it is left out; none where it must be given or nothing stands for it.
    pub default: Option<Value>,
    /// The names that it takes, with their meaning.
    pub names: Vec<(String, String)>,
    /// The keys of its block, with their meaning.
    pub keys: Vec<(String, String)>,
    /// The keys beside it in its block; at the top there are too many.
    pub beside: Vec<String>,
    /// What TRL calls it.
    pub in_trl: Vec<&'static str>,
}

/// Describes a key, as `optimizer.learning_rate`; all keys at the top where it is empty.
///
/// # Errors
/// A key that there is not, with the nearest one that there is.
pub fn describe(key: &str) -> Result<Described, String> {
    let root = schema();
    let way: Vec<&str> = key.split('.').filter(|part| !part.is_empty()).collect();
    let (places, keys) = match way.is_empty() {
        true => (vec![String::new()], keys_at(&root, &[])),
        false => (properties_at(&root, &way), Vec::new()),
    };
    let Some(place) = places.first() else { return Err(unknown(&root, key, &way)) };
    let forms: Vec<String> =
        places.iter().flat_map(|place| forms_of(&root, place.clone())).collect();
    let text = |place: &String| root.pointer(place).and_then(|node| node["description"].as_str());
    // The words beside the key, before those of the type that it is of.
    let meaning = places.iter().chain(&forms).find_map(text).unwrap_or_default();
    let around = way.split_last().map_or(&[][..], |(_, around)| around);
    let beside = keys_at(&root, around).into_iter().map(|(name, _)| name);
    let last = way.last().copied().unwrap_or_default();
    Ok(Described {
        key: key.to_owned(),
        meaning: one_line(meaning),
        takes: takes(&root, &forms),
        range: range(&root, &way),
        default: root.pointer(place).and_then(|node| node.get("default")).cloned(),
        names: names(&root, &forms),
        keys: if way.is_empty() { keys } else { keys_at(&root, &way) },
        beside: beside.filter(|name| name != last && !around.is_empty()).collect(),
        in_trl: trl::same().filter(|(_, of)| *of == key).map(|(name, _)| name).collect(),
    })
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The first sentence of what a place says.
fn brief(root: &Value, place: &str) -> String {
    let forms = forms_of(root, place.to_owned());
    let text = forms.iter().find_map(|form| root.pointer(form)?["description"].as_str());
    let text = one_line(text.unwrap_or_default());
    text.split_once(". ").map_or(text.clone(), |(first, _)| format!("{first}."))
}

/// The keys of the block at the end of a way, those of all its kinds, each once.
fn keys_at(root: &Value, way: &[&str]) -> Vec<(String, String)> {
    let mut places = properties_at(root, way);
    if let Some(place) = places.first().filter(|place| !place.is_empty()).cloned() {
        places.push(format!("{place}/items"));
    }
    let names_of_trl: Vec<&str> = trl::same().map(|(name, _)| name).collect();
    let mut keys: Vec<(String, String)> = Vec::new();
    for form in places.into_iter().flat_map(|place| forms_of(root, place)) {
        let properties = root.pointer(&form).and_then(|node| node["properties"].as_object());
        for name in properties.into_iter().flat_map(serde_json::Map::keys) {
            let is_known = keys.iter().any(|(known, _)| known == name);
            let is_of_trl = way.is_empty() && names_of_trl.contains(&name.as_str());
            if !(is_known || is_of_trl) {
                keys.push((name.clone(), brief(root, &format!("{form}/properties/{name}"))));
            }
        }
    }
    keys
}

/// The names that a place takes: values by themselves, and the kinds of a block.
fn names(root: &Value, forms: &[String]) -> Vec<(String, String)> {
    let mut names: Vec<(String, String)> = Vec::new();
    let mut add = |name: &Value, meaning: String| {
        if let Some(name) = name.as_str()
            && !names.iter().any(|(known, _)| known == name)
        {
            names.push((name.to_owned(), meaning));
        }
    };
    let items = forms.first().map(|place| forms_of(root, format!("{place}/items")));
    for form in forms.iter().chain(items.iter().flatten()) {
        let Some(node) = root.pointer(form) else { continue };
        let kind = [&node["const"], &node["properties"]["kind"]["const"]];
        kind.into_iter().for_each(|name| add(name, brief(root, form)));
    }
    for form in forms {
        let values = root.pointer(form).and_then(|node| node["enum"].as_array());
        values.into_iter().flatten().for_each(|name| add(name, String::new()));
    }
    names
}

fn takes(root: &Value, forms: &[String]) -> String {
    let mut kinds: Vec<&str> = Vec::new();
    for node in forms.iter().filter_map(|form| root.pointer(form)) {
        let types = match &node["type"] {
            Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
            kind => kind.as_str().into_iter().collect::<Vec<_>>(),
        };
        for kind in types {
            let words = match kind {
                "integer" => "a whole number",
                "number" => "a number",
                "boolean" => "true or false",
                "array" => "a list",
                "object" => "a block",
                "string" if node.get("const").is_some() || node.get("enum").is_some() => "a name",
                "string" => "text",
                _ => continue,
            };
            if !kinds.contains(&words) {
                kinds.push(words);
            }
        }
    }
    match kinds.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        Some((only, _)) => (*only).to_owned(),
        None => "a value".to_owned(),
    }
}

fn range(root: &Value, way: &[&str]) -> Option<String> {
    let places = numbers_at(root, way);
    let of_key = |key: &str| {
        let way: Vec<&str> = key.split('.').collect();
        numbers_at(root, &way).iter().any(|place| places.contains(place))
    };
    let name = way.last()?;
    let mut ranges = numbers::ranges().filter(|(key, ..)| key.split('.').any(|part| part == *name));
    ranges.find(|(key, ..)| of_key(key)).map(|(_, _, words)| words)
}

/// Where the way was lost, and the nearest name there.
fn unknown(root: &Value, key: &str, way: &[&str]) -> String {
    let known = (0..way.len()).rev().find(|end| !properties_at(root, &way[..*end]).is_empty());
    let known = known.unwrap_or(0);
    let keys = keys_at(root, &way[..known]);
    let lost = way[known];
    let likeness = |name: &str| strsim::jaro_winkler(lost, name);
    let nearest = keys.iter().max_by(|(a, _), (b, _)| likeness(a).total_cmp(&likeness(b)));
    let block = match known {
        0 => "at the top".to_owned(),
        _ => format!("in `{}`", way[..known].join(".")),
    };
    match nearest {
        Some((nearest, _)) => format!(
            "there is no key `{}`: nothing is called `{}` {block}; did you mean `{nearest}`?",
            shown(key),
            shown(lost)
        ),
        None => {
            format!("there is no key `{}`: `{}` is no block", shown(key), way[..known].join("."))
        }
    }
}
