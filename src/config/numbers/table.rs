//! The table of numbers and their ranges.

use serde_json::Value;

use crate::model::MOST_RANK;

/// The numbers that a key takes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Range {
    /// Whole numbers, ends included.
    Whole(i64, i64),
    /// Any 64-bit number that is not negative.
    Seed,
    /// Numbers, ends included.
    Real(f64, f64),
    /// Numbers above the first and at most the second.
    Above(f64, f64),
    /// Numbers of at least the first and below the second.
    Below(f64, f64),
}

use Range::{Above, Below, Real, Seed, Whole};

// Far beyond what fits any device, and small enough that no product of a few of them overflows.
const STEPS: Range = Whole(0, 1_000_000_000);
const SOME_STEPS: Range = Whole(1, 1_000_000_000);
const MANY: Range = Whole(1, 65_536);
const ANY: Range = Whole(0, 65_536);
const LENGTH: Range = Whole(1, 1 << 20);
const PROBLEMS: Range = Whole(0, 10_000_000);
const TOKENS: Range = Whole(1, 1 << 28);
const TOKEN_ID: Range = Whole(0, 1 << 24);
const SHARE: Range = Real(0.0, 1.0);
const FACTOR: Range = Real(0.0, 1e6);
const SIGNED: Range = Real(-1e6, 1e6);
const POSITIVE: Range = Above(0.0, 1e6);
const TINY: Range = Real(0.0, 1.0);
const RATE: Range = Real(0.0, 1e3);

