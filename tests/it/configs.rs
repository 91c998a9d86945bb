//! The shipped configurations.

use std::fs;
use std::path::{Path, PathBuf};

use wgrpo::config::RunConfig;

fn shipped() -> Vec<PathBuf> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/configs"));
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn every_shipped_configuration_parses_and_reads_back_as_itself() {
    let paths = shipped();
    assert!(paths.iter().any(|path| path.ends_with("quickstart.yaml")));
    for path in paths {
        let config = RunConfig::load(&path, &[]).unwrap();
        let printed = config.to_yaml().unwrap();
        assert_eq!(RunConfig::parse(&path, &printed, &[]).unwrap(), config, "{}", path.display());
    }
}

#[test]
fn every_shipped_configuration_writes_to_a_folder_of_its_own_name() {
    for path in shipped() {
        let config = RunConfig::load(&path, &[]).unwrap();
        let name = path.file_stem().unwrap();
        assert_eq!(config.output_dir, Path::new("runs").join(name), "{}", path.display());
    }
}

#[test]
fn every_shipped_configuration_says_in_its_first_line_what_it_is_for() {
    for path in shipped() {
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("# "), "{}", path.display());
    }
}
