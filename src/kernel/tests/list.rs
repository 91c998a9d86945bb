//! No operation is left out of the list.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

use crate::kernel::backend::host::ran;
use crate::kernel::check::outcomes;

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { rust_files(&path) } else { vec![path] }).collect()
}

/// The names in the files of `kernel/ops`.
fn written() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/kernel/ops");
    let name = Regex::new(r#"const NAME: &'static str = "(\w+)""#).unwrap();
    let operation = Regex::new(r"\nimpl Op<").unwrap();
    let mut names = BTreeSet::new();
    for file in rust_files(&folder) {
        let text = fs::read_to_string(&file).unwrap();
        let of_file: Vec<_> = name.captures_iter(&text).map(|name| name[1].to_owned()).collect();
        assert_eq!(of_file.len(), operation.find_iter(&text).count(), "{}", file.display());
        names.extend(of_file);
    }
    names
}

/// The list of operations runs each of them, gradients included, so that neither `devices --check` nor the
/// test of the kernels on a GPU, which walk the list, can miss one.
#[test]
fn every_operation_that_is_written_is_run_by_the_list() {
    ran::take();
    outcomes::<burn::backend::NdArray>(&Default::default());
    let run: BTreeSet<String> = ran::take().into_iter().map(|(name, _)| name.to_owned()).collect();
    assert!(run.len() > 20, "{run:?}");
    assert_eq!(run, written());
}
