//! Settings that contradict each other are refused, each with the key and the reason.

use crate::runs::{refusal, small};
use wgrpo::advantage::{AdvantageEstimator, NormOver};
use wgrpo::loss::PolicyLoss;

#[track_caller]
fn assert_refused(keys: &str, reasons: &[&str]) {
    let message = refusal(keys);
    for reason in reasons {
        assert!(message.contains(reason), "{keys:?} gives: {message}");
    }
}

#[test]
fn the_list_of_what_is_refused() {
    for (keys, reasons) in [
        (
            "adv_estimator: reinforce\nreward_norm: batch\nreward_shift: true\nreward_scale: true\n",
            &["reward_shift", "reward_scale"][..],
        ),
        ("adv_estimator: reinforce\nreward_shift: true\n", &["reward_norm is null"]),
        ("adv_estimator: reinforce\nreward_norm: batch\nnorm_mean_type: batch\n", &["older way"]),
        (
            "adv_estimator: reinforce\nnorm_mean_type: batch\nnorm_std_type: group\n",
            &["norm_std_type is group"],
        ),
        ("adv_estimator: rloo\nnorm_mean_type: batch\n", &["rloo does that itself"]),
        ("adv_estimator: grpo\nreward_norm: batch\n", &["grpo does that itself"]),
        ("adv_estimator: mc_grpo\nnum_return_sequences_in_group: 3\n", &["even_median"]),
        ("adv_estimator: grpo\nnum_return_sequences_in_group: 1\n", &["group of one"]),
        ("adv_estimator: gpg\nppo_epochs: 2\n", &["ppo_epochs is 2", "importance ratio"]),
        ("adv_estimator: gpg\nuse_kl_loss: true\n", &["defined without one"]),
        ("adv_estimator: gpg\npg_clip: 0.2\n", &["pg_clip", "policy_gradient"]),
        (
            "adv_estimator: gpg\nquery_filter: {kind: std_filter}\ngpg: {beta_th: 0.5}\n",
            &["count twice"],
        ),
        ("gpg: {beta_th: 0.5}\n", &["only speaks of adv_estimator gpg"]),
        ("use_kl_loss: true\nkl_loss_type: k1\n", &["expected gradient is zero"]),
        ("add_token_level_kl: true\nkl_penalty: full\n", &["kl_penalty is full"]),
        ("adv_estimator: gpg\nmini_batches: 2\n", &["mini_batches is 2", "set mini_batches to 1"]),
        ("sampling: {temperature: 1e-6}\n", &["sampling.temperature is 0.000001", "at least 0.01"]),
        ("sampling: {temperature: 1e-40}\n", &["as good as greedy", "use 1"]),
        ("sampling: {temperature: 0}\n", &["sampling.temperature is 0", "use 1"]),
        ("target_kl: 0.1\n", &["nothing to steer"]),
        ("reference_refresh: {kind: snapshot, every_steps: 5}\n", &["refreshes nothing"]),
        (
            "use_kl_loss: true\nreference_refresh: {kind: snapshot, every_steps: 0}\n",
            &["every_steps is 0"],
        ),
        ("device: {reference_dtype: f16}\n", &["stores nothing"]),
        (
            "use_kl_loss: true\ndevice: {reference_dtype: bf16}\n\
             reference_refresh: {kind: moving_average, mixup_alpha: 0.1}\n",
            &["is bf16", "small moves"],
        ),
        ("pg_clip: 0.2\npg_clip_low: 0.1\npg_clip_high: 0.3\n", &["pg_clip has no effect"]),
        (
            "policy_loss: sapo\nimportance_sampling: seq\n",
            &["importance_sampling has no effect on the sapo"],
        ),
        (
            "policy_loss: cispo\ndual_clip_loss: true\n",
            &["dual_clip_loss has no effect on the cispo"],
        ),
        ("dual_clip_c: 3\n", &["without dual_clip_loss"]),
        ("dual_clip_loss: true\ndual_clip_c: 1.1\n", &["inside the clip range"]),
        ("truncation_penalty: 1\n", &["without max_len_mask: penalise"]),
        ("difficulty_mask: true\ndifficulty_low_threshold: 1\n", &["no group would be left"]),
        (
            "query_filter: {kind: mean_filter, threshold_down: 0.9, threshold_up: 0.1}\n",
            &["threshold_up is 0.1"],
        ),
        ("dynamic_sampling: {max_rounds: 0}\n", &["dynamic_sampling.max_rounds is 0"]),
        ("adv_estimator: gdpo\nreward_clip: 1\n", &["gdpo takes them one by one"]),
        ("reward_clip: -1\n", &["reward_clip is -1"]),
        ("advantage_clip: 0\n", &["advantage_clip is 0"]),
        ("diagnostics: {oracle_rollouts: 4}\n", &["many more rollouts"]),
        ("max_len_mask: maybe\n", &["keep, mask, penalise"]),
    ] {
        assert_refused(keys, reasons);
    }
}

