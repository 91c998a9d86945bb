//! The tokenizer files of a Hugging Face model folder.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde_json::{Map, Value};

use super::chat::ChatTemplate;
use super::limits::{LONGEST_FILE, LONGEST_TOKENIZER};
use super::read::{self, ReadTokenizer};
use super::special::{Sources, token_name};
use super::{TextError, Tokenizer};
use crate::files::{other_than_file, read_bytes, write_atomically};

const TOKENIZER: &str = "tokenizer.json";
const CONFIG: &str = "tokenizer_config.json";
const CHAT_TEMPLATE: &str = "chat_template.jinja";
/// The class that takes `tokenizer.json` as it is; others rebuild parts of it from their own rules.
const TOKENIZER_CLASS: &str = "PreTrainedTokenizerFast";

pub(super) fn read(folder: &Path) -> Result<Tokenizer, TextError> {
    let read = read_tokenizer(&folder.join(TOKENIZER))?;
    let config = with_names_of(
        read_object(&folder.join(CONFIG))?,
        read_object(&folder.join("special_tokens_map.json"))?,
    );
    let ids = vec![
        read_object(&folder.join("generation_config.json"))?,
        read_object(&folder.join("config.json"))?,
    ];
    let chat = read_chat(folder, &config)?;
    assembled(read, config, ids, chat, &folder.join(CONFIG))
}

/// The tokenizer of a model in one file, from what stands in a folder's `tokenizer.json`, `tokenizer_config.json` and
/// `config.json`.
pub(super) fn of_values(
    file: &Path,
    [tokenizer, config, model]: [&Value; 3],
) -> Result<Tokenizer, TextError> {
    let broken = |problem: String| TextError::broken(file, &problem);
    let read = read::tokenizer(tokenizer.to_string().as_bytes()).map_err(broken)?;
    let object = |value: &Value| value.as_object().cloned().unwrap_or_default();
    let config = object(config);
    let compile = |source| ChatTemplate::new(source, &config);
    let chat = template_of(&config).map(compile).transpose().map_err(broken)?;
    assembled(read, config, vec![object(model)], chat, file)
}

/// A tokenizer with its special tokens, which `config` names or `ids` has; `path` is named where they do not fit.
fn assembled(
    read: ReadTokenizer,
    config: Map<String, Value>,
    ids: Vec<Map<String, Value>>,
    chat: Option<ChatTemplate>,
    path: &Path,
) -> Result<Tokenizer, TextError> {
    let ReadTokenizer { inner, growth, largest } = read;
    let sources = Sources { names: vec![config.clone()], ids };
    let special = sources
        .resolve(|name| inner.token_to_id(name))
        .map_err(|problem| TextError::broken(path, &problem))?;
    // A completion is taught to end with it.
    let end = special.eos.first().map(|id| (inner.id_to_token(*id).unwrap_or_default(), *id));
    let largest = end.into_iter().chain([largest]).max_by_key(|(_, id)| *id).unwrap_or_default();
    Ok(Tokenizer { inner, growth, largest, rows: None, special, config, chat })
}

/// Special tokens that only `special_tokens_map.json` names, as older folders have it, stand in the config from
/// here on: what is saved has no such file.
fn with_names_of(mut config: Map<String, Value>, map: Map<String, Value>) -> Map<String, Value> {
    for (key, value) in map {
        let is_named =
            config.get(&key).is_some_and(|known| token_name(known).is_some() || known.is_array());
        if !is_named {
            config.insert(key, value);
        }
    }
    config
}

/// The contents of `tokenizer.json` and `tokenizer_config.json`.
pub(super) fn values(tokenizer: &Tokenizer) -> Result<[String; 2], String> {
    let json = tokenizer.inner.to_string(true).map_err(|error| error.to_string())?;
    let mut config = tokenizer.config.clone();
    config.insert("tokenizer_class".into(), TOKENIZER_CLASS.into());
    // The template stands in a file of its own; twice, the two could come to differ.
    config.remove("chat_template");
    let config = serde_json::to_string_pretty(&config).map_err(|error| error.to_string())?;
    Ok([json, config])
}

pub(super) fn write(tokenizer: &Tokenizer, folder: &Path) -> Result<(), TextError> {
    let path = folder.join(TOKENIZER);
    let texts = values(tokenizer).map_err(|problem| TextError::broken(&path, &problem))?;
    for (name, text) in [TOKENIZER, CONFIG].into_iter().zip(texts) {
        write_atomically(&folder.join(name), text.as_bytes())?;
    }
    match &tokenizer.chat {
        Some(chat) => Ok(write_atomically(&folder.join(CHAT_TEMPLATE), chat.source().as_bytes())?),
        None => Ok(()),
    }
}

