//! The layout of the house: who may import whom, and what stays in its room.

use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// The rooms, and which others each may import.
const MAY_IMPORT: [(&str, &[&str]); 18] = [
    ("hub", &[]),
    ("text", &[]),
    ("data", &["text"]),
    ("kernel", &[]),
    ("loss", &[]),
    ("device", &["kernel"]),
    ("monitor", &[]),
    ("report", &["monitor"]),
    ("reward", &["data"]),
    ("model", &["kernel", "text"]),
    ("rollout", &["kernel", "model", "text"]),
    ("advantage", &["kernel"]),
    (
        "train",
        &[
            "text",
            "data",
            "kernel",
            "loss",
            "device",
            "monitor",
            "reward",
            "model",
            "rollout",
            "advantage",
        ],
    ),
    ("config", &BELOW_CONFIG),
    ("run", &BELOW_RUN),
    ("cli", &ALL_ROOMS),
    ("allocator", &[]),
    ("main", &ALL_ROOMS),
];

const ALL_ROOMS: [&str; 16] = [
    "hub",
    "text",
    "data",
    "kernel",
    "loss",
    "device",
    "monitor",
    "report",
    "reward",
    "model",
    "rollout",
    "advantage",
    "train",
    "config",
    "run",
    "cli",
];

const BELOW_RUN: [&str; 12] = [
    "text",
    "data",
    "kernel",
    "loss",
    "device",
    "monitor",
    "reward",
    "model",
    "rollout",
    "advantage",
    "train",
    "config",
];

const BELOW_CONFIG: [&str; 11] = [
    "text",
    "data",
    "kernel",
    "loss",
    "device",
    "monitor",
    "reward",
    "model",
    "rollout",
    "advantage",
    "train",
];

/// Modules that belong to no room: everyone may use them, and they use nothing of ours.
const LEAVES: [&str; 5] = ["random", "files", "pattern", "quote", "readback"];

/// A source file: where it is, which room it belongs to, and its text.
struct Source {
    path: String,
    room: String,
    text: String,
    /// Lines of the program itself: no comments, nothing under `cfg(test)`.
    code: Vec<(usize, String)>,
}

impl Source {
    fn find<'a>(&'a self, pattern: &'a Regex) -> impl Iterator<Item = String> + 'a {
        let hits = self.code.iter().filter(|(_, line)| pattern.is_match(line));
        hits.map(|(number, line)| format!("{}:{number}: {}", self.path, line.trim()))
    }
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn sources() -> Vec<Source> {
    let files = rust_files(root());
    let test_only: Vec<PathBuf> = files.iter().flat_map(|file| test_modules(file)).collect();
    let read = |file: &PathBuf| {
        let path = file.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
        let text = fs::read_to_string(file).unwrap();
        let code = match test_only.contains(file) {
            true => Vec::new(),
            false => program_lines(&text),
        };
        let room = path.split('/').next().unwrap().trim_end_matches(".rs").to_owned();
        Source { path, room, text, code }
    };
    files.iter().map(read).collect()
}

/// Files that a `#[cfg(test)] mod name;` in `file` names.
fn test_modules(file: &Path) -> Vec<PathBuf> {
    let declared =
        Regex::new(r"#\[cfg\(test\)\]\n(?:pub(?:\([a-z]+\))? )?mod ([a-z_0-9]+);").unwrap();
    let text = fs::read_to_string(file).unwrap();
    let folder = match file.file_stem().unwrap().to_str().unwrap() {
        "mod" | "lib" | "main" => file.parent().unwrap().to_owned(),
        stem => file.with_file_name(stem),
    };
    let names = declared.captures_iter(&text);
    names
        .flat_map(|name| {
            let inside = folder.join(&name[1]);
            let below = if inside.is_dir() { rust_files(&inside) } else { Vec::new() };
            below.into_iter().chain([folder.join(format!("{}.rs", &name[1]))])
        })
        .collect()
}

/// Numbered lines without comments and without items under `#[cfg(test)]`.
fn program_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut skips_until: Option<&str> = None;
    for (at, line) in text.lines().enumerate() {
        if let Some(end) = skips_until {
            // rustfmt closes a block where it began, so an item at the margin ends at the margin.
            let one_line = end.is_empty();
            skips_until = if one_line && line.ends_with('{') { Some("}") } else { Some(end) };
            if one_line && line.ends_with(';') || !one_line && line == end {
                skips_until = None;
            }
        } else if line == "#[cfg(test)]" {
            skips_until = Some("");
        } else if !line.trim_start().starts_with("//") {
            lines.push((at + 1, line.to_owned()));
        }
    }
    lines
}