#[test]
fn nulls_are_read_as_roll_writes_them() {
    let keys = "reward_norm: null\nnorm_mean_type: ~\nnorm_std_type: null\nreward_clip: null\n\
                advantage_clip: null\ntarget_kl: null\n";
    assert_eq!(small(keys), small(""));
}

#[test]
fn rolls_older_keys_choose_the_same_as_its_newer_ones() {
    let shift = small("adv_estimator: grpo\nreward_norm: group\nreward_shift: true\n");
    assert_eq!(shift.estimator().unwrap().name(), "dr_grpo");
    let both = small("adv_estimator: grpo\nnorm_mean_type: group\nnorm_std_type: group\n");
    assert_eq!(both.estimator().unwrap().name(), "grpo");
    let scale = small("adv_estimator: reinforce\nreward_norm: running\nreward_scale: true\n");
    let shaping = scale.shaping().unwrap();
    assert_eq!((shaping.norm_mean_type, shaping.norm_std_type), (None, Some(NormOver::Running)));
}

#[test]
fn a_loss_has_the_aggregation_that_it_is_defined_with_unless_another_is_named() {
    use wgrpo::loss::Aggregation::{DrGrpo, SeqMeanTokenMean, TokenMean};
    for (keys, aggregation) in [
        ("", TokenMean),
        ("policy_loss: cispo\n", TokenMean),
        ("adv_estimator: gpg\n", TokenMean),
        ("policy_loss: gspo\n", SeqMeanTokenMean),
        ("policy_loss: {kind: gspo, token_gradient: true}\n", SeqMeanTokenMean),
        ("policy_loss: gmpo\n", SeqMeanTokenMean),
        ("policy_loss: sapo\n", SeqMeanTokenMean),
        ("importance_sampling: seq\n", SeqMeanTokenMean),
        ("importance_sampling_level: sequence\n", SeqMeanTokenMean),
        ("policy_loss: {kind: ppo, importance_sampling: seq_token}\n", SeqMeanTokenMean),
        ("policy_loss: gspo\nloss_agg_mode: token-mean\n", TokenMean),
        ("policy_loss: gmpo\nloss_agg_mode: dr_grpo\n", DrGrpo),
    ] {
        let config = small(keys);
        let objective = config.settings(&[2]).unwrap().objective;
        assert_eq!(objective.loss_agg_mode, aggregation, "{keys:?}");
        let line = format!("loss_agg_mode: {}\n", aggregation.name());
        assert!(config.to_yaml().unwrap().contains(&line), "{keys:?} is written without {line}");
    }
}

#[test]
fn a_sequence_of_a_sequence_loss_weighs_the_same_whatever_its_length() {
    // One group of two rows with 1 and 3 tokens; their losses are those of whole sequences.
    let aggregation = small("policy_loss: gspo\n").settings(&[2]).unwrap().objective.loss_agg_mode;
    let step = wgrpo::loss::Denominators::of_step(&[1, 3], 6);
    let (weight, per_row_length) = aggregation.token_weight(&step);
    assert!(per_row_length && weight == 0.5, "a sequence weighs its length");
}

#[test]
fn the_loss_follows_the_keys_of_the_top_level() {
    let loss = |keys: &str| small(keys).settings(&[2]).unwrap().objective.policy_loss;
    let PolicyLoss::ClippedSurrogate(surrogate) = loss("pg_clip: 0.2\ndual_clip_loss: true\n")
    else {
        panic!("the clipped surrogate is the default")
    };
    // ROLL's bound: 1 + 2 · pg_clip.
    assert_eq!(surrogate.dual_clip_c, Some(1.4));
    let PolicyLoss::Gspo(gspo) = loss("policy_loss: gspo\npg_clip_high: 0.01\n") else {
        panic!("gspo was chosen")
    };
    assert_eq!((gspo.pg_clip_low, gspo.pg_clip_high), (3e-4, 0.01));
    assert_eq!(loss("adv_estimator: mc_gpg\n").name(), "policy_gradient");
    assert_eq!(loss("adv_estimator: mc_gpg\npolicy_loss: ppo\n").name(), "clipped_surrogate");
}
