//! What each method does with a step: which groups and rollouts it trains on, and with what weight.

use wgrpo::config::RunConfig;
use wgrpo::loss::{Aggregation, Denominators};
use wgrpo::rollout::FinishReason;
use wgrpo::train::{StepReport, ValuedGroup};

use crate::runs::{config, saved_and_restored, shipped, small, small_with, steps, trainer};
use crate::support::{distance, values};

/// A reward that is the same for every completion.
const NO_SIGNAL: &str = "rewards.0={kind: regex, pattern: '^never in here$'}";

/// Everything a report says that is not a time.
fn facts(reports: &[StepReport]) -> Vec<String> {
    let of = |report: &StepReport| {
        let rollouts: Vec<_> = report.rollouts().map(|group| &group.completions).collect();
        let outcomes = &report.update.outcomes;
        format!("{rollouts:?} {:?} {outcomes:?} {:?}", report.advantages, report.kl)
    };
    reports.iter().map(of).collect()
}

fn kept(report: &StepReport) -> usize {
    report.groups().flat_map(|group| &group.advantages.kept).filter(|kept| **kept).count()
}

#[test]
fn every_method_that_is_shipped_trains_two_steps() {
    for method in ["grpo", "dr_grpo", "mc_grpo", "gpg", "mc_gpg", "dapo", "gspo"] {
        let set = [
            "rollout_batch_size=4",
            "data.held_out=10",
            "model.architecture.hidden_size=16",
            "model.architecture.num_hidden_layers=1",
        ]
        .map(str::to_owned);
        let config = RunConfig::load(&shipped(&format!("{method}.yaml")), &set).unwrap();
        let mut trainer = trainer(&config);
        for report in steps(&mut trainer, 2) {
            let metrics = report.metrics();
            assert!(metrics.skipped || metrics.loss.is_finite(), "{method}: {metrics:?}");
        }
        assert_eq!(trainer.steps_done(), 2, "{method}");
    }
}

#[test]
fn the_shipped_methods_differ_in_the_block_of_the_method_only() {
    let rest = |name: &str| {
        let text = std::fs::read_to_string(shipped(name)).unwrap();
        let (before, after) = text.split_once("# ── the method ──\n").unwrap();
        let (_, after) = after.split_once("# ── the rest ──\n").unwrap();
        let before: Vec<&str> = before.lines().filter(|line| !line.starts_with('#')).collect();
        before.join("\n").replace(name.trim_end_matches(".yaml"), "METHOD") + after
    };
    for name in
        ["dr_grpo.yaml", "mc_grpo.yaml", "gpg.yaml", "mc_gpg.yaml", "dapo.yaml", "gspo.yaml"]
    {
        assert_eq!(rest(name), rest("grpo.yaml"), "{name}");
    }
}

#[test]
fn the_block_of_rolls_page_runs_as_it_stands() {
    let text = std::fs::read_to_string(shipped("roll-grpo.yaml")).unwrap();
    let mut trainer = trainer(&config(&text, &[]));
    let reports = steps(&mut trainer, 2);
    for report in &reports {
        assert_eq!(report.rollouts().count(), 64);
        assert!(report.rollouts().all(|group| group.completions.len() == 8));
        assert!(report.update.outcomes[0].0.loss.is_finite());
        let advantages = report.groups().flat_map(|group| &group.advantages.advantages);
        assert!(advantages.clone().all(|advantage| advantage.abs() <= 2.0));
    }
    assert_eq!(reports[0].kl, Some((0.0, 0.001)));
    assert!(reports[1].kl.is_some_and(|(kl, _)| kl > 0.0));
}

#[test]
fn without_a_valid_group_gpg_skips_the_optimiser_step_and_counts_it() {
    for keys in
        ["adv_estimator: gpg\n", "adv_estimator: mc_gpg\ngpg: {beta_th: 0.5, max_rounds: 3}\n"]
    {
        let mut trainer = trainer(&small_with(keys, &[NO_SIGNAL]));
        let before = values(&trainer.policy());
        let reports = steps(&mut trainer, 3);
        assert!(reports.iter().all(|report| report.metrics().skipped));
        assert_eq!(reports[2].metrics().extra["selection/skipped_steps"], 3.0);
        assert!(values(&trainer.policy()) == before, "a skipped step moved the policy");
    }
}

