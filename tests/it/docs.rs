//! What the documents print is what is run: by `.ci/run`, or by a test named here.

use std::fs;
use std::path::Path;

use wgrpo::config::RunConfig;

const DOCUMENTS: [&str; 11] = [
    "README.md",
    "CONTRIBUTING.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "docs/data.md",
    "docs/devices.md",
    "docs/findings.md",
    "docs/kernels.md",
    "docs/memory.md",
    "docs/rewards.md",
    "docs/speed.md",
];

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// The contents of the blocks fenced as `language`.
fn fenced(text: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    let blocks = text.split(&fence).skip(1);
    blocks.map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

/// The commands of a document, without their comments.
fn commands(name: &str) -> Vec<String> {
    let blocks = fenced(&read(name), "sh").concat();
    let lines = blocks.lines().map(|line| line.split(" #").next().unwrap().trim().to_owned());
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

/// The commands that `.ci/run` runs, as they are typed.
fn run_by_ci() -> Vec<String> {
    let script = read(".ci/run");
    let stages = script.lines().filter_map(|line| line.trim().strip_prefix("stage "));
    // A command cannot begin with a variable where it is an argument, so `env` sets it there.
    let wrappers = ["env ", "counting_skips "];
    let bare = |stage: &str| {
        let wrapper = wrappers.iter().find_map(|wrapper| stage.strip_prefix(wrapper));
        wrapper.unwrap_or(stage).to_owned()
    };
    stages.map(bare).collect()
}

#[test]
fn every_command_of_a_document_is_run_by_ci() {
    let run = run_by_ci();
    for document in DOCUMENTS {
        for command in commands(document) {
            let is_ci_itself = command == ".ci/run";
            assert!(is_ci_itself || run.contains(&command), "{document}: `{command}` is not run");
        }
    }
}

#[test]
fn the_first_two_commands_of_the_readme_are_to_train_and_to_test() {
    let commands = commands("README.md");
    let first = ["cargo run --release -- train configs/quickstart.yaml", "cargo test"];
    assert_eq!(commands[..2], first);
}

#[test]
fn every_configuration_of_a_document_is_a_whole_run() {
    let mut count = 0;
    for document in DOCUMENTS {
        for text in fenced(&read(document), "yaml") {
            RunConfig::parse(Path::new(document), &text, &[]).unwrap();
            count += 1;
        }
    }
    assert!(count > 0);
}

#[test]
fn every_test_that_a_document_names_is_there() {
    let named = regex::Regex::new(r"`((?:it|lib)::[a-z0-9_:]+)`").unwrap();
    let mut count = 0;
    for document in DOCUMENTS {
        let text = read(document);
        for name in named.captures_iter(&text) {
            assert!(test_exists(&name[1]), "{document}: there is no test {}", &name[1]);
            count += 1;
        }
    }
    assert!(count > 0);
}

/// Whether `it::module::name` or `lib::room::file::name` is a function in that file.
fn test_exists(path: &str) -> bool {
    let mut parts: Vec<&str> = path.split("::").collect();
    let (target, test) = (parts.remove(0), parts.pop().unwrap());
    let folder = if target == "it" { "tests/it" } else { "src" };
    let stem = format!("{folder}/{}", parts.join("/"));
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = [format!("{stem}.rs"), format!("{stem}/mod.rs")];
    let text = files.iter().find_map(|file| fs::read_to_string(root.join(file)).ok());
    text.is_some_and(|text| text.contains(&format!("fn {test}()")))
}

#[test]
fn every_file_that_a_document_links_to_is_there() {
    let link = regex::Regex::new(r"\]\(([^)#:]+)\)").unwrap();
    // Its commands are run by `it::own_task`.
    for document in DOCUMENTS.into_iter().chain(["docs/your-own-task.md", "docs/own-rewards.md"]) {
        let text = read(document);
        for target in link.captures_iter(&text) {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(document);
            let path = folder.with_file_name(&target[1]);
            assert!(path.exists(), "{document}: {} is not there", &target[1]);
        }
    }
}
