//! TRL's names of keys: those that mean what a key of ours means are read as it, and the others are
//! answered with what they are here.
//!
//! Source: TRL's `GRPOConfig` and the `TrainingArguments` it extends.

use serde_json::{Map, Value, json};

use super::load::Misfit;

/// What a key of TRL is here.
pub(super) enum Meaning {
    /// The same under this name.
    Same(&'static str),
    /// The same, and it switches this key on unless it is 0, null, or that key is given.
    Enables(&'static str, &'static str),
    /// Something that has to be written otherwise.
    Elsewhere(&'static str),
}

use Meaning::{Elsewhere, Enables, Same};

const CLIP: &str = "pg_clip";
const REFRESH: &str = "that is `reference_refresh` here: {kind: moving_average, mixup_alpha: 0.6, every_steps: 512} are TRL's values";
const STEPS: &str = "here `rollout_batch_size` counts the prompts of a step (TRL's generation batch over num_generations), `mini_batches` its optimiser steps, and `device.micro_batch_tokens` the memory of one pass";
const ADAPTER: &str = "that is a block here, as in lora: {rank: 16, alpha: 32}";
const LOOK: &str =
    "that is `tracking.samples`, `tracking.samples_every` and `tracking.show_every` here";
const BITS: &str =
    "weights are f32 here, and `device.reference_dtype` stores the reference in 16 bits; remove it";
const OPTIM: &str = "the optimiser is AdamW, set in the `optimizer` block; adamw_8bit and adamw_bnb_8bit are optimizer: {moments: q8} here; remove it";
const NOTHING: &str = "TRL's key has no counterpart in this program; remove it";
const OWN_SAMPLER: &str = "the sampler and the trainer are one program here, so there is nothing to serve or to correct; remove it";

/// TRL's names for keys that are the same here under another name.
pub(super) fn same() -> impl Iterator<Item = (&'static str, &'static str)> {
    TRL.iter().filter_map(|(name, meaning)| match meaning {
        Same(key) | Enables(key, _) => Some((*name, *key)),
        Elsewhere(_) => None,
    })
}

/// Every key of TRL that is known here.
pub(super) const TRL: &[(&str, Meaning)] = &[
    ("num_generations", Same("num_return_sequences_in_group")),
    ("max_prompt_length", Same("prompt_length")),
    ("max_completion_length", Same("response_length")),
    ("num_iterations", Same("ppo_epochs")),
    ("mask_truncated_completions", Same("max_len_mask")),
    ("importance_sampling_level", Same("importance_sampling")),
    ("entropy_coef", Same("entropy_loss_coef")),
    ("epsilon", Same(CLIP)),
    ("epsilon_high", Same("pg_clip_high")),
    ("optimiser", Same("optimizer")),
    ("beta", Enables("kl_loss_coef", "use_kl_loss")),
    ("delta", Enables("dual_clip_c", "dual_clip_loss")),
    ("learning_rate", Elsewhere("that is `optimizer.learning_rate` here")),
    ("weight_decay", Elsewhere("that is `optimizer.weight_decay` here")),
    ("max_grad_norm", Elsewhere("that is `optimizer.max_grad_norm` here")),
    ("warmup_steps", Elsewhere("that is `optimizer.warmup_steps` here")),
    (
        "warmup_ratio",
        Elsewhere(
            "that is `optimizer.warmup_steps` here, in steps: the ratio times max_steps * ppo_epochs * mini_batches",
        ),
    ),
    (
        "lr_scheduler_type",
        Elsewhere(
            "that is `optimizer.schedule` here: constant (TRL's constant_with_warmup too), linear or cosine",
        ),
    ),
    ("adam_beta1", Elsewhere("that is the first of `optimizer.betas` here, as in [0.9, 0.999]")),
    ("adam_beta2", Elsewhere("that is the second of `optimizer.betas` here, as in [0.9, 0.999]")),
    ("adam_epsilon", Elsewhere("that is `optimizer.epsilon` here")),
    ("optim", Elsewhere(OPTIM)),
    ("temperature", Elsewhere("that is `sampling.temperature` here")),
    ("top_p", Elsewhere("that is `sampling.top_p` here")),
    ("top_k", Elsewhere("that is `sampling.top_k` here, and 0 keeps all tokens")),
    ("min_p", Elsewhere(NOTHING)),
    ("repetition_penalty", Elsewhere(NOTHING)),
    (
        "generation_kwargs",
        Elsewhere("that is the `sampling` block here: temperature, top_p, top_k"),
    ),
    (
        "loss_type",
        Elsewhere(
            "that is `loss_agg_mode` here (grpo is seq-mean-token-mean, dapo and bnpo are token-mean, dr_grpo is dr_grpo), \
             and `policy_loss` for cispo and sapo; luspo is policy_loss: gspo with loss_agg_mode: seq-mean-token-sum; \
             left out it is token-mean, and seq-mean-token-mean for sapo and a ratio of sequences",
        ),
    ),
    (
        "scale_rewards",
        Elsewhere(
            "that is `adv_estimator` here: group (or true) is grpo, none (or false) is dr_grpo, batch is group_mean_batch_std",
        ),
    ),
    (
        "multi_objective_aggregation",
        Elsewhere("that is `adv_estimator` here: normalize_then_sum is gdpo"),
    ),
    (
        "reward_weights",
        Elsewhere(
            "that is the `weight` of each of `rewards` here, as in rewards: [{kind: exact, weight: 0.5}]",
        ),
    ),
    ("reward_funcs", Elsewhere("that is `rewards` here, as in rewards: [{kind: exact}]")),
    (
        "sapo_temperature_pos",
        Elsewhere("that is `tau_pos` of policy_loss: {kind: sapo, tau_pos: 1.0} here"),
    ),
    (
        "sapo_temperature_neg",
        Elsewhere("that is `tau_neg` of policy_loss: {kind: sapo, tau_neg: 1.05} here"),
    ),
    ("top_entropy_quantile", Elsewhere(NOTHING)),
    ("use_bias_correction_kl", Elsewhere(NOTHING)),
    ("off_policy_mask_threshold", Elsewhere(NOTHING)),
    ("sync_ref_model", Elsewhere(REFRESH)),
    ("ref_model_mixup_alpha", Elsewhere(REFRESH)),
    ("ref_model_sync_steps", Elsewhere(REFRESH)),
    ("per_device_train_batch_size", Elsewhere(STEPS)),
    ("gradient_accumulation_steps", Elsewhere(STEPS)),
    ("generation_batch_size", Elsewhere(STEPS)),
    ("steps_per_generation", Elsewhere(STEPS)),
    (
        "num_train_epochs",
        Elsewhere("that is `max_steps` here: epochs times problems over rollout_batch_size"),
    ),
    (
        "per_device_eval_batch_size",
        Elsewhere("that is `device.cache_tokens` here, in tokens; remove it"),
    ),
    ("num_generations_eval", Elsewhere("that is `eval.samples` here")),
    ("eval_steps", Elsewhere("that is `eval.every_steps` here")),
    (
        "eval_strategy",
        Elsewhere("that is `eval.every_steps` here, in steps; 0 evaluates before and after only"),
    ),
    ("save_steps", Elsewhere("that is `checkpoint.save_steps` here")),
    ("save_strategy", Elsewhere("that is `checkpoint.save_steps` here, in steps")),
    ("save_total_limit", Elsewhere("that is `checkpoint.keep` here")),
    ("logging_steps", Elsewhere("every step is logged here; remove it")),
    ("logging_dir", Elsewhere("metrics are in `output_dir` here; remove it")),
    ("report_to", Elsewhere("metrics are in `output_dir` here; remove it")),
    ("run_name", Elsewhere("a run is named by its `output_dir` here; remove it")),
    ("log_completions", Elsewhere(LOOK)),
    ("num_completions_to_print", Elsewhere(LOOK)),
    ("model_name_or_path", Elsewhere("that is `model.path` here, a folder on this machine")),
    (
        "dataset_name",
        Elsewhere("that is `data` here, as in data: {kind: jsonl, path: problems.jsonl}"),
    ),
    ("data_seed", Elsewhere("that is `seed` here")),
    (
        "shuffle_dataset",
        Elsewhere("problems are always drawn in an order that `seed` decides; remove it"),
    ),
    ("bf16", Elsewhere(BITS)),
    ("fp16", Elsewhere(BITS)),
    ("use_peft", Elsewhere(ADAPTER)),
    ("lora_r", Elsewhere(ADAPTER)),
    ("lora_alpha", Elsewhere(ADAPTER)),
    ("lora_dropout", Elsewhere(ADAPTER)),
    ("lora_target_modules", Elsewhere(ADAPTER)),
    ("load_in_4bit", Elsewhere("that is a block here: lora: {base: q4_0}")),
    ("load_in_8bit", Elsewhere("that is a block here: lora: {base: q8_0}")),
    ("use_liger_kernel", Elsewhere("logits are never whole in memory here; remove it")),
    ("use_vllm", Elsewhere(OWN_SAMPLER)),
    ("vllm_mode", Elsewhere(OWN_SAMPLER)),
    ("vllm_gpu_memory_utilization", Elsewhere(OWN_SAMPLER)),
    ("vllm_importance_sampling_correction", Elsewhere(OWN_SAMPLER)),
];

/// Turns TRL's names at the top level into ours.
///
/// # Errors
/// A key that has to be written otherwise, or one that stands there under both names.
pub(super) fn rename(keys: &mut Map<String, Value>) -> Result<(), Misfit> {
    for (name, meaning) in TRL {
        if !keys.contains_key(*name) {
            continue;
        }
        match *meaning {
            Same(ours) => move_to(keys, name, ours)?,
            Enables(ours, switch) => {
                let is_on = keys.get(*name).is_some_and(|value| !is_off(value));
                move_to(keys, name, ours)?;
                if is_on {
                    keys.entry(switch).or_insert(json!(true));
                }
            }
            Elsewhere(what) => return Err(misfit(name, format!("`{name}`: {what}"))),
        }
    }
    Ok(())
}

fn move_to(keys: &mut Map<String, Value>, name: &str, ours: &str) -> Result<(), Misfit> {
    if keys.contains_key(ours) {
        let problem = format!("`{name}` is `{ours}` here, which is given too; keep one of them");
        return Err(misfit(name, problem));
    }
    if let Some(value) = keys.remove(name) {
        keys.insert(ours.into(), value);
    }
    Ok(())
}

fn is_off(value: &Value) -> bool {
    value.is_null() || value.as_f64() == Some(0.0)
}

fn misfit(key: &str, problem: String) -> Misfit {
    Misfit { keys: vec![key.into()], line: None, problem }
}

/// TRL's name of a key of ours, by which its line is found.
pub(super) fn name_of(ours: &str) -> Option<&'static str> {
    let is_it = |meaning: &Meaning| match meaning {
        Same(key) | Enables(key, _) => *key == ours,
        Elsewhere(_) => false,
    };
    TRL.iter().find(|(_, meaning)| is_it(meaning)).map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RunConfig;
    use std::path::Path;

    const MINIMAL: &str = "\
model: {alphabet: '0123456789+=', architecture: {hidden_size: 8, intermediate_size: 8, num_hidden_layers: 1, num_attention_heads: 1}}
data: {kind: arithmetic, digits: 1, held_out: 10}
rewards: [{kind: exact}]
";

    fn parse(more: &str, set: &[&str]) -> Result<RunConfig, String> {
        let set: Vec<String> = set.iter().map(|text| (*text).to_owned()).collect();
        RunConfig::parse(Path::new("run.yaml"), &format!("{MINIMAL}{more}"), &set)
            .map_err(|error| error.to_string())
    }

    /// A value that each key of TRL may have.
    fn sample(name: &str) -> &'static str {
        match name {
            "mask_truncated_completions" => "true",
            "importance_sampling_level" => "sequence",
            "optimiser" => "{learning_rate: 0.5}",
            "epsilon" | "epsilon_high" | "beta" | "entropy_coef" => "0.125",
            _ => "3",
        }
    }