#[test]
fn exhausted_rounds_stop_the_run_where_that_is_configured() {
    let keys = "adv_estimator: gpg\ngpg: {beta_th: 0.5, max_rounds: 2, on_exhausted: stop}\n";
    let error = trainer(&small_with(keys, &[NO_SIGNAL])).step().unwrap_err().to_string();
    assert!(error.contains("after 2 rounds only 0 of 4 groups"), "{error}");
}

#[test]
fn alpha_over_valid_tokens_is_the_token_mean_over_valid_groups() {
    let half = "rewards.0={kind: regex, pattern: '^.?[0-4]'}";
    let run = |keys: &str| {
        let keys = format!("num_return_sequences_in_group: 2\n{keys}");
        let mut trainer = trainer(&small_with(&keys, &[half]));
        let report = trainer.step().unwrap();
        (report, values(&trainer.policy()))
    };
    let (gpg, with_alpha) = run("adv_estimator: gpg\n");
    let valid = gpg.groups().filter(|group| group.advantages.has_signal).count();
    assert!((1..4).contains(&valid), "{valid} of 4 groups are valid; choose another seed");
    assert!(gpg.update.alpha > 1.0);
    let (dropped, without) =
        run("adv_estimator: dr_grpo\npolicy_loss: gpg\nquery_filter: {kind: std_filter}\n");
    assert_eq!(dropped.rollouts().count(), valid);
    assert!(distance(&with_alpha, &without) < 1e-6);
    let (off, diluted) = run("adv_estimator: gpg\ngpg: {alpha_mode: off}\n");
    assert_eq!(off.update.alpha, 1.0);
    let (scaled, plain) = (gpg.update.outcomes[0].1.grad_norm, off.update.outcomes[0].1.grad_norm);
    assert!((scaled / plain / gpg.update.alpha - 1.0).abs() < 1e-4, "{scaled} against {plain}");
    assert!(with_alpha != diluted || scaled == plain);
}

/// What an aggregation divides by over rows of these lengths, 6 tokens at most.
type Divisor = fn(&[f64]) -> f64;

/// The aggregations, and what each divides by.
const AGGREGATIONS: [(&str, Divisor); 5] = [
    ("token-mean", |lengths| lengths.iter().sum()),
    ("seq-mean-token-mean", |lengths| lengths.len() as f64),
    ("seq-mean-token-sum", |lengths| lengths.len() as f64),
    ("seq-mean-token-sum-norm", |_| 6.0),
    ("dr-grpo", |lengths| 6.0 * lengths.len() as f64),
];

/// Reports and weights of two steps in which some groups of two have no signal.
fn partly_silent(keys: &str) -> (Vec<StepReport>, Vec<Vec<f32>>) {
    let keys = format!("num_return_sequences_in_group: 2\nresponse_length: 6\n{keys}");
    let half = "rewards.0={kind: regex, pattern: '^.?[0-4]'}";
    let mut trainer = trainer(&small_with(&keys, &[half, "rollout_batch_size=16"]));
    let reports = steps(&mut trainer, 2);
    (reports, values(&trainer.policy()))
}

fn lengths_of<'a>(groups: impl Iterator<Item = &'a ValuedGroup>) -> Vec<f64> {
    let completions = groups.flat_map(|group| &group.scored.rollout.completions);
    completions.map(|completion| completion.ids.len() as f64).collect()
}

#[test]
fn alpha_is_the_divisor_of_all_groups_over_that_of_the_valid_ones_under_every_aggregation() {
    for (aggregation, divisor) in AGGREGATIONS {
        let keys = format!("loss_agg_mode: {aggregation}\n");
        let (reports, weights) = partly_silent(&format!("adv_estimator: gpg\n{keys}"));
        let report = &reports[0];
        let valid = lengths_of(report.groups().filter(|group| group.advantages.has_signal));
        let alpha = divisor(&lengths_of(report.groups())) / divisor(&valid);
        assert!((report.update.alpha - alpha).abs() < 1e-12, "{aggregation}: not {alpha}");
        // Groups that a filter drops are in no count at all.
        let dropped =
            "adv_estimator: dr_grpo\npolicy_loss: gpg\nquery_filter: {kind: std_filter}\n";
        let (_, without) = partly_silent(&format!("{dropped}{keys}"));
        assert!(distance(&weights, &without) < 1e-6, "{aggregation}");
    }
}

