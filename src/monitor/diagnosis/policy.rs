//! Rules about how the policy moves: what it explores, how far it goes, and by how much a step changes it.

use super::finding::Finding;
use super::history::{History, estimate};
use super::numbers::rounded;
use super::statistics::{APART, FEWEST, SURE, rise};
use crate::monitor::metrics::StepMetrics;

/// What a step changes, as a share of the weights that are trained.
const UPDATE: &str = "update/relative";
/// From how small a change on nothing moves.
const NOTHING: f64 = 1e-7;
/// From how large a change on a run that gets no better changes too much.
const TOO_MUCH: f64 = 1e-2;
/// Steps that such a run is given to get better.
const PATIENCE: usize = 50;

/// The entropy fell below a tenth, from more than 0.05 nats, and by more than noise, while fewer than 90 % of the
/// completions are right.
///
/// A policy that solves its task need not explore; one that does not has stopped looking.
pub(super) fn entropy_collapsed(history: &History) -> Option<Finding> {
    let [first, last] = history.ends()?;
    let [early, late] = [first, last].map(|part| estimate(part, |m| m.entropy));
    let is_solved = estimate(last, |m| m.accuracy).mean >= 0.9;
    let fell = early.mean > 0.05 && late.mean < 0.1 * early.mean && rise(&early, &late) < -APART;
    (fell && !is_solved).then(|| {
        let problem = format!(
            "the entropy fell from {:.3} to {:.3} nats, so the policy stopped exploring",
            early.mean, late.mean
        );
        Finding::new(problem).set("entropy_loss_coef", 0.01).shown_by(history.example())
    })
}

/// The KL to the reference is almost surely above 1 nat per token in the recent steps.
///
/// At 1 nat the policy finds what it writes e times as likely, token for token, as the reference does. Usual runs end
/// between 0.01 and 0.2.
pub(super) fn far_from_reference(history: &History) -> Option<Finding> {
    let kl = estimate(history.recent()?, |m| m.kl.unwrap_or(f64::NAN));
    (kl.count >= FEWEST && kl.low() > 1.0).then(|| {
        let problem =
            format!("the policy is {:.2} nats per token away from the reference", kl.mean);
        let rate = history.steps.last().map_or(0.0, |m| m.learning_rate);
        let finding = match history.setting.keeps_reference && rate > 0.0 {
            true => Finding::new(problem).set("optimizer.learning_rate", rounded(rate / 3.0)),
            false => Finding::new(problem).set("use_kl_loss", true),
        };
        finding.shown_by(history.example())
    })
}

/// After the warm-up half of the recent steps change the trained weights by less than 1e-7 of their norm.
///
/// AdamW moves each weight by about the learning rate, so a step changes `lr · √n / |w|`, which is the learning rate
/// over the root mean square of the weights: 5e-5 at a rate of 1e-6 and weights of 0.02. An f32 number keeps 6e-8 of
/// itself, so most weights lose a change of 1e-7 to rounding. A LoRA adapter's norm is that of its A as it begins, for B
/// is 0, so the same holds of it.
pub(super) fn moves_nothing(history: &History) -> Option<Finding> {
    let relative = typical_update(history).filter(|relative| *relative < NOTHING)?;
    let last = history.steps.last().filter(|m| m.learning_rate > 0.0)?;
    let problem = format!(
        "a step changes the trained weights by {relative:.1e} of their norm at a learning rate of {:e}, which moves nothing",
        last.learning_rate
    );
    let finding = Finding::new(problem);
    Some(match relative > 0.0 {
        true => {
            finding.set("optimizer.learning_rate", rounded(last.learning_rate * 1e-5 / relative))
        }
        false => finding.change("optimizer.learning_rate"),
    })
}

/// Half of the recent steps change the trained weights by more than 1e-2 of their norm, and the reward has not risen
/// in fifty steps or more, of which fewer than 90 % are right.
///
/// A hundred such steps may replace every weight. Small models of fresh weights learn well at that pace, and an adapter
/// does as it begins, so it is told only of a run that gets no better.
pub(super) fn moves_too_much(history: &History) -> Option<Finding> {
    let relative = typical_update(history).filter(|relative| *relative > TOO_MUCH)?;
    let [first, last] = history.ends().filter(|_| history.steps.len() >= PATIENCE)?;
    let [before, now] = [first, last].map(|part| estimate(part, |m| m.reward));
    let is_well = rise(&before, &now) > SURE || estimate(last, |m| m.accuracy).mean >= 0.9;
    (!is_well && now.mean.is_finite()).then(|| {
        let rate = history.steps.last().map_or(0.0, |m| m.learning_rate);
        let problem = format!(
            "a step changes the trained weights by {relative:.1e} of their norm at a learning rate of {rate:e}, and the \
             reward went from {:.3} to {:.3}",
            before.mean, now.mean
        );
        Finding::new(problem).set("optimizer.learning_rate", rounded(rate * 1e-3 / relative))
    })
}

/// The median change of the recent steps behind the warm-up; none of fewer than ten.
fn typical_update(history: &History) -> Option<f64> {
    let is_warm = |m: &&StepMetrics| m.step > history.setting.warmup_steps && !m.skipped;
    let steps = history.recent()?.iter().filter(is_warm);
    let changes = steps.filter_map(|m| m.extra.get(UPDATE).copied());
    let mut changes: Vec<f64> = changes.filter(|change| change.is_finite()).collect();
    changes.sort_by(f64::total_cmp);
    changes.get(changes.len() / 2).copied().filter(|_| changes.len() >= FEWEST)
}
