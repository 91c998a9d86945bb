//! What becomes of pipelines, key by key.

mod pipelines;
mod references;

use std::path::Path;

use serde_json::Value;

use super::{Fate, Imported, import_roll};
use crate::config::RunConfig;

const PIPELINE: &str = "\
exp_name: ${pretrain}-run
seed: 42
num_gpus_per_node: 8
max_steps: 100
save_steps: 50
rollout_batch_size: 64
num_return_sequences_in_group: 8
prompt_length: 512
sequence_length: 1536
adv_estimator: grpo
reward_norm: null
norm_mean_type: ~
dual_clip_loss: true
use_pg_clip_range: false
pg_clip: 0.2
pg_clip_low: 0.3
value_clip: 0.5
whiten_rewards: false
max_len_mask: true
pretrain: Qwen/Qwen2.5-0.5B
actor_train:
  training_args: {learning_rate: 1.0e-6, lr_scheduler_type: cosine, gradient_accumulation_steps: 8}
  data_args: {file_name: [data/math.jsonl], messages: messages}
  strategy_args: {strategy_name: deepspeed_train}
  device_mapping: list(range(0,8))
actor_infer:
  generating_args: {temperature: 0.99, top_p: 0.99, num_return_sequences: '${num_return_sequences_in_group}'}
rewards:
  math_rule:
    worker_cls: roll.pipeline.rlvr.rewards.math_rule_reward_worker.MathRuleRewardWorker
    world_size: 8
    query_filter_config: {type: mean_filter, filter_args: {threshold_up: 0.9, threshold_down: 0.1}}
is_use_additional_prompts: true
";

fn imported() -> Imported {
    import_roll(Path::new("roll.yaml"), PIPELINE).unwrap()
}

fn fate(imported: &Imported, key: &str) -> Fate {
    let found = imported.keys.iter().find(|imported| imported.key == key);
    found.unwrap_or_else(|| panic!("nothing is said of {key}")).fate.clone()
}

#[test]
fn of_two_columns_for_one_prompt_the_conversation_stays() {
    let read = |columns: &str| {
        let pipeline = PIPELINE.replace("messages: messages", columns);
        import_roll(Path::new("roll.yaml"), &pipeline).unwrap()
    };
    let both = read("messages: turns, prompt: question");
    assert!(both.yaml.contains("messages_column: turns") && !both.yaml.contains("prompt_column"));
    assert!(matches!(fate(&both, "actor_train.data_args.prompt"), Fate::Changes(_)));
    assert!(read("prompt: question").yaml.contains("prompt_column: question"));
}

#[test]
fn a_pipeline_becomes_a_run_that_is_valid() {
    let imported = imported();
    let config = RunConfig::parse(Path::new("roll.yaml"), &imported.yaml, &[]).unwrap();
    assert_eq!((config.training.rollout_batch_size, config.response_length), (64, 1024));
    assert_eq!((config.training.optimizer.learning_rate, config.sampling.top_k), (1e-6, 50));
    assert_eq!((config.pg_clip, config.pg_clip_low), (Some(0.2), None));
    assert_eq!(config.rewards.len(), 1);
    assert!(config.dynamic_sampling.is_some());
}

#[test]
fn every_key_has_a_fate() {
    let imported = imported();
    assert_eq!(fate(&imported, "rollout_batch_size"), Fate::Used);
    assert_eq!(fate(&imported, "pretrain"), Fate::Renamed("model.path".into()));
    assert_eq!(fate(&imported, "save_steps"), Fate::Renamed("checkpoint.save_steps".into()));
    for key in [
        "exp_name",
        "num_gpus_per_node",
        "value_clip",
        "whiten_rewards",
        "pg_clip_low",
        "actor_train.strategy_args",
        "actor_train.device_mapping",
        "actor_infer.generating_args.num_return_sequences",
        "rewards.math_rule.world_size",
    ] {
        assert!(matches!(fate(&imported, key), Fate::Harmless(_) | Fate::Changes(_)), "{key}");
    }
    let default = fate(&imported, "loss_agg_mode");
    assert_eq!(default, Fate::Defaulted("\"seq-mean-token-mean\"".into()));
    let lines = imported.report().lines().filter(|line| line.starts_with("  ")).count();
    assert_eq!(lines, imported.keys.len());
}

#[test]
fn a_critic_is_said_to_be_missing() {
    let text = PIPELINE.replace("adv_estimator: grpo", "adv_estimator: gae\ngibberish: 1");
    let imported = import_roll(Path::new("roll.yaml"), &text).unwrap();
    let changes = changes(&imported);
    assert!(changes.contains("  adv_estimator: gae needs a critic"), "{changes}");
    assert!(changes.contains("  gibberish: not known here"), "{changes}");
}

