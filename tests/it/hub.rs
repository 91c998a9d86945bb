//! A model by its name on the hub, from a small server of the test's own.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use serde_json::json;

use crate::program::{Ended, Scene, says};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// Serves a folder as the model `o/m` and as the data set `o/d` for as long as the test's process lives; gives its address and what
/// was asked for.
fn serve(folder: PathBuf) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, asked) = (format!("http://{}", listener.local_addr().unwrap()), Arc::default());
    let log = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = answer(&folder, stream, &log);
        }
    });
    (address, asked)
}

fn answer(folder: &PathBuf, mut to: TcpStream, log: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut lines = BufReader::new(to.try_clone()?).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let _ = lines.take_while(|line| line.as_ref().is_ok_and(|line| !line.is_empty())).count();
    let (method, path) = first.split_once(' ').unwrap_or_default();
    let path = path.split(' ').next().unwrap_or_default();
    log.lock().unwrap().push(path.to_owned());
    let names = || std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let file =
        ["/o/m/resolve/", "/datasets/o/d/resolve/"].iter().find_map(|of| path.strip_prefix(of));
    let file = file.and_then(|rest| rest.split_once('/'));
    let (status, body) = match file.map(|(_, name)| name) {
        Some(name) => match std::fs::read(folder.join(name)) {
            Ok(bytes) => (200, bytes),
            Err(_) => (404, Vec::new()),
        },
        None if ["/api/models/o/m/revision/", "/api/datasets/o/d/revision/"]
            .iter()
            .any(|of| path.starts_with(of)) =>
        {
            let files: Vec<_> =
                names().map(|name| json!({"rfilename": name.to_string_lossy()})).collect();
            (200, json!({"sha": COMMIT, "siblings": files}).to_string().into_bytes())
        }
        None => (404, Vec::new()),
    };
    // A tag that is no checksum of the content, but the file's own.
    let name = path.rsplit('/').next().unwrap_or_default();
    let tag: String = name.bytes().map(|byte| format!("{byte:02x}")).collect();
    let head = format!(
        "HTTP/1.1 {status} Test\r\nConnection: close\r\nX-Repo-Commit: {COMMIT}\r\nETag: \"{}\"\r\n\
         Content-Length: {}\r\n\r\n",
        tag,
        body.len()
    );
    to.write_all(head.as_bytes())?;
    if method != "HEAD" {
        to.write_all(&body)?;
    }
    to.flush()
}

/// Trains one step from the model `o/m`, with these variables of the environment.
fn train(scene: &Scene, folder: &str, variables: &[(&str, &str)]) -> Ended {
    let arguments = ["train", "from.yaml", "--output-dir", folder, "--set", "max_steps=1"];
    let mut command = scene.command(&arguments);
    command.env("HF_HOME", scene.path("cache")).envs(variables.iter().copied());
    for name in [
        "HF_HUB_CACHE",
        "HF_TOKEN",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "http_proxy",
        "https_proxy",
        "ALL_PROXY",
        "all_proxy",
    ] {
        command.env_remove(name);
    }
    command.output().unwrap().into()
}

/// A scene with a model in `run/model`, and a run from the model `o/m`.
fn scene() -> Scene {
    let scene = Scene::new();
    scene.train("run", &["--set", "max_steps=1"]);
    let config = scene.read("tiny.yaml");
    let (before, rest) = config.split_once("model:\n").unwrap();
    let (_, after) = rest.split_once("data:").unwrap();
    scene.write("from.yaml", &format!("{before}model: {{path: o/m}}\ndata:{after}"));
    scene
}

#[test]
fn a_name_on_the_hub_is_fetched_once_and_then_needs_no_network() {
    let scene = scene();
    let (address, asked) = serve(scene.path("run/model"));
    let fetched = train(&scene, "first", &[("HF_ENDPOINT", &address)]);
    assert_eq!(fetched.code, Some(0), "{}", fetched.stderr);
    says(&fetched.stderr, &["fetching   model.safetensors"]);
    says(&scene.read("first/config.yaml"), &["snapshots", COMMIT]);
    asked.lock().unwrap().clear();
    let offline = train(&scene, "second", &[("HF_ENDPOINT", &address), ("HF_HUB_OFFLINE", "1")]);
    assert_eq!(offline.code, Some(0), "{}", offline.stderr);
    assert!(asked.lock().unwrap().is_empty());
}

#[test]
fn a_family_that_is_not_read_is_refused_before_its_weights_are_fetched() {
    let scene = scene();
    let config = scene.read("run/model/config.json").replace("\"llama\"", "\"mamba\"");
    scene.write("run/model/config.json", &config);
    let (address, asked) = serve(scene.path("run/model"));
    let refused = train(&scene, "first", &[("HF_ENDPOINT", &address)]).refusal();
    says(&refused, &["model_type \"mamba\""]);
    let asked = asked.lock().unwrap();
    assert!(!asked.iter().any(|path| path.ends_with("model.safetensors")), "{asked:?}");
}

#[test]
fn without_a_network_the_message_says_what_to_do() {
    let scene = scene();
    let offline = train(&scene, "first", &[("HF_HUB_OFFLINE", "1")]).refusal();
    says(&offline, &["HF_HUB_OFFLINE is set", "o/m"]);
    let gone = train(&scene, "first", &[("HF_ENDPOINT", "http://127.0.0.1:9")]).refusal();
    says(&gone, &["cannot reach", "check the network"]);
}

#[test]
fn a_data_set_on_the_hub_is_fetched_with_the_splits_that_are_read_and_no_others() {
    let row = |n: usize| format!("{{\"prompt\": \"{n}+1=\", \"answer\": {}}}\n", n + 1);
    let scene = Scene::changed(|config| {
        let data = "{path: o/d, split: train, held_out_split: test}";
        config.replace("{kind: arithmetic, digits: 1, held_out: 12}", data)
    });
    scene.write("set/train.jsonl", &(0..5).map(row).collect::<String>());
    scene.write("set/test.jsonl", &(5..8).map(row).collect::<String>());
    scene.write("set/dev.jsonl", &row(9));
    scene.write("set/README.md", "# A set\n");
    scene.write("from.yaml", &scene.read("tiny.yaml"));
    let (address, asked) = serve(scene.path("set"));
    let fetched = train(&scene, "first", &[("HF_ENDPOINT", &address)]);
    assert_eq!(fetched.code, Some(0), "{}", fetched.stderr);
    says(&fetched.stderr, &["fetching   train.jsonl", "5 to train on, 3 held out"]);
    assert!(!asked.lock().unwrap().iter().any(|path| path.ends_with("dev.jsonl")));
    asked.lock().unwrap().clear();
    let offline = train(&scene, "second", &[("HF_ENDPOINT", &address), ("HF_HUB_OFFLINE", "1")]);
    assert_eq!(offline.code, Some(0), "{}", offline.stderr);
    assert!(asked.lock().unwrap().is_empty());
    let wrong = scene.read("from.yaml").replace("split: train", "split: dew");
    scene.write("from.yaml", &wrong);
    let refused = train(&scene, "third", &[("HF_ENDPOINT", &address)]).refusal();
    says(&refused, &["o/d", "no split \"dew\"", "validation, test, train"]);
}