#[track_caller]
fn assert_none(found: Vec<String>, rule: &str) {
    assert!(found.is_empty(), "{rule}:\n{}", found.join("\n"));
}

/// Hits of `pattern` in the program lines of the rooms that `belongs` picks.
fn hits(pattern: &str, belongs: impl Fn(&Source) -> bool) -> Vec<String> {
    let pattern = Regex::new(pattern).unwrap();
    let sources = sources();
    sources.iter().filter(|source| belongs(source)).flat_map(|s| s.find(&pattern)).collect()
}

#[test]
fn rooms_import_only_along_the_table() {
    let ours = Regex::new(r"\b(?:crate|wgrpo)::(?:\{|([a-z_]+))").unwrap();
    let mut wrong = Vec::new();
    for source in sources() {
        if source.room == "lib" {
            continue;
        }
        let allowed: Vec<&str> = match MAY_IMPORT.iter().find(|(room, _)| *room == source.room) {
            Some((_, allowed)) => allowed.iter().chain(&LEAVES).copied().collect(),
            None if LEAVES.contains(&source.room.as_str()) => Vec::new(),
            None => panic!("{}: the room {} is not in the table", source.path, source.room),
        };
        for (number, line) in &source.code {
            for import in ours.captures_iter(line) {
                // `crate::{a, b}` would hide from this test, so it is not written.
                let room = import.get(1).map_or("{", |room| room.as_str());
                if room != source.room && !allowed.contains(&room) {
                    wrong.push(format!("{}:{number}: {}", source.path, line.trim()));
                }
            }
        }
    }
    assert_none(wrong, "an import that the table does not allow");
}

#[test]
fn no_room_reaches_another_through_super() {
    let depth = |source: &Source| source.path.matches('/').count();
    let is_root_of_room = |source: &Source| match depth(source) {
        0 => true,
        depth => depth == 1 && source.path.ends_with("/mod.rs"),
    };
    assert_none(hits(r"\bsuper::", is_root_of_room), "the root of a room names its parent");
    let above = |source: &Source| depth(source) == 1 && !source.path.ends_with("/mod.rs");
    assert_none(hits(r"\bsuper::super::", above), "a file names the parent of its room");
}

#[test]
fn every_room_of_the_table_is_there() {
    let sources = sources();
    for room in ALL_ROOMS.iter().chain(&LEAVES) {
        assert!(sources.iter().any(|source| source.room == *room), "src has no {room}");
    }
}

#[test]
fn only_the_kernel_room_names_cubecl() {
    let found = hits(r"\b(cubecl|burn_cubecl|burn_fusion|burn_ir)::", |s| s.room != "kernel");
    assert_none(found, "cubecl outside kernel/");
}

#[test]
fn only_rooms_that_differ_by_build_ask_for_features() {
    let elsewhere = |source: &Source| !["device", "kernel", "hub"].contains(&source.room.as_str());
    assert_none(
        hits(r"cfg!?\(.*\bfeature\b", elsewhere),
        "cfg(feature) outside device, kernel and hub/",
    );
}

#[test]
fn losses_and_advantages_see_no_files_clocks_or_random_numbers() {
    let pure = |source: &Source| ["loss", "advantage"].contains(&source.room.as_str());
    let found = hits(
        r"\bstd::(fs|io|env|net|process|thread)\b|\b(Instant|SystemTime|rand|thread_rng)\b",
        pure,
    );
    assert_none(found, "the outside world in a pure room");
    let randoms = hits(r"\bcrate::(random|files)\b|\bDistribution::|\.random\(", pure);
    assert_none(randoms, "random numbers or files in a pure room");
}

