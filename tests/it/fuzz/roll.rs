//! Generated pipelines of ROLL: wrong values, references in circles and doubling, aliases, blocks in blocks.

use std::path::Path;

use wgrpo::config::{Imported, RunConfig, import_roll};
use wgrpo::random::Stream;

use super::changes::change_bytes;
use super::yaml::change_key;
use super::yaml_values::bomb;
use super::{Tally, cases};

/// Most bytes that a pipeline of a few kilobytes may take.
const MOST: usize = 200 << 20;

/// Pipelines in the shape of those that ROLL ships, each with references as they have them.
pub const WHOLE: [&str; 3] = [
    include_str!("../../fixtures/roll/rules.yaml"),
    include_str!("../../fixtures/roll/left_out.yaml"),
    include_str!("../../fixtures/roll/preferences.yaml"),
];

/// What a reference stands in: text, a list, a block.
fn reference(to: &str, stream: &mut Stream) -> String {
    let width = 1 + stream.index_below(12);
    let one = format!("${{{to}}}");
    match stream.below(5) {
        0 => one,
        1 => one.repeat(width),
        2 => format!("a/{one}/b{one}"),
        3 => format!("[{}]", vec![format!("'{one}'"); width].join(", ")),
        _ => {
            let keys: Vec<String> = (0..width).map(|key| format!("k{key}: '{one}'")).collect();
            format!("{{{}}}", keys.join(", "))
        }
    }
}

/// Keys that lead to each other, in a chain that ends, in a circle, or into nothing.
fn chain(stream: &mut Stream) -> String {
    let length = 1 + stream.index_below(12);
    let end = ["x".to_owned(), "${r0}".into(), "${nowhere}".into(), "~".into(), "y".repeat(20_000)];
    let mut lines = String::new();
    for at in 0..length {
        lines += &format!("r{at}: {}\n", reference(&format!("r{}", at + 1), stream));
    }
    lines + &format!("r{length}: {}\n", end[stream.index_below(end.len())])
}

/// A key of a pipeline that refers to something.
fn with_reference(text: &str, stream: &mut Stream) -> String {
    let keys: Vec<(usize, &str)> =
        text.lines().enumerate().filter(|(_, line)| line.contains(": ")).collect();
    let (at, line) = keys[stream.index_below(keys.len())];
    let to = ["r0", "r1", "seed", "actor_train", "nowhere", "pretrain", "", "rewards.math_rule"];
    let to = to[stream.index_below(to.len())];
    let key = line.split(": ").next().unwrap_or_default();
    let changed = format!("{key}: {}", reference(to, stream));
    let lines = text.lines().enumerate();
    lines.map(|(number, old)| format!("{}\n", if number == at { &changed } else { old })).collect()
}

/// Blocks in blocks, each with the next through an alias or a reference.
fn nested(stream: &mut Stream) -> String {
    let (levels, width) = (1 + stream.index_below(90), 1 + stream.index_below(9));
    match stream.below(4) {
        0 => format!("deep: {}'${{deep}}'{}\n", "{a: ".repeat(levels), "}".repeat(levels)),
        1 => (0..levels).map(|level| format!("{}actor_train:\n", " ".repeat(level))).collect(),
        2 => {
            let line = |at: usize| {
                let inner = vec![format!("*b{}", at.max(1) - 1); if at == 0 { 0 } else { width }];
                format!("b{at}: &b{at} [{}]\n", inner.join(", "))
            };
            (0..levels.min(12)).map(line).collect()
        }
        _ => format!("{}: {{a: 1, b: {{c: 2}}}}\n", "k".repeat(levels * 1_000)),
    }
}

/// Bytes of a pipeline's file.
pub fn generated(stream: &mut Stream) -> Vec<u8> {
    let mut text = WHOLE[stream.index_below(WHOLE.len())].to_owned();
    match stream.below(10) {
        0 => return bomb(stream).into_bytes(),
        1 => text += &bomb(stream),
        2 => return change_bytes(text.as_bytes(), stream),
        3 => text += &nested(stream),
        4 => text = chain(stream) + "pretrain: ${r0}\n",
        5 | 6 => (0..=stream.below(3)).for_each(|_| text = with_reference(&text, stream)),
        _ => (0..=stream.below(2)).for_each(|_| text = change_key(&text, stream)),
    }
    if stream.below(3) == 0 {
        text += &chain(stream);
    }
    text.into_bytes()
}

/// What is imported can be read aloud, and its YAML is a run or is refused as any other.
fn read(text: &str) -> Result<Imported, String> {
    let path = Path::new("roll.yaml");
    let imported = import_roll(path, text).map_err(|error| error.to_string())?;
    let report = imported.report();
    assert!(report.chars().all(|c| c == '\n' || !c.is_control()), "{report:?}");
    let lines = report.lines().filter(|line| line.starts_with("  ")).count();
    assert_eq!(lines, imported.keys.len(), "{report}");
    let _ = RunConfig::parse(path, &imported.yaml, &[]);
    Ok(imported)
}

#[test]
fn fuzz_any_bytes_as_a_pipeline_of_roll_are_imported_or_refused() {
    let mut tally = Tally::new("pipelines of ROLL");
    tally.most = MOST;
    for seed in 0..cases(600) {
        let bytes = generated(&mut Stream::new(seed, 0xA4));
        let text = String::from_utf8(bytes).map_err(|error| error.to_string());
        let _ = tally.watch(&format!("seed {seed}"), || read(&text?));
    }
    assert!(tally.refused > 0 && tally.refused < tally.tried);
}

#[test]
fn fuzz_the_pipelines_that_are_changed_are_read_as_they_stand() {
    let read = WHOLE.map(read);
    assert!(read[0].is_ok() && read[1].is_ok(), "{read:?}");
    assert!(read[2].as_ref().is_err_and(|message| message.contains("DPO")), "{:?}", read[2]);
}
