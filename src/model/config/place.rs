//! Where the files of a model lie, and what to say of a path where none do.

use std::path::{Path, PathBuf};

use super::ModelConfigError;

/// The file that makes a folder a model's.
pub(super) const CONFIG_FILE: &str = "config.json";

/// Whether a path leads to a model in one file of llama.cpp's.
pub fn is_gguf(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gguf"))
        && path.is_file()
}

/// The file or folder of a model: `path` itself, or the folder `model` in it that a run has saved.
///
/// # Errors
/// A path that leads to no model, with what it is (a hub's name, a file, a cache) and how to go on.
pub fn find_model(path: &Path) -> Result<PathBuf, ModelConfigError> {
    if is_gguf(path) {
        return Ok(path.to_owned());
    }
    let of_run = path.join("model");
    let found = [path, &of_run].into_iter().find(|folder| folder.join(CONFIG_FILE).exists());
    found.map(Path::to_owned).ok_or_else(|| {
        let (problem, mend) = explain(path);
        ModelConfigError::NoModel { path: path.into(), problem, mend }
    })
}

fn explain(path: &Path) -> (String, String) {
    const FOLDER: &str = "name a model's folder, which has config.json beside its weights, or the \
                          folder of a run that has saved one";
    if let Some(id) = hub_id(path) {
        return ("there is no such folder".into(), get_from_hub(&id));
    }
    if !path.exists() {
        return ("there is no such folder".into(), FOLDER.into());
    }
    if !path.is_dir() {
        let mend = "name the folder that it is in, with config.json beside it";
        return ("is a file, not a folder".into(), mend.into());
    }
    match snapshot(path) {
        Some(inner) => {
            let mend = format!("name the snapshot in it: {}", inner.display());
            ("has no config.json; it is a folder of the hub's cache".into(), mend)
        }
        None => ("has no config.json, nor has a folder model in it".into(), FOLDER.into()),
    }
}

/// `owner/name`, where a path that does not exist looks like a model's name on the Hugging Face hub.
fn hub_id(path: &Path) -> Option<String> {
    let text = path.to_str().filter(|_| !path.exists())?;
    let rest = ["https://huggingface.co/", "https://hf.co/", "hf://"]
        .into_iter()
        .find_map(|start| text.strip_prefix(start));
    let mut parts = rest.unwrap_or(text).trim_end_matches('/').split('/');
    let (owner, name) = (parts.next()?, parts.next()?);
    let is_name = |part: &str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        !part.is_empty() && !part.starts_with('.') && part.chars().all(fits)
    };
    // A path in a folder that is there is misspelt rather than meant for the hub.
    let is_hub = rest.is_some() || (parts.next().is_none() && !Path::new(owner).exists());
    (is_hub && is_name(owner) && is_name(name)).then(|| format!("{owner}/{name}"))
}

fn get_from_hub(id: &str) -> String {
    let name = id.rsplit('/').next().unwrap_or(id);
    format!(
        "if {id} is a model on the Hugging Face hub, get its folder with `hf download {id} \
         --local-dir {name}` (of pip's huggingface_hub) and name {name}"
    )
}

/// What the hub's own cache keeps a model in.
fn snapshot(path: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(path.join("snapshots")).ok()?;
    let folders = entries.flatten().map(|entry| entry.path());
    folders.filter(|folder| folder.join(CONFIG_FILE).exists()).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(path: &Path) -> String {
        find_model(path).unwrap_err().to_string()
    }

    #[test]
    fn a_name_on_the_hub_is_told_how_to_get_the_folder() {
        for path in [
            "Qwen/Qwen3-0.6B",
            "https://huggingface.co/Qwen/Qwen3-0.6B",
            "https://huggingface.co/Qwen/Qwen3-0.6B/tree/main",
            "hf://Qwen/Qwen3-0.6B",
        ] {
            let message = message(Path::new(path));
            assert!(message.starts_with(path), "{message}");
            let command = "`hf download Qwen/Qwen3-0.6B --local-dir Qwen3-0.6B`";
            assert!(message.contains(command), "{message}");
        }
        for path in ["nowhere", "/no/where", "./a/b", "../a", "a/b/c", "src/nothing"] {
            assert!(!message(Path::new(path)).contains("hf download"), "{path}");
        }
    }

    #[test]
    fn a_runs_folder_is_its_model() {
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("model");
        std::fs::create_dir(&model).unwrap();
        assert!(message(folder.path()).contains("nor has a folder model"));
        std::fs::write(model.join(CONFIG_FILE), "{}").unwrap();
        assert_eq!(find_model(folder.path()).unwrap(), model);
        assert_eq!(find_model(&model).unwrap(), model);
    }

    #[test]
    fn a_file_and_the_hubs_cache_are_told_what_to_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("model.safetensors");
        std::fs::write(&file, "").unwrap();
        assert!(message(&file).contains("name the folder that it is in"));
        let inner = folder.path().join("snapshots/abc");
        std::fs::create_dir_all(&inner).unwrap();
        std::fs::write(inner.join(CONFIG_FILE), "{}").unwrap();
        assert!(message(folder.path()).contains(inner.to_str().unwrap()));
    }
}
