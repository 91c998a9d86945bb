//! Rules about groups whose rewards are all equal, which have no gradient, and what pays where they differ.

use serde_json::{Value, json};

use super::answers::said_in_wrong;
use super::finding::Finding;
use super::groups::Odds;
use super::history::{History, mean, percent};
use super::numbers::no_reward_applies;

/// The share of groups without signal from which nearly nothing is learned, and what it has to be above almost
/// surely.
const NEARLY_ALL: (f64, f64) = (0.9, 0.75);
/// Largest group that is advised.
const LARGEST_GROUP: usize = 16;
/// Completions none of which is right, so that fewer than one of 100 are (three over the number, with 95 %).
const NONE_RIGHT: usize = 300;

/// At least half of the newest samples that are scored wrong, six or more, say the expected answer as a whole
/// word beside other words; fewer than a fifth are right.
///
/// So the task is not too hard: the reward compares the whole text, and does not look for the answer in it. Not
/// told where answers of other problems stand there nearly as often, as in a text that lists every choice.
pub(super) fn answers_in_sentences(history: &History) -> Option<Finding> {
    let accuracy = history.recently(|m| m.accuracy);
    if accuracy.is_nan() || accuracy >= 0.2 {
        return None;
    }
    let said = said_in_wrong(history)?;
    let kind = if said.are_numbers { "number" } else { "contains" };
    let problem = format!(
        "{} of {} completions that are scored wrong say the expected answer inside a sentence, so the reward does not \
         find it: tell it where the answer stands (answer: {{from: …}}), or take kind {kind}",
        said.count, said.of
    );
    let finding = Finding::new(problem).shown_by(Some(said.example));
    Some(match &history.setting.rewards[..] {
        [_] => finding.set("rewards", json!([{ "kind": kind }])),
        _ => finding.change("rewards"),
    })
}

/// In 90 % of the recent groups all rewards were equal (almost surely in 75 %) and fewer than 5 % of the
/// completions are right.
pub(super) fn task_too_hard(history: &History) -> Option<Finding> {
    let accuracy = history.recently(|m| m.accuracy);
    // Samples may say that the answers are there.
    let may_be_explained = history.awaits_samples() || answers_in_sentences(history).is_some();
    (accuracy < 0.05 && is_without(history) && !may_be_explained).then(|| {
        let problem = format!(
            "{}, since the task is too hard ({} are right): show the model answers first, give a reward for part of \
             one, or take easier problems",
            without(history),
            percent(accuracy)
        );
        Finding::new(problem).set("warm_start", json!({ "max_steps": 200 })).shown_by(history.example())
    })
}

/// In 90 % of the recent groups all rewards were equal (almost surely in 75 %) and more than 95 % of the
/// completions are right, as more than 90 % were in the first steps.
///
/// A run that has come so far by learning has solved its task, which is no fault.
pub(super) fn task_too_easy(history: &History) -> Option<Finding> {
    let accuracy = history.recently(|m| m.accuracy);
    let began = mean(history.beginning(), |m| m.accuracy);
    (accuracy > 0.95 && began > 0.9 && is_without(history)).then(|| {
        let problem = format!(
            "{}, since the task is too easy ({} are right): harder problems teach more",
            without(history),
            percent(accuracy)
        );
        Finding::new(problem).change("data").shown_by(history.example())
    })
}

/// In 90 % of the recent groups all rewards were equal (almost surely in 75 %) and neither nearly all completions
/// are right nor nearly none.
pub(super) fn equal_groups(history: &History) -> Option<Finding> {
    let accuracy = history.recently(|m| m.accuracy);
    let is_other = accuracy.is_nan() || (0.05..=0.95).contains(&accuracy);
    (is_other && is_without(history)).then(|| {
        let finding = |advice| Finding::new(format!("{}: {advice}", without(history)));
        let finding = match accuracy.is_nan() {
            true => finding("take a reward with more than one value").change("rewards"),
            false => {
                finding("the completions of a group are alike").set("sampling.temperature", 1.0)
            }
        };
        finding.shown_by(history.samples().next())
    })
}

