//! Rules about numbers that are not finite, and about steps that change nothing for their sake.

use serde_json::json;

use super::finding::Finding;
use super::history::{History, mean, percent};
use super::signal;
use crate::monitor::metrics::StepMetrics;

/// No reward applied to any completion: the mean reward is no number, in more than half of the recent steps.
///
/// Such a step has no advantage and no gradient, whatever the learning rate is. Half, since a step of problems
/// that rewards cannot judge may come now and then.
pub(super) fn no_reward_applies(history: &History) -> Option<Finding> {
    let share = history.recently(|m| f64::from(m.reward.is_nan()));
    (share > 0.5).then(|| {
        let failed = history.recently(|m| m.extra.get("selection/failed").copied().unwrap_or(0.0));
        let why = match failed > 0.0 {
            true => format!("; a reward failed on {failed:.1} groups a step"),
            false => String::new(),
        };
        let problem = format!(
            "no reward applied to any completion in {} of the last steps, so none was worth more than another{why}: \
             add a reward that judges these problems, or look at what the rewards say",
            percent(share)
        );
        Finding::new(problem).change("rewards").shown_by(history.example())
    })
}

/// The loss, the gradient or the reward of a step is infinite or no number, from the first such step on.
///
/// A step that was left out has neither loss nor gradient, and a reward that is no number is what
/// [`no_reward_applies`] tells: an infinite one comes from a reward, and all else from the update.
pub(super) fn not_finite(history: &History) -> Option<Finding> {
    let metrics = history.steps.last()?;
    let step = metrics.step;
    if metrics.reward.is_infinite() {
        let problem = format!("the reward is infinite in step {step}: a reward gives it");
        return Some(Finding::new(problem).change("rewards").shown_by(history.example()));
    }
    let is_bad = !(metrics.loss.is_finite() && metrics.grad_norm.is_finite());
    (is_bad && !metrics.skipped && metrics.reward.is_finite()).then(|| {
        let rate = metrics.learning_rate;
        let problem = format!(
            "the loss is {} and the gradient norm {} in step {step}, at a learning rate of {rate:e}",
            metrics.loss, metrics.grad_norm
        );
        Finding::new(problem).set("optimizer.learning_rate", rounded(rate / 10.0))
    })
}

/// The learning rate was 0 in all recent steps.
pub(super) fn zero_learning_rate(history: &History) -> Option<Finding> {
    let recent = history.recent()?;
    let stepped = || recent.iter().filter(|m| !m.skipped);
    let is_zero = stepped().next().is_some() && stepped().all(|m| m.learning_rate == 0.0);
    is_zero.then(|| {
        let problem = format!("the learning rate was 0 in the last {} steps", recent.len());
        Finding::new(problem).set("optimizer.learning_rate", 1e-6)
    })
}

/// More than half of the recent optimiser steps were left out, which groups without signal do not explain.
///
/// With `f16` a few are left out while the factor on the loss is searched for; half are more than that search
/// takes.
pub(super) fn skipped_updates(history: &History) -> Option<Finding> {
    let share = history.recently(|m| f64::from(m.skipped));
    if share.is_nan() || share <= 0.5 || is_explained(history) {
        return None;
    }
    let left_out = format!("{} of the last optimiser steps were left out", percent(share));
    let overflown = |m: &StepMetrics| m.extra.get("loss_scale/overflown_steps").copied();
    let (first, last) = (history.recent()?.first()?, history.recent()?.last()?);
    Some(match overflown(last) > overflown(first) {
        true => Finding::new(format!("{left_out}, since their gradient overflowed"))
            .set("device.compute_dtype", "bf16"),
        false => Finding::new(format!(
            "{left_out} although rewards differed: a filter or a mask removes every group"
        ))
        .change("query_filter"),
    })
}

/// The gradient norm was 0 in all recent steps although rewards differed.
///
/// A gradient that is exactly 0 comes from a mask or from frozen weights, never from a small signal.
pub(super) fn no_gradient(history: &History) -> Option<Finding> {
    let recent = history.recent()?;
    let is_zero = recent.iter().all(|m| m.grad_norm == 0.0 && !m.skipped);
    if !is_zero || is_explained(history) {
        return None;
    }
    let problem = format!(
        "the gradient norm was 0 in the last {} steps although rewards differed",
        recent.len()
    );
    // Cut-off completions leave the loss where they are masked.
    let masks_all = mean(recent, |m| m.clipped_ratio) > 0.99;
    Some(match masks_all {
        true => {
            Finding::new(format!("{problem}: every completion was cut off, and those are masked"))
                .set("max_len_mask", json!("keep"))
        }
        false => Finding::new(format!(
            "{problem}: some of the model must be trainable, and no mask may remove every token"
        )),
    })
}

/// Whether steps without an update have a cause that another rule tells.
fn is_explained(history: &History) -> bool {
    history.recently(|m| m.frac_reward_zero_std) > 0.5
        || no_reward_applies(history).is_some()
        || signal::is_without(history)
}

/// A number with one digit, as a person writes one.
pub(super) fn rounded(value: f64) -> f64 {
    format!("{value:.0e}").parse().unwrap_or(value)
}
