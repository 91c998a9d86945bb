//! What can be wrong with the problems of a run: each ends with one clear paragraph, or is counted.

use std::process::Command;

use crate::program::{Scene, says};

const TRAIN: [&str; 4] = ["train", "tiny.yaml", "--output-dir", "run"];

/// What the program says to a run on problems in a file of these lines.
#[track_caller]
fn refused_data(lines: &str) -> String {
    let scene = Scene::changed(jsonl);
    scene.write("problems.jsonl", lines);
    scene.refused(&TRAIN)
}

fn jsonl(config: &str) -> String {
    config.replace(
        "{kind: arithmetic, digits: 1, held_out: 12}",
        "{kind: jsonl, path: problems.jsonl, held_out: 1}",
    )
}

#[test]
fn a_bad_line_of_data_is_named_with_its_number() {
    let good = "{\"prompt\": \"1+1=\", \"answer\": \"2\"}\n";
    let at_line_3 = |line: &str| refused_data(&format!("{good}{good}{line}\n{good}"));
    let broken = at_line_3("{\"prompt\": \"1+");
    says(&broken, &["problems.jsonl:3: ", "broken JSON", "expected one JSON object"]);
    says(&at_line_3("{\"prompt\": \"\"}"), &["problems.jsonl:3: ", "\"prompt\" is empty"]);
    says(&at_line_3("{\"question\": \"1+1=\"}"), &["problems.jsonl:3: ", "prompt"]);
    says(&refused_data(""), &["problems.jsonl", "no lines"]);
    says(&refused_data("\n\n"), &["problems.jsonl", "no lines"]);
}

#[test]
fn blank_lines_of_data_are_skipped() {
    let scene = Scene::changed(jsonl);
    let lines: String =
        (0..6).map(|n| format!("{{\"prompt\": \"{n}+1=\", \"answer\": {}}}\n\n", n + 1)).collect();
    scene.write("problems.jsonl", &lines);
    says(&scene.train("run", &[]).stderr, &["5 to train on, 1 held out"]);
}

#[test]
fn a_file_of_another_format_is_called_by_its_name() {
    says(&refused_data("prompt,answer\n1+1=,2\n"), &["is a CSV table", "data.format: csv"]);
    says(
        &refused_data("prompt|answer\n1+1=|2\n"),
        &["is a table divided by |", "data.format: csv"],
    );
    says(&refused_data("- prompt: 1+1=\n  answer: 2\n"), &["is a YAML file", "yq"]);
    says(&refused_data("PAR1\u{15}\u{4}"), &["is no whole parquet file"]);
    says(&refused_data("{\0\"\0p\0"), &["is text in UTF-16", "iconv"]);
}

#[test]
fn a_json_array_a_table_and_a_parquet_file_are_read_as_lines_are() {
    let train = |data: &str, name: &str, content: &[u8]| {
        let scene = Scene::changed(|config| {
            config.replace("{kind: arithmetic, digits: 1, held_out: 12}", data)
        });
        std::fs::write(scene.path(name), content).unwrap();
        scene.train("run", &[]).stderr
    };
    let array = br#"[{"prompt": "1+1=", "answer": 2}, {"prompt": "2+2=", "answer": 4}]"#;
    says(&train("{path: p.json, held_out: 1}", "p.json", array), &["1 to train on, 1 held out"]);
    let table = b"prompt,answer,level\n1+1=,2,1\n2+2=,4,2\n3+3=,6,3\n";
    let said = train("{path: p.csv, filter: level > 1, held_out: 1}", "p.csv", table);
    says(&said, &["1 to train on, 1 held out", "1 rows are left out by data.filter"]);
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/data/verl.parquet");
    let prompt = "'{{ extra_info.index }}+{{ extra_info.index }}='";
    let data = format!("{{path: p.parquet#4, prompt: {prompt}, held_out_share: 0.5}}");
    let said = train(&data, "p.parquet", &std::fs::read(fixtures).unwrap());
    says(&said, &["2 to train on, 2 held out", "data.kind verl is taken"]);
}

#[cfg(unix)]
#[test]
fn a_pipe_as_data_file_is_refused_and_not_waited_for() {
    let scene = Scene::changed(jsonl);
    let made = Command::new("mkfifo").arg(scene.path("problems.jsonl")).status().unwrap();
    assert!(made.success());
    says(&scene.refused(&TRAIN), &["problems.jsonl is a pipe", "save its content in a file"]);
}