    #[test]
    fn every_key_of_the_table_is_read_as_ours_or_answered_with_ours() {
        for (name, meaning) in TRL {
            let line = format!("{name}: {}\n", sample(name));
            let set = format!("{name}={}", sample(name));
            match meaning {
                Same(ours) => {
                    let renamed = format!("{ours}: {}\n", sample(name));
                    assert_eq!(parse(&line, &[]), parse(&renamed, &[]), "{name}");
                    assert!(parse(&line, &[]).is_ok(), "{name}: {:?}", parse(&line, &[]));
                    assert_eq!(parse("", &[&set]), parse(&line, &[]), "{name}");
                }
                Enables(ours, switch) => {
                    let renamed = format!("{ours}: {}\n{switch}: true\n", sample(name));
                    assert_eq!(parse(&line, &[]), parse(&renamed, &[]), "{name}");
                    assert!(parse(&line, &[]).is_ok(), "{name}");
                    assert_eq!(parse("", &[&set]), parse(&line, &[]), "{name}");
                }
                Elsewhere(what) => {
                    let message = parse(&line, &[]).unwrap_err();
                    assert!(
                        message.starts_with(&format!("run.yaml:4: `{name}`: {what}")),
                        "{message}"
                    );
                    let message = parse("", &[&set]).unwrap_err();
                    assert!(message.starts_with(&format!("--set {set}: `{name}`: ")), "{message}");
                }
            }
        }
    }

