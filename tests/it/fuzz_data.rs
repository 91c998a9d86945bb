//! Generated data files and numbers: whatever they hold, they are read rightly or refused with a message.
//!
//! The same cases every time; `WGRPO_FUZZ_CASES=N` tries N of each kind.

use std::fs;
use std::time::Instant;

use serde_json::{Map, json};

use wgrpo::data::{DataConfig, Dataset, Problem, Prompt, choose};
use wgrpo::random::Stream;
use wgrpo::reward::{Completion, Item, RewardConfig, Rewards};

use crate::fuzz::{PATIENCE, Tally, cases};

const FILES: u64 = 400;
const NUMBERS: u64 = 2000;
const LONG_FILES: u64 = 24;
const DAMAGED: u64 = 150;
/// Bytes that a data file of 16 MB may take.
const MOST_MEMORY: usize = 200 << 20;

/// Pieces that data files and answers are made of, wrongly put together.
const PIECES: [&str; 47] = [
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "\\",
    "\n",
    "\r\n",
    " ",
    "\t",
    "\u{feff}",
    "null",
    "true",
    "-",
    "1",
    "0.5",
    "1e9",
    "1e999",
    "18446744073709551616",
    "\"prompt\"",
    "\"answer\"",
    "\"messages\"",
    "\"role\": \"user\"",
    "\"role\": \"assistant\"",
    "\"content\": \"a\"",
    "{\"from\": \"human\", \"value\": \"a\"}",
    "{\"from\": \" GPT \", \"value\": \"b\"}",
    "{\"role\": \"user\", \"content\": \"\"}",
    "{\"prompt\": \"1+1=\"}",
    "{\"prompt\": \"1+1=\", \"answer\": 2}\n",
    "{\"messages\": \"[]\"}",
    "\u{0}",
    "\\u00e9",
    "é",
    "１２",
    "####",
    "\\boxed{",
    "\\frac{1}{2}",
    "\\text{",
    "^",
    "/",
    "$",
    "cm^2",
    "- 12",
    "2e3",
];

fn heap_of_pieces(stream: &mut Stream, most: usize) -> String {
    (0..stream.index_below(most)).map(|_| PIECES[stream.index_below(PIECES.len())]).collect()
}

/// A good file with a few bytes changed, cut or doubled.
fn mutated(stream: &mut Stream) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..5)
        .flat_map(|n| {
            let turns = r#"[{"role": "user", "content": "1+1="}]"#;
            format!("{{\"prompt\": \"{n}+1=\", \"answer\": {n}, \"messages\": {turns}}}\n")
                .into_bytes()
        })
        .collect();
    for _ in 0..1 + stream.index_below(6) {
        let at = stream.index_below(bytes.len());
        match stream.below(4) {
            0 => bytes[at] = stream.below(256) as u8,
            1 => drop(bytes.drain(at..(at + 9).min(bytes.len() - 1).max(at))),
            2 => bytes.insert(at, b"\n\"\\{[}],: "[stream.index_below(10)]),
            _ => {
                let piece = PIECES[stream.index_below(PIECES.len())];
                bytes.splice(at..at, piece.bytes());
            }
        }
    }
    bytes
}

/// Every prompt says something, and no conversation ends with the solution.
fn assert_usable(dataset: &Dataset) {
    for problem in &dataset.train {
        match &problem.prompt {
            Prompt::Text(text) => assert!(!text.trim().is_empty()),
            Prompt::Messages(turns) => {
                let said = turns.iter().rfind(|turn| !turn.content.trim().is_empty()).unwrap();
                assert_ne!(said.role.trim().to_lowercase(), "assistant");
            }
        }
    }
}

#[test]
fn any_bytes_as_a_data_file_are_read_or_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("problems.jsonl");
    let config: DataConfig =
        serde_json::from_value(json!({"kind": "jsonl", "path": path, "limit": 50})).unwrap();
    let mut stream = Stream::new(9, 0xF022);
    let mut tally = Tally::new("data files");
    for round in 0..cases(FILES) {
        let bytes = match round % 2 {
            0 => heap_of_pieces(&mut stream, 60).into_bytes(),
            _ => mutated(&mut stream),
        };
        fs::write(&path, &bytes).unwrap();
        let case = format!("round {round}: {:?}", String::from_utf8_lossy(&bytes));
        match tally.watch(&case, || config.load(0).map_err(|error| error.to_string())) {
            Ok(dataset) => assert_usable(&dataset),
            Err(message) => {
                assert!(message.contains("problems.jsonl") && !message.contains('\0'), "{message}");
            }
        }
    }
    let (tried, refused) = (tally.tried, tally.refused);
    assert!(refused > 0 && refused < tried, "{refused} of {tried} refused");
}

