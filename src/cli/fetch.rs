//! Names on the Hugging Face hub in the place of paths: what they name is fetched first.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::output;
use crate::config::RunConfig;
use crate::data;
use crate::hub::{Hub, HubError, HubId, Progress, RepoKind, Settings};
use crate::model::ModelConfig;
use crate::run::Stop;

/// Puts paths of this machine in the place of all names of the hub in a configuration.
///
/// # Errors
/// Whatever keeps the hub from giving a file, with what to do.
pub(super) fn fetch_all(config: &mut RunConfig, stop: &Stop) -> anyhow::Result<()> {
    if let Some(path) = &mut config.model.path {
        *path = model(path, stop)?;
    }
    others(config, stop)
}

/// The same, of the model only what describes it and its tokenizer.
///
/// # Errors
/// As [`fetch_all`].
pub(super) fn all_but_weights(config: &mut RunConfig, stop: &Stop) -> anyhow::Result<()> {
    if let Some(path) = &mut config.model.path {
        *path = description(path, stop)?;
    }
    others(config, stop)
}

fn others(config: &mut RunConfig, stop: &Stop) -> anyhow::Result<()> {
    if let Some(path) = config.lora.as_mut().and_then(|lora| lora.adapter.as_mut()) {
        *path = model(path, stop)?;
    }
    let name = config.data.config().map(str::to_owned);
    for (source, splits) in config.data.sources_mut() {
        if let Some(id) = data_on_hub(&source.path) {
            source.path = problems(&id, name.as_deref(), &splits, stop)?;
        }
    }
    Ok(())
}

/// The file of problems that an id names, or the folder with the files of some splits.
fn problems(
    id: &HubId,
    config: Option<&str>,
    splits: &[Option<String>],
    stop: &Stop,
) -> anyhow::Result<PathBuf> {
    let hub = Hub::new(&Settings::from_environment()?)?;
    if id.file().is_some() {
        return watched(stop, |watch| Ok(hub.file(id, watch)?));
    }
    let mut choose = |files: &[String], card: Option<&str>| {
        let of = |split: &Option<String>| data::choose(files, card, config, split.as_deref());
        let chosen = splits.iter().map(|split| of(split).map(|chosen| chosen.files));
        chosen.collect::<Result<Vec<_>, _>>().map(|files| files.concat())
    };
    watched(stop, |watch| Ok(hub.dataset(id, &mut choose, watch)?))
}

/// The data set that a path which leads nowhere may name. The name of a file of data is misspelt rather than meant for
/// the hub.
fn data_on_hub(path: &Path) -> Option<HubId> {
    let text = path.to_str().filter(|_| !path.exists())?;
    if let Some(id) = HubId::parse(text).filter(HubId::is_explicit) {
        return Some(id).filter(|id| id.kind() == RepoKind::Dataset);
    }
    let owner = text.split('/').next().unwrap_or_default();
    let endings = [".jsonl", ".json", ".csv", ".tsv", ".parquet", ".txt", ".ndjson"];
    let is_file = endings.iter().any(|ending| text.to_lowercase().ends_with(ending));
    let is_name = text.matches('/').count() == 1 && !is_file && !Path::new(owner).exists();
    is_name.then(|| HubId::parse(&format!("hf://datasets/{text}"))).flatten()
}

/// The folder or file of a model: `path` itself, or what it names on the hub.
///
/// # Errors
/// Whatever keeps the hub from giving it; a family that is not read, before any weights are fetched.
pub(super) fn model(path: &Path, stop: &Stop) -> anyhow::Result<PathBuf> {
    let id = named_on_hub(path).filter(|id| id.kind() == RepoKind::Model);
    let Some(id) = id else { return Ok(path.to_owned()) };
    let hub = Hub::new(&Settings::from_environment()?)?;
    watched(stop, |watch| {
        let description = id.with_file("config.json").filter(|_| id.file().is_none());
        if let Some(description) = description {
            let found = hub.file(&description, watch)?;
            let folder = found.path.parent().unwrap_or(Path::new("."));
            ModelConfig::from_folder(folder)?;
        }
        Ok(hub.model(&id, watch)?)
    })
}

/// What a folder says of its tokenizer, where it has them.
const OF_TOKENIZER: [&str; 4] =
    ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja"];

/// The folder of a model's `config.json`, and of what it says of its tokenizer: `path` itself, or where what it names on
/// the hub is kept.
fn description(path: &Path, stop: &Stop) -> anyhow::Result<PathBuf> {
    let id = named_on_hub(path).filter(|id| id.kind() == RepoKind::Model && id.file().is_none());
    let Some(id) = id else { return model(path, stop) };
    let hub = Hub::new(&Settings::from_environment()?)?;
    let file = |name: &str| match id.with_file(name) {
        Some(file) => watched(stop, |watch| Ok(hub.file(&file, watch)?)),
        None => Ok(path.to_owned()),
    };
    let found = file("config.json")?;
    for name in OF_TOKENIZER {
        match file(name) {
            Err(error) if !is_missing(&error) => return Err(error),
            _ => {}
        }
    }
    Ok(found.parent().unwrap_or(path).to_owned())
}

/// Whether the hub has no such file, or there is no asking it.
fn is_missing(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(HubError::NoFile { .. } | HubError::Offline { .. }))
}

/// What a path that leads nowhere may name on the hub. A path in a folder that is there is misspelt rather than meant
/// for the hub.
fn named_on_hub(path: &Path) -> Option<HubId> {
    let text = path.to_str().filter(|_| !path.exists())?;
    let id = HubId::parse(text)?;
    let owner = text.split('/').next().unwrap_or_default();
    (id.is_explicit() || !Path::new(owner).exists()).then_some(id)
}

/// Fetches something, and says how far it is.
fn watched(
    stop: &Stop,
    fetch: impl FnOnce(
        &mut dyn FnMut(Progress<'_>) -> ControlFlow<()>,
    ) -> anyhow::Result<crate::hub::Found>,
) -> anyhow::Result<PathBuf> {
    let mut told = Told::default();
    let found = fetch(&mut |progress| {
        told.tell(progress);
        if stop.is_asked() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    if let Some(why) = &found.unchecked {
        output::note(&format!(
            "{}: the hub was not asked for a newer one: {why}",
            found.path.display()
        ));
    }
    Ok(found.path)
}

/// Says a line when a file begins and for each tenth of a large one.
#[derive(Default)]
struct Told {
    file: String,
    tenth: u64,
}

impl Told {
    fn tell(&mut self, Progress { file, done_bytes, total_bytes }: Progress<'_>) {
        let total = total_bytes;
        let tenth = (10 * done_bytes).checked_div(total).unwrap_or(0);
        if self.file == file && tenth <= self.tenth {
            return;
        }
        let is_large = total >= 10 << 20;
        if self.file != file || is_large {
            let megabytes = total as f64 / 1e6;
            output::say(&format!("fetching   {file}, {megabytes:.1} MB: {} %", 10 * tenth));
        }
        (self.file, self.tenth) = (file.to_owned(), tenth);
    }
}
