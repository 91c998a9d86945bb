//! A hub that lies, and one that wants to write elsewhere.

use serde_json::json;

use super::repository::{COMMIT, Repository, TestHub, tag, weights};
use super::server::{Reply, Request};
use super::*;

/// What a model ends with where the hub answers some requests otherwise; nothing is written outside the cache.
fn message(otherwise: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static) -> String {
    let hub = TestHub::with(Repository::model(), otherwise);
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("deep/in/cache");
    let error = model(&hub.settings(&cache), "a/b").unwrap_err().to_string();
    let files = files_below(folder.path());
    assert!(files.iter().all(|path| path.starts_with("deep/in/cache/")), "{files:?}");
    error
}

fn is_listing(request: &Request) -> bool {
    request.path.starts_with("/api/")
}

fn is_head_of_weights(request: &Request) -> bool {
    request.method == "HEAD" && request.path.ends_with("model.safetensors")
}

fn head(tag: &str, bytes: &str) -> Reply {
    let reply = Reply::new(302).with("Location", "https://store.invalid/x");
    reply.with("X-Repo-Commit", COMMIT).with("X-Linked-Etag", tag).with("X-Linked-Size", bytes)
}

#[test]
fn a_list_that_is_none_is_not_believed() {
    for (body, told) in [
        ("<html>log in</html>".to_owned(), "is no list of files"),
        (json!({"sha": "../../x", "siblings": []}).to_string(), "names no commit"),
        ("[".repeat(100_000), "is no list of files"),
        (" ".repeat((32 << 20) + 1), "answers more than 33554432 bytes"),
    ] {
        let error =
            message(move |request| is_listing(request).then(|| Reply::new(200).body(&*body)));
        assert!(error.contains(told) && error.contains("/api/models/a/b"), "{error}");
        assert!(error.len() < 1000, "{}", error.len());
    }
}

#[test]
fn names_of_a_list_that_lead_elsewhere_are_not_asked_for() {
    let names =
        ["config.json", "../config.json", "/etc/model.safetensors", "x/../../model.safetensors"];
    let siblings: Vec<_> = names.iter().map(|name| json!({"rfilename": name})).collect();
    let body = json!({"sha": COMMIT, "siblings": siblings}).to_string();
    let error = message(move |request| is_listing(request).then(|| Reply::new(200).body(&*body)));
    assert!(error.contains("has neither model.safetensors nor"), "{error}");
}

#[test]
fn names_of_a_list_write_nothing_but_text_on_a_screen() {
    let siblings = ["config.json", "\u{1b}[2J.bin"].map(|name| json!({"rfilename": name}));
    let body = json!({"sha": COMMIT, "siblings": siblings}).to_string();
    let error = message(move |request| is_listing(request).then(|| Reply::new(200).body(&*body)));
    assert!(!error.contains(char::is_control), "{error:?}");
}

#[test]
fn an_index_that_leads_elsewhere_is_refused() {
    for (name, told) in [
        ("../../evil.safetensors", "no file of weights beside it"),
        ("m-9.safetensors", "has no file m-9"),
    ] {
        let index = json!({"weight_map": {"x": name}}).to_string();
        let repository = Repository::model()
            .without("model.safetensors")
            .file("model.safetensors.index.json", index.as_bytes());
        let (hub, cache) = (TestHub::new(repository), tempfile::tempdir().unwrap());
        let error = model(&hub.settings(cache.path()), "a/b").unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
        assert!(hub.store.asked().is_empty());
    }
}

#[test]
fn tags_that_are_paths_are_not_believed() {
    for tag in ["../../../../evil", "\"/etc/evil_evil\"", "a", "", "x.incomplete"] {
        let error = message(move |request| is_head_of_weights(request).then(|| head(tag, "5")));
        assert!(error.contains("does not say what the file is"), "{error}");
    }
}

#[test]
fn lengths_that_are_none_are_not_believed() {
    for bytes in ["", "-1", "99999999999999999999999", "many"] {
        let error = message(move |r| is_head_of_weights(r).then(|| head("0123456789", bytes)));
        assert!(error.contains("does not say how long the file is"), "{error}");
    }
    let huge = |request: &Request| {
        let is_it = request.method == "HEAD" && request.path.ends_with("/config.json");
        is_it.then(|| head("0123456789", "999999999999"))
    };
    assert!(message(huge).contains("config.json is said to have 999999999999 bytes"));
}

#[test]
fn a_content_of_another_length_than_announced_is_not_kept() {
    let more = message(|request| {
        is_head_of_weights(request).then(|| {
            let at = request.path.clone();
            Reply::new(200)
                .with("X-Repo-Commit", COMMIT)
                .with("ETag", "\"0123456789\"")
                .with("Content-Length", 5)
                .with("X-At", at)
        })
    });
    assert!(more.contains("sends more bytes than it announced"), "{more}");
    let less = message(|request| match is_head_of_weights(request) {
        true => Some(
            Reply::new(200)
                .with("X-Repo-Commit", COMMIT)
                .with("ETag", "\"0123456789\"")
                .with("Content-Length", 300_001),
        ),
        false if request.from().is_some() => {
            Some(Reply::new(416).with("Content-Range", "bytes */300000"))
        }
        false => None,
    });
    assert!(less.contains("has no byte where it announced more"), "{less}");
}

#[test]
fn another_part_than_was_asked_for_is_not_taken() {
    for range in ["bytes 0-9/300000", "bytes 50000-9/7", "nonsense", ""] {
        let error = message(move |request| {
            let reply = Repository::model()
                .content("model.safetensors", &Request { headers: Vec::new(), ..request.clone() });
            let is_it = request.path.starts_with("/model.safetensors");
            is_it.then(|| match request.from() {
                None => Reply { cut: Some(50_000), ..reply },
                Some(_) => Reply { status: 206, ..reply }.with("Content-Range", range),
            })
        });
        assert!(error.contains("part of the file"), "{range}: {error}");
    }
}

#[test]
fn redirects_without_end_or_aim_are_not_followed() {
    let circle = |request: &Request| Some(Reply::new(302).with("Location", &request.path));
    assert!(message(circle).contains("from one redirect to the next"));
    for location in ["file:///etc/passwd", "ftp://x/y", "nowhere", ""] {
        let error = message(move |_| Some(Reply::new(302).with("Location", location)));
        assert!(error.contains("redirects to no address of the web"), "{error}");
    }
    assert!(message(|_| Some(Reply::new(302))).contains("redirects to no address"));
}

#[test]
fn another_commit_than_was_asked_for_is_not_taken() {
    let other = "f".repeat(40);
    let tag = tag("model.safetensors", &weights(1));
    let error = message(move |request| {
        let reply = Reply::new(200).with("X-Repo-Commit", &other).with("X-Linked-Etag", &tag);
        is_head_of_weights(request).then(|| reply.with("X-Linked-Size", 300_000))
    });
    assert!(error.contains("answers for another commit"), "{error}");
}