fn read_tokenizer(path: &Path) -> Result<ReadTokenizer, TextError> {
    let bytes = read_if_there(path, LONGEST_TOKENIZER)?
        .ok_or_else(|| TextError::Read { path: path.into(), source: ErrorKind::NotFound.into() })?;
    read::tokenizer(&bytes).map_err(|problem| TextError::broken(path, &problem))
}

/// The template in a file of its own, or else that of the config: a text, or a list with names.
fn read_chat(
    folder: &Path,
    config: &Map<String, Value>,
) -> Result<Option<ChatTemplate>, TextError> {
    let own_path = folder.join(CHAT_TEMPLATE);
    let (path, source) = match read_if_there(&own_path, LONGEST_FILE)? {
        Some(bytes) => (own_path, Some(String::from_utf8_lossy(&bytes).into_owned())),
        None => (folder.join(CONFIG), template_of(config)),
    };
    let compile = |source| ChatTemplate::new(source, config);
    source.map(compile).transpose().map_err(|problem| TextError::broken(&path, &problem))
}

fn template_of(config: &Map<String, Value>) -> Option<String> {
    match config.get("chat_template")? {
        Value::String(source) => Some(source.clone()),
        Value::Array(named) => {
            let default = named.iter().find(|entry| entry["name"] == "default");
            default.or(named.first())?["template"].as_str().map(str::to_owned)
        }
        _ => None,
    }
}

/// The object a file holds; an empty one where the file is missing.
fn read_object(path: &Path) -> Result<Map<String, Value>, TextError> {
    let Some(bytes) = read_if_there(path, LONGEST_FILE)? else {
        return Ok(Map::new());
    };
    serde_json::from_slice(&bytes)
        .map_err(|error| TextError::broken(path, &format!("is no JSON object: {error}")))
}

