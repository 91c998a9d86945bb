//! What a person writes to name a model or a file on the hub.

use std::fmt;

use super::names::{is_file, is_name, is_revision};
use super::percent::decoded;

/// The branch of every repository that is taken where none is named.
const MAIN: &str = "main";
/// The ending of model files that are named one by one.
const GGUF: &str = ".gguf";

/// What a repository of the hub holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RepoKind {
    /// A model.
    Model,
    /// A data set.
    Dataset,
}

/// A repository on the hub, at a revision, and perhaps one file of it.
///
/// ```text
/// owner/name    owner/name@revision    owner/name/file.gguf    owner/name@revision/file.gguf
/// hf://[datasets/]owner/name[@revision][/path/to/file]
/// https://huggingface.co/[datasets/]owner/name[/tree/revision | /blob/revision/path/to/file]
/// ```
///
/// A slash in a revision is written `%2F`, but for `refs/pr/1` and its like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubId {
    kind: RepoKind,
    repo: String,
    revision: Option<String>,
    file: Option<String>,
    is_explicit: bool,
}

impl HubId {
    /// Reads an id; none where the text is no name that the hub could give out, as most paths are not.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(rest) = text.strip_prefix("hf://") {
            return Self::of_path(rest, true);
        }
        let sites = ["https://huggingface.co/", "https://www.huggingface.co/", "https://hf.co/"];
        match sites.into_iter().find_map(|site| text.strip_prefix(site)) {
            Some(page) => Self::of_page(page),
            None => Self::of_path(text, false),
        }
    }

    /// What the repository holds.
    pub fn kind(&self) -> RepoKind {
        self.kind
    }

    /// `owner/name`.
    pub fn repo(&self) -> &str {
        &self.repo
    }

    /// The branch, tag or commit, `main` where none was named.
    pub fn revision(&self) -> &str {
        self.revision.as_deref().unwrap_or(MAIN)
    }

    /// The path of the one file that is named.
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }

    /// The same repository and revision, and one file of it; none where the path is none.
    pub fn with_file(&self, file: &str) -> Option<Self> {
        is_file(file).then(|| Self { file: Some(file.to_owned()), ..self.clone() })
    }

    /// Whether it was written with the hub in it (`hf://`, `https://`), so that no path can be meant.
    pub fn is_explicit(&self) -> bool {
        self.is_explicit
    }

    /// `[datasets/]owner/name[@revision][/file]`
    fn of_path(text: &str, is_explicit: bool) -> Option<Self> {
        let (kind, text) = if is_explicit { kind_of(text) } else { (RepoKind::Model, text) };
        let (owner, rest) = text.split_once('/')?;
        let (name, rest) = rest.split_at(rest.find(['@', '/']).unwrap_or(rest.len()));
        let (revision, file) = match rest.strip_prefix('@') {
            Some(rest) => split_revision(rest).map(|(revision, file)| (Some(revision), file))?,
            None => (None, rest.strip_prefix('/').unwrap_or_default()),
        };
        // A path in a folder of this disk looks the same as a file of a model.
        let is_meant = is_explicit || file.is_empty() || file.to_ascii_lowercase().ends_with(GGUF);
        is_meant.then(|| Self::checked(kind, (owner, name), revision, file, is_explicit))?
    }

    /// `[datasets/]owner/name[/tree/revision | /blob/revision/file]`
    fn of_page(page: &str) -> Option<Self> {
        let page = page.split(['?', '#']).next()?.trim_end_matches('/');
        let (kind, page) = kind_of(page);
        let mut parts = page.splitn(5, '/');
        let names = (parts.next()?, parts.next()?);
        let (view, revision) = (parts.next(), parts.next());
        let file = decoded(parts.next().unwrap_or_default())?;
        let is_view = match view {
            None => true,
            Some("tree") => file.is_empty(),
            Some("blob" | "resolve" | "raw") => !file.is_empty(),
            Some(_) => false,
        };
        let revision = revision.map_or(Some(None), |text| decoded(text).map(Some))?;
        is_view.then(|| Self::checked(kind, names, revision, &file, true))?
    }

    fn checked(
        kind: RepoKind,
        (owner, name): (&str, &str),
        revision: Option<String>,
        file: &str,
        is_explicit: bool,
    ) -> Option<Self> {
        let is_good = is_name(owner)
            && is_name(name)
            && revision.as_deref().is_none_or(is_revision)
            && (file.is_empty() || is_file(file));
        let file = (!file.is_empty()).then(|| file.to_owned());
        is_good.then(|| Self { kind, repo: format!("{owner}/{name}"), revision, file, is_explicit })
    }
}

