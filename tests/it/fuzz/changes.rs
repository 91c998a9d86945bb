//! Changes of whole files: a value in another's place, bytes cut out, doubled or turned over.

use serde_json::{Value, json};

use wgrpo::random::Stream;

/// Numbers and other things that no file has where a size belongs.
pub fn hostile(stream: &mut Stream) -> Value {
    let values = [
        json!(0),
        json!(-1),
        json!(1),
        json!(3),
        json!(1u64 << 20),
        json!(1u64 << 31),
        json!(1u64 << 40),
        json!(1u64 << 61),
        json!(1u64 << 63),
        json!(u64::MAX),
        json!(1e308),
        json!(-1e-300),
        json!(0.5),
        json!(null),
        json!(true),
        json!("x"),
        json!("default".repeat(10_000)),
        json!([]),
        json!([1, u64::MAX]),
        json!(vec![1; 5_000]),
        json!({}),
        json!({"rope_type": "default", "type": "yarn", "rope_theta": -1}),
    ];
    values[stream.index_below(values.len())].clone()
}

/// Changes one value somewhere in the tree.
pub fn change_value(value: &mut Value, stream: &mut Stream) {
    let inner = match value {
        Value::Object(map) if !map.is_empty() => {
            let at = stream.index_below(map.len());
            map.values_mut().nth(at)
        }
        Value::Array(list) if !list.is_empty() => {
            let at = stream.index_below(list.len());
            list.get_mut(at)
        }
        _ => None,
    };
    match inner {
        Some(inner) if stream.below(4) > 0 => change_value(inner, stream),
        Some(inner) => *inner = hostile(stream),
        None => *value = hostile(stream),
    }
}

/// Flips, cuts out, doubles or cuts off some bytes.
pub fn change_bytes(bytes: &[u8], stream: &mut Stream) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let at = stream.index_below(bytes.len());
    let end = (at + 1 + stream.index_below(16)).min(bytes.len());
    match stream.below(4) {
        0 => bytes[at] ^= 1 << stream.below(8),
        1 => drop(bytes.drain(at..end)),
        2 => bytes.extend_from_within(at..end),
        _ => bytes.truncate(at),
    }
    bytes
}

pub fn change_json(text: &[u8], stream: &mut Stream) -> Vec<u8> {
    if stream.below(4) == 0 {
        return change_bytes(text, stream);
    }
    let mut json: Value = serde_json::from_slice(text).unwrap();
    (0..=stream.below(2)).for_each(|_| change_value(&mut json, stream));
    json.to_string().into_bytes()
}
