//! What needs the network: asking the hub, and bringing files into the cache.

mod address;
mod cache;
mod client;
mod dataset;
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

use super::{Choose, Found, HubError, HubId, RepoKind, Settings, Watch};

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

    /// The folder of a data set with the files that `choose` names among all there are, and its README.md.
    ///
    /// # Errors
    /// As for [`Self::model`], and what `choose` says.
    pub fn dataset(
        &self,
        id: &HubId,
        choose: &mut Choose<'_>,
        watch: &mut Watch<'_>,
    ) -> Result<Found, HubError> {
        match id.kind() {
            RepoKind::Dataset => dataset::get(&self.client, id, choose, watch),
            RepoKind::Model => {
                let problem = "is a model; a data set is named hf://datasets/owner/name";
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