/// Almost surely more than half of the recent groups have equal rewards, and fewer than 90 %; fewer than half of the
/// completions are right.
///
/// Where more are right, it is mostly right groups that are equal, as in every run that is about to solve its task.
/// What a larger group would give follows from the share and the success rate, by a beta distribution of the
/// success rates of problems: see `Odds`, which says nothing where none is right. Not told where other
/// prompts are drawn for such groups.
pub(super) fn small_group(history: &History) -> Option<Finding> {
    let (share, low) = history.share_of_groups(|m| m.frac_reward_zero_std);
    let (accuracy, group) = (history.recently(|m| m.accuracy), history.setting.completions);
    let is_small = low > 0.5 && share < NEARLY_ALL.0 && accuracy < 0.5 && group > 1;
    if !is_small || history.setting.draws_again {
        return None;
    }
    let odds = Odds::of(accuracy, group, share);
    let without = |size: usize| odds.map_or(0.5, |odds| odds.without_signal(size));
    let sizes = std::iter::successors(Some(2 * group), |size| Some(2 * size));
    let enough = sizes.take_while(|size| *size <= LARGEST_GROUP).find(|size| without(*size) <= 0.5);
    let problem = format!(
        "in {} of the groups of {group} all rewards were equal, and taught nothing; at a success rate of {}",
        percent(share),
        percent(accuracy)
    );
    Some(match enough {
        Some(size) => {
            let share = percent(without(size));
            Finding::new(format!("{problem} groups of {size} would be that in about {share}"))
                .set("num_return_sequences_in_group", size)
        }
        None => Finding::new(format!(
            "{problem} groups of {LARGEST_GROUP} would help little: draw other prompts in their place"
        ))
        .set("dynamic_sampling", Value::Object(Default::default())),
    })
}

/// None of the last 300 completions or more is right and no reward that judges answers gives anything but one
/// score, while more than half of the recent groups have rewards that differ.
///
/// Then all that is learned is what the other rewards pay for. Not told where a reward of answers gives partial
/// credit that changes.
pub(super) fn format_only(history: &History) -> Option<Finding> {
    let equal = history.recently(|m| m.frac_reward_zero_std);
    let wrong = history.steps.iter().rev().take_while(|m| m.accuracy == 0.0).count();
    let wrong_completions = wrong * history.completions_of_step();
    let pays = |judges: bool| {
        let rewards = history.setting.rewards.iter().filter(|reward| reward.weight != 0.0);
        rewards
            .filter(|reward| reward.full_score.is_some() == judges)
            .map(|r| r.name.as_str())
            .collect::<Vec<_>>()
    };
    let (judges, others) = (pays(true), pays(false));
    let is_flat = judges.iter().all(|name| is_flat(history, name));
    if judges.is_empty()
        || others.is_empty()
        || equal.is_nan()
        || equal >= 0.5
        || wrong_completions < NONE_RIGHT
        || !is_flat
    {
        return None;
    }
    let problem = format!(
        "none of the last {wrong_completions} completions is right, and all that pays is {}: a model learns that form \
         and no answers; let fewer rewards be had without an answer, or begin with easier problems",
        others.join(", ")
    );
    Some(Finding::new(problem).change("rewards").shown_by(best_paid(history)))
}

/// Whether the mean of a reward stayed what it is over the recent steps.
fn is_flat(history: &History, name: &str) -> bool {
    let means =
        history.recent().unwrap_or_default().iter().filter_map(|m| m.reward_means.get(name));
    let (least, most) =
        means.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), mean| (a.min(*mean), b.max(*mean)));
    // Of no step at all there is nothing to say against it.
    most - least < 1e-6 || least > most
}

/// The wrong sample that was paid best.
fn best_paid(history: &History) -> Option<&crate::monitor::SampleLine> {
    let wrong =
        history.samples().filter(|sample| history.is_wrong(sample) && sample.reward.is_finite());
    wrong.max_by(|a, b| a.reward.total_cmp(&b.reward))
}

/// The model has a chat template, prompts do not go through it, and half of the recent completions do not end or
/// fewer than 5 % are right.
///
/// A model that was trained on conversations does neither well without them. Many base models have a template, too,
/// which they were not trained on: so it is told only where something is wrong.
pub(super) fn plain_prompts(history: &History) -> Option<Finding> {
    let (cut_off, accuracy) =
        (history.recently(|m| m.clipped_ratio), history.recently(|m| m.accuracy));
    (history.setting.bypasses_template && (cut_off >= 0.5 || accuracy < 0.05)).then(|| {
        let right = match accuracy.is_nan() {
            true => String::new(),
            false => format!(" and {} are right", percent(accuracy)),
        };
        let problem = format!(
            "prompts are plain text although the model has a chat template; {} of the completions do not end{right}",
            percent(cut_off)
        );
        Finding::new(problem).set("data.chat", true).shown_by(history.example())
    })
}

/// Whether nearly no group has a signal, in which rewards applied.
pub(super) fn is_without(history: &History) -> bool {
    let Some(recent) = history.recent() else { return false };
    let (share, low) = history.share_of_groups(|m| m.frac_reward_zero_std);
    // Of a run so short that its share says little of others it is still what happened.
    let is_all =
        recent.iter().all(|m| m.frac_reward_zero_std >= 1.0) && recent.len() == history.steps.len();
    (share >= NEARLY_ALL.0 && low > NEARLY_ALL.1 || is_all) && no_reward_applies(history).is_none()
}

fn without(history: &History) -> String {
    let share = history.recent().map_or(f64::NAN, |steps| mean(steps, |m| m.frac_reward_zero_std));
    format!("in {} of the groups all rewards were equal, so there was no gradient", percent(share))
}
