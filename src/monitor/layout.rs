//! The one place that names the files of a run.

use std::path::{Path, PathBuf};

/// Files that a run writes directly into its folder.
const RUN_FILES: [&str; 5] =
    ["config.yaml", "metrics.jsonl", "eval.jsonl", "samples.jsonl", "report.txt"];

/// Files that a saved model or a checkpoint may consist of.
const MODEL_FILES: [&str; 8] = [
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "generation_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "model.safetensors.index.json",
];

/// Files of a saved adapter.
const ADAPTER_FILES: [&str; 2] = ["adapter_config.json", "adapter_model.safetensors"];

/// Files of a checkpoint beside its manifest, which names them.
pub const CHECKPOINT_FILES: [&str; 5] = [
    "state.json",
    "policy.safetensors",
    "optimizer.safetensors",
    "reference.safetensors",
    "config.yaml",
];

/// What makes a checkpoint whole: it is written last.
const MANIFEST: &str = "manifest.json";

/// Where each file of a run lies in its `output_dir`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunPaths {
    root: PathBuf,
}

impl RunPaths {
    /// The layout of a run in `root`; touches no file.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The run's `output_dir`.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The resolved config.
    pub fn config(&self) -> PathBuf {
        self.root.join("config.yaml")
    }

    /// One JSON line a training step.
    pub fn metrics(&self) -> PathBuf {
        self.root.join("metrics.jsonl")
    }

    /// One JSON line an evaluation.
    pub fn eval(&self) -> PathBuf {
        self.root.join("eval.jsonl")
    }

    /// Sampled completions as JSON lines.
    pub fn samples(&self) -> PathBuf {
        self.root.join("samples.jsonl")
    }

    /// What a run found out about itself, as JSON lines.
    pub fn events(&self) -> PathBuf {
        self.root.join("events.jsonl")
    }

    /// The closing report.
    pub fn report(&self) -> PathBuf {
        self.root.join("report.txt")
    }

    /// The folder of the final model, in Hugging Face's layout.
    pub fn model(&self) -> PathBuf {
        self.root.join("model")
    }

    /// The folder of the final adapter, as PEFT saves one.
    pub fn adapter(&self) -> PathBuf {
        self.root.join("adapter")
    }

    /// The folder of what rewards outside of this program tell: logs, and requests that failed.
    pub fn rewards(&self) -> PathBuf {
        self.root.join("rewards")
    }

    /// The folder that holds the checkpoints.
    pub fn checkpoints(&self) -> PathBuf {
        self.root.join("checkpoints")
    }

    /// The folder of the checkpoint after `step`.
    pub fn checkpoint(&self, step: u64) -> PathBuf {
        self.checkpoints().join(format!("step-{step}"))
    }

    /// The manifest of a checkpoint's folder.
    pub fn manifest(checkpoint: &Path) -> PathBuf {
        checkpoint.join(MANIFEST)
    }

    /// The logs, whose lines a checkpoint counts.
    pub fn logs(&self) -> [PathBuf; 3] {
        [self.metrics(), self.eval(), self.samples()]
    }

    /// What a run locks as long as it is under way.
    pub(super) fn lock(&self) -> PathBuf {
        self.root.join(".lock")
    }

    /// What is there while the files of an older run are being removed.
    pub(super) fn overwriting(&self) -> PathBuf {
        self.root.join(".overwriting")
    }

    /// Whether a run was begun in this folder: its config, a log or a checkpoint is there.
    pub fn holds_run(&self) -> bool {
        let files =
            [self.config(), self.metrics(), self.eval(), self.samples(), self.overwriting()];
        files.iter().any(|path| path.exists()) || !self.checkpoint_folders().is_empty()
    }

    /// The existing files that a run is known to write, and no other: those first without which
    /// nobody can go on from what is left.
    pub fn own_files(&self) -> Vec<PathBuf> {
        let folders: Vec<PathBuf> =
            self.checkpoint_folders().into_iter().map(|(_, folder)| folder).collect();
        let mut own: Vec<PathBuf> =
            folders.iter().flat_map(|folder| present(folder, &[MANIFEST])).collect();
        for folder in &folders {
            own.extend(present(folder, &MODEL_FILES));
            own.extend(present(folder, &CHECKPOINT_FILES));
        }
        own.extend(present(&self.root, &RUN_FILES));
        for (folder, files) in
            [(self.model(), &MODEL_FILES[..]), (self.adapter(), &ADAPTER_FILES[..])]
        {
            if is_real_folder(&folder) {
                own.extend(present(&folder, files));
            }
        }
        own.extend(self.reward_files());
        own
    }

    /// Logs and failed requests of rewards.
    fn reward_files(&self) -> Vec<PathBuf> {
        let folder = self.rewards();
        let entries = is_real_folder(&folder).then(|| folder.read_dir().ok()).flatten();
        let is_ours = |path: &PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            path.is_file() && (name.ends_with(".log") || name.ends_with(".request.json"))
        };
        let paths = entries.into_iter().flatten().flatten().map(|entry| entry.path());
        paths.filter(is_ours).collect()
    }

    /// The existing folders `checkpoints/step-<n>` with their steps, in order.
    pub fn checkpoint_folders(&self) -> Vec<(u64, PathBuf)> {
        let Ok(entries) = self.checkpoints().read_dir() else {
            return Vec::new();
        };
        let mut folders: Vec<_> = entries
            .flatten()
            .filter_map(|entry| Some((step_of(&entry.file_name())?, entry.path())))
            .filter(|(_, path)| is_real_folder(path))
            .collect();
        folders.sort();
        folders
    }
}

fn step_of(name: &std::ffi::OsStr) -> Option<u64> {
    name.to_str()?.strip_prefix("step-")?.parse().ok()
}

fn present(folder: &Path, names: &[&str]) -> Vec<PathBuf> {
    names.iter().map(|name| folder.join(name)).filter(|path| path.is_file()).collect()
}

/// A link does not count: what lies behind it may be somebody's base model.
fn is_real_folder(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkpoints_are_listed_by_step_not_by_spelling() {
        let folder = tempfile::tempdir().unwrap();
        let paths = RunPaths::new(folder.path());
        for step in [100, 20, 3] {
            std::fs::create_dir_all(paths.checkpoint(step)).unwrap();
        }
        std::fs::create_dir(paths.checkpoints().join("step-best")).unwrap();
        let expected = [3, 20, 100].map(|step| (step, paths.checkpoint(step)));
        assert_eq!(paths.checkpoint_folders(), expected);
    }

    #[test]
    fn a_config_or_metrics_file_makes_it_a_run() {
        let folder = tempfile::tempdir().unwrap();
        let paths = RunPaths::new(folder.path());
        assert!(!paths.holds_run());
        std::fs::write(paths.metrics(), "").unwrap();
        assert!(paths.holds_run());
    }

    #[cfg(unix)]
    #[test]
    fn a_linked_model_folder_is_not_ours() {
        let folder = tempfile::tempdir().unwrap();
        let base = tempfile::tempdir().unwrap();
        std::fs::write(base.path().join("config.json"), "{}").unwrap();
        let paths = RunPaths::new(folder.path());
        std::os::unix::fs::symlink(base.path(), paths.model()).unwrap();
        assert!(paths.own_files().is_empty());
    }
}
