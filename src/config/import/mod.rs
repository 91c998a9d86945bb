//! Configurations of other trainers, read as ours.

mod roll;

pub use roll::{Fate, Imported, ImportedKey, import_roll};
