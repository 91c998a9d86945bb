//! Why a run learned nothing, read from its metrics: one small rule for each known cause.

use super::metrics::StepMetrics;

/// All causes that the metrics of a run point to, each with what to try; the surest first.
pub fn diagnose(history: &[StepMetrics]) -> Vec<String> {
    const RULES: [Rule; 10] = [
        not_finite,
        zero_learning_rate,
        skipped_updates,
        equal_groups,
        no_gradient,
        all_truncated,
        entropy_collapsed,
        kl_exploded,
        reward_fell_back,
        reward_without_accuracy,
    ];
    if history.is_empty() {
        return vec!["no step was trained: raise max_steps".into()];
    }
    RULES.iter().filter_map(|rule| rule(history)).collect()
}

/// Looks at the steps of a run, of which there is at least one.
type Rule = fn(&[StepMetrics]) -> Option<String>;

fn not_finite(history: &[StepMetrics]) -> Option<String> {
    // A step without an optimiser step has neither loss nor gradient.
    let bad = |m: &&StepMetrics| {
        !m.reward.is_finite() || !(m.skipped || m.loss.is_finite() && m.grad_norm.is_finite())
    };
    let step = history.iter().find(bad)?.step;
    Some(format!(
        "the loss, gradient or reward is not a finite number from step {step} on: lower the \
         learning rate or max_grad_norm, and check that the rewards are finite"
    ))
}

fn zero_learning_rate(history: &[StepMetrics]) -> Option<String> {
    history.iter().all(|m| m.learning_rate == 0.0).then(|| {
        "the learning rate was 0 in every step: raise it, or make the warm-up shorter than the run"
            .into()
    })
}

fn skipped_updates(history: &[StepMetrics]) -> Option<String> {
    let share = mean(history, |m| f64::from(m.skipped));
    (share > 0.5).then(|| {
        format!(
            "{:.0} % of the optimiser steps were left out, so the policy hardly moved: lower the \
             learning rate, and look at grad_norm in metrics.jsonl",
            100.0 * share
        )
    })
}

fn equal_groups(history: &[StepMetrics]) -> Option<String> {
    if mean(history, |m| m.frac_reward_zero_std) < 0.9 {
        return None;
    }
    let accuracy = mean(history, |m| m.accuracy);
    let cause = match accuracy {
        a if a < 0.05 => {
            "the task is too hard (hardly an answer is right): try partial credit, a larger group, \
             a longer warm start or easier problems"
        }
        a if a > 0.95 => {
            "the task is too easy (nearly every answer is right): try harder problems or a reward \
             that tells good answers from better ones"
        }
        _ => {
            "the completions of a group are alike: try a higher temperature, a larger group, or a \
             reward with more than two values"
        }
    };
    Some(format!("in nearly every group all rewards were equal, so there was no gradient: {cause}"))
}

fn no_gradient(history: &[StepMetrics]) -> Option<String> {
    let explained = equal_groups(history).is_some();
    (!explained && history.iter().all(|m| m.grad_norm == 0.0)).then(|| {
        "the gradient norm was 0 in every step although rewards differed: check that some of the \
         model is trainable, that max_grad_norm is above 0 and that no mask removes every token"
            .into()
    })
}

fn all_truncated(history: &[StepMetrics]) -> Option<String> {
    (mean(history, |m| m.clipped_ratio) >= 0.9).then(|| {
        "nearly every completion was cut off at response_length before it ended: raise \
         response_length, check the EOS ids of the model, or add a length reward"
            .into()
    })
}

fn entropy_collapsed(history: &[StepMetrics]) -> Option<String> {
    let (early, late) = (mean(first(history), |m| m.entropy), mean(last(history), |m| m.entropy));
    (early > 0.05 && late < 0.1 * early).then(|| {
        format!(
            "the entropy fell from {early:.3} to {late:.3} nats, so the policy stopped exploring: \
             lower the learning rate, raise pg_clip_high, or add an entropy or KL term"
        )
    })
}

fn kl_exploded(history: &[StepMetrics]) -> Option<String> {
    let late = mean(last(history), |m| m.kl.unwrap_or(0.0));
    (late > 1.0).then(|| {
        format!(
            "the policy ran away from the reference (KL {late:.2} nats per token at the end): \
             lower the learning rate or raise kl_loss_coef"
        )
    })
}

fn reward_fell_back(history: &[StepMetrics]) -> Option<String> {
    let parts: Vec<&[StepMetrics]> = history.chunks(history.len().div_ceil(10)).collect();
    let rewards: Vec<f64> = parts.iter().map(|part| mean(part, |m| m.reward)).collect();
    let best = (0..rewards.len()).max_by(|&a, &b| rewards[a].total_cmp(&rewards[b]))?;
    let (start, peak, end) = (rewards[0], rewards[best], rewards[rewards.len() - 1]);
    let step = parts[best][0].step;
    let fell_back = peak > start && peak - end > 0.5 * (peak - start).max(0.1);
    (parts.len() >= 5 && fell_back).then(|| {
        format!(
            "the reward reached {peak:.3} near step {step} and fell back to {end:.3}: lower the \
             learning rate, or add a KL term"
        )
    })
}