/// The last group of a report.
fn changes(imported: &Imported) -> String {
    imported.report().split("changes your run\n").nth(1).unwrap_or_default().to_owned()
}

fn import(text: &str) -> (Imported, Value) {
    let imported = import_roll(Path::new("roll.yaml"), text).unwrap();
    let run = serde_saphyr::from_str(&imported.yaml).unwrap();
    (imported, run)
}

#[test]
fn what_a_pipeline_leaves_out_is_rolls_default_and_is_said() {
    let (imported, run) = import("pretrain: m\nuse_kl_loss: true\n");
    for (key, value) in [
        ("/rollout_batch_size", serde_json::json!(128)),
        ("/num_return_sequences_in_group", 1.into()),
        ("/prompt_length", 1024.into()),
        ("/kl_loss_coef", 0.0.into()),
        ("/seed", 42.into()),
        ("/eval/every_steps", 10.into()),
        ("/sampling/top_p", 0.7.into()),
        ("/sampling/top_k", 50.into()),
    ] {
        assert_eq!(run.pointer(key), Some(&value), "{key}");
        assert!(
            imported.report().contains(&format!("  {}: ", key[1..].replace('/', "."))),
            "{key}"
        );
    }
    let changes = changes(&imported);
    for part in [
        "  adv_estimator: left out, and ROLL's default gae needs a critic",
        "  sampling.top_p: ",
        "  sampling.top_k: ",
    ] {
        assert!(changes.contains(part), "{part}: {changes}");
    }
}

#[test]
fn references_are_resolved_inside_text_and_in_chains_and_never_in_circles() {
    let chain = "exp_name: a\nname: ${exp_name}-b\noutput_dir: ./output/${name}/${exp_name}\n";
    assert_eq!(import(chain).1["output_dir"], "./output/a-b/a");
    assert_eq!(import("max_steps: ${n}\nn: 7\n").1["max_steps"], 7);
    let (imported, run) = import("output_dir: x/${a}\na: ${b}\nb: ${a}\n");
    assert!(run["output_dir"].as_str().unwrap().starts_with("x/"));
    assert!(changes(&imported).contains("output_dir: "), "{}", imported.report());
    let unknown = import("output_dir: x/${oc.env:HOME}\n").0;
    assert!(changes(&unknown).contains("${oc.env:HOME}"), "{}", unknown.report());
}

#[test]
fn files_and_domains_beyond_the_first_are_named_and_validation_is_held_out() {
    let (imported, run) = import(
        "actor_train: {data_args: {file_name: [data/code.jsonl, data/math.jsonl]}}\n\
         validation: {data_args: {file_name: [data/test.jsonl, data/more.jsonl]}}\n\
         rewards:\n  math_rule: {worker_cls: a.MathRuleRewardWorker}\n  other: {worker_cls: a.MathRuleRewardWorker}\n",
    );
    assert_eq!(run["data"]["path"], "data/code.jsonl");
    assert_eq!(run["data"]["held_out_path"], "data/test.jsonl");
    let changes = changes(&imported);
    for dropped in ["data/math.jsonl", "data/more.jsonl", "rewards: math_rule, other"] {
        assert!(changes.contains(dropped), "{dropped}: {changes}");
    }
}

#[test]
fn the_keys_of_the_ratio_mean_the_same_in_any_order() {
    for text in [
        "use_pg_clip_range: true\npg_clip_high: 0.28\npg_clip: 0.3\ndual_clip_loss: true\n",
        "dual_clip_loss: true\npg_clip: 0.3\npg_clip_high: 0.28\nuse_pg_clip_range: true\n",
    ] {
        let run = import(text).1;
        assert_eq!(run.get("pg_clip"), None, "{text}");
        assert_eq!((&run["pg_clip_low"], &run["pg_clip_high"]), (&0.2.into(), &0.28.into()));
        // 1 + 2 · pg_clip, whatever the range is.
        assert_eq!(run["dual_clip_c"], 1.6);
    }
    let other = import("pg_variant: cispo\npg_clip: 0.2\ndual_clip_loss: true\n").1;
    assert_eq!((other.get("pg_clip"), other.get("dual_clip_loss")), (None, None));
}

#[test]
fn every_token_is_kept_where_roll_says_minus_one() {
    let generating =
        |top_k: &str| format!("actor_infer: {{generating_args: {{top_k: {top_k}, top_p: 1.0}}}}\n");
    let (imported, run) = import(&generating("-1"));
    assert_eq!(run["sampling"]["top_k"], 0);
    assert!(!changes(&imported).contains("top_k"));
    assert_eq!(import(&generating("20")).1["sampling"]["top_k"], 20);
}

