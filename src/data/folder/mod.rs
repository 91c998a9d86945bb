//! Which files of a data set's folder are read, here or on the hub: those of a configuration and a split.
//!
//! ```text
//! names of the files, README.md ─▶ configuration ─▶ splits with their files ─▶ the files of one
//! ```
//! Where the front matter of README.md lists `configs`, that is how they are divided; else by their names, as
//! `data/train-00000-of-00001.parquet` and `main/test.jsonl` tell it. Source: the page "Structure your repository"
//! of the Hugging Face hub's documentation.

mod card;
mod names;
mod walk;

use super::DataError;
use card::Card;
use names::{Splits, by_name, is_data};
pub(super) use walk::files_of;

/// The file that may say how a data set is divided.
pub const CARD: &str = "README.md";

/// The files to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// Their paths inside the folder, in order.
    pub files: Vec<String>,
    /// What was chosen among several things without being asked for, a sentence.
    pub note: Option<String>,
}

/// Chooses among the files of a folder, whose paths are divided by `/`; `card` is the text of its README.md.
///
/// # Errors
/// No file of data, or several configurations or splits and none that is meant; the message names them.
pub fn choose(
    files: &[String],
    card: Option<&str>,
    config: Option<&str>,
    split: Option<&str>,
) -> Result<Chosen, String> {
    let card = card.and_then(Card::read).filter(|card| !card.configs.is_empty());
    let (splits, note) = match card {
        Some(card) => card.splits(files, config)?,
        None => by_name(files, config)?,
    };
    let files = of_split(splits, split)?;
    Ok(Chosen { files, note })
}

/// The files of the split that is asked for, of `train`, or of the only one.
fn of_split(splits: Splits, split: Option<&str>) -> Result<Vec<String>, String> {
    let names: Vec<String> = splits.iter().map(|(name, _)| name.clone()).collect();
    let wanted = split.unwrap_or("train");
    let mut splits = splits.into_iter();
    let found = match names.len() {
        1 if split.is_none() => splits.next(),
        _ => splits.find(|(name, _)| name == wanted),
    };
    let Some((name, mut files)) = found else {
        let what = split.map_or("there are several splits and no train".to_owned(), |split| {
            format!("there is no split {split:?}")
        });
        return Err(format!("{what}; data.split can be one of: {}", names.join(", ")));
    };
    files.sort();
    files.dedup();
    match files.iter().any(|file| is_data(file)) {
        true => Ok(files),
        false => Err(format!("the split {name:?} has no file of JSON lines, JSON, CSV or parquet")),
    }
}