fn reward_without_accuracy(history: &[StepMetrics]) -> Option<String> {
    let rise = |of: fn(&StepMetrics) -> f64| mean(last(history), of) - mean(first(history), of);
    let (reward, accuracy) = (rise(|m| m.reward), rise(|m| m.accuracy));
    (reward > 0.1 && accuracy < 0.01).then(|| {
        format!(
            "the reward rose by {reward:.3} but no more answers became right: the rewards pay for \
             something else, so look into samples.jsonl and give the answer more weight"
        )
    })
}

/// The first tenth of a run, at least one step.
pub(super) fn first(history: &[StepMetrics]) -> &[StepMetrics] {
    &history[..history.len().div_ceil(10)]
}

/// The last tenth of a run, at least one step.
pub(super) fn last(history: &[StepMetrics]) -> &[StepMetrics] {
    &history[history.len() - history.len().div_ceil(10)..]
}

/// The mean over the steps where the metric is finite; NaN where it never is.
pub(super) fn mean(steps: &[StepMetrics], metric: impl Fn(&StepMetrics) -> f64) -> f64 {
    let finite: Vec<f64> = steps.iter().map(metric).filter(|value| value.is_finite()).collect();
    finite.iter().sum::<f64>() / finite.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run of twenty healthy steps, each changed by `change`.
    fn run(change: impl Fn(&mut StepMetrics)) -> Vec<StepMetrics> {
        let healthy = |step: u64| StepMetrics {
            step,
            reward: 0.3 + 0.02 * step as f64,
            accuracy: 0.2 + 0.02 * step as f64,
            entropy: 0.8,
            grad_norm: 0.5,
            learning_rate: 1e-4,
            ..StepMetrics::default()
        };
        (1..=20)
            .map(|step| {
                let mut metrics = healthy(step);
                change(&mut metrics);
                metrics
            })
            .collect()
    }

    #[test]
    fn a_healthy_run_has_no_findings() {
        assert_eq!(diagnose(&run(|_| ())), Vec::<String>::new());
    }

    #[test]
    fn a_run_of_no_steps_says_so() {
        assert!(diagnose(&[])[0].contains("no step"));
    }

    #[test]
    fn a_loss_that_is_no_number_is_told_with_its_first_step() {
        let bad = run(|m| m.loss = if m.step >= 7 { f64::NAN } else { 0.1 });
        assert!(not_finite(&bad).unwrap().contains("step 7"));
    }

    #[test]
    fn a_learning_rate_of_zero_is_found() {
        assert!(zero_learning_rate(&run(|m| m.learning_rate = 0.0)).is_some());
        let warm_up = run(|m| m.learning_rate = if m.step == 1 { 0.0 } else { 1e-4 });
        assert!(zero_learning_rate(&warm_up).is_none());
    }

    #[test]
    fn mostly_skipped_updates_are_found() {
        assert!(skipped_updates(&run(|m| m.skipped = m.step > 5)).unwrap().contains("75 %"));
        assert!(skipped_updates(&run(|m| m.skipped = m.step > 15)).is_none());
    }

    #[test]
    fn equal_groups_are_told_apart_by_accuracy() {
        let equal = |accuracy: f64| {
            let history = run(|m| (m.frac_reward_zero_std, m.accuracy) = (0.97, accuracy));
            equal_groups(&history).unwrap()
        };
        assert!(equal(0.0).contains("too hard"));
        assert!(equal(1.0).contains("too easy"));
        assert!(equal(0.5).contains("alike"));
        assert!(equal_groups(&run(|m| m.frac_reward_zero_std = 0.5)).is_none());
    }

    #[test]
    fn a_zero_gradient_is_its_own_cause_only_when_rewards_differ() {
        assert!(no_gradient(&run(|m| m.grad_norm = 0.0)).is_some());
        let equal = run(|m| (m.grad_norm, m.frac_reward_zero_std) = (0.0, 1.0));
        assert!(no_gradient(&equal).is_none());
    }

    #[test]
    fn completions_that_never_end_are_found() {
        assert!(all_truncated(&run(|m| m.clipped_ratio = 1.0)).is_some());
        assert!(all_truncated(&run(|m| m.clipped_ratio = 0.5)).is_none());
    }

    #[test]
    fn a_collapse_of_the_entropy_is_found() {
        let collapsed = run(|m| m.entropy = if m.step < 5 { 1.0 } else { 0.01 });
        assert!(entropy_collapsed(&collapsed).unwrap().contains("1.000 to 0.010"));
        assert!(entropy_collapsed(&run(|m| m.entropy = 1.0 / m.step as f64 + 0.2)).is_none());
    }

    #[test]
    fn a_policy_far_from_its_reference_is_found() {
        assert!(kl_exploded(&run(|m| m.kl = Some(0.3 * m.step as f64))).is_some());
        assert!(kl_exploded(&run(|m| m.kl = Some(0.05))).is_none());
        assert!(kl_exploded(&run(|m| m.kl = None)).is_none());
    }

    #[test]
    fn a_reward_that_fell_back_is_told_with_its_peak() {
        let collapsed = run(|m| m.reward = if m.step <= 10 { 0.08 * m.step as f64 } else { 0.1 });
        assert!(reward_fell_back(&collapsed).unwrap().contains("near step 9"));
        assert!(reward_fell_back(&run(|m| m.reward = 0.5)).is_none());
    }

    #[test]
    fn a_reward_that_rises_without_accuracy_is_found() {
        assert!(reward_without_accuracy(&run(|m| m.accuracy = 0.2)).is_some());
    }
}
