//! What needs the network: asking the hub, and bringing files into the cache.

mod address;
mod cache;
mod client;
mod digest;
mod errors;
mod failure;
mod fetch;
mod file_info;
mod listing;
mod lock;
mod meter;
mod model;
mod refusal;
mod shards;
mod single;
mod tags;
#[cfg(test)]
mod tests;
mod transfer;

use client::Client;

use super::{Found, HubError, HubId, RepoKind, Settings, Watch};

/// The hub, as the settings say how to reach it. Nothing is asked before something is wanted.
pub struct Hub {
    client: Client,
}

impl Hub {
    /// Takes the settings.
    ///
    /// # Errors
    /// A file of certificates that is none.
    pub fn new(settings: &Settings) -> Result<Self, HubError> {
        Ok(Self { client: Client::new(settings)? })
    }

    /// A model: the folder with its configuration, tokenizer and weights in safetensors, or the one file that the id
    /// names.
    ///
    /// A branch or a tag is looked up each time, and what is here already is not downloaded again; a whole commit that
    /// is here needs no network.
    ///
    /// # Errors
    /// No such model, or none that may be seen; no network and not in the cache; a disk that is full; an answer that
    /// is not to be believed. Each says what to do.
    pub fn model(&self, id: &HubId, watch: &mut Watch<'_>) -> Result<Found, HubError> {
        match (id.kind(), id.file()) {
            (RepoKind::Model, None) => model::get(&self.client, id, watch),
            (RepoKind::Model, Some(file)) => single::get(&self.client, id, file, watch),
            (RepoKind::Dataset, _) => {
                let problem = "is a data set; a model is named owner/name";
                Err(HubError::Id { id: id.to_string(), problem })
            }
        }
    }

    /// The one file that the id names, of a data set or of a model.
    ///
    /// # Errors
    /// As for [`Self::model`], and an id without a file.
    pub fn file(&self, id: &HubId, watch: &mut Watch<'_>) -> Result<Found, HubError> {
        match id.file() {
            Some(file) => single::get(&self.client, id, file, watch),
            None => {
                let problem =
                    "names no file; add its path, as hf://datasets/owner/name/path/to/file.jsonl";
                Err(HubError::Id { id: id.to_string(), problem })
            }
        }
    }
}
