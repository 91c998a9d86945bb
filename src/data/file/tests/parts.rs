//! Several files, mixtures, folders, and the held-out part.

use super::*;

/// A folder with files of so many rows, `a.jsonl` with the prompts a0, a1, ...
fn files(counts: &[(&str, usize)]) -> (tempfile::TempDir, impl Fn(&str) -> String) {
    let folder = tempfile::tempdir().unwrap();
    for (name, count) in counts {
        let rows: Vec<Value> = (0..*count)
            .map(|n| json!({"prompt": format!("{name}{n}"), "test": n % 4 == 0}))
            .collect();
        fs::write(folder.path().join(format!("{name}.jsonl")), lines_of(&rows)).unwrap();
    }
    let root = folder.path().to_owned();
    (folder, move |name: &str| root.join(name).display().to_string())
}

fn loaded(config: Value) -> Result<Dataset, String> {
    let config: DataConfig = serde_json::from_value(config).map_err(|error| error.to_string())?;
    config.load(3).map_err(|error| error.to_string())
}

fn texts(part: &[Problem]) -> Vec<String> {
    part.iter().map(|problem| problem.prompt.text()).collect()
}

#[test]
fn several_files_follow_each_other_and_each_gives_its_first_rows() {
    let (_folder, at) = files(&[("a", 3), ("b", 5)]);
    let path = json!([format!("{}#2", at("a.jsonl")), {"path": at("b.jsonl"), "take": 1}]);
    let dataset = loaded(json!({"kind": "file", "path": path})).unwrap();
    assert_eq!(texts(&dataset.train), ["a0", "a1", "b0"]);
    let ids: Vec<u64> = dataset.train.iter().map(|problem| problem.id).collect();
    assert_eq!(ids, [0, 1, 2]);
    let limited = loaded(json!({"path": [at("a.jsonl"), at("b.jsonl")], "limit": 4})).unwrap();
    assert_eq!(texts(&limited.train), ["a0", "a1", "a2", "b0"]);
}

#[test]
fn weights_are_the_shares_of_a_mixture_and_what_is_not_used_is_told() {
    let (_folder, at) = files(&[("a", 10), ("b", 50)]);
    let mixture = |seed: u64| {
        let path =
            json!([{"path": at("a.jsonl"), "weight": 1}, {"path": at("b.jsonl"), "weight": 3}]);
        let config: DataConfig = serde_json::from_value(json!({"path": path})).unwrap();
        config.load(seed).unwrap()
    };
    let dataset = mixture(0);
    let of =
        |letter: char| texts(&dataset.train).iter().filter(|text| text.starts_with(letter)).count();
    assert_eq!((of('a'), of('b')), (10, 30));
    assert!(
        dataset.notes.iter().any(|note| note.contains("30 of the 50 rows")),
        "{:?}",
        dataset.notes
    );
    assert_eq!(mixture(0), dataset);
    assert_ne!(mixture(1).train, dataset.train);
    let far = json!([{"path": at("a.jsonl"), "weight": 1e6}, {"path": at("b.jsonl"), "weight": 1}]);
    assert!(loaded(json!({"path": far})).unwrap_err().contains("no row of"));
}

#[test]
fn the_held_out_part_is_a_share_a_column_or_a_split() {
    let (folder, at) = files(&[("train", 12), ("test", 4)]);
    let share = loaded(json!({"path": at("train.jsonl"), "held_out_share": 0.25})).unwrap();
    assert_eq!((share.train.len(), share.held_out.len()), (9, 3));
    let column = loaded(json!({"path": at("train.jsonl"), "held_out_column": "test"})).unwrap();
    assert_eq!(texts(&column.held_out), ["train0", "train4", "train8"]);
    assert_eq!(column.train.len(), 9);
    let some = json!({"path": at("train.jsonl"), "held_out_column": "test", "held_out": 2});
    assert_eq!(loaded(some).unwrap().held_out.len(), 2);
    let root = folder.path().display().to_string();
    let split = loaded(json!({"path": root, "split": "train", "held_out_split": "test"})).unwrap();
    assert_eq!((split.train.len(), split.held_out.len()), (12, 4));
    let ids: std::collections::HashSet<u64> =
        split.train.iter().chain(&split.held_out).map(|problem| problem.id).collect();
    assert_eq!(ids.len(), 16);
    for (more, key) in [
        (json!({"held_out_share": 0.5, "held_out": 2}), "data.held_out_share"),
        (json!({"held_out_share": 0.5, "held_out_split": "test"}), "data.held_out_share"),
        (json!({"held_out_column": "test", "held_out_path": "x"}), "data.held_out_column"),
        (json!({"held_out_column": "none"}), "data.held_out_column"),
    ] {
        let mut config = json!({"path": at("train.jsonl")});
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let error = loaded(config).unwrap_err();
        assert!(error.contains(key), "{error}");
    }
}

#[test]
fn problems_of_both_parts_are_left_out_and_near_ones_counted() {
    let lines = "{\"prompt\":\"b\"}\n{\"prompt\":\"H \"}\n{\"prompt\":\"c\"}\n";
    let dataset = load(lines, json!({"held_out_path": true})).unwrap();
    assert_eq!(texts(&dataset.train), ["H ", "c"]);
    assert!(dataset.notes[0].starts_with("1 training problems are left out, because"));
    assert!(dataset.notes[1].starts_with("1 training problems differ from a held-out one only"));
}

#[test]
fn a_folder_is_read_as_a_data_set_and_its_files_are_known() {
    let (folder, at) = files(&[("train", 3), ("test", 2)]);
    let config = |more: Value| {
        let mut config = json!({"path": folder.path()});
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value::<DataConfig>(config).unwrap()
    };
    assert_eq!(config(json!({})).load(0).unwrap().train.len(), 3);
    let files = config(json!({"held_out_split": "test"})).files();
    let expected = [("path", "train.jsonl"), ("held_out_split", "test.jsonl")];
    let expected = expected.map(|(key, name)| (key.to_owned(), at(name).into()));
    assert_eq!(files, expected);
    let error = config(json!({"split": "dev"})).load(0).unwrap_err().to_string();
    assert!(error.contains("no split \"dev\"") && error.contains("test, train"), "{error}");
}

#[test]
fn kinds_that_say_how_a_file_is_written_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p.txt");
    fs::write(&path, "prompt,answer\n1+1=,2\n").unwrap();
    let dataset = loaded(json!({"kind": "csv", "path": path})).unwrap();
    assert_eq!(dataset.train[0].answer.as_deref(), Some("2"));
    fs::write(&path, r#"[{"prompt": "1+1=", "answer": 2}]"#).unwrap();
    assert_eq!(loaded(json!({"kind": "json", "path": path})).unwrap().train, dataset.train);
    assert!(loaded(json!({"kind": "parquet", "path": path})).unwrap_err().contains("PAR1"));
    assert!(loaded(json!({})).unwrap_err().contains("kind"));
}

#[test]
fn columns_are_kept_for_rewards_all_or_those_that_are_named() {
    let line = r#"{"prompt":"a","difficulty":3,"meta":{"x":1},"long":"..."}"#;
    let names = |settings: Value| {
        let train = load(line, settings).unwrap().train;
        train[0].columns.keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(names(json!({})).len(), 4);
    assert_eq!(names(json!({"keep_columns": ["difficulty", "meta.x"]})), ["difficulty", "meta"]);
}