#[test]
fn only_the_training_loop_knows_the_order_of_the_stages() {
    for stage in ["draw_groups", "value_groups", "diagnose_signal", "update_policy"] {
        let defined = hits(&format!(r"\bfn {stage}\b"), |_| true);
        assert_eq!(defined.len(), 1, "{stage}: {defined:?}");
        let calls = hits(&format!(r"\b{stage}(::<\w+>)?\("), |_| true);
        let calls: Vec<String> = calls.into_iter().filter(|line| !line.contains("fn ")).collect();
        assert_eq!(calls.len(), 1, "{stage}: {calls:?}");
        assert!(calls[0].starts_with("train/mod.rs:"), "{stage}: {calls:?}");
    }
}

#[test]
fn no_stage_sees_the_whole_state() {
    let stages =
        |source: &Source| source.room == "train" && STAGES.iter().any(|s| source.path.contains(s));
    let whole = hits(r"\b(Trainer|TrainState)\b", stages);
    assert_none(whole, "a stage that is given the whole state");
    let sources = sources();
    assert!(STAGES.iter().all(|stage| sources.iter().any(|source| source.path.contains(stage))));
}

/// What the training loop calls, each in the file of its name.
const STAGES: [&str; 5] = [
    "train/draw/",
    "train/advantages.rs",
    "train/diagnose.rs",
    "train/update.rs",
    "train/minibatch.rs",
];

#[test]
fn whoever_generates_does_not_minimise() {
    let generates = Regex::new(r"\.generate(_watched)?\(").unwrap();
    let minimises = Regex::new(r"objective\s*\.loss\(").unwrap();
    let sources = sources();
    let files = |does: &Regex| {
        let found = sources.iter().filter(|source| source.find(does).next().is_some());
        found.map(|source| source.path.clone()).collect::<Vec<String>>()
    };
    let (generates, minimises) = (files(&generates), files(&minimises));
    assert!(generates.iter().any(|path| path == "train/draw/mod.rs"), "{generates:?}");
    assert_eq!(minimises, ["train/minibatch.rs"]);
    assert!(!generates.contains(&minimises[0]), "{minimises:?} generates");
}

#[test]
fn only_one_thread_touches_tensors() {
    // Each thread that does gets a stream and a memory pool of its own on a GPU, never given back.
    // Operations on the CPU divide slices among threads inside kernel/, where no tensor is left.
    let threads = Regex::new(r"\brayon\b|thread::(spawn|scope|Builder)|ctrlc::").unwrap();
    let tensors = Regex::new(r"\b(Tensor|Decoder|Backend|Kernels)\b").unwrap();
    let sources = sources();
    let others = sources.iter().filter(|s| s.room != "kernel");
    let threaded: Vec<&Source> = others.filter(|s| s.find(&threads).next().is_some()).collect();
    assert!(threaded.len() >= 3, "tokenising, scoring and Ctrl-C have threads");
    let found = threaded.iter().flat_map(|source| source.find(&tensors)).collect();
    assert_none(found, "tensors in a file that has other threads");
}

#[test]
fn nothing_is_unwrapped_outside_tests() {
    let found = hits(r"\.unwrap\(\)|\.expect\(|\b(todo|unimplemented|dbg)!", |_| true);
    assert_none(found, "unwrap, expect or an unfinished place");
}

#[test]
fn nothing_is_printed_past_the_places_that_bear_a_reader_who_went_away() {
    assert_none(hits(r"\be?print(ln)?!", |_| true), "a macro that panics when nobody reads");
    let places = ["cli/output.rs", "monitor/progress.rs"];
    let elsewhere = |source: &Source| !places.contains(&source.path.as_str());
    assert_none(hits(r"\bstd(out|err)\(\)", elsewhere), "printing in another place");
}

#[test]
fn every_file_begins_by_saying_what_it_is_for() {
    let silent: Vec<String> = sources()
        .into_iter()
        .filter(|source| !source.text.starts_with("//! "))
        .map(|source| source.path)
        .collect();
    assert_none(silent, "a file without a `//!` comment at its head");
}

#[test]
fn the_scan_leaves_out_tests_and_comments_and_nothing_else() {
    let text = "use a;\n// note\n#[cfg(test)]\nmod golden;\n/// doc\nfn f() {\n    // why\n    g();\n}\n\
                #[cfg(test)]\nmod tests {\n    h();\n}\nfn k() {}\n";
    let lines: Vec<String> = program_lines(text).into_iter().map(|(_, line)| line).collect();
    assert_eq!(lines, ["use a;", "fn f() {", "    g();", "}", "fn k() {}"]);
}