/// The one of several configurations that is meant: the one asked for, else `default` or `main`; and what to know
/// about the choice.
fn config_of(names: &[&str], asked: Option<&str>) -> Result<(usize, Option<String>), String> {
    let listed = || names.join(", ");
    let place = |name: &str| names.iter().position(|found| *found == name);
    match (asked, names) {
        (Some(asked), _) => place(asked).map(|at| (at, None)).ok_or_else(|| {
            format!("there is no configuration {asked:?}; data.config can be one of: {}", listed())
        }),
        (None, [_]) => Ok((0, None)),
        (None, _) => match place("default").or_else(|| place("main")) {
            Some(at) => {
                let note = format!(
                    "of the configurations {} {} is read; data.config names another",
                    listed(),
                    names[at]
                );
                Ok((at, Some(note)))
            }
            None => Err(format!(
                "there are several configurations; name one in data.config: {}",
                listed()
            )),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(
        files: &[&str],
        card: Option<&str>,
        config: Option<&str>,
        split: Option<&str>,
    ) -> Result<Vec<String>, String> {
        let files: Vec<String> = files.iter().map(|file| (*file).to_owned()).collect();
        choose(&files, card, config, split).map(|chosen| chosen.files)
    }

    /// As `openai/gsm8k` is laid out.
    const GSM8K: [&str; 6] = [
        ".gitattributes",
        "README.md",
        "main/test-00000-of-00001.parquet",
        "main/train-00000-of-00001.parquet",
        "socratic/test-00000-of-00001.parquet",
        "socratic/train-00000-of-00001.parquet",
    ];
    const GSM8K_CARD: &str = "---\nlicense:\n- mit\ntags: [math-word-problems]\nconfigs:\n\
        - config_name: main\n  data_files:\n  - split: train\n    path: main/train-*\n  - split: test\n    path: main/test-*\n\
        - config_name: socratic\n  data_files:\n  - split: train\n    path: socratic/train-*\n---\n# GSM8K\n";

    #[test]
    fn the_card_says_which_files_a_configuration_and_a_split_have() {
        let of = |config, split| chosen(&GSM8K, Some(GSM8K_CARD), config, split);
        let main = ["main/train-00000-of-00001.parquet"];
        assert_eq!(of(Some("main"), Some("train")).unwrap(), main);
        assert_eq!(of(None, None).unwrap(), main);
        let files: Vec<String> = GSM8K.iter().map(|file| (*file).to_owned()).collect();
        let note = choose(&files, Some(GSM8K_CARD), None, None).unwrap().note.unwrap();
        assert!(note.contains("main, socratic main is read"), "{note}");
        assert_eq!(of(None, Some("test")).unwrap(), ["main/test-00000-of-00001.parquet"]);
        assert!(of(Some("socratic"), Some("test")).unwrap_err().contains("one of: train"));
        assert!(of(Some("x"), None).unwrap_err().contains("one of: main, socratic"));
    }

    #[test]
    fn a_card_may_name_files_as_a_text_a_list_or_a_folder() {
        let files = ["a/x.jsonl", "a/y.jsonl", "b.csv", "c/deep/z.parquet", "c/notes.txt"];
        let card = |data: &str| format!("---\nconfigs:\n- config_name: default\n{data}\n---\n");
        let of = |data: &str| chosen(&files, Some(&card(data)), None, None).unwrap();
        assert_eq!(of("  data_files: b.csv"), ["b.csv"]);
        assert_eq!(of("  data_files: [a/*.jsonl, b.csv]"), ["a/x.jsonl", "a/y.jsonl", "b.csv"]);
        assert_eq!(
            of("  data_files: [{split: train, path: [a/x.jsonl, b.csv]}]"),
            ["a/x.jsonl", "b.csv"]
        );
        assert_eq!(of("  data_dir: c"), ["c/deep/z.parquet"]);
        assert_eq!(of("  data_files: 'c/**'"), ["c/deep/z.parquet"]);
        let none = chosen(&files, Some(&card("  data_files: d/*")), None, None).unwrap_err();
        assert!(none.contains("d/*"), "{none}");
    }

    #[test]
    fn without_a_card_names_say_it() {
        let of = |files: &[&str], split| chosen(files, None, None, split);
        let shards = ["data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet"];
        let with_test = [&shards[..], &["data/test-00000-of-00001.parquet"]].concat();
        assert_eq!(of(&with_test, None).unwrap(), shards);
        assert_eq!(of(&with_test, Some("test")).unwrap(), ["data/test-00000-of-00001.parquet"]);
        assert_eq!(of(&["train.jsonl", "dev.jsonl"], Some("validation")).unwrap(), ["dev.jsonl"]);
        assert_eq!(
            of(&["my_train_set.csv", "x/eval.csv"], Some("train")).unwrap(),
            ["my_train_set.csv"]
        );
        assert_eq!(of(&["test/a.jsonl", "train/a.jsonl"], None).unwrap(), ["train/a.jsonl"]);
        assert_eq!(
            of(&["problems.jsonl", "dataset_infos.json"], None).unwrap(),
            ["problems.jsonl"]
        );
        let odd = ["data/aime24-00000-of-00001.parquet", "data/amc-00000-of-00001.parquet"];
        assert_eq!(of(&odd, Some("amc")).unwrap(), [odd[1]]);
        assert!(of(&odd, None).unwrap_err().contains("one of: aime24, amc"));
        assert!(of(&["test.jsonl"], Some("train")).unwrap_err().contains("one of: test"));
        assert_eq!(of(&["test.jsonl"], None).unwrap(), ["test.jsonl"]);
    }

    #[test]
    fn without_a_card_folders_are_configurations() {
        let of = |config| chosen(&GSM8K, None, config, Some("test"));
        assert_eq!(of(Some("socratic")).unwrap(), ["socratic/test-00000-of-00001.parquet"]);
        assert_eq!(of(None).unwrap(), ["main/test-00000-of-00001.parquet"]);
        let hard = ["easy/train.jsonl", "hard/train.jsonl"];
        assert!(chosen(&hard, None, None, None).unwrap_err().contains("data.config: easy, hard"));
    }

    #[test]
    fn a_folder_without_data_is_refused_with_what_is_there() {
        let error =
            chosen(&["README.md", "data-00000-of-00001.arrow"], None, None, None).unwrap_err();
        assert!(error.contains(".arrow") && error.contains("to_parquet"), "{error}");
        let error = chosen(&["script.py"], None, None, None).unwrap_err();
        assert!(error.contains("no file of JSON lines"), "{error}");
        let broken = "---\nconfigs: [\n---\n";
        assert_eq!(chosen(&["train.jsonl"], Some(broken), None, None).unwrap(), ["train.jsonl"]);
    }
}
