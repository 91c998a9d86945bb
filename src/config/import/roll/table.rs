//! What each key of ROLL is here.

use serde_json::{Value, json};

use super::length::completion_length;
use super::translate as to;
use super::{Import, ratio};

/// Looks at the value of the key at a path, and puts into the configuration what it means.
type Translate = fn(&mut Import, &str, &Value);

/// What to do with a key.
#[derive(Clone, Copy)]
pub(super) enum Rule {
    /// It is the same key here.
    Same,
    /// It is called otherwise here.
    Renamed(&'static str),
    /// It is left out, and the run is the same without it.
    Harmless(&'static str),
    /// It is left out, and the run is another one without it.
    Changes(&'static str),
    /// It has no meaning here unless it is set to something else than this.
    Unless(Unset, &'static str),
    /// Its value has to be looked at.
    Translated(Translate),
}

/// The value of a key that is off.
#[derive(Clone, Copy)]
pub(super) enum Unset {
    False,
    ZeroOrOne,
}

impl Unset {
    pub(super) fn is(self, value: &Value) -> bool {
        match self {
            Self::False => *value == json!(false),
            Self::ZeroOrOne => matches!(value.as_f64(), Some(0.0 | 1.0)),
        }
    }
}

const CLUSTER: &str = "speaks of a cluster; this program is one process";
const BATCH: &str = "ROLL takes an optimiser step after per_device_train_batch_size x gradient_accumulation_steps x GPUs completions; here a step's completions make mini_batches of them, 1 unless you set it";
const CRITIC: &str = "speaks of a critic, and no method here has one";
const DEAD: &str = "ROLL reads it nowhere";
const MISSING: &str = "this program has nothing of the kind; without it the run is another one";
const SAMPLER: &str = "corrects for a sampler unlike the trainer; here they are the same";

/// Keys whose name and meaning are those of a configuration.
const SAME: &[&str] = &[
    "seed",
    "max_steps",
    "rollout_batch_size",
    "num_return_sequences_in_group",
    "prompt_length",
    "output_dir",
    "ppo_epochs",
    "norm_mean_type",
    "norm_std_type",
    "reward_norm",
    "reward_shift",
    "reward_scale",
    "max_len_mask",
    "difficulty_mask",
    "difficulty_low_threshold",
    "difficulty_high_threshold",
    "whiten_advantages",
    "advantage_clip",
    "loss_agg_mode",
    "rl_loss_coef",
    "entropy_loss_coef",
    "use_kl_loss",
    "kl_loss_coef",
    "add_token_level_kl",
    "kl_penalty",
    "init_kl_coef",
    "target_kl",
    "kl_horizon",
];

/// Keys under another name.
const RENAMED: &[(&str, &str)] = &[
    ("pretrain", "model.path"),
    ("save_steps", "checkpoint.save_steps"),
    ("eval_steps", "eval.every_steps"),
    ("max_grad_norm", "optimizer.max_grad_norm"),
    ("val_n_sample", "eval.samples"),
    ("actor_train.training_args.learning_rate", "optimizer.learning_rate"),
    ("actor_train.model_args.lora_rank", "lora.rank"),
    ("actor_train.model_args.lora_alpha", "lora.alpha"),
    ("actor_train.model_args.lora_dropout", "lora.dropout"),
    ("actor_train.training_args.weight_decay", "optimizer.weight_decay"),
    ("actor_train.training_args.warmup_steps", "optimizer.warmup_steps"),
    ("actor_train.training_args.max_grad_norm", "optimizer.max_grad_norm"),
    ("actor_infer.generating_args.temperature", "sampling.temperature"),
    ("actor_infer.generating_args.top_p", "sampling.top_p"),
    ("actor_train.data_args.messages", "data.messages_column"),
];

/// Keys whose value has to be looked at.
const TRANSLATED: &[(&str, Translate)] = &[
    ("adv_estimator", to::adv_estimator),
    ("importance_sampling", ratio::importance_sampling),
    ("pg_variant", ratio::pg_variant),
    ("actor_train.pg_variant", ratio::pg_variant),
    ("reward_clip", to::reward_clip),
    ("dual_clip_loss", ratio::dual_clip),
    ("pg_clip", ratio::clip),
    ("actor_train.model_args.lora_target", to::lora_target),
    ("actor_infer.generating_args.top_k", to::top_k),
    ("validation.data_args.file_name", to::held_out_file),
    ("actor_train.training_args.warmup_ratio", to::warmup_ratio),
    ("pg_clip_low", ratio::clip_bound),
    ("pg_clip_high", ratio::clip_bound),
    ("use_pg_clip_range", ratio::clip_range),
    ("response_length", completion_length),
    ("sequence_length", completion_length),
    ("actor_infer.generating_args.max_new_tokens", completion_length),
    ("max_ckpt_to_keep", to::checkpoints),
    ("pipeline_cls", to::pipeline_class),
    ("is_use_additional_prompts", to::additional_prompts),
    ("actor_train.training_args.lr_scheduler_type", to::schedule),
    ("actor_train.data_args.file_name", to::file_name),
    ("actor_train.data_args.prompt", to::prompt_column),
];

/// Keys and whole blocks without a meaning here.
const HARMLESS: &[(&str, &str)] = &[
    ("defaults", CLUSTER),
    ("hydra", CLUSTER),
    ("num_gpus_per_node", CLUSTER),
    ("num_nodes", CLUSTER),
    ("system_envs", CLUSTER),
    ("model_update_buffer_size_mb", CLUSTER),
    ("rpc_timeout", CLUSTER),
    ("async_pipeline", CLUSTER),
    ("async_generation_ratio", CLUSTER),
    ("generate_opt_level", CLUSTER),
    ("max_running_requests", CLUSTER),
    ("max_additional_running_prompts", CLUSTER),
    ("is_num_return_sequences_expand", CLUSTER),
    ("router_args", CLUSTER),
    ("reward_pretrain", CLUSTER),
    ("reward_model", CLUSTER),
    ("reference", "the reference is a frozen copy of the policy"),
    ("critic", CRITIC),
    ("critic_warmup", CRITIC),
    ("value_clip", CRITIC),
    ("lambd", CRITIC),
    ("error_max_len_threshold", "only matters with error_max_len_clip"),
    ("gamma", "an answer is rewarded once, at its end, and is not discounted"),
    ("val_greedy", "evaluation here is greedy"),
    ("val_prompt_length", "as prompt_length"),
    ("val_sequence_length", "as response_length"),
    ("exp_name", "a run is named by its output_dir"),
    ("base_dir", "everything is in output_dir"),
    ("val_batch_size", "evaluation takes as many problems at once as the device block allows"),
    ("logging_dir", "logs are in output_dir"),
    ("logging_steps", "every step is logged"),
    ("track_with", "metrics are in output_dir"),
    ("tracker_kwargs", "metrics are in output_dir"),
    ("save_logging_board_dir", "metrics are in output_dir"),
    ("checkpoint_config", "checkpoints are in output_dir"),
    ("resume_from_checkpoint", "--resume goes on from the newest checkpoint"),
    ("train_infer_correction", SAMPLER),
    ("actor_train.strategy_args", CLUSTER),
    ("actor_train.device_mapping", CLUSTER),
    ("actor_train.infer_batch_size", CLUSTER),
    ("actor_train.worker_cls", CLUSTER),
    ("actor_train.training_args.num_train_epochs", "max_steps ends a run"),
    ("actor_train.data_args.template", "the chat template is the model folder's"),
    ("actor_train.data_args.dataset_dir", "paths are relative to where the program runs"),
    ("actor_train.data_args.domain_interleave_probs", "there is one source of problems"),
    ("actor_train.data_args.interleave_probs", "there is one source of problems"),
    ("actor_train.data_args.preprocessing_num_workers", CLUSTER),
    ("actor_infer.strategy_args", CLUSTER),
    ("actor_infer.device_mapping", CLUSTER),
    ("actor_infer.infer_batch_size", CLUSTER),
    ("actor_infer.model_args", CLUSTER),
    ("actor_infer.worker_cls", CLUSTER),
    ("actor_infer.data_args", "as actor_train's"),
    ("actor_infer.generating_args.num_return_sequences", "as num_return_sequences_in_group"),
    ("actor_infer.generating_args.num_beams", "completions are sampled"),
    ("use_topr_loss", DEAD),
    ("postive_loss_coef", DEAD),
    ("positive_loss_coef", DEAD),
    ("use_topr_neg_loss_coef", DEAD),
    ("use_policy_loss_type", DEAD),
    ("mask_type", DEAD),
    ("minibatch_data_iter_num", DEAD),
    ("balance_length", DEAD),
    ("use_reward_scaling", DEAD),
    ("use_reward_norm", DEAD),
    ("add_len_reward", DEAD),
    ("l2", DEAD),
    ("token_level_loss", DEAD),
];

/// Keys and whole blocks that are left out and make it another run.
const CHANGES: &[(&str, &str)] = &[
    ("use_opd", MISSING),
    ("actor_train.training_args.per_device_train_batch_size", BATCH),
    ("actor_train.training_args.gradient_accumulation_steps", BATCH),
];

/// Blocks of which every key that has no rule of its own is harmless.
const BLOCKS: &[(&str, &str)] = &[
    ("actor_train.model_args.", "the model folder and the device block say it"),
    ("validation.", "evaluation here is greedy, and the eval block sets the rest"),
];

/// Keys that only matter when they are on.
const UNLESS: &[(&str, Unset)] = &[
    ("whiten_rewards", Unset::False),
    ("error_max_len_clip", Unset::False),
    ("difficulty_loss_weight", Unset::False),
    ("length_loss_weight", Unset::False),
    ("actor_infer.generating_args.repetition_penalty", Unset::ZeroOrOne),
];

/// The rule for a path, if it is one that a rule speaks of.
pub(super) fn rule(path: &str) -> Option<Rule> {
    let named = |(key, _): &&(&'static str, _)| *key == path;
    if SAME.contains(&path) {
        return Some(Rule::Same);
    }
    if let Some((_, to)) = RENAMED.iter().find(|(key, _)| *key == path) {
        return Some(Rule::Renamed(to));
    }
    if let Some((_, translate)) = TRANSLATED.iter().find(|(key, _)| *key == path) {
        return Some(Rule::Translated(*translate));
    }
    if let Some((_, unset)) = UNLESS.iter().find(|(key, _)| *key == path) {
        return Some(Rule::Unless(*unset, MISSING));
    }
    if let Some((_, why)) = CHANGES.iter().find(named) {
        return Some(Rule::Changes(why));
    }
    let of_block = |path: &str| {
        // A block is gone into, for the keys that have a rule of their own.
        let block = BLOCKS.iter().find(|(block, _)| path.starts_with(block))?;
        let inside = TRANSLATED.iter().any(|(key, _)| key.starts_with(&format!("{path}.")));
        (!inside).then_some(Rule::Harmless(block.1))
    };
    of_reward(path)
        .or_else(|| HARMLESS.iter().find(named).map(|(_, why)| Rule::Harmless(why)))
        .or_else(|| of_block(path))
}

/// Whether a block may hold keys that have a rule.
pub(super) fn leads_on(path: &str) -> bool {
    let of = |key: &&str| key.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'));
    let domain = path.strip_prefix("rewards.");
    path.is_empty()
        || path == "rewards"
        || domain.is_some_and(|domain| !domain.contains('.'))
        || BLOCKS.iter().any(|(block, _)| of(block))
        || SAME.iter().any(of)
        || RENAMED.iter().any(|(key, _)| of(key))
        || TRANSLATED.iter().any(|(key, _)| of(key))
        || UNLESS.iter().any(|(key, _)| of(key))
        || CHANGES.iter().chain(HARMLESS).any(|(key, _)| of(key))
}

/// Whether a key of the top level is ROLL's.
pub(super) fn is_known(key: &str) -> bool {
    !key.is_empty() && (rule(key).is_some() || leads_on(key))
}

/// Rules for `rewards.<domain>.<key>`, whatever the domain is called.
fn of_reward(path: &str) -> Option<Rule> {
    let (_, key) = path.strip_prefix("rewards.")?.split_once('.')?;
    Some(match key {
        "worker_cls" => Rule::Translated(to::reward),
        "query_filter_config" => Rule::Translated(to::query_filter),
        "response_filter_config" => Rule::Harmless(DEAD),
        "tag_included" => Rule::Harmless("all problems have the same rewards"),
        _ => Rule::Harmless(CLUSTER),
    })
}
