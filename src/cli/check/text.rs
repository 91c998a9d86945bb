//! What `wgrpo check` prints.

use std::fmt::Write;

use super::{Found, Loss};
use crate::device::mib;
use crate::monitor::{duration_text, safe_text};
use crate::run::{Apart, Duration, Facts, Finding, Seen, memory_text};

/// Characters of a prompt or a completion that are shown.
const SHOWN: usize = 600;

pub(super) fn text(found: &Found) -> String {
    let run = &found.run;
    let mut text = String::new();
    run.seen.iter().for_each(|seen| text.push_str(&seen_text(seen)));
    text.push_str(&facts_text(&run.facts));
    row(&mut text, "memory", &memory(found));
    if let Some(Loss { name, apart }) = &found.base {
        row(&mut text, "base", &loss_text(name, apart.as_ref()));
    }
    if let Some(time) = &run.time {
        row(&mut text, "time", &time_text(time, found));
    }
    run.notes.iter().for_each(|note| row(&mut text, "note", note));
    if run.before_warm_start {
        row(
            &mut text,
            "note",
            "this is the model before its warm start, so no advice is given on what it does",
        );
    }
    run.findings.iter().for_each(|finding| {
        row(&mut text, name_of(finding), &finding.to_string().replace(" → ", "\n→ "))
    });
    if run.findings.is_empty() {
        row(&mut text, "findings", "none");
    }
    text
}

/// A line under its name.
fn row(text: &mut String, name: &str, value: &str) {
    // A String takes all that is written.
    let _ = writeln!(text, "{name:<13}{}", value.trim_end().replace('\n', &format!("\n{:13}", "")));
}

fn seen_text(seen: &Seen) -> String {
    let mut text = String::new();
    row(&mut text, "prompt", &beginning(&seen.prompt));
    row(&mut text, "  said", &beginning(&seen.completion));
    let reward =
        seen.reward.map_or("no reward applies".into(), |reward| format!("reward {reward:.3}"));
    let answer = seen.answer.as_deref().map_or("no answer is given".into(), beginning);
    row(&mut text, "  expected", &format!("{answer}; {reward}"));
    text
}

/// The beginning of a text, whose characters cannot steer a terminal.
fn beginning(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", safe_text(&text[..at])),
        None => safe_text(text),
    }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

fn facts_text(facts: &Facts) -> String {
    let mut text = String::new();
    let prompts = &facts.prompts;
    let left_out = match facts.prompts_left_out {
        0 => String::new(),
        count => format!("; {count} longer ones are left out"),
    };
    row(
        &mut text,
        "prompts",
        &format!(
            "{} tokens at the median, {} at the 95th percentile, {} at most, of {} (prompt_length){left_out}",
            prompts.median, prompts.p95, prompts.max, prompts.limit
        ),
    );
    let Facts { problems, samples, completions, .. } = facts;
    row(
        &mut text,
        "completions",
        &format!(
            "{problems} problems × {samples}: {} tokens at the median, {} at the 95th percentile, {} at most, of {} \
             (response_length); {} are cut off{}",
            completions.median,
            completions.p95,
            completions.max,
            completions.limit,
            percent(facts.cut_off),
            wish(facts)
        ),
    );
    row(&mut text, "rewards", &rewards_text(facts));
    if let Some(accuracy) = facts.accuracy {
        let pass_at = facts.pass_at.iter().filter(|pass| pass.k > 1);
        let pass_at: String =
            pass_at.map(|pass| format!(", pass@{} {}", pass.k, percent(pass.share))).collect();
        row(&mut text, "accuracy", &format!("{} of the completions{pass_at}", percent(accuracy)));
    }
    if !facts.without_signal.is_empty() {
        let sizes = facts.without_signal.iter();
        let sizes: Vec<String> = sizes
            .map(|found| format!("{} of groups of {}", percent(found.share), found.group))
            .collect();
        row(
            &mut text,
            "no signal",
            &format!("{} (all rewards of a group equal)", sizes.join(", ")),
        );
    }
    text
}

/// The response length that the 95th percentile asks for, where it is beyond the limit.
fn wish(facts: &Facts) -> String {
    match facts.asks_for.filter(|tokens| *tokens > facts.completions.limit) {
        Some(tokens) => format!("; 95 of 100 should end within about {tokens}"),
        None => String::new(),
    }
}

fn rewards_text(facts: &Facts) -> String {
    let Some(rewards) = &facts.rewards else { return "none applies to any completion".into() };
    let levels = match rewards.levels {
        1 => "one value only".to_owned(),
        levels => format!("{levels} different values"),
    };
    let each = facts.each.iter().map(|(name, mean)| match mean {
        Some(mean) => format!("{name} {mean:.3}"),
        None => format!("{name} never applies"),
    });
    let not_scored = match facts.scored {
        1.0 => String::new(),
        scored => format!("; to {} of the completions none applies", percent(1.0 - scored)),
    };
    format!(
        "{} to {}, {:.3} on average, {levels}; each: {}{not_scored}",
        rewards.min,
        rewards.max,
        rewards.mean,
        each.collect::<Vec<_>>().join(", ")
    )
}

fn memory(Found { run, memory_budget, .. }: &Found) -> String {
    let budget = memory_budget.map_or(String::new(), |bytes| format!("; there are {}", mib(bytes)));
    format!("{}{budget}", memory_text(&run.memory))
}

fn loss_text(base: &str, apart: Option<&Apart>) -> String {
    match apart {
        Some(Apart { tokens, mean, largest }) => format!(
            "{base} against 16 bits: log-probabilities of {tokens} tokens that the model wrote differ by {mean:.4} \
             nats on average, {largest:.3} at most"
        ),
        None => "not compared: in 16 bits the model does not fit the memory".into(),
    }
}

fn time_text(time: &Duration, found: &Found) -> String {
    let warm_start = if found.run.before_warm_start { ", and the warm start" } else { "" };
    format!(
        "{:.2} s a step (generation {:.2}, update {:.2}), so {} for {} steps with their evaluations{warm_start}",
        time.step_s,
        time.rollout_s,
        time.update_s,
        duration_text(time.run_s),
        found.config.training.max_steps
    )
}

fn name_of(finding: &Finding) -> &'static str {
    if finding.is_fatal { "cannot learn" } else { "finding" }
}