impl fmt::Display for HubId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repo)?;
        self.revision.iter().try_for_each(|revision| write!(f, "@{revision}"))?;
        self.file.iter().try_for_each(|file| write!(f, "/{file}"))
    }
}

fn kind_of(text: &str) -> (RepoKind, &str) {
    match text.strip_prefix("datasets/") {
        Some(rest) => (RepoKind::Dataset, rest),
        None => (RepoKind::Model, text.strip_prefix("models/").unwrap_or(text)),
    }
}

/// A revision and the file behind it. One that begins with `refs/` has three parts.
fn split_revision(text: &str) -> Option<(String, &str)> {
    let parts = if text.starts_with("refs/") { 3 } else { 1 };
    let end = text.match_indices('/').nth(parts - 1).map_or(text.len(), |(at, _)| at);
    let file = text[end..].strip_prefix('/').unwrap_or_default();
    decoded(&text[..end]).map(|revision| (revision, file))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Option<(RepoKind, String, String, Option<String>, bool)> {
        let id = HubId::parse(text)?;
        let file = id.file().map(str::to_owned);
        Some((id.kind(), id.repo().into(), id.revision().into(), file, id.is_explicit()))
    }

    #[test]
    fn models_are_named_in_all_the_usual_ways() {
        for (text, revision, file, explicit) in [
            ("Qwen/Qwen3-0.6B", "main", None, false),
            ("Qwen/Qwen3-0.6B@v1.0", "v1.0", None, false),
            ("Qwen/Qwen3-0.6B@refs/pr/3", "refs/pr/3", None, false),
            ("Qwen/Qwen3-0.6B@a%2Fb", "a/b", None, false),
            ("Qwen/Qwen3-0.6B/q8_0.gguf", "main", Some("q8_0.gguf"), false),
            ("Qwen/Qwen3-0.6B@v1/sub/Q8.GGUF", "v1", Some("sub/Q8.GGUF"), false),
            ("hf://Qwen/Qwen3-0.6B", "main", None, true),
            ("hf://models/Qwen/Qwen3-0.6B@v1", "v1", None, true),
            ("hf://Qwen/Qwen3-0.6B@refs/pr/3/a/b.json", "refs/pr/3", Some("a/b.json"), true),
            ("https://huggingface.co/Qwen/Qwen3-0.6B/", "main", None, true),
            ("https://hf.co/Qwen/Qwen3-0.6B/tree/v1", "v1", None, true),
            ("https://hf.co/Qwen/Qwen3-0.6B/tree/refs%2Fpr%2F3", "refs/pr/3", None, true),
            (
                "https://huggingface.co/Qwen/Qwen3-0.6B/blob/main/a%20b.gguf?download=true",
                "main",
                Some("a b.gguf"),
                true,
            ),
        ] {
            let file = file.map(str::to_owned);
            let expected =
                (RepoKind::Model, "Qwen/Qwen3-0.6B".into(), revision.into(), file, explicit);
            assert_eq!(parts(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn files_of_data_sets_are_named_with_the_hub_in_front() {
        for text in [
            "hf://datasets/openai/gsm8k@v1/main/train.jsonl",
            "https://huggingface.co/datasets/openai/gsm8k/resolve/v1/main/train.jsonl",
        ] {
            let id = HubId::parse(text).unwrap();
            assert_eq!((id.kind(), id.repo()), (RepoKind::Dataset, "openai/gsm8k"), "{text}");
            assert_eq!((id.revision(), id.file()), ("v1", Some("main/train.jsonl")), "{text}");
        }
    }

    #[test]
    fn what_is_no_name_of_the_hub_is_none() {
        for text in [
            "",
            "nowhere",
            "/no/where",
            "./a/b",
            "../a",
            "a/b/c",
            "a/",
            "/a",
            "a b/c",
            "a/b@",
            "a/b@../c",
            "a/b@x/../y.gguf",
            "data/train.jsonl/x",
            "hf://gpt2",
            "hf://a/b/../c",
            "hf://a/b/c\\d",
            "https://huggingface.co/a/b/discussions/3",
            "https://huggingface.co/a/b/tree/main/folder",
            "https://huggingface.co/a/b/blob/main/..%2F..%2Fx",
            "https://example.org/a/b",
            "C:/models",
        ] {
            assert_eq!(HubId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn an_id_is_told_as_it_is_written() {
        for text in ["a/b", "a/b@v1", "a/b@v1/c.gguf", "a/b/c.gguf"] {
            assert_eq!(HubId::parse(text).unwrap().to_string(), text);
        }
    }
}