#[test]
fn a_clip_of_rewards_stands_only_where_roll_clips_what_we_clip() {
    let grpo = "adv_estimator: grpo\nnum_return_sequences_in_group: 8\n";
    let (inert, run) = import(&format!("{grpo}reward_clip: 10\n"));
    assert_eq!(run.get("reward_clip"), None);
    assert!(matches!(fate(&inert, "reward_clip"), Fate::Harmless(_)));
    // A z-score of eight reaches 7 / √8 = 2.47.
    let (bites, run) = import(&format!("{grpo}reward_clip: 2\n"));
    assert_eq!(run.get("reward_clip"), None);
    assert!(matches!(fate(&bites, "reward_clip"), Fate::Changes(_)));
    let (same, run) = import("adv_estimator: reinforce\nreward_clip: 2\n");
    assert_eq!((run["reward_clip"].clone(), fate(&same, "reward_clip")), (2.into(), Fate::Used));
}

#[test]
fn other_pipelines_are_refused_by_their_name() {
    for (text, name) in [
        ("chosen_key: chosen\nrejected_key: rejected\nbeta: 0.1\n", "DPO"),
        ("sft_train: {training_args: {learning_rate: 1.0e-5}}\n", "SFT"),
        ("student: {}\nteacher: {}\n", "distillation"),
        ("custom_envs: {}\n", "agentic"),
    ] {
        let error = import_roll(Path::new("roll.yaml"), text).unwrap_err().to_string();
        assert!(error.contains(name), "{text}: {error}");
    }
}

#[test]
fn an_adapter_stays_one() {
    let adapter = |target: &str| {
        let text = format!(
            "pretrain: m\nactor_train: {{model_args: {{lora_rank: 16, lora_alpha: 8, lora_target: {target}, dtype: bf16}}}}\n"
        );
        import(&text)
    };
    let (imported, config) = adapter("all-linear");
    assert_eq!(config["lora"]["rank"], 16);
    assert_eq!(config["lora"]["alpha"].as_f64(), Some(8.0));
    assert!(matches!(fate(&imported, "actor_train.model_args.lora_target"), Fate::Harmless(_)));
    assert!(matches!(fate(&imported, "actor_train.model_args.dtype"), Fate::Harmless(_)));
    let (_, config) = adapter("'q_proj,v_proj'");
    assert_eq!(config["lora"]["targets"], serde_json::json!(["q_proj", "v_proj"]));
}

#[track_caller]
fn refusal(text: &str) -> String {
    import_roll(Path::new("roll.yaml"), text).map(|_| ()).unwrap_err().to_string()
}

#[test]
fn the_length_of_a_completion_is_the_one_that_roll_reads() {
    let length = |text: &str| import(text).1["response_length"].clone();
    let new_tokens = "actor_infer: {generating_args: {max_new_tokens: 4096}}\n";
    assert_eq!(length(&format!("pretrain: m\n{new_tokens}")), 4096);
    assert_eq!(length(&format!("response_length: 100\n{new_tokens}")), 100);
    // ROLL's base configuration sets response_length aside where sequence_length stands: 3000 - 1024.
    assert_eq!(length(&format!("{new_tokens}response_length: 100\nsequence_length: 3000\n")), 1976);
    assert_eq!(length("response_length: ~\nsequence_length: 3000\nprompt_length: 1000\n"), 2000);
    let (imported, _) = import(&format!("response_length: 100\n{new_tokens}"));
    let overruled = fate(&imported, "actor_infer.generating_args.max_new_tokens");
    assert!(matches!(overruled, Fate::Harmless(reason) if reason.contains("response_length")));
    let (short, run) = import("sequence_length: 1000\nresponse_length: 100\n");
    assert_eq!(run["response_length"], 100);
    assert!(matches!(fate(&short, "sequence_length"), Fate::Changes(_)));
}

#[test]
fn a_completion_without_a_length_is_said_to_have_ours() {
    for text in ["pretrain: m\n", "response_length: ~\n", "response_length: 0\n"] {
        let (imported, run) = import(text);
        assert_eq!(run["response_length"], 256, "{text}");
        let changes = changes(&imported);
        assert!(changes.contains("  response_length: left out"), "{changes}");
        assert!(changes.contains("256 tokens"), "{changes}");
    }
}

#[test]
fn how_many_checkpoints_stay_is_said() {
    for text in ["pretrain: m\n", "max_ckpt_to_keep: 0\n", "max_ckpt_to_keep: ~\n"] {
        let (imported, run) = import(text);
        assert_eq!(run["checkpoint"]["keep"], 2);
        let changes = changes(&imported);
        assert!(changes.contains("  max_ckpt_to_keep: ROLL keeps every checkpoint"), "{changes}");
    }
    let (imported, run) = import("max_ckpt_to_keep: 7\n");
    assert_eq!(run["checkpoint"]["keep"], 7);
    assert_eq!(fate(&imported, "max_ckpt_to_keep"), Fate::Renamed("checkpoint.keep".into()));
}
