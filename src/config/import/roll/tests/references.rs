//! References that come to too much or to nothing.

use std::path::Path;

use super::{changes, fate, import, refusal};
use crate::config::{Fate, import_roll};

#[test]
fn references_that_double_each_other_are_refused_in_no_time() {
    let text = |next: &str| next.repeat(10);
    let list = |next: &str| format!("[{}]", vec![format!("'{next}'"); 10].join(", "));
    let block = |next: &str| {
        let keys = ["a", "b", "c", "d", "e", "f"];
        format!("{{{}}}", keys.map(|key| format!("{key}: '{next}'")).join(", "))
    };
    let shapes: [&dyn Fn(&str) -> String; 3] = [&text, &list, &block];
    for shape in shapes {
        let line = |at: usize| format!("r{at}: {}\n", shape(&format!("${{r{}}}", at + 1)));
        let lines: String = (0..8).map(line).collect();
        let began = std::time::Instant::now();
        let refusal = refusal(&format!("{lines}r8: x\npretrain: ${{r0}}"));
        assert!(refusal.contains("references `${...}` bring in more than"), "{refusal}");
        assert!(began.elapsed().as_secs() < 2, "{:?}", began.elapsed());
    }
}

#[test]
fn a_few_long_values_that_many_keys_refer_to_have_the_same_budget() {
    let long = format!("long: {}\nprompt_length: 8\n", "x".repeat(100_000));
    let keys =
        |count: usize| (0..count).map(|at| format!("k{at}: ${{long}}\n")).collect::<String>();
    assert!(import_roll(Path::new("roll.yaml"), &format!("{long}{}", keys(5))).is_ok());
    assert!(refusal(&format!("{long}{}", keys(20))).contains("1048576 bytes"));
    let short = format!("long: x\nprompt_length: 8\n{}", keys(10_001));
    assert!(refusal(&short).contains("10000"));
}

#[test]
fn blocks_without_end_are_refused() {
    let deep = |levels: usize, end: &str| {
        format!("{}'{end}'{}\n", "{a: ".repeat(levels), "}".repeat(levels))
    };
    let ends = format!("seed: 1\nx: {}", deep(20, "1"));
    assert!(import_roll(Path::new("roll.yaml"), &ends).is_ok());
    // Each reference brings forty levels.
    let through = format!("seed: 1\nx: {}b: {}", deep(40, "${b}"), deep(40, "1"));
    assert!(refusal(&through).contains("blocks inside each other"), "{}", refusal(&through));
    let block: String = (0..70).map(|level| format!("{}a:\n", " ".repeat(level))).collect();
    // The reader of YAML has the same bound.
    assert!(refusal(&block).contains("Depth"), "{}", refusal(&block));
}

#[test]
fn a_reference_that_comes_to_nothing_is_said_of_every_key() {
    let (imported, run) = import("pretrain: ${base}\nbase: ${pretrain}\n");
    assert_eq!(run["model"]["path"], "model");
    let said = changes(&imported);
    assert!(said.contains("  pretrain: `${base}` points at nothing"), "{said}");
    assert!(said.contains("  model.path: nothing in the pipeline says it"), "{said}");
    for key in [
        "seed",
        "save_steps",
        "adv_estimator",
        "whiten_rewards",
        "reward_clip",
        "sequence_length",
        "pg_clip",
        "output_dir",
        "actor_train.training_args.learning_rate",
        "actor_train.training_args.lr_scheduler_type",
        "actor_train.data_args.file_name",
        "actor_infer.generating_args.top_k",
        "rewards.math_rule.worker_cls",
    ] {
        for (value, why) in [
            ("${nowhere}", "points at nothing"),
            ("${nothing}", "points at null"),
            ("a/${nowhere}/b", "points at nothing"),
            ("a/${nothing}/b", "points at nothing"),
            ("[x, '${nowhere}']", "points at nothing"),
        ] {
            let blocks: Vec<&str> = key.split('.').collect();
            let ends = "}".repeat(blocks.len() - 1);
            let text = format!("nothing: ~\n{}: '{value}'{ends}\n", blocks.join(": {"));
            let text = if value.starts_with('[') {
                text.replace("'[", "[").replace("]'", "]")
            } else {
                text
            };
            let said = fate(&import(&text).0, key);
            assert!(
                matches!(&said, Fate::Changes(reason) if reason.contains(why)),
                "{text}{said:?}"
            );
        }
    }
    let (harmless, _) = import("seed: 1\nlogging_dir: ${nowhere}\n");
    let said = fate(&harmless, "logging_dir");
    assert!(matches!(said, Fate::Harmless(reason) if reason.contains("points at nothing")));
}

#[test]
fn what_a_file_says_moves_no_cursor_in_the_report() {
    let (imported, _) = import("seed: 1\n\"a\\e[2Jb\": 1\npretrain: \"${x\\e[2J}\"\n");
    let report = imported.report();
    assert!(report.chars().all(|c| c == '\n' || !c.is_control()), "{report:?}");
}

#[test]
fn a_block_that_a_reference_brings_in_is_read_and_one_that_it_does_not_is_said() {
    let block = "actor_train: ${train}\ntrain: {training_args: {learning_rate: 0.5, warmup_steps: '${no}'}}\n";
    let (imported, run) = import(block);
    assert_eq!(run["optimizer"]["learning_rate"], 0.5);
    assert!(changes(&imported).contains("warmup_steps: `${no}` points at nothing"));
    let (imported, _) = import("seed: 1\nactor_train: ${train}\nrewards: 3\nvalidation: ~\n");
    let said = changes(&imported);
    assert!(said.contains("  actor_train: `${train}` points at nothing"), "{said}");
    assert!(said.contains("  rewards: is no block of keys"), "{said}");
    assert!(matches!(fate(&imported, "validation"), Fate::Harmless(_)));
}
