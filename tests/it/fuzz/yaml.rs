//! Generated configurations: every key with every kind of wrong value, and YAML that is none.

use std::fs;
use std::path::Path;

use serde_json::Value;

use wgrpo::config::RunConfig;
use wgrpo::random::Stream;

use super::changes::change_bytes;
use super::yaml_values::{bomb, scalar};
use super::{Tally, cases};

/// The shipped configurations, and each with every default written out.
pub fn whole() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
    let mut paths: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let written = paths.iter().flat_map(|path| {
        let config = RunConfig::load(path, &[]).unwrap();
        [fs::read_to_string(path).unwrap(), config.to_yaml().unwrap()]
    });
    written.collect()
}

/// A line and what stands before its value.
fn keys(text: &str) -> Vec<(usize, usize)> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with('#'));
    lines.filter_map(|(at, line)| Some((at, line.find(": ")? + 2))).collect()
}

fn with_line(text: &str, at: usize, line: &str) -> String {
    let lines = text.lines().enumerate();
    lines.map(|(number, old)| format!("{}\n", if number == at { line } else { old })).collect()
}

/// Changes the value of one key, or the line that it stands in.
pub fn change_key(text: &str, stream: &mut Stream) -> String {
    let keys = keys(text);
    if keys.is_empty() {
        return text.to_owned();
    }
    let (at, value) = keys[stream.index_below(keys.len())];
    let line = text.lines().nth(at).unwrap();
    let changed = match stream.below(10) {
        0 => format!("{line}\n{line}"),
        1 => format!("{}x{}", &line[..value / 2], &line[value / 2..]),
        2 => format!("  {line}"),
        3 => line.trim_start().to_owned(),
        _ => format!("{}{}", &line[..value], scalar(stream)),
    };
    with_line(text, at, &changed)
}

/// Bytes of a configuration file.
pub fn generated(whole: &[String], stream: &mut Stream) -> Vec<u8> {
    let mut text = whole[stream.index_below(whole.len())].clone();
    match stream.below(12) {
        0 => return bomb(stream).into_bytes(),
        1 => text += &bomb(stream),
        2 => return change_bytes(text.as_bytes(), stream),
        3 => {
            let at = stream.index_below(text.len());
            let mut bytes = text.into_bytes();
            bytes[at] = 0x80 + stream.below(0x80) as u8;
            return bytes;
        }
        _ => (0..=stream.below(2)).for_each(|_| text = change_key(&text, stream)),
    }
    text.into_bytes()
}

/// The ways to all values of a tree, as `--set` takes them.
fn ways(tree: &Value, way: &str, found: &mut Vec<String>) {
    let below = |key: &str| if way.is_empty() { key.to_owned() } else { format!("{way}.{key}") };
    match tree {
        Value::Object(block) => {
            block.iter().for_each(|(key, value)| ways(value, &below(key), found));
        }
        Value::Array(list) => {
            list.iter()
                .enumerate()
                .for_each(|(at, value)| ways(value, &below(&at.to_string()), found));
        }
        _ => {}
    }
    found.push(way.to_owned());
}

/// Whatever is accepted can be written down and read again.
fn read(path: &Path, text: &str, set: &[String]) -> Result<RunConfig, String> {
    let config = RunConfig::parse(path, text, set).map_err(|error| error.to_string())?;
    let written = config.to_yaml().unwrap();
    assert_eq!(RunConfig::parse(path, &written, &[]).unwrap(), config, "{written}");
    Ok(config)
}

#[test]
fn fuzz_any_bytes_as_a_configuration_are_read_or_refused() {
    let (whole, mut tally) = (whole(), Tally::new("configurations"));
    for seed in 0..cases(600) {
        let bytes = generated(&whole, &mut Stream::new(seed, 0xA1));
        // As `RunConfig::load` does, without a file.
        let text = String::from_utf8(bytes).map_err(|error| error.to_string());
        let read = || read(Path::new("run.yaml"), &text?, &[]);
        let _ = tally.watch(&format!("seed {seed}"), read);
    }
    assert!(tally.refused > 0 && tally.refused < tally.tried);
}

#[test]
fn fuzz_any_override_of_any_key_is_taken_or_refused_by_name() {
    let (whole, mut tally) = (whole(), Tally::new("overrides"));
    for seed in 0..cases(600) {
        let mut stream = Stream::new(seed, 0xA2);
        let text = &whole[stream.index_below(whole.len())];
        let tree = RunConfig::parse(Path::new("run.yaml"), text, &[]).unwrap();
        let mut found = Vec::new();
        ways(&serde_json::to_value(&tree).unwrap(), "", &mut found);
        let mut one = || {
            let way = &found[stream.index_below(found.len())];
            format!("{way}={}", scalar(&mut stream))
        };
        let set = match seed % 3 {
            0 => vec![one(), one()],
            _ => vec![one()],
        };
        let read = || read(Path::new("run.yaml"), text, &set);
        if let Err(message) = tally.watch(&format!("seed {seed}: {set:?}"), read) {
            // A contradiction is told by its keys, whoever set them.
            let is_name = |part: &&str| part.parse::<usize>().is_err();
            let key =
                |way: &String| way.split('=').next()?.rsplit('.').find(is_name).map(str::to_owned);
            let named = set.iter().filter_map(key).any(|key| message.contains(&key));
            assert!(message.contains("--set") || named, "{set:?}: {message}");
        }
    }
    assert!(tally.refused > 0 && tally.refused < tally.tried);
}

#[test]
fn fuzz_every_key_is_tried_with_every_kind_of_value() {
    let mut tally = Tally::new("every key");
    let mut stream = Stream::new(0, 0xA3);
    for text in whole() {
        for (at, value) in keys(&text) {
            let line = text.lines().nth(at).unwrap();
            for _ in 0..cases(600).div_ceil(100) {
                let changed = format!("{}{}", &line[..value], scalar(&mut stream));
                let text = with_line(&text, at, &changed);
                let _ = tally.watch(&changed, || read(Path::new("run.yaml"), &text, &[]));
            }
        }
    }
    assert!(tally.refused > 0 && tally.refused < tally.tried);
}