/// Good files of each kind that is no JSON lines.
fn good_files() -> Vec<(&'static str, Vec<u8>)> {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/data");
    let of = |name: &str| fs::read(format!("{fixtures}/{name}.parquet")).unwrap();
    let array = r#"[{"prompt": "1+1=", "answer": 2, "x": [1, {"a": "]"}]}, {"prompt": "2+2="}]"#;
    let table = "prompt,answer,level\n\"1, 1\",2,3\n\"a \"\"b\"\"\",,1.5\n1+1=,2,x\n";
    vec![
        ("problems.json", array.into()),
        ("problems.csv", table.into()),
        ("problems.parquet", of("verl")),
        ("problems.parquet", of("kinds_zstd")),
        ("problems.parquet", of("kinds_pages")),
        ("problems.parquet", of("kinds_none")),
    ]
}

/// The bytes with a few changed, cut out, doubled or cut off.
fn damaged(stream: &mut Stream, mut bytes: Vec<u8>) -> Vec<u8> {
    for _ in 0..1 + stream.index_below(4) {
        let at = stream.index_below(bytes.len().max(1)).min(bytes.len().saturating_sub(1));
        match stream.below(8) {
            0 => bytes.truncate(at.max(8)),
            1 => drop(bytes.drain(at..(at + 5).min(bytes.len()))),
            2 => {
                let copied = bytes[at..(at + 9).min(bytes.len())].to_vec();
                bytes.splice(at..at, copied);
            }
            3 => bytes[at] = 0xFF,
            4 => bytes[at] ^= 1 << stream.below(8),
            _ => bytes[at] = stream.below(256) as u8,
        }
    }
    bytes
}

#[test]
fn damaged_files_of_every_kind_are_read_or_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut stream = Stream::new(12, 0xF026);
    let mut tally = Tally::new("arrays, tables and parquet files");
    for (name, good) in good_files() {
        let path = folder.path().join(name);
        let config: DataConfig = serde_json::from_value(
            json!({"path": path, "prompt": "{{ prompt if prompt is defined else text }}"}),
        )
        .unwrap();
        for round in 0..cases(DAMAGED) {
            let bytes = damaged(&mut stream, good.clone());
            fs::write(&path, &bytes).unwrap();
            let case = format!("{name}, round {round}");
            match tally.watch(&case, || config.load(0).map_err(|error| error.to_string())) {
                Ok(dataset) => assert!(!dataset.train.is_empty()),
                Err(message) => assert!(message.contains("problems."), "{case}: {message}"),
            }
        }
    }
    let (tried, refused) = (tally.tried, tally.refused);
    assert!(refused > 0 && refused < tried, "{refused} of {tried} refused");
}

#[test]
fn any_template_and_condition_over_columns_ends_in_a_text_or_in_an_error() {
    const PIECES: [&str; 24] = [
        "{{ ",
        " }}",
        "{% ",
        " %}",
        "a",
        "b.c",
        "if ",
        "endif",
        "for x in ",
        "endfor",
        "range(9)",
        "|",
        "join",
        "*",
        "'x'",
        "0",
        "(",
        ")",
        "[",
        "]",
        "is defined",
        " and ",
        "not ",
        "~",
    ];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("problems.jsonl");
    fs::write(&path, "{\"a\": \"x\", \"b\": {\"c\": [1, null]}, \"prompt\": \"1\"}\n").unwrap();
    let mut stream = Stream::new(14, 0xF027);
    let mut tally = Tally::new("templates and conditions over columns");
    for round in 0..cases(FILES) {
        let text: String = (0..1 + stream.index_below(9))
            .map(|_| PIECES[stream.index_below(PIECES.len())])
            .collect();
        let key = ["prompt", "filter", "prefill"][(round % 3) as usize];
        let config: DataConfig = serde_json::from_value(json!({"path": path, key: text})).unwrap();
        let _ = tally.watch(&text, || config.load(0).map_err(|error| error.to_string()));
    }
}

