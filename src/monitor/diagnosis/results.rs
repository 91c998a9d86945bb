//! Rules about what comes of training: rewards and accuracies over the whole run.

use super::finding::Finding;
use super::history::{History, estimate, mean, percent};
use super::numbers::rounded;
use super::statistics::{APART, Estimate, SURE, rise};
use crate::monitor::metrics::{EvalMetrics, StepMetrics};

/// Least fall of a held-out accuracy.
const SMALLEST_FALL: f64 = 0.05;

/// The mean reward of the last tenth of the run is below that of the best by more than noise, and by more than half of
/// what it had risen and half of a group's standard deviation.
///
/// Parts of at least ten steps are compared, every tenth step, so a run of fewer than twenty has none.
pub(super) fn reward_fell_back(history: &History) -> Option<Finding> {
    let parts = history.parts()?;
    let rewards: Vec<Estimate> = parts.iter().map(|part| estimate(part, |m| m.reward)).collect();
    let finite = rewards.iter().zip(&parts).filter(|(reward, _)| reward.mean.is_finite());
    let (peak, at) = finite.max_by(|(a, _), (b, _)| a.mean.total_cmp(&b.mean))?;
    let (start, end) = (rewards.first()?, rewards.last()?);
    let least = (peak.mean - start.mean).max(spread(history));
    let fell = peak.mean - end.mean > 0.5 * least && rise(peak, end) < -APART;
    fell.then(|| {
        let step = at.last().map_or(0, |m| m.step);
        let problem = format!(
            "the reward reached {:.3} by step {step} and fell back to {:.3}",
            peak.mean, end.mean
        );
        let rate = history.steps.last().map_or(0.0, |m| m.learning_rate);
        Finding::new(problem)
            .set("optimizer.learning_rate", rounded(rate / 3.0))
            .shown_by(history.example())
    })
}

/// The reward of the last tenth is above that of the first by more than noise and half of a group's standard deviation,
/// while accuracy rose by less than 0.01 and surely by less than 0.05.
///
/// Not told where nearly all are right, nor where partial credit of a reward that judges answers rose.
pub(super) fn reward_without_accuracy(history: &History) -> Option<Finding> {
    let [first, last] = history.ends()?;
    let ends = |of: fn(&StepMetrics) -> f64| [first, last].map(|part| estimate(part, of));
    let ([before, now], [wrong, right]) = (ends(|m| m.reward), ends(|m| m.accuracy));
    let is_paid = now.mean - before.mean > 0.5 * spread(history) && rise(&before, &now) > APART;
    let error = wrong.standard_error().hypot(right.standard_error());
    let gained = right.mean - wrong.mean;
    let is_no_better = gained < 0.01 && gained + SURE * error < 0.05 && right.mean < 0.95;
    (is_paid && is_no_better && !credit_rose(history)).then(|| {
        let problem = format!(
            "the reward rose from {:.3} to {:.3} but no more answers became right ({} at first, {} now): it pays for \
             something else",
            before.mean,
            now.mean,
            percent(wrong.mean),
            percent(right.mean)
        );
        Finding::new(problem).change("rewards").shown_by(history.example())
    })
}

/// Whether a reward that judges answers gives more than at first.
fn credit_rose(history: &History) -> bool {
    let Some([first, last]) = history.ends() else { return false };
    let of = |steps, name: &str| {
        estimate(steps, |m: &StepMetrics| m.reward_means.get(name).copied().unwrap_or(f64::NAN))
    };
    history.judges().any(|(name, _)| rise(&of(first, name), &of(last, name)) > SURE)
}

/// The last held-out accuracy is below the best by 0.05 and by more than the noise of so many problems, while the
/// reward rose since then by more than noise.
///
/// The same problems are tried each time, which makes the noise smaller than it is reckoned here:
/// `√(p(1 − p)/n + q(1 − q)/n)`.
pub(super) fn held_out_falls(history: &History) -> Option<Finding> {
    let (last, earlier) = history.evaluations.split_last()?;
    let best = earlier.iter().filter(|found| found.accuracy.is_finite());
    let best = best.max_by(|a, b| a.accuracy.total_cmp(&b.accuracy))?;
    let noise = error_of(best).hypot(error_of(last));
    let fall = best.accuracy - last.accuracy;
    if !(fall > SMALLEST_FALL && fall > APART * noise) {
        return None;
    }
    let [before, now] = around(history, best.step)?.map(|steps| estimate(steps, |m| m.reward));
    (rise(&before, &now) > SURE).then(|| {
        let problem = format!(
            "accuracy on held-out problems fell from {} after step {} to {}, while the reward rose from {:.3} to {:.3}: \
             the policy fits the training problems or the reward, and no others",
            percent(best.accuracy),
            best.step,
            percent(last.accuracy),
            before.mean,
            now.mean
        );
        let finding = match history.setting.keeps_reference {
            true => Finding::new(problem).set("max_steps", best.step.max(1)),
            false => Finding::new(problem).set("use_kl_loss", true),
        };
        finding.shown_by(history.example())
    })
}

/// The standard error of an accuracy; one problem is added on either side, so that none right is not sure.
fn error_of(found: &EvalMetrics) -> f64 {
    let count = found.problems as f64 + 2.0;
    let share = (found.accuracy * found.problems as f64 + 1.0) / count;
    (share * (1.0 - share) / count).max(0.0).sqrt()
}

/// Up to twenty steps around `step`, and the last ones as far as they come after these.
fn around(history: &History, step: u64) -> Option<[&[StepMetrics]; 2]> {
    let steps = &history.steps;
    let done = steps.iter().take_while(|m| m.step <= step).count();
    let end = (done + 10).min(steps.len());
    let before = &steps[end.saturating_sub(20)..end];
    let rest = &steps[end..];
    (!rest.is_empty()).then(|| [before, &rest[rest.len().saturating_sub(20)..]])
}

/// How far rewards of a group are apart, over the whole run: the scale on which a reward moves.
fn spread(history: &History) -> f64 {
    Some(mean(&history.steps, |m| m.reward_std)).filter(|std| std.is_finite()).unwrap_or(0.0)
}
