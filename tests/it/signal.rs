//! The commands that need no model: `signal`, `advantages`, `import-roll`.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn wgrpo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wgrpo"));
    command.args(arguments);
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What the program prints.
#[track_caller]
fn printed(arguments: &[&str]) -> String {
    let output = wgrpo(arguments).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

fn with_input(arguments: &[&str], input: &str) -> Output {
    let mut command = wgrpo(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// A distribution, a group size, and flip and zero shares of three baselines: the mean of the group, the
/// median of one rollout more without its pivot, and the mean of one rollout more. The figures are
/// of another program, in Python.
const TABLE: [(&str, &str, &str, [f64; 6]); 8] = [
    ("0,1", ".5,.5", "2", [0.0, 0.5, 0.0, 0.625, 0.0, 0.25]),
    ("0,1", ".8,.2", "4", [0.0, 0.411, 0.0, 0.768, 0.0, 0.328]),
    ("0,1.5,2", ".4,.2,.4", "2", [0.080, 0.360, 0.048, 0.472, 0.064, 0.136]),
    ("0,1.5,2", ".4,.2,.4", "4", [0.042, 0.053, 0.045, 0.435, 0.026, 0.041]),
    ("0,.5,1,1.5", ".3,.2,.2,.3", "2", [0.120, 0.260, 0.054, 0.355, 0.084, 0.118]),
    ("0,.5,1,1.5", ".3,.2,.2,.3", "4", [0.068, 0.081, 0.042, 0.313, 0.063, 0.052]),
    ("0,1,2,3,4,20", ".19,.19,.19,.19,.19,.05", "2", [0.163, 0.183, 0.069, 0.257, 0.147, 0.089]),
    ("0,1,2,3,4,20", ".19,.19,.19,.19,.19,.05", "6", [0.162, 0.030, 0.044, 0.221, 0.169, 0.024]),
];

#[test]
fn the_signal_of_known_distributions_is_that_of_the_table() {
    for (rewards, probs, group, expected) in TABLE {
        let arguments =
            ["signal", "--rewards", rewards, "--probs", probs, "--group", group, "--json"];
        let signal: Value = serde_json::from_str(&printed(&arguments)).unwrap();
        let rows = signal["rows"].as_array().unwrap();
        let shares = rows.iter().flat_map(|row| [&row["flip_share"], &row["zero_rate"]]);
        for (share, expected) in shares.zip(expected) {
            let share = share.as_f64().unwrap();
            assert!((share - expected).abs() < 6e-4, "{rewards} at {group}: {share}, {expected}");
        }
    }
}

#[test]
fn the_table_for_people_names_its_oracle() {
    let distribution =
        ["signal", "--rewards", "0,1.5,2", "--probs", ".4,.2,.4", "--group", "2,4,8"];
    let table = printed(&distribution);
    assert!(table.contains("the distribution's mean, 1.1000"), "{table}");
    assert_eq!(table.lines().filter(|line| line.starts_with("median of g + 1")).count(), 3);
    let by_median = printed(&[&distribution[..], &["--oracle", "median"]].concat());
    assert!(by_median.contains("the distribution's median, 1.5000"), "{by_median}");
}

#[test]
fn a_distribution_that_is_none_is_refused() {
    for (probs, group, problem) in [
        (".4,.4", "2", "sum to 1"),
        ("1", "2", "one for each reward"),
        (".5,.5", "3", "even_median"),
    ] {
        let arguments = ["signal", "--rewards", "0,1", "--probs", probs, "--group", group];
        let output = wgrpo(&arguments).output().unwrap();
        let message = text(&output.stderr);
        // An odd group makes the median one of an even count, which is taken as the lower one.
        let refused = group == "2";
        assert_eq!(output.status.success(), !refused, "{message}");
        assert!(!refused || message.contains(problem), "{message}");
    }
}

#[test]
fn advantages_are_printed_line_by_line() {
    let set = ["advantages", "-", "--set", "adv_estimator=mc_grpo", "--device", "cpu"];
    let output = with_input(&set, "{\"rewards\": [2, 1.5, 0]}\n{\"rewards\": [1, 0, null]}\n");
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.starts_with("computed by the group kernels of "), "{said}");
    let lines: Vec<Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    let keys: Vec<&String> = lines[0].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["baseline", "scale", "pivot", "advantages", "kept"]);
    assert_eq!((&lines[0]["baseline"], &lines[0]["pivot"]), (&Value::from(1.5), &Value::from(1)));
    let first = lines[0]["advantages"][0].as_f64().unwrap();
    assert!((first - 0.480338).abs() < 1e-6, "{first}");
    assert_eq!(lines[1]["kept"], serde_json::json!([true, false, true]));
}

#[test]
fn wrong_rewards_keys_and_devices_are_refused() {
    for (arguments, input, problem) in [
        (&["advantages"][..], "{\"rewards\": [1, 1e999]}", "-:1"),
        (&["advantages"], "{\"rewards\": [1, 2e100]}", "not a usable number"),
        (&["advantages", "--set", "adv_estimator=grop"], "", "did you mean"),
        (&["advantages", "--set", "adv_estimator={kind: grpo, eps: -1}"], "", "eps is -1"),
        (&["advantages", "--device", "abacus"], "", "`abacus`"),
        (&["advantages", "no-such-file"], "", "no-such-file"),
    ] {
        let output = with_input(arguments, input);
        let message = text(&output.stderr);
        assert!(!output.status.success() && message.contains(problem), "{arguments:?}: {message}");
    }
}

#[test]
fn a_roll_pipeline_becomes_a_configuration_and_a_report() {
    let pipeline = "seed: 7\nnum_gpus_per_node: 8\nrollout_batch_size: 16\nprompt_length: 128\n\
                    response_length: 64\nnum_return_sequences_in_group: 4\nadv_estimator: grpo\n\
                    pretrain: models/small\nactor_train: {data_args: {file_name: data/math.jsonl}}\n";
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("roll.yaml"), folder.path().join("ours.yaml"));
    std::fs::write(&from, pipeline).unwrap();
    let output = wgrpo(&["import-roll"]).arg(&from).output().unwrap();
    let report = text(&output.stderr);
    assert!(output.status.success(), "{report}");
    for line in [
        "used\n  seed\n  rollout_batch_size",
        "  pretrain -> model.path",
        "  num_gpus_per_node: speaks of a cluster",
    ] {
        assert!(report.contains(line), "{report}");
    }
    std::fs::write(&to, output.stdout).unwrap();
    let resolved = wgrpo(&["config"]).arg(&to).output().unwrap();
    assert!(resolved.status.success(), "{}", text(&resolved.stderr));
    assert!(text(&resolved.stdout).contains("rollout_batch_size: 16"));
}
