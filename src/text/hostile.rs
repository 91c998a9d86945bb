//! Tokenizer files that want all memory, all time or a panic.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::characters::tokenizer_json;
use super::read::tokenizer;
use super::{TextError, Tokenizer};
use crate::random::Stream;

fn good() -> Value {
    tokenizer_json("0123456789+-*/=() ").unwrap()
}

/// The good tokenizer with one part put in another's place.
fn with(part: &str, value: Value) -> Value {
    let mut json = good();
    json[part] = value;
    json
}

fn problem(json: &Value) -> String {
    let begun = Instant::now();
    let problem = tokenizer(json.to_string().as_bytes()).map(|_| ()).expect_err(&json.to_string());
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?} for {json}", begun.elapsed());
    problem
}

#[test]
fn rules_that_grow_without_bound_are_refused_before_any_text_goes_through() {
    let double = json!({"type": "Replace", "pattern": {"String": "1"}, "content": "11"});
    let regex = json!({"type": "Replace", "pattern": {"Regex": ""}, "content": "aaaa"});
    let bytes = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false});
    let twice = json!({"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}], "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}], "special_tokens": {}});
    for (part, kind, one) in [
        ("normalizer", "normalizers", &double),
        ("normalizer", "normalizers", &regex),
        ("normalizer", "normalizers", &json!({"type": "ByteLevel"})),
        ("pre_tokenizer", "pretokenizers", &bytes),
        ("post_processor", "processors", &twice),
        ("decoder", "decoders", &double),
    ] {
        let many = json!({"type": "Sequence", kind: vec![one; 40]});
        let problem = problem(&with(part, many));
        assert!(problem.contains("bytes out of"), "{part}: {problem}");
    }
}

#[test]
fn what_panics_inside_the_tokenizers_crate_is_an_error_with_its_reason() {
    let strip = json!({"type": "Strip", "content": "1", "start": 1u64 << 63, "stop": 1u64 << 63});
    let unknown = json!({"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "nope", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}], "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}], "special_tokens": {}});
    for json in [
        with("normalizer", json!({"type": "Precompiled", "precompiled_charsmap": "AQAAAA=="})),
        with("decoder", strip),
        with("post_processor", unknown),
    ] {
        let problem = problem(&json);
        assert!(
            problem.contains("is no tokenizer") || problem.contains("fails on short texts"),
            "{problem}"
        );
    }
}

#[test]
fn the_largest_id_is_that_of_vocabulary_and_post_processor_together() {
    let largest = |json: &Value| tokenizer(json.to_string().as_bytes()).unwrap().largest;
    assert_eq!(largest(&good()), (" ".to_owned(), 20));
    let mut beyond = good();
    beyond["model"]["vocab"]["="] = u32::MAX.into();
    assert_eq!(largest(&beyond), ("=".to_owned(), u32::MAX));
    let mut added = good();
    added["post_processor"]["special_tokens"]["<bos>"]["ids"] = json!([500]);
    assert_eq!(largest(&added), ("<bos>".to_owned(), 500));
}

#[test]
fn a_text_beyond_the_limit_is_refused_before_it_is_tokenised() {
    let tokenizer = Tokenizer::characters("1").unwrap();
    let begun = Instant::now();
    let error = tokenizer.encode(&"1".repeat(100 << 20), true).unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert!(
        matches!(error, TextError::TooLong { bytes: 104_857_600, limit: 1_048_576 }),
        "{error}"
    );
    assert_eq!(tokenizer.encode(&"1".repeat(1000), true).unwrap().len(), 1001);
}

/// The good tokenizer with these tokens added to it.
fn with_added(contents: &[String]) -> Value {
    let mut json = good();
    let added = contents.iter().enumerate().map(|(at, content)| {
        json!({"id": 21 + at, "content": content, "special": false, "lstrip": true, "rstrip": true,
            "normalized": true, "single_word": false})
    });
    let added: Vec<Value> = added.collect();
    json["added_tokens"].as_array_mut().unwrap().extend(added);
    json
}

