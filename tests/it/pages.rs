//! The pages about methods: every block of YAML on them is part of a valid configuration.

use std::path::{Path, PathBuf};

use crate::runs::{small, steps, trainer};

fn pages() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/methods");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut pages: Vec<PathBuf> =
        files.filter(|file| file.extension().is_some_and(|ending| ending == "md")).collect();
    pages.sort();
    pages
}

fn name(page: &Path) -> String {
    page.file_stem().unwrap().to_str().unwrap().to_owned()
}

/// The blocks of a page that are YAML.
fn yaml_blocks(text: &str) -> Vec<String> {
    let blocks = text.split("```yaml\n").skip(1);
    blocks.map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn every_block_of_yaml_trains_a_step() {
    let mut blocks = 0;
    for page in pages() {
        for block in yaml_blocks(&std::fs::read_to_string(&page).unwrap()) {
            let report = steps(&mut trainer(&small(&block)), 1).remove(0);
            assert_eq!(report.step, 1, "{}", name(&page));
            blocks += 1;
        }
    }
    assert!(blocks >= 18, "only {blocks} blocks were found");
}

#[test]
fn the_index_names_every_page() {
    let pages = pages();
    let index = pages.iter().find(|page| name(page) == "README").unwrap();
    let index = std::fs::read_to_string(index).unwrap();
    for page in pages.iter().map(|page| name(page)).filter(|name| name != "README") {
        assert!(index.contains(&format!("[{page}]({page}.md)")), "{page} is not in the index");
    }
}
