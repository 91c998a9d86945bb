//! The front matter of a data set's README.md.

use serde::Deserialize;

use super::config_of;
use super::names::{Splits, by_name, is_data, matches};
use crate::quote::shown;

/// Bytes of the longest front matter that is read; the cards of sets with many configurations have some 100 kB.
const LONGEST: usize = 1 << 20;

#[derive(Debug, Default, Deserialize)]
pub(super) struct Card {
    #[serde(default)]
    pub(super) configs: Vec<CardConfig>,
}

#[derive(Debug, Deserialize)]
pub(super) struct CardConfig {
    config_name: String,
    #[serde(default)]
    default: bool,
    #[serde(default)]
    data_dir: Option<String>,
    #[serde(default)]
    data_files: Option<Patterns>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Patterns {
    One(String),
    Splits(Vec<SplitFiles>),
    Several(Vec<String>),
}

#[derive(Debug, Deserialize)]
struct SplitFiles {
    split: String,
    path: Paths,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Paths {
    One(String),
    Several(Vec<String>),
}

impl Card {
    /// What stands between the first two lines of `---`; none where that is no card.
    pub(super) fn read(text: &str) -> Option<Self> {
        let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n");
        let (front, _) = text.strip_prefix("---\n")?.split_once("\n---")?;
        (front.len() <= LONGEST).then(|| serde_saphyr::from_str(front).ok()).flatten()
    }

    /// The splits of a configuration, and what to know about which it is.
    pub(super) fn splits(
        &self,
        files: &[String],
        config: Option<&str>,
    ) -> Result<(Splits, Option<String>), String> {
        let names: Vec<&str> = self.configs.iter().map(|found| &*found.config_name).collect();
        let default = self.configs.iter().find(|found| found.default);
        let asked = config.or(default.map(|found| found.config_name.as_str()));
        let (at, note) = config_of(&names, asked)?;
        Ok((self.configs[at].splits(files)?, note))
    }
}

impl CardConfig {
    fn splits(&self, files: &[String]) -> Result<Splits, String> {
        let folder = self.data_dir.as_deref().map(|dir| dir.trim_matches('/'));
        let inside = |file: &&String| {
            folder
                .is_none_or(|dir| file.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/')))
        };
        let files: Vec<String> = files.iter().filter(inside).cloned().collect();
        let Some(patterns) = &self.data_files else {
            // The folder is of one configuration, whatever folders are in it.
            let flat = files.iter().filter(|file| is_data(file)).cloned().collect::<Vec<_>>();
            return by_name(&flat, None).map(|(splits, _)| splits);
        };
        let all = |patterns: &[String]| self.found(&files, patterns);
        match patterns {
            Patterns::One(pattern) => {
                Ok(vec![("train".into(), all(std::slice::from_ref(pattern))?)])
            }
            Patterns::Several(patterns) => Ok(vec![("train".into(), all(patterns)?)]),
            Patterns::Splits(splits) => splits
                .iter()
                .map(|SplitFiles { split, path }| {
                    let patterns = match path {
                        Paths::One(one) => std::slice::from_ref(one),
                        Paths::Several(several) => several,
                    };
                    // A split that is not here may be on the hub: it is missed where it is asked for.
                    Ok((split.clone(), all(patterns).unwrap_or_default()))
                })
                .collect(),
        }
    }

    fn found(&self, files: &[String], patterns: &[String]) -> Result<Vec<String>, String> {
        let is_meant = |file: &&String| patterns.iter().any(|pattern| matches(pattern, file));
        let found: Vec<String> =
            files.iter().filter(|file| is_data(file)).filter(is_meant).cloned().collect();
        match found.is_empty() {
            false => Ok(found),
            true => Err(format!(
                "README.md names {} for the configuration {:?}, and there is no such file of data",
                shown(&patterns.join(", ")),
                shown(&self.config_name)
            )),
        }
    }
}