#[test]
fn any_names_and_any_card_of_a_data_set_give_files_of_it_or_an_error() {
    const NAMES: [&str; 14] = [
        "train",
        "test",
        "data/",
        "main/",
        "-00000-of-00002",
        ".parquet",
        ".jsonl",
        ".csv",
        "README.md",
        "/",
        "*",
        "é",
        "dev",
        "x",
    ];
    const CARD: [&str; 16] = [
        "---\n",
        "configs:\n",
        "- config_name: main\n",
        "  data_files: ",
        "train*",
        "[",
        "]",
        "**",
        "\n",
        "  - split: test\n",
        "    path: ",
        "data_dir: main",
        "  default: true\n",
        "&a ",
        "*a",
        "{",
    ];
    let mut stream = Stream::new(15, 0xF028);
    let mut tally = Tally::new("names and cards of data sets");
    let some = |stream: &mut Stream, pieces: &[&str], most: usize| -> String {
        (0..1 + stream.index_below(most))
            .map(|_| pieces[stream.index_below(pieces.len())])
            .collect()
    };
    for _ in 0..cases(NUMBERS) {
        let files: Vec<String> =
            (0..stream.index_below(6)).map(|_| some(&mut stream, &NAMES, 4)).collect();
        let card = format!("---\nconfigs:\n{}\n---\n", some(&mut stream, &CARD, 14));
        let config = [None, Some("main")][stream.index_below(2)];
        let split = [None, Some("test")][stream.index_below(2)];
        let case = format!("{files:?} {card:?}");
        let chosen = tally.watch(&case, || choose(&files, Some(&card), config, split));
        let is_there = |file: &String| files.contains(file);
        assert!(chosen.is_err() || chosen.unwrap().files.iter().all(is_there), "{case}");
    }
}

/// A file of a few long lines, each of many values or of much text.
fn long_lines(stream: &mut Stream) -> String {
    const PIECES: [&str; 10] = [
        "0,",
        "[],",
        "{\"\":0},",
        "\"\",",
        "null,",
        "1e5,",
        "[[{}]],",
        "{\"a\":[1,{}]},",
        "12345678901234567890,",
        "\"x\",",
    ];
    let piece = PIECES[stream.index_below(PIECES.len())];
    let count = 10_usize.pow(1 + stream.below(6) as u32).min((7 << 20) / piece.len());
    let values = format!("[{}0]", piece.repeat(count));
    let line = match stream.below(4) {
        0 => json!({"prompt": values}).to_string(),
        1 => format!("{{\"prompt\":{values}}}"),
        2 => format!("{{\"messages\":{}}}", json!(values)),
        _ => format!("{{\"prompt\":\"1\",\"answer\":\"2\",\"x\":{values}}}"),
    };
    let lines = ((16 << 20) / line.len()).clamp(1, 2_000);
    format!("{line}\n").repeat(lines)
}

#[test]
fn long_lines_of_data_take_little_more_than_their_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("problems.jsonl");
    let config: DataConfig =
        serde_json::from_value(json!({"kind": "jsonl", "path": path})).unwrap();
    let mut stream = Stream::new(10, 0xF025);
    let mut tally = Tally::new("long lines of data");
    tally.most = MOST_MEMORY;
    for round in 0..cases(LONG_FILES) {
        let text = long_lines(&mut stream);
        fs::write(&path, &text).unwrap();
        let case = format!("round {round}: {:.100}", text);
        let _ = tally.watch(&case, || config.load(0).map_err(|error| error.to_string()));
    }
    let (tried, refused) = (tally.tried, tally.refused);
    assert!(refused > 0 && refused < tried, "{refused} of {tried} refused");
}

fn score(rewards: &Rewards, answer: &str, text: &str) -> Option<f64> {
    let prompt = Prompt::Text("?".into());
    let answer = Some(answer.to_owned());
    let problem = Problem { id: 0, prompt, answer, columns: Map::new() };
    let completion = Completion { text, tokens: 1, finished: true, max_tokens: 1, ids: &[] };
    let items = [Item { problem: &problem, completion }];
    rewards.score_batch(&items).unwrap()[0].total
}