    #[test]
    fn every_key_that_an_answer_points_at_is_a_key_of_a_configuration() {
        let resolved = parse("gpg: ~\n", &[]).unwrap().to_yaml().unwrap();
        let tree: Value = serde_saphyr::from_str(&resolved).unwrap();
        for (name, meaning) in TRL {
            let Elsewhere(what) = meaning else { continue };
            for ours in what.split('`').skip(1).step_by(2) {
                let known = ["policy_loss", "weight", "tau_pos", "tau_neg", "model.path"];
                let pointer = format!("/{}", ours.replace('.', "/"));
                assert!(
                    tree.pointer(&pointer).is_some() || known.contains(&ours),
                    "{name}: {ours}"
                );
            }
        }
    }

    #[test]
    fn a_bound_on_the_ratio_is_trls_on_both_sides_unless_it_has_two() {
        let both = parse("epsilon: 0.1\n", &[]).unwrap();
        assert_eq!(
            both,
            parse("pg_clip_low: 0.1\npg_clip_high: 0.1\n", &[])
                .map(|mut config| {
                    (config.pg_clip, config.pg_clip_low, config.pg_clip_high) =
                        (Some(0.1), None, None);
                    config
                })
                .unwrap()
        );
        let two = parse("epsilon: 0.1\nepsilon_high: 0.3\n", &[]).unwrap();
        assert_eq!((two.pg_clip, two.pg_clip_high), (Some(0.1), Some(0.3)));
    }

    #[test]
    fn a_beta_of_zero_keeps_no_reference() {
        assert!(!parse("beta: 0.0\n", &[]).unwrap().use_kl_loss);
        assert!(parse("beta: 0.04\n", &[]).unwrap().use_kl_loss);
        assert!(!parse("beta: 0.04\nuse_kl_loss: false\n", &[]).unwrap().use_kl_loss);
    }

    #[test]
    fn a_key_under_both_names_is_refused_and_an_override_under_either_name_wins() {
        let twice =
            parse("num_generations: 4\nnum_return_sequences_in_group: 4\n", &[]).unwrap_err();
        assert!(twice.contains("keep one of them"), "{twice}");
        let set = parse("num_return_sequences_in_group: 4\n", &["num_generations=6"]).unwrap();
        assert_eq!(set.training.num_return_sequences_in_group, 6);
    }

    #[test]
    fn a_wrong_value_under_trls_name_has_its_line() {
        let message = parse("num_generations: many\n", &[]).unwrap_err();
        assert!(message.starts_with("run.yaml:4: "), "{message}");
    }
}