/// The bytes of a file; a pipe, which may never end, and a file beyond `limit` are not read.
fn read_if_there(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, TextError> {
    let unread = |source| TextError::Read { path: path.into(), source };
    let broken = |problem: String| TextError::broken(path, &problem);
    match other_than_file(path) {
        Ok(None) => {}
        Ok(Some(kind)) => return Err(broken(format!("is no file but {kind}"))),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(unread(source)),
    }
    read_bytes(path, limit).map(Some).map_err(|source| match source.kind() {
        ErrorKind::FileTooLarge => {
            let bytes = fs::metadata(path).map_or(0, |found| found.len());
            broken(format!("has {bytes} bytes, and at most {limit} are read"))
        }
        _ => unread(source),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn saved(alphabet: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        Tokenizer::characters(alphabet).unwrap().save(folder.path()).unwrap();
        folder
    }

    #[test]
    fn a_saved_tokenizer_comes_back_the_same() {
        let folder = saved("0123456789+=");
        let read = Tokenizer::from_folder(folder.path()).unwrap();
        assert_eq!(read.encode("12+34=46", true).unwrap(), [1, 4, 5, 13, 6, 7, 14, 7, 9]);
        assert_eq!((read.pad_id(), read.bos_id(), read.eos_ids()), (0, Some(1), &[2][..]));
        assert_eq!(read.vocab_size(), 15);
        assert!(!read.has_chat_template());
        assert!(matches!(read.render_chat(&json!([]), true), Err(TextError::NoChatTemplate)));
    }

    #[test]
    fn the_chat_template_of_the_config_is_saved_as_a_file_of_its_own() {
        for template in [
            json!("{{ messages[0].content }}!"),
            json!([
                {"name": "tool_use", "template": "{{ tools }}"},
                {"name": "default", "template": "{{ messages[0].content }}!"},
            ]),
        ] {
            let folder = saved("ab");
            let config =
                json!({"eos_token": "<eos>", "chat_template": template, "model_max_length": 9});
            fs::write(folder.path().join(CONFIG), config.to_string()).unwrap();
            let read = Tokenizer::from_folder(folder.path()).unwrap();
            let again = tempfile::tempdir().unwrap();
            read.save(again.path()).unwrap();
            let again = Tokenizer::from_folder(again.path()).unwrap();
            let turns = json!([{"role": "user", "content": "Hi"}]);
            assert_eq!(again.render_chat(&turns, true).unwrap(), "Hi!");
            assert_eq!(again.config["model_max_length"], 9);
            assert_eq!(again.config["tokenizer_class"], TOKENIZER_CLASS);
        }
    }

    #[test]
    fn the_template_file_comes_before_the_config() {
        let folder = saved("ab");
        let config = json!({"eos_token": "<eos>", "chat_template": "old"});
        fs::write(folder.path().join(CONFIG), config.to_string()).unwrap();
        fs::write(folder.path().join(CHAT_TEMPLATE), "{{ eos_token }}new").unwrap();
        let read = Tokenizer::from_folder(folder.path()).unwrap();
        assert_eq!(read.render_chat(&json!([]), false).unwrap(), "<eos>new");
    }

    #[test]
    fn generation_config_adds_its_eos_ids() {
        let folder = saved("ab");
        let path = folder.path().join("generation_config.json");
        fs::write(path, r#"{"eos_token_id": [2, 4]}"#).unwrap();
        assert_eq!(Tokenizer::from_folder(folder.path()).unwrap().eos_ids(), [2, 4]);
    }

    #[test]
    fn special_tokens_named_only_in_the_map_are_saved() {
        let folder = saved("ab");
        fs::write(folder.path().join(CONFIG), r#"{"model_max_length": 9, "pad_token": null}"#)
            .unwrap();
        let map =
            r#"{"bos_token": "<bos>", "eos_token": {"content": "<eos>"}, "pad_token": "<pad>"}"#;
        fs::write(folder.path().join("special_tokens_map.json"), map).unwrap();
        let read = Tokenizer::from_folder(folder.path()).unwrap();
        let again = tempfile::tempdir().unwrap();
        read.save(again.path()).unwrap();
        let again = Tokenizer::from_folder(again.path()).unwrap();
        assert_eq!((again.pad_id(), again.bos_id(), again.eos_ids()), (0, Some(1), &[2][..]));
    }

    #[test]
    fn the_lines_of_a_template_may_end_as_on_any_system() {
        let folder = saved("ab");
        let template =
            "{% for m in messages %}\r\n<|{{ m.role }}|>\r\n{{ m.content }}\r\n{% endfor %}\r\n";
        fs::write(folder.path().join(CHAT_TEMPLATE), template).unwrap();
        let read = Tokenizer::from_folder(folder.path()).unwrap();
        let turns = json!([{"role": "user", "content": "Hi\r\n"}]);
        // What a message says stays as it is.
        assert_eq!(read.render_chat(&turns, true).unwrap(), "<|user|>\nHi\r\n\n");
    }

    #[test]
    fn what_is_no_file_or_too_long_is_not_read() {
        let folder = saved("ab");
        let error = || Tokenizer::from_folder(folder.path()).unwrap_err().to_string();
        let template = fs::File::create(folder.path().join(CHAT_TEMPLATE)).unwrap();
        template.set_len(LONGEST_FILE + 1).unwrap();
        assert!(error().contains("chat_template.jinja: has 33554433 bytes"), "{}", error());
        template.set_len(2 << 20).unwrap();
        assert!(error().contains("at most 1.1 MB"), "{}", error());
        fs::remove_file(folder.path().join(CHAT_TEMPLATE)).unwrap();
        fs::create_dir(folder.path().join(CHAT_TEMPLATE)).unwrap();
        assert!(error().contains("is no file"), "{}", error());
    }

    #[test]
    fn a_missing_or_broken_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = || Tokenizer::from_folder(folder.path()).unwrap_err().to_string();
        assert!(error().contains("tokenizer.json"), "{}", error());
        fs::write(folder.path().join(TOKENIZER), "{}").unwrap();
        assert!(error().contains("is no tokenizer"), "{}", error());
        Tokenizer::characters("ab").unwrap().save(folder.path()).unwrap();
        fs::write(folder.path().join(CONFIG), "[1]").unwrap();
        assert!(error().contains("tokenizer_config.json: is no JSON object"), "{}", error());
        fs::write(folder.path().join(CONFIG), r#"{"eos_token": "<stop>"}"#).unwrap();
        assert!(error().contains("<stop>"), "{}", error());
        fs::write(folder.path().join(CONFIG), r#"{"chat_template": "{% if %}"}"#).unwrap();
        assert!(error().contains("chat_template:1"), "{}", error());
    }
}