fn number_reward() -> Rewards {
    let config: RewardConfig =
        serde_json::from_str(r#"{"kind": "number", "partial": "digits"}"#).unwrap();
    Rewards::new(&[config]).unwrap()
}

/// A whole number between -10^12 and 10^12, of any number of digits equally often.
fn whole_number(stream: &mut Stream) -> i64 {
    let size = 10_i64.pow(stream.below(13) as u32);
    stream.below(2 * size as u64 + 1) as i64 - size
}

fn grouped(digits: &str, comma: &str) -> String {
    let groups: Vec<&[u8]> = digits.as_bytes().rchunks(3).rev().collect();
    let groups: Vec<&str> =
        groups.iter().map(|group| std::str::from_utf8(group).unwrap()).collect();
    groups.join(comma)
}

/// The number in one of the ways in which people and LaTeX write it.
fn written(stream: &mut Stream, number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let digits = match stream.below(7) {
        0 => grouped(&digits, ","),
        1 => grouped(&digits, "{,}"),
        2 => format!("{digits}.00"),
        3 => digits.chars().map(|c| char::from_u32(c as u32 + 0xFEE0).unwrap()).collect(),
        4 => format!("{digits}000e-3"),
        5 => format!("{digits}0 \\times 10^{{-1}}"),
        _ => digits,
    };
    let sign = ["-", "- ", "\u{2212}", "\u{2212} "][stream.index_below(4)];
    format!("{}{digits}", if number < 0 { sign } else { "" })
}

fn stated(stream: &mut Stream, number: &str) -> String {
    match stream.below(7) {
        0 => format!("3 of 4 are = {number}"),
        1 => format!("\\boxed{{{number}}}, in 7 steps"),
        2 => format!("We add.\n#### {number}\n\nNext: 7+8"),
        3 => format!("It is {number} cm^2"),
        4 => format!("$\\boxed{{{number} \\text{{ cm}}^2}}$ 5"),
        5 => format!("#### **{number}**"),
        _ => number.to_owned(),
    }
}

#[test]
fn a_number_is_right_in_every_writing_and_every_other_number_is_wrong() {
    let rewards = number_reward();
    let mut stream = Stream::new(11, 0xF023);
    for _ in 0..cases(NUMBERS) {
        let number = whole_number(&mut stream);
        let answer = written(&mut stream, number);
        let same = written(&mut stream, number);
        let text = stated(&mut stream, &same);
        assert_eq!(score(&rewards, &answer, &text), Some(1.0), "{answer} is {text}");
        let other = number + 1 + stream.below(1000) as i64;
        let other = written(&mut stream, other);
        let text = stated(&mut stream, &other);
        let wrong = score(&rewards, &answer, &text);
        assert!(wrong.is_some_and(|score| (0.0..1.0).contains(&score)), "{answer} is not {text}");
    }
}

#[test]
fn any_text_as_an_answer_or_a_completion_ends_in_a_score_or_in_none() {
    let rewards = number_reward();
    let mut stream = Stream::new(13, 0xF024);
    let mut tally = Tally::new("answers and completions");
    for _ in 0..cases(NUMBERS) {
        let answer = heap_of_pieces(&mut stream, 6);
        let text = heap_of_pieces(&mut stream, 80);
        let case = format!("{answer:?} {text:?}");
        let score = tally.watch(&case, || Ok(score(&rewards, &answer, &text))).unwrap();
        assert!(score.is_none_or(|score| (0.0..=1.0).contains(&score)), "{case}");
    }
}

#[test]
fn long_texts_take_no_longer_than_they_must() {
    let rewards = number_reward();
    for piece in PIECES {
        let long = piece.repeat(100_000 / piece.len());
        for (answer, text) in [("12", long.as_str()), (long.as_str(), "12")] {
            let began = Instant::now();
            let _: Option<f64> = score(&rewards, answer, text);
            assert!(began.elapsed() < PATIENCE, "{piece:?}: {:?}", began.elapsed());
        }
    }
}
