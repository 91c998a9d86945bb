//! Every number is refused out of its range, by its key.

use std::path::Path;

use serde_json::Value;

use super::table::NUMBERS;
use crate::config::RunConfig;

/// A run that has the key, and is valid with ordinary numbers.
fn run(key: &str) -> String {
    let kind_of = |choices: &[(&str, &str)], default: &str| {
        let found = choices.iter().find(|(name, _)| key.ends_with(name));
        found.map_or(default.to_owned(), |(_, text)| (*text).to_owned())
    };
    let data = match key.starts_with("data.") {
        true => kind_of(
            &[
                (".min_length", "{kind: reversal, count: 10}"),
                (".max_length", "{kind: reversal, count: 10}"),
                (".numbers", "{kind: countdown, count: 10}"),
                (".max_value", "{kind: countdown, count: 10}"),
                (".limit", "{kind: jsonl, path: p.jsonl}"),
                (".held_out_share", "{kind: jsonl, path: p.jsonl}"),
                (".weight", "{kind: jsonl, path: [{path: p.jsonl}, {path: q.jsonl}]}"),
                (".take", "{kind: jsonl, path: [{path: p.jsonl}, {path: q.jsonl}]}"),
            ],
            "{kind: arithmetic, digits: 1, held_out: 1}",
        ),
        false => "{kind: arithmetic, digits: 1, held_out: 1}".into(),
    };
    let reward = kind_of(
        &[
            (".right_numbers", "{kind: countdown}"),
            (".penalty", "{kind: length, max: 3}"),
            ("*.target", "{kind: length, target: 3}"),
            ("*.max", "{kind: length, max: 3}"),
            ("*.max_length", "{kind: overlong, buffer: 2}"),
            (".buffer", "{kind: overlong, buffer: 2}"),
            (".cosine.max_len", "{kind: length, cosine: {}}, {kind: exact}"),
            ("_wrong", "{kind: length, cosine: {}}, {kind: exact}"),
            ("_correct", "{kind: length, cosine: {}}, {kind: exact}"),
            (".group", "{kind: regex, pattern: '(a)'}"),
            (".index_from", "{kind: choice}"),
            ("*.memory_mib", "{kind: code, allow_execution: true}"),
            (".ngram_size", "{kind: repetition}"),
            (".output_kib", "{kind: code, allow_execution: true}"),
            ("*.partial", "{kind: format, tags: [a]}"),
            (".timeout_secs", "{kind: code, allow_execution: true}"),
            (".valid", "{kind: json}"),
            (".timeout_seconds", "{kind: command, command: [a]}"),
            (".retries", "{kind: command, command: [a]}"),
            (".solved_at", "{kind: command, command: [a]}"),
            (".concurrency", "{kind: judge, url: 'http://a', model: m, prompt: p}"),
            (".scale.*", "{kind: judge, url: 'http://a', model: m, prompt: p, scale: [0, 1]}"),
        ],
        "{kind: number}",
    );
    let loss = kind_of(
        &[
            (".log_clip_low", "gmpo"),
            (".log_clip_high", "gmpo"),
            (".tau_pos", "sapo"),
            (".tau_neg", "sapo"),
            (".tis_lower_bound", "tis"),
            (".tis_upper_bound", "tis"),
            (".topr_positive_weight", "topr"),
            (".topr_negative_weight", "topr"),
            (".kimi15_tau", "kimi15"),
        ],
        "clipped_surrogate",
    );
    let layers = match key {
        key if key.contains(".rope_scaling.") => {
            ", rope_scaling: {rope_type: llama3, factor: 8, low_freq_factor: 1, high_freq_factor: 4, \
             original_max_position_embeddings: 64}"
        }
        key if key.contains(".no_rope_layers.") => ", no_rope_layers: [1]",
        _ => "",
    };
    let mut text = format!(
        "model: {{alphabet: '01', architecture: {{hidden_size: 8, intermediate_size: 8, num_hidden_layers: 1, \
         num_attention_heads: 1{layers}}}}}\ndata: {data}\nrewards: [{reward}]\npolicy_loss: {{kind: {loss}}}\n"
    );
    if key.starts_with("lora.") {
        text = format!("model: {{path: m}}\ndata: {data}\nrewards: [{reward}]\nlora: {{}}\n");
    }
    text += match key {
        "adv_estimator.tie_tol" | "adv_estimator.mad_factor" => "adv_estimator: {kind: mc_grpo}\n",
        key if key.starts_with("adv_estimator.") => "adv_estimator: {kind: grpo}\n",
        "query_filter.std_threshold" => "query_filter: {kind: std_filter}\n",
        key if key.starts_with("query_filter.") => {
            "query_filter: {kind: mean_filter, threshold_down: 0.1, threshold_up: 0.9}\n"
        }
        key if key.starts_with("gpg.") => "adv_estimator: gpg\n",
        key if key.starts_with("reference_refresh.") => {
            "use_kl_loss: true\nreference_refresh: {kind: moving_average, mixup_alpha: 0.5}\n"
        }
        key if key.starts_with("optimizer.betas") => "optimizer: {betas: [0.9, 0.9]}\n",
        "model.architecture.eos_token_id.*" => "",
        "target_kl" => "use_kl_loss: true\n",
        "truncation_penalty" => "max_len_mask: penalise\n",
        "dual_clip_c" => "dual_clip_loss: true\n",
        _ => "",
    };
    text
}

fn with(key: &str, value: &str) -> Result<RunConfig, String> {
    let (key, value) = match key {
        "model.architecture.eos_token_id.*" => {
            ("model.architecture.eos_token_id", format!("[{value}]"))
        }
        key => (key, value.to_owned()),
    };
    let set = format!("{}={value}", key.replace('*', "0"));
    RunConfig::parse(Path::new("run.yaml"), &run(key), &[set]).map_err(|error| error.to_string())
}

