//! The files that a run reads, known again by what is in them.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::RunError;
use super::fingerprint::Fingerprint;
use crate::config::RunConfig;
use crate::model::{ADAPTER_FILES, find_model, is_gguf};

/// Files of a model beside its weights that decide what is computed.
const MODEL_FILES: [&str; 7] = [
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "model.safetensors.index.json",
];

/// Fingerprints of a run's data files and of its model's files, by the key that names them: `data.path`,
/// `model.path: config.json`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Inputs(BTreeMap<String, Fingerprint>);

impl Inputs {
    /// Reads all files that a configuration names.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(super) fn of(config: &RunConfig) -> Result<Self, RunError> {
        let mut inputs = BTreeMap::new();
        let data = config.data.files().into_iter();
        let mut named: Vec<(String, PathBuf)> =
            data.map(|(key, path)| (format!("data.{key}"), path)).collect();
        if let Some(folder) = &config.model.path {
            named.extend(model_files(folder)?);
        }
        if let Some(adapter) = config.lora.as_ref().and_then(|lora| lora.adapter.as_ref()) {
            named.extend(adapter_files(adapter));
        }
        for (at, reward) in config.rewards.iter().enumerate() {
            named.extend(reward.file().map(|path| (format!("rewards.{at}.path"), path.to_owned())));
        }
        for (key, path) in named {
            let found = Fingerprint::of_file(&path);
            inputs.insert(key, found.map_err(|source| RunError::Input { path, source })?);
        }
        Ok(Self(inputs))
    }

    /// What is said of each file whose content is another than in `before`.
    pub(super) fn changes(&self, before: &Self) -> Vec<String> {
        let keys = before.0.keys().chain(self.0.keys().filter(|key| !before.0.contains_key(*key)));
        keys.filter_map(|key| match (before.0.get(key), self.0.get(key)) {
            (Some(before), Some(now)) if before == now => None,
            (Some(_), Some(_)) => Some(format!("{key}: the content of the file has changed")),
            (Some(_), None) => Some(format!("{key}: the file is no longer there")),
            _ => Some(format!("{key}: the file was not there")),
        })
        .collect()
    }

    /// Whether what a key names has the same content as `before`.
    pub(super) fn are_the_same_below(&self, before: &Self, key: &str) -> bool {
        let below = |inputs: &Self| -> Vec<(String, Fingerprint)> {
            let named = inputs.0.iter().filter(|(name, _)| name.starts_with(key));
            named.map(|(name, found)| (name.clone(), *found)).collect()
        };
        let now = below(self);
        !now.is_empty() && now == below(before)
    }
}

/// The files of a model's folder that decide what is computed.
fn model_files(folder: &Path) -> Result<Vec<(String, PathBuf)>, RunError> {
    let folder = find_model(folder).map_err(crate::model::ModelError::from)?;
    if is_gguf(&folder) {
        return Ok(vec![("model.path".into(), folder)]);
    }
    let unread = |source: io::Error| RunError::Input { path: folder.clone(), source };
    let mut files = Vec::new();
    for entry in folder.read_dir().map_err(unread)? {
        let path = entry.map_err(unread)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let counts = MODEL_FILES.contains(&&*name) || name.ends_with(".safetensors");
        if counts && path.is_file() {
            files.push((format!("model.path: {name}"), path));
        }
    }
    Ok(files)
}

/// The files of an adapter that a run goes on from.
fn adapter_files(folder: &Path) -> impl Iterator<Item = (String, PathBuf)> {
    ADAPTER_FILES.map(|name| (format!("lora.adapter: {name}"), folder.join(name))).into_iter()
}
