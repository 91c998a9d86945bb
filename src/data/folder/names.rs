//! What the names of files say: their kind, their split, their configuration.

use std::collections::BTreeMap;

use super::config_of;

/// Splits with their files.
pub(super) type Splits = Vec<(String, Vec<String>)>;

const ENDINGS: [&str; 6] = [".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet"];
/// Files that describe a data set and hold none of it.
const DESCRIPTIONS: [&str; 5] =
    ["dataset_infos.json", "dataset_info.json", "dataset_dict.json", "state.json", "metadata.json"];
/// Words of names, and the split that each means.
const WORDS: [(&str, &str); 10] = [
    ("train", "train"),
    ("training", "train"),
    ("validation", "validation"),
    ("valid", "validation"),
    ("val", "validation"),
    ("dev", "validation"),
    ("test", "test"),
    ("testing", "test"),
    ("eval", "test"),
    ("evaluation", "test"),
];

/// Whether a file holds rows, by its name.
pub(super) fn is_data(file: &str) -> bool {
    let name = file.rsplit('/').next().unwrap_or_default().to_lowercase();
    let is_hidden = file.split('/').any(|part| part.starts_with(['.', '_']));
    let ends = ENDINGS.iter().any(|ending| name.ends_with(ending));
    ends && !is_hidden && !DESCRIPTIONS.contains(&&*name)
}

/// The splits of a folder of which only the names of the files are known.
pub(super) fn by_name(
    files: &[String],
    config: Option<&str>,
) -> Result<(Splits, Option<String>), String> {
    let data: Vec<&String> = files.iter().filter(|file| is_data(file)).collect();
    if data.is_empty() {
        return Err(no_data(files));
    }
    let mut configs: BTreeMap<&str, Vec<&String>> = BTreeMap::new();
    for file in data {
        configs.entry(config_in(file)).or_default().push(file);
    }
    let names: Vec<&str> = configs.keys().copied().collect();
    // Files that are in no such folder are of the one configuration that has no name.
    let (at, note) = match (config, names.as_slice()) {
        (None, [..]) if names.contains(&"") => {
            (names.iter().position(|name| name.is_empty()).unwrap_or(0), None)
        }
        _ => config_of(&names, config)?,
    };
    let files = configs.remove(names[at]).unwrap_or_default();
    let mut splits: Splits = Vec::new();
    for file in files {
        let split = split_of(file).unwrap_or_else(|| "train".into());
        match splits.iter_mut().find(|(name, _)| *name == split) {
            Some((_, files)) => files.push(file.clone()),
            None => splits.push((split, vec![file.clone()])),
        }
    }
    Ok((splits, note))
}

fn no_data(files: &[String]) -> String {
    match files.iter().any(|file| file.ends_with(".arrow")) {
        true => "it holds .arrow files, as save_to_disk of `datasets` writes them; write it with \
                 to_parquet, or to_json(..., lines=True)"
            .into(),
        false => "it holds no file of JSON lines, JSON, CSV or parquet".into(),
    }
}

/// The folder that is a configuration: the first on the way to a file, but for those that say nothing or name a split.
fn config_in(file: &str) -> &str {
    let Some((folder, _)) = file.split_once('/') else { return "" };
    match folder == "data" || word(folder).is_some() {
        true => "",
        false => folder,
    }
}

/// The split that a path names, in its last part first.
fn split_of(file: &str) -> Option<String> {
    let mut parts = file.rsplit('/');
    let name = parts.next().unwrap_or_default();
    shard(name).or_else(|| {
        std::iter::once(name).chain(parts).find_map(|part| word(part).map(str::to_owned))
    })
}

/// `NAME-00000-of-00001.parquet`
fn shard(name: &str) -> Option<String> {
    let stem = name.split('.').next()?;
    let (rest, total) = stem.rsplit_once("-of-")?;
    let (split, at) = rest.rsplit_once('-')?;
    let is_count = |text: &str| text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    (is_count(total) && is_count(at) && !split.is_empty()).then(|| split.to_owned())
}

fn word(text: &str) -> Option<&'static str> {
    let text = text.to_lowercase();
    let mut words = text.split(|c: char| !c.is_alphanumeric());
    words.find_map(|word| WORDS.iter().find(|(name, _)| *name == word).map(|(_, split)| *split))
}

/// Whether a pattern of a card means a file: `*` is anything within a folder, `**` anything, `?` one letter.
pub(super) fn matches(pattern: &str, file: &str) -> bool {
    let pattern = pattern.trim_start_matches("./").as_bytes();
    let file = file.as_bytes();
    // How far each star has been stretched is tried in turn; the last `**` and the last `*` are enough to go back to.
    let (mut p, mut f) = (0, 0);
    let (mut deep, mut flat) = (None::<(usize, usize)>, None::<(usize, usize)>);
    while f < file.len() {
        match pattern.get(p) {
            Some(b'*') if pattern.get(p + 1) == Some(&b'*') => {
                p += 2;
                p += usize::from(pattern.get(p) == Some(&b'/'));
                (deep, flat) = (Some((p, f)), None);
            }
            Some(b'*') => {
                p += 1;
                flat = Some((p, f));
            }
            Some(letter) if *letter == file[f] || *letter == b'?' && file[f] != b'/' => {
                (p, f) = (p + 1, f + 1);
            }
            _ => match (flat, deep) {
                (Some((at, from)), _) if file[from] != b'/' => {
                    (p, f) = (at, from + 1);
                    flat = Some((p, f));
                }
                (_, Some((at, from))) => {
                    (p, f) = (at, from + 1);
                    (deep, flat) = (Some((p, f)), None);
                }
                _ => return false,
            },
        }
    }
    pattern[p..].iter().all(|letter| *letter == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_they_mean_on_the_hub() {
        for (pattern, file) in [
            ("main/train-*", "main/train-00000-of-00001.parquet"),
            ("data/*.jsonl", "data/a.jsonl"),
            ("**/train.*", "a/b/train.csv"),
            ("**", "a/b"),
            ("a?c.csv", "abc.csv"),
            ("a*b*c", "aXbYbZc"),
            ("./x.csv", "x.csv"),
            ("**/a*/x-*.csv", "q/ab/ac/x-1.csv"),
        ] {
            assert!(matches(pattern, file), "{pattern} {file}");
        }
        for (pattern, file) in [
            ("main/*", "main/deep/x.csv"),
            ("*.csv", "a/x.csv"),
            ("a?c.csv", "a/c.csv"),
            ("train", "train.csv"),
            ("a*b", "aXc"),
            ("", "a"),
        ] {
            assert!(!matches(pattern, file), "{pattern} {file}");
        }
        // No pattern takes long.
        assert!(!matches(&"*a".repeat(2000), &"a".repeat(1999)));
    }
}
