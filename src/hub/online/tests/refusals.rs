//! What a person is told where there is nothing to download.

use std::collections::HashSet;
use std::io::Write;
use std::net::TcpListener;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::repository::{Repository, TestHub, settings};
use super::server::{Reply, Server};
use super::*;
use crate::hub::Token;

fn message(hub: &TestHub, id: &str) -> String {
    let cache = tempfile::tempdir().unwrap();
    let error = model(&hub.settings(cache.path()), id).unwrap_err();
    assert_eq!(files_below(cache.path()), [""; 0]);
    error.to_string()
}

fn refused(status: u16, code: &'static str, token: Option<&str>) -> String {
    let hub = TestHub::with(Repository::model(), move |_| {
        Some(Reply::new(status).with("X-Error-Code", code))
    });
    let cache = tempfile::tempdir().unwrap();
    let token = token.and_then(Token::new);
    let settings = Settings { token, ..hub.settings(cache.path()) };
    let error = model(&settings, "a/b").unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hf_secret"));
    error.to_string()
}

#[test]
fn a_gated_model_is_told_with_where_to_accept_its_licence() {
    let without = refused(401, "GatedRepo", None);
    assert!(
        without.starts_with("the hub does not give out a/b (401): accept its licence at "),
        "{without}"
    );
    assert!(without.contains("/a/b and set HF_TOKEN"), "{without}");
    let with = refused(403, "GatedRepo", Some("hf_secret"));
    assert!(with.contains("(403)") && with.contains("with the account of the token"), "{with}");
    assert!(refused(403, "", Some("hf_secret")).contains("accept its licence"));
}

#[test]
fn a_model_that_is_not_there_or_private_is_told_so() {
    for message in [
        refused(401, "RepoNotFound", None),
        refused(404, "RepoNotFound", None),
        refused(401, "", None),
        refused(404, "", None),
    ] {
        assert!(message.starts_with("the hub has no model a/b"), "{message}");
        assert!(
            message.contains("check the spelling") && message.contains("set HF_TOKEN"),
            "{message}"
        );
    }
    let with = refused(404, "RepoNotFound", Some("hf_secret"));
    assert!(with.contains("the account of the token"), "{with}");
}

#[test]
fn a_revision_that_is_not_there_is_named() {
    let message = message(&TestHub::new(Repository::model()), "a/b@v9");
    assert!(message.starts_with("a/b has no revision v9"), "{message}");
}

#[test]
fn a_hub_in_trouble_is_asked_again_and_then_told_of() {
    let hub = TestHub::with(Repository::model(), |_| Some(Reply::new(500)));
    let message = message(&hub, "a/b");
    assert!(message.contains("/api/models/a/b/revision/main answers 500"), "{message}");
    assert!(message.contains("try again later"), "{message}");
    assert_eq!(hub.hub.asked().len(), 3);
    assert!(refused(429, "", None).contains("asked too often"));
    assert!(refused(418, "", None).contains("check HF_ENDPOINT"));
}

#[test]
fn a_hub_that_recovers_is_not_told_of() {
    let seen = Mutex::new(HashSet::new());
    let hub = TestHub::with(Repository::model(), move |request| {
        let is_first = seen.lock().unwrap().insert((request.method.clone(), request.path.clone()));
        is_first.then(|| Reply::new(503))
    });
    let cache = tempfile::tempdir().unwrap();
    model(&hub.settings(cache.path()), "a/b").unwrap();
}

#[test]
fn a_machine_without_a_network_is_told_what_to_check() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let cache = tempfile::tempdir().unwrap();
    let error = model(&settings(&format!("http://{closed}"), cache.path()), "a/b").unwrap_err();
    let message = error.to_string();
    assert!(message.starts_with(&format!("cannot reach http://{closed}: ")), "{message}");
    assert!(message.contains("HTTPS_PROXY") && message.contains("copy the cache"), "{message}");
}

/// A byte now and then is no silence, and no answer either.
#[test]
fn a_list_that_never_ends_is_not_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let head = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n".bytes();
            for byte in head.chain([b' '; 1000]) {
                if stream.write_all(&[byte]).is_err() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(if byte == b' ' { 20 } else { 0 }));
            }
        }
    });
    let cache = tempfile::tempdir().unwrap();
    let patience = Duration::from_millis(100);
    let settings = Settings { patience, ..settings(&format!("http://{address}"), cache.path()) };
    let began = Instant::now();
    let error = model(&settings, "a/b").unwrap_err().to_string();
    assert!(
        error.contains("broke: it takes too long") || error.contains("broke: it is silent"),
        "{error}"
    );
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[test]
fn something_else_than_a_web_server_is_told_of() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = stream.unwrap().write_all(b"220 mail.example ESMTP\r\n\r\n");
        }
    });
    let cache = tempfile::tempdir().unwrap();
    let error = model(&settings(&format!("http://{address}"), cache.path()), "a/b").unwrap_err();
    assert!(error.to_string().contains(&format!("{address} broke")), "{error}");
}

#[test]
fn a_repository_without_safetensors_is_told_what_it_has() {
    let pickled = message(&TestHub::new(Repository::model().without("model.safetensors")), "a/b");
    assert!(pickled.contains("only as pickled files (pytorch_model.bin)"), "{pickled}");
    assert!(pickled.contains("save_pretrained"), "{pickled}");
    let gguf = Repository::new("a/b", &[("q8.gguf", b"GGUF"), ("README.md", b"")]);
    let gguf = message(&TestHub::new(gguf), "a/b");
    assert!(gguf.contains("has no config.json") && gguf.contains("as a/b/q8.gguf"), "{gguf}");
    let adapter =
        Repository::new("a/b", &[("config.json", b"{}"), ("adapter_model.safetensors", b"")]);
    assert!(message(&TestHub::new(adapter), "a/b").contains("an adapter, not a whole model"));
    let none = message(&TestHub::new(Repository::new("a/b", &[("config.json", b"{}")])), "a/b");
    assert!(none.contains("neither model.safetensors nor"), "{none}");
}

#[test]
fn an_id_that_says_too_little_is_told_how_to_write_it() {
    let (server, cache) = (Server::new(|_| Reply::new(500)), tempfile::tempdir().unwrap());
    let settings = settings(&server.address(), cache.path());
    let error = file(&settings, "hf://datasets/a/b").unwrap_err().to_string();
    assert!(error.starts_with("a/b names no file; add its path"), "{error}");
    let error = model(&settings, "hf://datasets/a/b").unwrap_err().to_string();
    assert!(error.contains("is a data set"), "{error}");
    assert!(server.asked().is_empty());
}

#[test]
fn authorities_that_cannot_be_read_are_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    let settings =
        Settings { authorities: Some(path.clone()), ..settings("https://h", folder.path()) };
    let error = Hub::new(&settings).err().unwrap().to_string();
    assert!(
        error.starts_with("SSL_CERT_FILE: names ") && error.contains("cannot be read"),
        "{error}"
    );
    fs::write(&path, "no certificate").unwrap();
    assert!(Hub::new(&settings).err().unwrap().to_string().contains("has no certificate in it"));
}
