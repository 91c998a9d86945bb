//! Which ids begin, end and pad a sequence, wherever a model folder says so.

use serde_json::{Map, Value};

/// The special tokens of a tokenizer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SpecialTokens {
    pub(super) pad: u32,
    pub(super) bos: Option<u32>,
    /// Every id that ends a sequence; the tokenizer's own first.
    pub(super) eos: Vec<u32>,
}

/// What a model folder says, as read from its files.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// `tokenizer_config.json`, with what only `special_tokens_map.json` names: names.
    pub(super) names: Vec<Map<String, Value>>,
    /// `generation_config.json`, then `config.json`: ids.
    pub(super) ids: Vec<Map<String, Value>>,
}

impl Sources {
    /// Looks every special token up, names first.
    ///
    /// EOS ids are those of the tokenizer and of generation together: chat models often end a turn
    /// with one and a document with another. Without a pad token any id serves, because masks come
    /// from positions.
    pub(super) fn resolve(
        &self,
        id_of: impl Fn(&str) -> Option<u32>,
    ) -> Result<SpecialTokens, String> {
        let bos = self.named("bos_token", &id_of)?.or_else(|| self.first_id("bos_token_id"));
        let mut eos: Vec<u32> = self.named("eos_token", &id_of)?.into_iter().collect();
        let further = self.ids.iter().map(|source| ids_in(source.get("eos_token_id")));
        for id in further.into_iter().find(|ids| !ids.is_empty()).unwrap_or_default() {
            if !eos.contains(&id) {
                eos.push(id);
            }
        }
        let pad = self.named("pad_token", &id_of)?.or_else(|| self.first_id("pad_token_id"));
        let pad = pad.or(eos.first().copied()).unwrap_or(0);
        Ok(SpecialTokens { pad, bos, eos })
    }

    fn named(&self, key: &str, id_of: impl Fn(&str) -> Option<u32>) -> Result<Option<u32>, String> {
        let Some(name) = self.names.iter().find_map(|source| token_name(source.get(key)?)) else {
            return Ok(None);
        };
        let unknown = || format!("{key} is {name:?}, which tokenizer.json does not have");
        id_of(name).ok_or_else(unknown).map(Some)
    }

    fn first_id(&self, key: &str) -> Option<u32> {
        self.ids.iter().find_map(|source| ids_in(source.get(key)).first().copied())
    }
}

/// A token as a string, or as an object with its `content`.
pub(super) fn token_name(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value.get("content")?.as_str())
}

fn ids_in(value: Option<&Value>) -> Vec<u32> {
    let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
    match value {
        Some(Value::Array(list)) => list.iter().filter_map(id).collect(),
        Some(single) => id(single).into_iter().collect(),
        None => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn resolve(names: &[Value], ids: &[Value]) -> Result<SpecialTokens, String> {
        let maps =
            |values: &[Value]| values.iter().map(|v| v.as_object().unwrap().clone()).collect();
        let id_of = |name: &str| ["<s>", "</s>", "<pad>", "<end>"].iter().position(|t| *t == name);
        Sources { names: maps(names), ids: maps(ids) }
            .resolve(|name| id_of(name).map(|id| id as u32))
    }

    #[test]
    fn names_are_strings_or_objects() {
        let names =
            json!({"bos_token": "<s>", "eos_token": {"content": "</s>"}, "pad_token": "<pad>"});
        let expected = SpecialTokens { pad: 2, bos: Some(0), eos: vec![1] };
        assert_eq!(resolve(&[names], &[]).unwrap(), expected);
    }

    #[test]
    fn generation_may_add_one_eos_or_several() {
        let names = [json!({"eos_token": "</s>"})];
        assert_eq!(resolve(&names, &[json!({"eos_token_id": 3})]).unwrap().eos, [1, 3]);
        assert_eq!(resolve(&names, &[json!({"eos_token_id": [3, 1, 9]})]).unwrap().eos, [1, 3, 9]);
        let both = [json!({"eos_token_id": 1}), json!({"eos_token_id": 7})];
        assert_eq!(resolve(&names, &both).unwrap().eos, [1]);
    }

    #[test]
    fn ids_serve_where_names_are_missing() {
        let ids = [json!({}), json!({"bos_token_id": 5, "eos_token_id": 6, "pad_token_id": null})];
        let found = resolve(&[json!({"bos_token": null})], &ids).unwrap();
        assert_eq!(found, SpecialTokens { pad: 6, bos: Some(5), eos: vec![6] });
    }

    #[test]
    fn a_tokenizer_without_any_special_token_still_pads() {
        assert_eq!(resolve(&[], &[]).unwrap(), SpecialTokens { pad: 0, bos: None, eos: vec![] });
    }

    #[test]
    fn a_name_without_a_token_is_an_error() {
        let error = resolve(&[json!({"eos_token": "<stop>"})], &[]).unwrap_err();
        assert!(error.contains("eos_token") && error.contains("<stop>"), "{error}");
    }
}