/// The automaton that finds added tokens takes time with the square of their length.
#[test]
fn added_tokens_without_measure_are_refused_and_long_ones_read_in_time() {
    let long = problem(&with_added(&["<x>".repeat(100_000)]));
    assert!(long.contains("added token of 300000 bytes"), "{long}");
    let many: Vec<String> = (0..300_000).map(|at| format!("<{at}>")).collect();
    assert!(problem(&with_added(&many)).contains("300003 added tokens"));
    let repeated: Vec<String> = (0..90).map(|at| format!("{at}{}", "<x>".repeat(300))).collect();
    let begun = Instant::now();
    assert!(tokenizer(with_added(&repeated).to_string().as_bytes()).is_ok());
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

/// Parts that are put in place of others.
fn parts() -> Vec<Value> {
    vec![
        json!(null),
        json!(0),
        json!(-1),
        json!(u64::MAX),
        json!(1e300),
        json!(""),
        json!("1"),
        json!([]),
        json!({}),
        json!("é\u{0}"),
        json!(true),
        json!(4294967295u32),
        json!({"type": "Strip", "content": "1", "start": u64::MAX, "stop": 1}),
        json!({"type": "Replace", "pattern": {"Regex": "(a|a)*$"}, "content": ""}),
        json!({"type": "Replace", "pattern": {"Regex": "(?=(a+)+$)1"}, "content": "1"}),
        json!({"type": "Sequence", "normalizers": [{"type": "NFKD"}, {"type": "Prepend", "prepend": "1"}]}),
        json!({"type": "Precompiled", "precompiled_charsmap": "////////"}),
        json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true}),
        json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true}),
        json!({"type": "WordPiece", "prefix": "##", "cleanup": true}),
        json!({"type": "CTC", "pad_token": "", "word_delimiter_token": "", "cleanup": true}),
        json!({"type": "ByteFallback"}),
        json!({"type": "Fuse"}),
        json!({"type": "BPE", "vocab": {"1": 0, "11": 1, "a": 2}, "merges": ["1 1"], "unk_token": "a"}),
        json!({"type": "Unigram", "vocab": [["<unk>", 0.0], ["1", f64::MIN], ["a", -1.0]], "unk_id": 0}),
        json!({"type": "Unigram", "vocab": [], "unk_id": 7}),
        json!({"type": "WordPiece", "vocab": {"[UNK]": 0, "1": 1}, "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100}),
        json!({"type": "BertProcessing", "sep": ["x", 99], "cls": ["y", 4294967295u32]}),
    ]
}

/// Places where a part fits more often than elsewhere.
const COMPONENTS: [&str; 5] =
    ["/normalizer", "/pre_tokenizer", "/post_processor", "/decoder", "/model"];

/// Every place in a JSON value, by its path.
fn places(json: &Value, path: &str, found: &mut Vec<String>) {
    found.push(path.to_owned());
    match json {
        Value::Object(pairs) => pairs.iter().for_each(|(key, value)| {
            places(value, &format!("{path}/{}", key.replace('~', "~0").replace('/', "~1")), found);
        }),
        Value::Array(values) => {
            values
                .iter()
                .enumerate()
                .for_each(|(at, value)| places(value, &format!("{path}/{at}"), found));
        }
        _ => {}
    }
}

/// Seeded, so that a failure comes again; `WGRPO_FUZZ_CASES=100000` makes many more.
#[test]
fn changed_tokenizer_files_are_read_or_refused() {
    let count =
        std::env::var("WGRPO_FUZZ_CASES").ok().and_then(|count| count.parse().ok()).unwrap_or(300);
    let mut stream = Stream::new(9, 0xF1);
    let (parts, mut read) = (parts(), 0);
    for _ in 0..count {
        let mut json = good();
        for _ in 0..1 + stream.index_below(2) {
            let mut found = Vec::new();
            places(&json, "", &mut found);
            let anywhere = found[1 + stream.index_below(found.len() - 1)].clone();
            let component = COMPONENTS[stream.index_below(COMPONENTS.len())].to_owned();
            let is_component = stream.index_below(2) == 0;
            let place = if is_component { component } else { anywhere };
            let known =
                parts.iter().filter(|part| !is_component || part.is_object()).collect::<Vec<_>>();
            *json.pointer_mut(&place).unwrap() = known[stream.index_below(known.len())].clone();
        }
        let begun = Instant::now();
        if let Ok(tokenizer) = tokenizer(json.to_string().as_bytes()) {
            read += 1;
            let _ =
                tokenizer.inner.encode_fast("1+1", true).map(|encoding| encoding.get_ids().len());
        }
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?} for {json}", begun.elapsed());
    }
    println!("{count} tokenizer files: {read} read, {} refused", count - read);
    assert!(read > 0 && read < count, "{read} of {count} were read");
}
