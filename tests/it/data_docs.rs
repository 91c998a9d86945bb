//! `docs/data.md`: each example is read and gives what stands below it, and no kind or key is left out.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use wgrpo::data::DataConfig;

/// A fenced block: what stands behind the fence, and its text.
struct Block {
    info: Vec<String>,
    text: String,
}

fn blocks() -> Vec<Block> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/data.md");
    let page = fs::read_to_string(page).unwrap();
    let fenced = page.split("\n```").enumerate().filter(|(at, _)| at % 2 == 1);
    let block = |text: &str| {
        let (info, text) = text.split_once('\n').unwrap();
        let info = info.split(' ').map(str::to_owned).collect();
        Block { info, text: text.to_owned() }
    };
    fenced.map(|(_, text)| block(text)).collect()
}

fn data_of(text: &str) -> Value {
    let tree: Value = serde_saphyr::from_str(text).unwrap();
    tree["data"].clone()
}

/// A folder with all files of the page, and the parquet files of the tests.
fn folder(blocks: &[Block]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for block in blocks.iter().filter(|block| ["jsonl", "csv"].contains(&block.info[0].as_str())) {
        fs::write(folder.path().join(&block.info[1]), format!("{}\n", block.text)).unwrap();
    }
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/data");
    for name in ["verl.parquet", "openr1.parquet"] {
        fs::copy(fixtures.join(name), folder.path().join(name)).unwrap();
    }
    folder
}

/// The paths of a block, made to lead into the folder.
fn placed(data: &mut Value, folder: &Path) {
    let place = |text: &mut Value| {
        if let Some(name) = text.as_str() {
            *text = folder.join(name).display().to_string().into();
        }
    };
    for key in ["path", "held_out_path", "examples"] {
        match data.get_mut(key) {
            Some(Value::Array(items)) => items.iter_mut().for_each(|item| match item {
                Value::Object(block) => place(block.get_mut("path").unwrap()),
                text => place(text),
            }),
            Some(Value::Object(block)) => place(block.get_mut("path").unwrap()),
            Some(text) => place(text),
            None => {}
        }
    }
}

#[test]
fn every_example_reads_as_it_says() {
    let blocks = blocks();
    let folder = folder(&blocks);
    let mut compared = 0;
    for (at, block) in blocks.iter().enumerate().filter(|(_, block)| block.info[0] == "yaml") {
        let mut data = data_of(&block.text);
        placed(&mut data, folder.path());
        let config: DataConfig = serde_json::from_value(data).unwrap();
        if block.info.contains(&"hub".to_owned()) {
            continue;
        }
        let dataset = config.load(0).unwrap_or_else(|error| panic!("{}: {error}", block.text));
        let Some(gives) = blocks.get(at + 1).filter(|next| next.info[0] == "text") else {
            continue;
        };
        let first = &dataset.train[0];
        let answer = first.answer.as_deref().unwrap_or_default();
        let found = format!("{}\n=> {answer}", first.prompt.text());
        assert_eq!(found, gives.text.trim_end(), "{}", block.text);
        compared += 1;
    }
    assert!(compared > 15, "{compared} were compared");
}

/// The keys of a block and of the blocks in it.
fn keys(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(pairs) => pairs.iter().for_each(|(key, value)| {
            into.insert(key.clone());
            keys(value, into);
        }),
        Value::Array(values) => values.iter().for_each(|value| keys(value, into)),
        _ => {}
    }
}

/// What serde says that could stand there.
fn expected(data: Value) -> Vec<String> {
    let message = serde_json::from_value::<DataConfig>(data).unwrap_err().to_string();
    let (_, listed) = message.split_once("expected").unwrap();
    listed.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn no_kind_and_no_key_is_without_an_example() {
    let examples: Vec<Value> = blocks()
        .iter()
        .filter(|block| block.info[0] == "yaml")
        .map(|block| data_of(&block.text))
        .collect();
    let kinds: BTreeSet<&str> = examples.iter().filter_map(|data| data["kind"].as_str()).collect();
    let mut found = BTreeSet::new();
    examples.iter().for_each(|data| keys(data, &mut found));
    let known = expected(json!({"kind": "?"}));
    assert!(known.len() > 8, "{known:?}");
    for kind in known.iter().filter(|kind| !["auto", "jsonl"].contains(&kind.as_str())) {
        assert!(kinds.contains(kind.as_str()), "{kind} has no example");
        let needs = json!({
            "kind": kind, "path": "x", "count": 1, "digits": 1, "held_out": 1, "operations": ["add"], "?": 0
        });
        let listed = expected(needs);
        assert!(listed.len() > 2, "{listed:?}");
        for key in listed.iter().filter(|key| !["name", "subset"].contains(&key.as_str())) {
            assert!(found.contains(key), "{kind}: {key} has no example");
        }
    }
}