/// Keys with their ranges; `*` is any place of a list, and a name means the same in blocks of any `kind`.
pub(super) const NUMBERS: &[(&str, Range)] = &[
    ("seed", Seed),
    ("max_steps", STEPS),
    ("rollout_batch_size", MANY),
    ("num_return_sequences_in_group", MANY),
    ("prompt_length", LENGTH),
    ("response_length", LENGTH),
    ("ppo_epochs", Whole(1, 1000)),
    ("mini_batches", MANY),
    ("reward_clip", Above(0.0, 1e12)),
    ("truncation_penalty", FACTOR),
    ("difficulty_low_threshold", SIGNED),
    ("difficulty_high_threshold", SIGNED),
    ("advantage_clip", Above(0.0, 1e12)),
    ("pg_clip", POSITIVE),
    ("pg_clip_low", Above(0.0, 1.0)),
    ("pg_clip_high", POSITIVE),
    ("dual_clip_c", Above(1.0, 1e6)),
    ("rl_loss_coef", FACTOR),
    ("entropy_loss_coef", SIGNED),
    ("kl_loss_coef", FACTOR),
    ("init_kl_coef", FACTOR),
    ("target_kl", POSITIVE),
    ("kl_horizon", Above(0.0, 1e12)),
    ("adv_estimator.eps", TINY),
    ("adv_estimator.equal_tol", FACTOR),
    ("adv_estimator.tie_tol", FACTOR),
    ("adv_estimator.mad_factor", POSITIVE),
    ("query_filter.threshold_down", SIGNED),
    ("query_filter.threshold_up", SIGNED),
    ("query_filter.std_threshold", FACTOR),
    ("dynamic_sampling.max_rounds", Whole(1, 1000)),
    ("gpg.beta_th", SHARE),
    ("gpg.max_rounds", Whole(1, 1000)),
    ("policy_loss.pg_clip_low", Above(0.0, 1.0)),
    ("policy_loss.pg_clip_high", POSITIVE),
    ("policy_loss.dual_clip_c", Above(1.0, 1e6)),
    ("policy_loss.delta", Above(1.0, 1e6)),
    ("policy_loss.log_clip_low", POSITIVE),
    ("policy_loss.log_clip_high", POSITIVE),
    ("policy_loss.tau_pos", POSITIVE),
    ("policy_loss.tau_neg", POSITIVE),
    ("policy_loss.tis_lower_bound", FACTOR),
    ("policy_loss.tis_upper_bound", POSITIVE),
    ("policy_loss.topr_positive_weight", FACTOR),
    ("policy_loss.topr_negative_weight", FACTOR),
    ("policy_loss.kimi15_tau", FACTOR),
    ("reference_refresh.every_steps", SOME_STEPS),
    ("reference_refresh.mixup_alpha", Above(0.0, 1.0)),
    ("model.architecture.vocab_size", Whole(0, 1 << 24)),
    ("model.architecture.hidden_size", MANY),
    ("model.architecture.intermediate_size", LENGTH),
    ("model.architecture.num_hidden_layers", Whole(1, 1024)),
    ("model.architecture.num_attention_heads", Whole(1, 1024)),
    ("model.architecture.num_key_value_heads", Whole(1, 1024)),
    ("model.architecture.head_dim", Whole(1, 4096)),
    ("model.architecture.rms_norm_eps", Above(0.0, 1.0)),
    ("model.architecture.rope_theta", Above(0.0, 1e15)),
    ("model.architecture.rope_scaling.factor", Real(1.0, 1e6)),
    ("model.architecture.rope_scaling.low_freq_factor", POSITIVE),
    ("model.architecture.rope_scaling.high_freq_factor", POSITIVE),
    ("model.architecture.rope_scaling.original_max_position_embeddings", Whole(1, 1 << 24)),
    ("model.architecture.rope_local_base_freq", Above(0.0, 1e15)),
    ("model.architecture.no_rope_layers.*", Whole(0, 1)),
    ("model.architecture.max_position_embeddings", Whole(1, 1 << 24)),
    ("model.architecture.sliding_window", Whole(1, 1 << 24)),
    ("model.architecture.embedding_multiplier", POSITIVE),
    ("model.architecture.attention_multiplier", POSITIVE),
    ("model.architecture.query_pre_attn_scalar", LENGTH),
    ("model.architecture.residual_multiplier", POSITIVE),
    ("model.architecture.logits_scaling", POSITIVE),
    ("model.architecture.initializer_range", Above(0.0, 100.0)),
    ("model.architecture.bos_token_id", TOKEN_ID),
    ("model.architecture.eos_token_id", TOKEN_ID),
    ("model.architecture.eos_token_id.*", TOKEN_ID),
    ("model.architecture.pad_token_id", TOKEN_ID),
    ("device.memory_mib", Whole(1, 1 << 30)),
    ("lora.rank", Whole(1, MOST_RANK as i64)),
    ("lora.alpha", POSITIVE),
    ("lora.dropout", Below(0.0, 1.0)),
    ("data.digits", Whole(1, 9)),
    ("data.count", PROBLEMS),
    ("data.held_out", PROBLEMS),
    ("data.held_out_share", Above(0.0, 0.99)),
    ("data.path.*.weight", POSITIVE),
    ("data.path.*.take", Whole(1, 1 << 40)),
    ("data.limit", Whole(0, 1 << 40)),
    ("data.min_length", ANY),
    ("data.max_length", ANY),
    ("data.numbers", Whole(2, 8)),
    ("data.max_value", Whole(1, 1_000_000)),
    ("rewards.*.weight", SIGNED),
    ("rewards.*.correct", SIGNED),
    ("rewards.*.partial_weight", SIGNED),
    ("rewards.*.tolerance", POSITIVE),
    ("rewards.*.right_numbers", SIGNED),
    ("rewards.*.penalty", FACTOR),
    ("rewards.*.target", Whole(0, 1 << 20)),
    ("rewards.*.max", Whole(0, 1 << 20)),
    ("rewards.*.max_length", LENGTH),
    ("rewards.*.buffer", Whole(0, 1 << 20)),
    ("rewards.*.cosine.max_len", LENGTH),
    ("rewards.*.cosine.min_value_wrong", SIGNED),
    ("rewards.*.cosine.max_value_wrong", SIGNED),
    ("rewards.*.cosine.min_value_correct", SIGNED),
    ("rewards.*.cosine.max_value_correct", SIGNED),
    ("rewards.*.group", Whole(0, 1000)),
    ("rewards.*.index_from", Whole(0, 1)),
    ("rewards.*.memory_mib", Whole(64, 1 << 20)),
    ("rewards.*.ngram_size", Whole(1, 100)),
    ("rewards.*.output_kib", Whole(1, 1 << 20)),
    ("rewards.*.partial", Below(0.0, 1.0)),
    ("rewards.*.timeout_secs", Real(0.1, 3600.0)),
    ("rewards.*.valid", Below(0.0, 1.0)),
    ("rewards.*.timeout_seconds", Above(0.0, 86_400.0)),
    ("rewards.*.retries", Whole(0, 100)),
    ("rewards.*.concurrency", Whole(1, 256)),
    ("rewards.*.scale.*", SIGNED),
    ("rewards.*.solved_at", SIGNED),
    ("sampling.temperature", Real(0.0, 100.0)),
    ("sampling.top_k", TOKEN_ID),
    ("sampling.top_p", Above(0.0, 1.0)),
    ("warm_start.share", SHARE),
    // Above 1 it is never reached, which is a way to say so.
    ("warm_start.stop_accuracy", Real(0.0, 2.0)),
    ("warm_start.max_steps", STEPS),
    ("warm_start.check_every", SOME_STEPS),
    ("warm_start.batch_size", MANY),
    ("warm_start.learning_rate", RATE),
    ("warm_start.warmup_steps", STEPS),
    ("optimizer.learning_rate", RATE),
    ("optimizer.warmup_steps", STEPS),
    ("optimizer.min_learning_rate_ratio", SHARE),
    ("optimizer.betas.*", Below(0.0, 1.0)),
    ("optimizer.epsilon", Above(0.0, 1.0)),
    ("optimizer.weight_decay", Real(0.0, 100.0)),
    ("optimizer.max_grad_norm", Real(0.0, 1e12)),
    ("device.micro_batch_tokens", TOKENS),
    ("device.cache_tokens", TOKENS),
    ("eval.every_steps", STEPS),
    ("eval.problems", PROBLEMS),
    ("eval.samples", ANY),
    ("eval.k", MANY),
    ("checkpoint.save_steps", STEPS),
    ("checkpoint.keep", Whole(1, 1_000_000_000)),
    ("diagnostics.oracle_rollouts", ANY),
    ("diagnostics.every_steps", SOME_STEPS),
    ("diagnostics.prompts", ANY),
    ("tracking.samples", PROBLEMS),
    ("tracking.samples_every", STEPS),
    ("tracking.show_every", STEPS),
];