fn last(key: &str) -> &str {
    key.trim_end_matches(".*").rsplit('.').next().unwrap()
}

#[test]
fn a_hostile_value_of_any_number_is_accepted_or_refused_by_its_key() {
    let big = ["1099511627776", "9223372036854775808", "18446744073709551616", "1e300", "1e999"];
    let small = ["0", "-0.0", "-1", "-9223372036854775809", "1e-300", ".nan", ".inf", "-.inf"];
    for (key, _) in NUMBERS {
        for value in big.iter().chain(&small) {
            let Err(message) = with(key, value) else { continue };
            assert!(message.contains(last(key)), "{key}: {value}: {message}");
        }
        for value in [".nan", ".inf", "-.inf", "-1e300", "1e300"] {
            assert!(with(key, value).is_err(), "{key} takes {value}");
        }
    }
}

#[test]
fn the_numbers_of_the_field_are_refused_with_their_range() {
    for (key, value, range) in [
        ("warm_start.batch_size", "0", "a whole number of at least 1 and at most 65536"),
        ("rollout_batch_size", "1099511627776", "a whole number of at least 1 and at most 65536"),
        ("num_return_sequences_in_group", "9223372036854775808", "of at least 1 and at most 65536"),
        ("model.architecture.num_attention_heads", "0", "of at least 1 and at most 1024"),
        ("model.architecture.num_hidden_layers", "1000000000", "of at least 1 and at most 1024"),
        ("optimizer.learning_rate", "-0.001", "a number from 0 to 1000"),
        ("optimizer.learning_rate", ".inf", "a number from 0 to 1000"),
        ("optimizer.weight_decay", ".nan", "a number from 0 to 100"),
        ("optimizer.min_learning_rate_ratio", "5", "a number from 0 to 1"),
        ("optimizer.betas.*", "5", "a number of at least 0 and below 1"),
        ("optimizer.max_grad_norm", ".nan", "a number from 0 to 1e12"),
    ] {
        let message = with(key, value).unwrap_err();
        let place = key.replace(".*", "[0]");
        assert!(message.contains(&format!("{place} is {value}; it must be ")), "{message}");
        assert!(message.contains(range), "{message}");
    }
}

#[test]
fn a_number_out_of_its_range_has_its_line() {
    let text = format!("{}optimizer:\n  learning_rate: .inf\n", run("seed"));
    let message = RunConfig::parse(Path::new("run.yaml"), &text, &[]).unwrap_err().to_string();
    assert!(message.starts_with("run.yaml:6: optimizer.learning_rate is .inf; "), "{message}");
}

#[test]
fn every_number_of_a_resolved_run_has_a_range() {
    for (key, _) in NUMBERS {
        let Ok(config) = RunConfig::parse(Path::new("run.yaml"), &run(key), &[]) else {
            continue;
        };
        let tree = serde_json::to_value(&config).unwrap();
        for (found, number) in numbers("", &tree) {
            let row = NUMBERS.iter().find(|(key, _)| *key == found);
            let (_, range) = row.unwrap_or_else(|| panic!("{found} has no range"));
            assert!(range.takes(&number), "{found}: {number}");
        }
    }
}

/// The numbers of a tree with the ways to them.
fn numbers(way: &str, tree: &Value) -> Vec<(String, Value)> {
    let below = |key: &str| if way.is_empty() { key.into() } else { format!("{way}.{key}") };
    match tree {
        Value::Object(block) => {
            block.iter().flat_map(|(key, value)| numbers(&below(key), value)).collect()
        }
        Value::Array(items) => items.iter().flat_map(|item| numbers(&below("*"), item)).collect(),
        Value::Number(_) => vec![(way.into(), tree.clone())],
        _ => Vec::new(),
    }
}

#[test]
fn every_row_of_the_table_is_a_key_that_a_run_has() {
    for (key, _) in NUMBERS {
        let accepted =
            ["1", "0.5", "2", "3", "9", "1.5", "100"].iter().find(|value| with(key, value).is_ok());
        // Ids have to lie in a vocabulary, which a fresh model's block does not know.
        assert!(accepted.is_some() || key.contains("token_id"), "{key}: {:?}", with(key, "1"));
    }
}

#[test]
fn a_number_written_as_text_is_the_number_with_and_without_an_override() {
    let rate = |text: &str, set: &[String]| {
        let text = format!("{}optimizer: {{learning_rate: {text}}}\n", run("seed"));
        RunConfig::parse(Path::new("run.yaml"), &text, set)
            .map(|config| config.training.optimizer.learning_rate)
    };
    for set in [vec![], vec!["seed=3".to_owned()]] {
        for text in ["1e-6", "\"1e-6\"", "0.000_001", "'1.0e-6'"] {
            assert_eq!(rate(text, &set).unwrap(), 1e-6, "{text} {set:?}");
        }
        assert!(rate("fast", &set).unwrap_err().to_string().starts_with("run.yaml:5: "));
    }
    for value in ["1_000", "\"1000\"", "1000"] {
        assert_eq!(with("max_steps", value).unwrap().training.max_steps, 1000, "{value}");
    }
    assert_eq!(with("rewards.*.weight", "\"1_000.5\"").unwrap().rewards[0].weight(), 1000.5);
}

#[test]
fn text_that_only_looks_like_a_number_stays_text() {
    let text = run("seed").replace("'01'", "\"0_1\"");
    let config = RunConfig::parse(Path::new("run.yaml"), &text, &[]).unwrap();
    assert_eq!(config.model.alphabet.as_deref(), Some("0_1"));
}
