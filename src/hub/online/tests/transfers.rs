//! Downloads that are cut, gone on with, disturbed and stopped.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::repository::{Repository, TestHub, tag, weights};
use super::server::{Reply, Request};
use super::*;

const WEIGHTS: &str = "/model.safetensors";

fn blobs(cache: &Path) -> std::path::PathBuf {
    cache.join("models--a--b/blobs")
}

fn partial(cache: &Path) -> std::path::PathBuf {
    blobs(cache).join(format!("{}.incomplete", tag("model.safetensors", &weights(1))))
}

/// A hub whose other host answers otherwise to the first requests for the weights.
fn disturbed(times: usize, answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> TestHub {
    let calls = AtomicUsize::new(0);
    TestHub::with(Repository::model(), move |request| {
        let is_it = request.path.starts_with(WEIGHTS);
        (is_it && calls.fetch_add(1, Ordering::SeqCst) < times).then(|| answer(request))
    })
}

/// Sends the right answer only so far.
fn cut(request: &Request, at: usize) -> Reply {
    let mut reply = Repository::model().content("model.safetensors", request);
    reply.cut = Some(at);
    reply
}

fn check(hub: &TestHub, cache: &Path) -> Vec<Option<usize>> {
    let found = model(&hub.settings(cache), "a/b").unwrap();
    assert_eq!(fs::read(found.path.join("model.safetensors")).unwrap(), weights(1));
    let files = names_in(&blobs(cache));
    assert!(files.iter().all(|name| !name.contains("incomplete")), "{files:?}");
    hub.store.requests().iter().map(Request::from).collect()
}

#[test]
fn a_connection_that_is_cut_is_gone_on_with_from_there() {
    let (hub, cache) =
        (disturbed(2, |request| cut(request, 100_000)), tempfile::tempdir().unwrap());
    assert_eq!(check(&hub, cache.path()), [None, Some(100_000), Some(200_000)]);
}

#[test]
fn a_download_that_broke_off_says_so_and_goes_on_the_next_time() {
    let (hub, cache) = (disturbed(3, |request| cut(request, 50_000)), tempfile::tempdir().unwrap());
    let error = model(&hub.settings(cache.path()), "a/b").unwrap_err().to_string();
    let expected = "the download of model.safetensors broke off at 150000 of 300000 bytes: ";
    assert!(error.starts_with(expected) && error.contains("goes on from there"), "{error}");
    assert!(!error.contains("secret"), "{error}");
    assert_eq!(fs::metadata(partial(cache.path())).unwrap().len(), 150_000);
    assert!(!cache.path().join("models--a--b/refs/main").exists());
    hub.store.asked();
    assert_eq!(check(&hub, cache.path()), [Some(150_000)]);
}

#[test]
fn a_silent_connection_counts_as_cut() {
    let silent =
        |request: &Request| Reply { silence: Some(Duration::from_secs(30)), ..cut(request, 1000) };
    let (hub, cache) = (disturbed(1, silent), tempfile::tempdir().unwrap());
    let settings = Settings { patience: Duration::from_millis(500), ..hub.settings(cache.path()) };
    let began = Instant::now();
    model(&settings, "a/b").unwrap();
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert_eq!(hub.store.requests()[1].from(), Some(1000));
}

#[test]
fn a_server_that_knows_no_parts_begins_anew() {
    let whole = |request: &Request| {
        let all = Request { headers: Vec::new(), ..request.clone() };
        match request.from() {
            None => cut(request, 100_000),
            Some(_) => Repository::model().content("model.safetensors", &all),
        }
    };
    let (hub, cache) = (disturbed(2, whole), tempfile::tempdir().unwrap());
    assert_eq!(check(&hub, cache.path()), [None, Some(100_000)]);
}

#[test]
fn a_part_of_something_else_is_thrown_away() {
    let (hub, cache) = (TestHub::new(Repository::model()), tempfile::tempdir().unwrap());
    fs::create_dir_all(blobs(cache.path())).unwrap();
    fs::write(partial(cache.path()), vec![7; 1000]).unwrap();
    assert_eq!(check(&hub, cache.path()), [Some(1000), None]);
}

#[test]
fn a_part_that_is_too_long_is_thrown_away() {
    let (hub, cache) = (TestHub::new(Repository::model()), tempfile::tempdir().unwrap());
    fs::create_dir_all(blobs(cache.path())).unwrap();
    fs::write(partial(cache.path()), vec![7; 300_001]).unwrap();
    assert_eq!(check(&hub, cache.path()), [None]);
}

#[test]
fn a_content_that_is_changed_on_the_way_is_never_kept() {
    let changed = |request: &Request| {
        let mut reply = Repository::model().content("model.safetensors", request);
        reply.body[1234] ^= 1;
        reply
    };
    let (hub, cache) = (disturbed(9, changed), tempfile::tempdir().unwrap());
    let error = model(&hub.settings(cache.path()), "a/b").unwrap_err().to_string();
    assert!(error.starts_with("model.safetensors came damaged"), "{error}");
    assert!(!partial(cache.path()).exists());
    assert!(!blobs(cache.path()).join(tag("model.safetensors", &weights(1))).exists());
}

#[test]
fn a_download_is_stopped_and_gone_on_with() {
    let (hub, cache) = (TestHub::new(Repository::model()), tempfile::tempdir().unwrap());
    let stop = |progress: Progress| match progress.file {
        "model.safetensors" => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    // Reports are a tenth of a second apart, but the end of a file is always told.
    let client = Hub::new(&hub.settings(cache.path())).unwrap();
    let id = HubId::parse("a/b").unwrap();
    let error = client.model(&id, &mut { stop }).unwrap_err();
    assert!(matches!(error, HubError::Stopped));
    assert!(!cache.path().join("models--a--b/refs/main").exists());
    let found = client.model(&id, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(fs::read(found.path.join("model.safetensors")).unwrap(), weights(1));
}

#[test]
fn two_programs_download_a_model_once() {
    let (hub, cache) = (TestHub::new(Repository::model()), tempfile::tempdir().unwrap());
    let settings = hub.settings(cache.path());
    std::thread::scope(|scope| {
        let both = [(); 2].map(|()| scope.spawn(|| model(&settings, "a/b").unwrap()));
        let [a, b] = both.map(|thread| thread.join().unwrap());
        assert_eq!(a, b);
    });
    assert_eq!(hub.store.asked().len(), 1);
    assert_eq!(check(&hub, cache.path()), []);
}

#[test]
fn what_another_program_downloads_meanwhile_is_waited_for_and_taken() {
    let (hub, cache) = (TestHub::new(Repository::model()), tempfile::tempdir().unwrap());
    let name = tag("model.safetensors", &weights(1));
    let lock = cache.path().join(format!(".locks/models--a--b/{name}.lock"));
    fs::create_dir_all(lock.parent().unwrap()).unwrap();
    let held = fs::File::create(lock).unwrap();
    held.lock().unwrap();
    let mut other = Some(held);
    let blob = blobs(cache.path()).join(&name);
    let mut watch = |progress: Progress| {
        if progress.file == "model.safetensors" && other.is_some() {
            fs::write(&blob, weights(1)).unwrap();
            other.take();
        }
        ControlFlow::Continue(())
    };
    Hub::new(&hub.settings(cache.path()))
        .unwrap()
        .model(&HubId::parse("a/b").unwrap(), &mut watch)
        .unwrap();
    assert_eq!(hub.store.asked(), [""; 0]);
}

#[test]
fn a_cache_that_cannot_be_written_is_told_of() {
    let (hub, folder) = (TestHub::new(Repository::model()), tempfile::tempdir().unwrap());
    let cache = folder.path().join("file");
    fs::write(&cache, "in the way").unwrap();
    let error = model(&hub.settings(&cache), "a/b").unwrap_err().to_string();
    assert!(error.starts_with("cannot write ") && error.contains("HF_HOME"), "{error}");
}

/// A disk without room: what is written there is refused as by a full one.
#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_told_of_and_leaves_no_file() {
    let (hub, cache) = (TestHub::new(Repository::model()), tempfile::tempdir().unwrap());
    fs::create_dir_all(blobs(cache.path())).unwrap();
    std::os::unix::fs::symlink("/dev/full", partial(cache.path())).unwrap();
    let error = model(&hub.settings(cache.path()), "a/b").unwrap_err().to_string();
    assert!(error.starts_with("cannot write ") && error.contains("free some space"), "{error}");
    assert!(!blobs(cache.path()).join(tag("model.safetensors", &weights(1))).exists());
}
