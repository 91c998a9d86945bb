//! Rules about how completions end.

use super::answers::said_in_wrong;
use super::finding::Finding;
use super::history::{FEW_SAMPLES, History, percent};
use crate::monitor::metrics::SampleLine;

/// At least half of the recent completions were cut off (almost surely a quarter).
///
/// They are judged by what stands there. Before a run more than 5 % are told; while it goes, a model may learn to be
/// shorter, so only what most of them suffer from is.
pub(super) fn cut_off(history: &History) -> Option<Finding> {
    let (share, low) = history.share_of_completions(|m| m.clipped_ratio);
    let is_cut = share >= 0.5 && low > 0.25;
    let may_be_explained =
        is_all_cut(history) && history.awaits_samples() || never_ends(history).is_some();
    (is_cut && !may_be_explained).then(|| {
        let length = history.setting.response_length;
        let problem = format!(
            "{} of the completions were cut off at {length} tokens, and judged by what stood there",
            percent(share)
        );
        let longer =
            history.setting.longest_response.map_or(2 * length, |most| most.min(2 * length));
        let finding = match longer > length {
            true => Finding::new(problem).set("response_length", longer),
            false => Finding::new(problem).change("response_length"),
        };
        finding.shown_by(history.samples().find(|sample| sample.finish == "length"))
    })
}

/// Not one of the recent completions ended, although half of the newest samples, six or more, say the expected answer
/// and go on.
///
/// More tokens are no help to a model that has no end: it was not taught the EOS token that generation waits for, or
/// its prompts are not those that it was taught with.
pub(super) fn never_ends(history: &History) -> Option<Finding> {
    if !is_all_cut(history) {
        return None;
    }
    let said = said_in_wrong(history)?;
    let problem = format!(
        "no completion ended, and {} of {} wrong ones say the expected answer and go on to {} tokens: the model does not \
         write its EOS token; give it the prompts that it was taught with, or show it answers that end",
        said.count, said.of, history.setting.response_length
    );
    let finding = match history.setting.bypasses_template {
        true => Finding::new(problem).set("data.chat", true),
        false => Finding::new(problem).set("warm_start", serde_json::json!({ "max_steps": 200 })),
    };
    Some(finding.shown_by(Some(said.example)))
}

/// At least half of the newest samples, six or more, consist of repetitions by more than half.
///
/// What counts is how many of a text's runs of 16 characters came before in it, in texts of 64 characters and more. In
/// ordinary prose and in calculations that is below a tenth, in a loop nearly all.
pub(super) fn repetition(history: &History) -> Option<Finding> {
    const FEWEST: usize = 6;
    let count = history.samples().count();
    let repeating: Vec<&SampleLine> = history.repeating_samples().collect();
    let is_often =
        count >= FEW_SAMPLES && repeating.len() >= FEWEST && 2 * repeating.len() >= count;
    is_often.then(|| {
        let problem = format!(
            "{} of the newest {count} completions repeat themselves: a reward {{kind: repetition}} costs that",
            repeating.len()
        );
        Finding::new(problem).change("rewards").shown_by(repeating.first().copied())
    })
}

fn is_all_cut(history: &History) -> bool {
    history.recently(|m| m.clipped_ratio) >= 0.999
}