#[test]
fn each_mini_batch_has_the_alpha_and_the_divisor_of_its_own_groups() {
    for (aggregation, _) in AGGREGATIONS {
        let keys = format!("policy_loss: ppo\nloss_agg_mode: {aggregation}\nmini_batches: 2\n");
        let (reports, weights) = partly_silent(&format!("adv_estimator: gpg\n{keys}"));
        assert!(reports[0].advantages.fill.len() > 1, "nearly all groups are valid");
        assert!(reports[0].update.outcomes.len() == 2, "nearly no group is valid");
        let dropped = format!("adv_estimator: dr_grpo\nquery_filter: {{kind: std_filter}}\n{keys}");
        let (without_silent, without) = partly_silent(&dropped);
        let norms = |reports: &[StepReport]| -> Vec<f64> {
            let outcomes = reports.iter().flat_map(|report| &report.update.outcomes);
            outcomes.map(|(_, outcome)| outcome.grad_norm).collect()
        };
        for (norm, right) in norms(&reports).into_iter().zip(norms(&without_silent)) {
            assert!((norm / right - 1.0).abs() < 1e-4, "{aggregation}: {norm}, not {right}");
        }
        assert!(distance(&weights, &without) < 1e-5, "{aggregation}");
    }
}

#[test]
fn a_mini_batch_without_alpha_is_diluted_by_its_share_of_the_silent_groups_alone() {
    let keys = "policy_loss: ppo\nloss_agg_mode: seq-mean-token-sum\nmini_batches: 2\n";
    let run = |mode: &str| {
        partly_silent(&format!("adv_estimator: gpg\ngpg: {{alpha_mode: {mode}}}\n{keys}")).0
    };
    let (off, whole) = (run("off"), run("valid_tokens"));
    // The first optimiser step: its half of the groups of either kind, rounded down, two rows each.
    let half = |groups: &[ValuedGroup]| (groups.len() / 2) as f64;
    let (valid, silent) = (half(&off[0].advantages.train), half(&off[0].advantages.fill));
    let [off, whole] = [off, whole].map(|reports| reports[0].update.outcomes[0].1.grad_norm);
    let share = valid / (valid + silent);
    assert!((off / whole / share - 1.0).abs() < 1e-5, "{off} of {whole} is not {share}");
}

#[test]
fn a_step_that_reached_its_threshold_caps_no_mini_batch() {
    // In a third of the groups the valid ones are fewer than in all of them.
    let run = |keys: &str| {
        let keys = format!("adv_estimator: gpg\npolicy_loss: ppo\nmini_batches: 3\n{keys}");
        partly_silent(&keys).0.remove(0)
    };
    let free = run("");
    let reached = free.advantages.train.len() as f64 / 16.0;
    let held = run(&format!("gpg: {{beta_th: {reached}, max_rounds: 1}}\n"));
    assert!(reached < 0.5 && free.update.outcomes == held.update.outcomes, "one was capped");
}

#[test]
fn alpha_does_not_depend_on_micro_batches() {
    for (aggregation, _) in AGGREGATIONS {
        let run = |tokens: usize| {
            let keys = format!("adv_estimator: gpg\nloss_agg_mode: {aggregation}\n");
            partly_silent(&format!("{keys}device: {{micro_batch_tokens: {tokens}}}\n"))
        };
        let ((whole, weights), (cut, of_cut)) = (run(4096), run(16));
        assert_eq!(whole[0].update.alpha, cut[0].update.alpha, "{aggregation}");
        assert!(distance(&weights, &of_cut) < 1e-6, "{aggregation}");
    }
}

