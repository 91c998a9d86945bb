//! Where a key stands in a schema, as JSON pointers: a key of a block of several kinds stands in several places.

use serde_json::Value;

/// What a step of a way leads through: one of several forms, or a definition.
const FORMS: [&str; 3] = ["anyOf", "oneOf", "allOf"];

/// The places of the numbers at the end of a way; `*` is an element of a list.
pub(super) fn numbers_at(root: &Value, way: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for place in properties_at(root, way) {
        for place in forms_of(root, place) {
            let types = root.pointer(&place).map(|node| &node["type"]);
            let is = |kind: &Value| kind == "integer" || kind == "number";
            let is_number = match types {
                Some(Value::Array(kinds)) => kinds.iter().any(is),
                Some(kind) => is(kind),
                None => false,
            };
            if is_number && !found.contains(&place) {
                found.push(place);
            }
        }
    }
    found
}

/// The places of what a way leads to, as its block says it.
pub(super) fn properties_at(root: &Value, way: &[&str]) -> Vec<String> {
    let mut places = vec![String::new()];
    for key in way {
        let step = |place: String| {
            let forms = forms_of(root, place).into_iter();
            forms.flat_map(|form| next(root, &form, key)).collect::<Vec<_>>()
        };
        let mut found: Vec<String> = places.into_iter().flat_map(step).collect();
        found.sort();
        found.dedup();
        places = found;
    }
    places
}

/// What a key leads to from a place; elements of a list are passed through where the way does not name them.
fn next(root: &Value, place: &str, key: &str) -> Vec<String> {
    let Some(node) = root.pointer(place) else { return Vec::new() };
    if key == "*" {
        return node.get("items").map(|_| format!("{place}/items")).into_iter().collect();
    }
    if node.get("properties").is_some_and(|properties| properties.get(key).is_some()) {
        return vec![format!("{place}/properties/{}", escaped(key))];
    }
    match node.get("items") {
        Some(_) => forms_of(root, format!("{place}/items"))
            .iter()
            .flat_map(|form| next(root, form, key))
            .collect(),
        None => Vec::new(),
    }
}

/// A place and all that it stands for: the definition it refers to, and each of its forms.
pub(super) fn forms_of(root: &Value, place: String) -> Vec<String> {
    let mut forms = vec![place];
    let mut at = 0;
    while let Some(place) = forms.get(at).cloned() {
        at += 1;
        let Some(node) = root.pointer(&place) else { continue };
        let definition = node["$ref"].as_str().and_then(|to| to.strip_prefix('#'));
        let of_forms = FORMS.iter().flat_map(|name| {
            let count = node[*name].as_array().map_or(0, Vec::len);
            let place = &place;
            (0..count).map(move |index| format!("{place}/{name}/{index}"))
        });
        for form in definition.map(str::to_owned).into_iter().chain(of_forms) {
            if !forms.contains(&form) {
                forms.push(form);
            }
        }
    }
    forms
}

/// A key in a JSON pointer.
fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