impl Range {
    /// Whether the number is inside; a fraction is never a whole number.
    pub(super) fn takes(self, value: &Value) -> bool {
        let Some(number) = value.as_f64() else { return false };
        match self {
            Whole(low, high) => {
                value.as_i64().is_some_and(|number| low <= number && number <= high)
            }
            Seed => value.is_u64(),
            Real(low, high) => low <= number && number <= high,
            Above(low, high) => low < number && number <= high,
            Below(low, high) => low <= number && number < high,
        }
    }

    /// The range as a JSON schema has it.
    pub(super) fn bounds(self) -> Vec<(&'static str, Value)> {
        match self {
            Whole(low, high) => vec![("minimum", low.into()), ("maximum", high.into())],
            Seed => vec![("minimum", 0.into())],
            Real(low, high) => vec![("minimum", low.into()), ("maximum", high.into())],
            Above(low, high) => vec![("exclusiveMinimum", low.into()), ("maximum", high.into())],
            Below(low, high) => vec![("minimum", low.into()), ("exclusiveMaximum", high.into())],
        }
    }

    /// The range in words.
    pub(super) fn words(self) -> String {
        match self {
            Whole(low, high) => format!("a whole number of at least {low} and at most {high}"),
            Seed => format!("a whole number from 0 to {}", u64::MAX),
            Real(low, high) => format!("a number from {low} to {}", short(high)),
            Above(low, high) => format!("a number above {low} and at most {}", short(high)),
            Below(low, high) => format!("a number of at least {low} and below {}", short(high)),
        }
    }
}

/// Large numbers as 1e6.
fn short(number: f64) -> String {
    if number.abs() >= 1e6 { format!("{number:e}") } else { number.to_string() }
}