#[test]
fn dynamic_sampling_fills_a_step_with_groups_that_differ() {
    let rare = "rewards.0={kind: regex, pattern: '^[0-2]'}";
    let keys = "dynamic_sampling: {max_rounds: 20, on_exhausted: stop}\n";
    let mut trainer = trainer(&small_with(keys, &[rare]));
    let mut drawn = 0.0;
    for report in steps(&mut trainer, 3) {
        assert_eq!(report.rollouts().count(), 4);
        assert!(report.groups().all(|group| group.advantages.has_signal));
        drawn += 4.0 * report.summary.rounds as f64;
        // The place in the data is what was drawn, not what was trained on.
        assert!((report.epoch * 90.0 - drawn).abs() < 1e-9, "{} after {drawn}", report.epoch);
    }
    assert!(drawn > 12.0, "every round was enough at once; choose a rarer reward");
}

#[test]
fn a_later_round_draws_other_completions_for_the_same_problem() {
    let keys = "adv_estimator: gpg\ngpg: {beta_th: 1.0, max_rounds: 30}\n";
    // Ten problems and rounds of four: every problem comes again and again.
    let set = [NO_SIGNAL, "data.held_out=90", "device.cache_tokens=100"];
    let report = trainer(&small_with(keys, &set)).step().unwrap();
    assert_eq!(report.summary.rounds, 30);
    assert!(report.summary.lengths().mean > 1.0);
}

#[test]
fn masked_truncations_leave_the_loss_and_stay_in_the_group() {
    let plain = steps(&mut trainer(&small("")), 1).remove(0);
    let masked = steps(&mut trainer(&small("max_len_mask: true\n")), 1).remove(0);
    let completions = masked.rollouts().flat_map(|group| &group.completions);
    let truncated = completions.clone().filter(|c| c.finish == FinishReason::Length).count();
    assert!(truncated > 0, "no completion was cut off; choose another seed");
    assert_eq!(kept(&masked), kept(&plain) - truncated);
    for (masked, plain) in masked.groups().zip(plain.groups()) {
        assert_eq!(masked.advantages.baseline, plain.advantages.baseline);
    }
    let tokens: usize = completions
        .filter(|c| c.finish == FinishReason::Eos)
        .map(|completion| completion.ids.len())
        .sum();
    assert_eq!(masked.update.tokens, tokens);
}

#[test]
fn diagnostics_change_nothing_of_the_run() {
    let plain = steps(&mut trainer(&small("")), 3);
    let keys = "diagnostics: {oracle_rollouts: 16, every_steps: 2, prompts: 2}\n";
    let examined = steps(&mut trainer(&small(keys)), 3);
    assert_eq!(facts(&plain), facts(&examined));
    assert!(examined[0].diagnosis.is_empty());
    let rates = &examined[1].diagnosis;
    assert_eq!(rates.len(), 9);
    assert!(rates.values().all(|rate| (0.0..=1.0).contains(rate)));
    let mean = rates["sign_flip/oracle_mean/mean/zero_rate"];
    assert_eq!(rates["sign_flip/oracle_mean/used/zero_rate"], mean);
}

#[test]
fn whatever_steers_a_run_survives_a_checkpoint_bit_for_bit() {
    for keys in [
        "adv_estimator: gpg\ngpg: {beta_th: 0.6, max_rounds: 3, surplus: carry}\nrollout_batch_size: 3\n",
        "adv_estimator: gpg\npolicy_loss: ppo\ngpg: {beta_th: 1.0, max_rounds: 1, on_exhausted: skip, surplus: carry}\n",
        "adv_estimator: reinforce\nnorm_mean_type: running\nnorm_std_type: running\n",
        "add_token_level_kl: true\ntarget_kl: 0.01\nkl_horizon: 50\n",
        "use_kl_loss: true\nreference_refresh: {kind: moving_average, mixup_alpha: 0.3}\n",
        "dynamic_sampling: {max_rounds: 5}\nwhiten_advantages: true\n",
        "adv_estimator: {kind: mc_grpo, pivot_tie: random}\nppo_epochs: 2\n",
    ] {
        let config = small_with(keys, &["max_steps=6"]);
        let mut straight = trainer(&config);
        let expected = facts(&steps(&mut straight, 6));
        let mut first = trainer(&config);
        steps(&mut first, 3);
        let mut second = saved_and_restored(&config, &first);
        assert_eq!(facts(&steps(&mut second, 3)), expected[3..], "{keys}");
        assert!(values(&second.policy()) == values(&straight.policy()), "{keys}: other weights");
    }
}