#[test]
fn answers_that_no_reward_can_judge_are_refused_before_the_run() {
    let only_exact = |config: &str| {
        let end = config.find("  - {kind: regex").unwrap();
        jsonl(&config[..end])
    };
    let refused = |lines: &str, config: &dyn Fn(&str) -> String| {
        let scene = Scene::changed(config);
        scene.write("problems.jsonl", lines);
        let message = scene.refused(&TRAIN);
        assert!(!scene.path("run").exists());
        message
    };
    let misspelt: String =
        (0..4).map(|n| format!("{{\"prompt\": \"{n}+1=\", \"anwser\": {}}}\n", n + 1)).collect();
    let message = refused(&misspelt, &only_exact);
    says(&message, &["3 of 3 training problems", "exact", "have no answer", "anwser, prompt"]);
    let named = |config: &str| only_exact(config).replace("held_out: 1", "answer_column: solution");
    says(&refused(&misspelt, &named), &["data.answer_column", "\"solution\"", "anwser, prompt"]);
    let number = |config: &str| only_exact(config).replace("kind: exact", "kind: number");
    let compound = misspelt.replace("anwser\": ", "answer\": \"1/").replace("}", "\"}");
    says(&refused(&compound, &number), &["number", "not one number", "\"1/"]);
}

#[test]
fn problems_that_cannot_be_judged_are_said_and_counted() {
    let scene = Scene::changed(|config| {
        let end = config.find("  - {kind: regex").unwrap();
        jsonl(&config[..end]).replace("kind: exact", "kind: number").replace(", held_out: 1", "")
    });
    let answer = |n: usize| if n < 2 { "\"1/2\"".to_owned() } else { n.to_string() };
    let lines: String = (0..9)
        .map(|n| format!("{{\"prompt\": \"{n}+0=\", \"answer\": {}}}\n", answer(n)))
        .collect();
    scene.write("problems.jsonl", &lines);
    let ended = scene.train("run", &["--set", "checkpoint.save_steps=0"]);
    says(
        &ended.stderr,
        &["2 of 9 training problems cannot be judged by number", "such as \"1/2\""],
    );
    says(&ended.stderr, &["2 that no reward can judge are left out"]);
    let trained = scene.lines("run/metrics.jsonl");
    assert!(trained.iter().all(|step| step["reward"].is_f64()), "{trained:?}");
}

#[test]
fn a_conversation_with_its_solution_is_refused_and_an_explicit_column_wins() {
    let turns = "[{\"role\": \"user\", \"content\": \"1+1=\"}, \
                 {\"role\": \"assistant\", \"content\": \"2\"}]";
    let line = format!("{{\"problem\": \"1+1=\", \"answer\": 2, \"messages\": {turns}}}\n");
    let message = refused_data(&line);
    says(&message, &["problems.jsonl:1: ", "assistant", "the solution", "data.prompt_column"]);
    let scene =
        Scene::changed(|config| jsonl(config).replace("held_out: 1", "prompt_column: problem"));
    scene.write("problems.jsonl", &line);
    scene.train("run", &[]);
    let samples = scene.lines("run/samples.jsonl");
    let asked = |sample: &serde_json::Value| sample["prompt"].as_str().unwrap().ends_with("1+1=");
    assert!(samples.iter().all(asked), "{samples:?}");
}

#[test]
fn two_columns_for_one_prompt_are_refused_by_their_keys() {
    let both = "prompt_column: a, messages_column: b";
    let scene = Scene::changed(|config| jsonl(config).replace("held_out: 1", both));
    scene.write("problems.jsonl", "{\"a\": \"1+1=\", \"b\": []}\n");
    says(&scene.refused(&TRAIN), &["data.prompt_column", "\"a\"", "data.messages_column", "\"b\""]);
}

#[test]
fn data_that_is_not_there_or_cannot_be_written_as_tokens_is_named() {
    says(&Scene::changed(jsonl).refused(&TRAIN), &["problems.jsonl", "data.path"]);
    let foreign = refused_data("{\"prompt\": \"1+1=\"}\n{\"prompt\": \"one\"}\n");
    says(&foreign, &["\"one\""]);
}

#[test]
fn prompts_that_are_too_long_are_counted_and_left_out() {
    let scene = Scene::changed(jsonl);
    let lines: String = (0..10)
        .map(|number| {
            let zeros = if number < 3 { "0000000" } else { "" };
            format!("{{\"prompt\": \"{zeros}{number}+1=\", \"answer\": \"{}\"}}\n", number + 1)
        })
        .collect();
    scene.write("problems.jsonl", &lines);
    let ended = scene.train("run", &[]);
    says(&ended.stderr, &["3 left out", "prompt_length 8"]);
    says(&ended.stdout, &["left out   3 problems", "prompt_length"]);
}

#[test]
fn a_run_without_a_prompt_that_is_short_enough_is_refused() {
    let scene = Scene::changed(|config| config.replace("prompt_length: 8", "prompt_length: 2"));
    let message = scene.refused(&TRAIN);
    assert!(!scene.path("run").exists(), "a refused run leaves a folder behind");
    says(&message, &["no training problem is left", "prompt_length", "raise"]);
}
