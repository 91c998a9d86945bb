//! Models and files of data sets from the Hugging Face hub, kept in the cache that the Python tools share.
//!
//! ```text
//! HubId ─▶ commit of the revision ─▶ names of the files ─▶ content of each ─▶ Found { path }
//!            listing, file_info         model, single        transfer        (in online/)
//! ```
//!
//! Nothing that the hub says is believed before it is looked at: names lead out of no folder, lengths are held to,
//! and a content whose tag is a checksum, as the hub gives it, has that checksum or is thrown away. A file is never
//! seen half.

mod error;
mod id;
mod names;
#[cfg(feature = "hub")]
mod online;
mod percent;
mod progress;
mod settings;

use std::path::PathBuf;

pub use error::HubError;
pub use id::{HubId, RepoKind};
pub use progress::{Progress, Watch};
pub use settings::{Settings, Token};

#[cfg(feature = "hub")]
pub use online::Hub;

/// Chooses among the paths of all files of a data set; it is given the text of its README.md too. The error says why
/// none is to be had.
pub type Choose<'c> = dyn FnMut(&[String], Option<&str>) -> Result<Vec<String>, String> + 'c;

/// What the hub or the cache has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The folder of a model, or the file.
    pub path: PathBuf,
    /// The commit that it is of.
    pub commit: String,
    /// Why the hub could not be asked whether the revision still is this commit, where it was to be.
    pub unchecked: Option<String>,
}

/// Stands for the hub in a build that cannot reach it.
#[cfg(not(feature = "hub"))]
pub struct Hub;

#[cfg(not(feature = "hub"))]
impl Hub {
    /// Takes the settings.
    ///
    /// # Errors
    /// None.
    pub fn new(_: &Settings) -> Result<Self, HubError> {
        Ok(Self)
    }

    /// Would download a model.
    ///
    /// # Errors
    /// Always: how to get it otherwise.
    pub fn model(&self, id: &HubId, _: &mut Watch<'_>) -> Result<Found, HubError> {
        Err(HubError::NotBuilt { id: id.to_string() })
    }

    /// Would download the files of a data set.
    ///
    /// # Errors
    /// Always: how to get it otherwise.
    pub fn dataset(
        &self,
        id: &HubId,
        _: &mut Choose<'_>,
        _: &mut Watch<'_>,
    ) -> Result<Found, HubError> {
        Err(HubError::NotBuilt { id: id.to_string() })
    }

    /// Would download a file.
    ///
    /// # Errors
    /// Always: how to get it otherwise.
    pub fn file(&self, id: &HubId, _: &mut Watch<'_>) -> Result<Found, HubError> {
        Err(HubError::NotBuilt { id: id.to_string() })
    }
}