#[test]
fn surplus_groups_are_carried_into_the_next_step() {
    // The reward differs in nearly every group, so a threshold of all groups in two rounds of three
    // leaves some over.
    let keys = "adv_estimator: gpg\ngpg: {beta_th: 1.0, max_rounds: 4, surplus: carry}\n";
    let reports = steps(&mut trainer(&small(keys)), 8);
    let carried: Vec<f64> = reports.iter().map(|report| report.summary.carried as f64).collect();
    assert!(carried.iter().any(|count| *count > 0.0), "{carried:?}: nothing was left over");
    let at = carried.iter().position(|count| *count > 0.0).unwrap();
    assert!(reports[at + 1].summary.counting >= carried[at] as usize);
}

#[test]
fn valid_groups_of_skipped_steps_wait_until_a_step_has_enough_of_them() {
    let keys = "adv_estimator: gpg\nnum_return_sequences_in_group: 2\n\
                gpg: {beta_th: 1.0, max_rounds: 1, on_exhausted: skip, surplus: carry}\n";
    let half = "rewards.0={kind: regex, pattern: '^.?[0-4]'}";
    let reports = steps(&mut trainer(&small_with(keys, &[half])), 12);
    let mut waiting = 0;
    for report in &reports {
        assert!(report.summary.counting >= waiting, "a group that waited was lost");
        let is_trained = report.summary.counting >= 4;
        assert_eq!(report.metrics().skipped, !is_trained);
        assert_eq!(report.advantages.train.len(), if is_trained { 4 } else { 0 });
        waiting = report.summary.counting - report.advantages.train.len();
        assert_eq!(report.summary.carried, waiting);
    }
    let skipped = reports.iter().filter(|report| report.metrics().skipped).count();
    assert!((1..12).contains(&skipped), "{skipped} of 12 steps are skipped");
}

#[test]
fn carried_rows_have_a_ratio_to_the_policy_that_sampled_them() {
    // Bounds so tight that any ratio but 1 is held.
    let keys = "adv_estimator: gpg\npolicy_loss: ppo\npg_clip: 1e-7\n\
                gpg: {beta_th: 1.0, max_rounds: 4, surplus: carry}\n";
    let reports = steps(&mut trainer(&small(keys)), 8);
    let has_carried = |report: &StepReport| report.groups().any(|group| group.scored.is_carried);
    assert!(reports.iter().any(has_carried), "nothing was carried");
    for report in &reports {
        assert_eq!(report.metrics().clip_ratio_region > 0.0, has_carried(report));
    }
}

#[test]
fn one_problem_many_times_in_a_step_gives_independent_completions() {
    let keys = "data: {kind: arithmetic, operations: [add], digits: 1, held_out: 99}\n";
    let report = trainer(&small_with(keys, &["response_length=12"])).step().unwrap();
    let mut all: Vec<&[u32]> =
        report.rollouts().flat_map(|group| &group.completions).map(|c| &c.ids[..]).collect();
    assert!(report.rollouts().all(|group| group.prompt.problem == 0));
    all.sort_unstable();
    all.dedup();
    // Short ones may agree by chance; of 16 only 4 were distinct where the numbers were the same.
    assert!(all.len() > 10, "{} of 16 completions are distinct", all.len());
}

#[test]
fn a_pivot_kept_at_zero_would_change_the_token_mean_and_no_fixed_divisor() {
    // Rows of 3 and 2 tokens, and a pivot of 4 tokens whose advantage is zero.
    let [without, with] = [&[3, 2][..], &[3, 2, 4]].map(|rows| Denominators::of_step(rows, 6));
    let fixed = Aggregation::SeqMeanTokenSumNorm;
    assert_eq!(fixed.token_weight(&without), fixed.token_weight(&with));
    let mean = Aggregation::TokenMean;
    assert_eq!(mean.token_weight(&without), (1.0 / 5.0, false));
    assert_eq!(mean.token_weight(&with), (1.0 / 9.0, false));
}
