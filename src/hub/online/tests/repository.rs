//! A repository as the hub shows it: small files inside the hub, large ones on another host that it redirects to.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ring::digest::{Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use serde_json::json;

use super::server::{Reply, Request, Server};
use crate::hub::Settings;

pub(super) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
/// What stands behind the addresses of the other host, and is a secret.
pub(super) const SIGNATURE: &str = "Signature=secret";

/// The files of a repository, all of one commit.
#[derive(Debug, Clone)]
pub(super) struct Repository {
    /// As it stands in addresses: `owner/name` or `datasets/owner/name`.
    pub(super) path: String,
    pub(super) revisions: Vec<String>,
    pub(super) commit: String,
    pub(super) files: BTreeMap<String, Vec<u8>>,
}

/// The hub with one repository, and the other host.
pub(super) struct TestHub {
    pub(super) hub: Server,
    pub(super) store: Server,
}

impl Repository {
    pub(super) fn new(path: &str, files: &[(&str, &[u8])]) -> Self {
        let files = files.iter().map(|(name, content)| ((*name).into(), content.to_vec()));
        let revisions = ["main", COMMIT].map(str::to_owned).to_vec();
        Self { path: path.into(), revisions, commit: COMMIT.into(), files: files.collect() }
    }

    /// A model with all that is taken, and something that is not.
    pub(super) fn model() -> Self {
        Self::new(
            "a/b",
            &[
                ("config.json", b"{}"),
                ("tokenizer.json", b"{\"model\": 1}"),
                ("tokenizer_config.json", b"{\"eos_token\": \"</s>\"}"),
                ("model.safetensors", &weights(1)),
                ("pytorch_model.bin", b"pickle"),
                ("onnx/model.onnx", b"onnx"),
                ("README.md", b"# b"),
            ],
        )
    }

    pub(super) fn file(mut self, name: &str, content: &[u8]) -> Self {
        self.files.insert(name.into(), content.to_vec());
        self
    }

    pub(super) fn without(mut self, name: &str) -> Self {
        self.files.remove(name);
        self
    }

    /// Answers as the hub does.
    pub(super) fn answer(&self, request: &Request, store: &str) -> Reply {
        let (kind, name) = self
            .path
            .rsplit_once("datasets/")
            .map_or(("models", &*self.path), |(_, n)| ("datasets", n));
        if let Some(revision) = request.path.strip_prefix(&format!("/api/{kind}/{name}/revision/"))
        {
            return self.listing(revision);
        }
        if let Some(name) = request.path.strip_prefix("/inside/") {
            return self.content(name, request);
        }
        let file = request.path.strip_prefix(&format!("/{}/resolve/", self.path));
        match file.and_then(|rest| rest.split_once('/')) {
            None => Reply::new(404).with("X-Error-Code", "RepoNotFound"),
            Some((revision, name)) if self.revisions.contains(&decoded(revision)) => {
                self.place(name, store)
            }
            Some(_) => Reply::new(404).with("X-Error-Code", "RevisionNotFound"),
        }
    }

    /// The content of a file, or the part of it that is asked for.
    pub(super) fn content(&self, name: &str, request: &Request) -> Reply {
        let content = &self.files[name];
        let reply = Reply::new(200).with("ETag", format!("\"{}\"", tag(name, content)));
        match request.from() {
            None => reply.body(&content[..]),
            Some(from) => {
                let range = format!("bytes {from}-{}/{}", content.len() - 1, content.len());
                Reply { status: 206, ..reply }.with("Content-Range", range).body(&content[from..])
            }
        }
    }

    fn listing(&self, revision: &str) -> Reply {
        if !self.revisions.contains(&decoded(revision)) {
            return Reply::new(404).with("X-Error-Code", "RevisionNotFound");
        }
        let siblings: Vec<_> = self.files.keys().map(|name| json!({"rfilename": name})).collect();
        Reply::new(200)
            .body(json!({"id": "x", "sha": self.commit, "siblings": siblings}).to_string())
    }

    /// Where a file is: inside the hub, or on the other host.
    fn place(&self, name: &str, store: &str) -> Reply {
        let Some(content) = self.files.get(name) else {
            return Reply::new(404).with("X-Error-Code", "EntryNotFound");
        };
        let reply = |status| Reply::new(status).with("X-Repo-Commit", &self.commit);
        match is_large(name) {
            true => reply(302)
                .with("Location", format!("{store}/{name}?{SIGNATURE}"))
                .with("ETag", "\"of the redirect itself\"")
                .with("X-Linked-Etag", format!("\"{}\"", tag(name, content)))
                .with("X-Linked-Size", content.len())
                .body("moved"),
            false => reply(307).with("Location", format!("/inside/{name}")).body("moved"),
        }
    }
}

impl TestHub {
    pub(super) fn new(repository: Repository) -> Self {
        Self::with(repository, |_| None)
    }

    /// A hub, or another host, that answers some requests otherwise.
    pub(super) fn with(
        repository: Repository,
        otherwise: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static,
    ) -> Self {
        let (repository, otherwise) = (Arc::new(repository), Arc::new(otherwise));
        let (files, instead) = (Arc::clone(&repository), Arc::clone(&otherwise));
        let store = Server::new(move |request| {
            let name = request.path.split('?').next().unwrap().trim_start_matches('/');
            instead(request).unwrap_or_else(|| files.content(name, request))
        });
        let at = store.address();
        let hub = Server::new(move |request| {
            otherwise(request).unwrap_or_else(|| repository.answer(request, &at))
        });
        Self { hub, store }
    }

    /// Settings that reach it, and are not patient.
    pub(super) fn settings(&self, cache: &Path) -> Settings {
        settings(&self.hub.address(), cache)
    }

    /// What both were asked since the last time.
    pub(super) fn asked(&self) -> Vec<String> {
        self.hub.asked().into_iter().chain(self.store.asked()).collect()
    }
}

/// Settings that are not patient.
pub(super) fn settings(endpoint: &str, cache: &Path) -> Settings {
    Settings {
        patience: Duration::from_secs(2),
        retries: 2,
        pause: Duration::from_millis(1),
        ..Settings::new(endpoint, cache)
    }
}

/// Bytes that look like weights.
pub(super) fn weights(seed: u64) -> Vec<u8> {
    (0..300_000_u64).map(|at| (at * 31 + at / 255 + seed) as u8).collect()
}

/// The tag of a content, as the hub makes it.
pub(super) fn tag(name: &str, content: &[u8]) -> String {
    let hex = |algorithm: &'static Algorithm, bytes: &[u8]| {
        digest(algorithm, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    };
    match is_large(name) {
        true => hex(&SHA256, content),
        false => {
            let head = format!("blob {}\0", content.len()).into_bytes();
            hex(&SHA1_FOR_LEGACY_USE_ONLY, &[&head, content].concat())
        }
    }
}

fn is_large(name: &str) -> bool {
    [".safetensors", ".gguf", ".bin", ".jsonl"].iter().any(|ending| name.ends_with(ending))
}

fn decoded(text: &str) -> String {
    text.replace("%2F", "/")
}
