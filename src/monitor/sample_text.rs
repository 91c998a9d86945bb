//! A sampled completion as a person reads it on a screen: what was asked, said and expected, apart.

use super::diagnosis::Finding;
use super::metrics::SampleLine;

/// How much of the end of a prompt is shown, in characters.
const PROMPT_CHARS: usize = 400;
/// How much of the beginning of a completion or an answer is shown, in characters.
const TEXT_CHARS: usize = 1200;
/// The column in which texts stand, as in what a run says when it begins.
const MARGIN: usize = 11;

/// A block of lines, each part under its name; texts of several lines keep them.
///
/// ```text
/// sample     step 100, problem 17
///   prompt   73+70=
///   said     275
///   expected 143
///   rewards  exact 0.00, regex 1.00; weighted sum 0.50, advantage -2.18
/// ```
pub(super) fn sample_text(sample: &SampleLine) -> String {
    let header = format!("step {}, problem {}", sample.step, sample.problem);
    let expected = sample.answer.as_deref().map_or("none is given".into(), beginning);
    let parts = [
        ("sample", header),
        ("  prompt", end(&sample.prompt)),
        ("  said", completion(sample)),
        ("  expected", expected),
        ("  rewards", rewards(sample)),
    ];
    let lines = parts.map(|(name, text)| format!("{name:<MARGIN$}{}", indented(&text)));
    lines.join("\n")
}

/// The same of a finding, with the completion that shows it.
///
/// ```text
/// finding    step 40: 63 % of the completions were cut off … → --set response_length=128
///   prompt   73+70=
///   said     It is 14
///   expected 143
///   reward   0.00
/// ```
pub(super) fn finding_text(finding: &Finding) -> String {
    let mut parts = vec![("finding", format!("step {}: {finding}", finding.step))];
    if let Some(example) = &finding.example {
        let said = beginning(&example.completion);
        let reward = example.reward.map_or("none applied".into(), |reward| format!("{reward:.2}"));
        parts.extend([
            ("  prompt", end(&example.prompt)),
            ("  said", if said.trim().is_empty() { format!("{said:?}") } else { said }),
            ("  expected", example.answer.as_deref().map_or("none is given".into(), beginning)),
            ("  reward", reward),
        ]);
    }
    let lines = parts.iter().map(|(name, text)| format!("{name:<MARGIN$}{}", indented(text)));
    lines.collect::<Vec<_>>().join("\n")
}

fn completion(sample: &SampleLine) -> String {
    let text = beginning(&sample.completion);
    let text = if text.trim().is_empty() { format!("{text:?}") } else { text };
    match sample.finish.as_str() {
        "length" => format!("{text}\n(cut off at {} tokens)", sample.tokens),
        _ => text,
    }
}

/// Each reward by its name, what they come to together, and what that was worth.
fn rewards(sample: &SampleLine) -> String {
    let score = |score: &Option<f64>| score.map_or("does not apply".into(), |x| format!("{x:.2}"));
    let each: Vec<String> =
        sample.rewards.iter().map(|(name, found)| format!("{name} {}", score(found))).collect();
    format!(
        "{}; weighted sum {:.2}, advantage {:+.2}",
        each.join(", "),
        sample.reward,
        sample.advantage
    )
}

/// The end of a text, where the question stands.
fn end(text: &str) -> String {
    let text = text.trim_end();
    match text.char_indices().rev().nth(PROMPT_CHARS - 1) {
        Some((at, _)) if at > 0 => format!("…{}", &text[at..]),
        _ => text.to_owned(),
    }
}

fn beginning(text: &str) -> String {
    match text.char_indices().nth(TEXT_CHARS) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// Further lines begin in the column of the first.
fn indented(text: &str) -> String {
    safe_text(text).replace('\n', &format!("\n{:MARGIN$}", ""))
}

/// A text that cannot steer a terminal, as what a model says must not. Its lines stay.
pub fn safe_text(text: &str) -> String {
    let safe = |c: char| match c {
        '\t' => "    ".to_owned(),
        c if c.is_control() && c != '\n' => c.escape_unicode().to_string(),
        c => c.to_string(),
    };
    text.chars().map(safe).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::Example;

    fn sample() -> SampleLine {
        SampleLine {
            step: 100,
            problem: "17".into(),
            prompt: "73+70=".into(),
            completion: "275".into(),
            answer: Some("143".into()),
            reward: 0.5,
            rewards: [("exact".to_owned(), Some(0.0)), ("regex".to_owned(), Some(1.0))].into(),
            advantage: -2.18,
            finish: "eos".into(),
            tokens: 4,
            ..SampleLine::default()
        }
    }

    #[test]
    fn prompt_completion_answer_and_each_reward_stand_on_lines_of_their_own() {
        let expected = "\
sample     step 100, problem 17
  prompt   73+70=
  said     275
  expected 143
  rewards  exact 0.00, regex 1.00; weighted sum 0.50, advantage -2.18";
        assert_eq!(sample_text(&sample()), expected);
    }

    #[test]
    fn lines_of_a_text_stay_together_and_cannot_steer_the_terminal() {
        let completion = "So\n\u{1b}[2J####\t4\r\n".into();
        let text = sample_text(&SampleLine { completion, ..sample() });
        let said = "  said     So\n           \\u{1b}[2J####    4\\u{d}\n";
        assert!(text.contains(said), "{text}");
    }

    #[test]
    fn of_a_long_prompt_the_end_is_shown_and_of_a_long_completion_the_beginning() {
        let prompt = format!("{}Why?", "é".repeat(10_000));
        let completion = format!("Because{}", " x".repeat(10_000));
        let text = sample_text(&SampleLine { prompt, completion, ..sample() });
        assert!(text.contains("  prompt   …éé") && text.contains("éWhy?\n"), "{text}");
        assert!(text.contains("  said     Because x") && text.contains(" …\n"), "{text}");
        assert!(text.chars().count() < 2_000);
    }

    #[test]
    fn a_finding_is_told_with_its_key_and_its_example() {
        let example = Example {
            prompt: "73+70=".into(),
            completion: "It is\n14".into(),
            answer: Some("143".into()),
            reward: Some(0.0),
        };
        let finding = Finding {
            step: 40,
            problem: "too short".into(),
            key: Some("response_length".into()),
            value: Some(128.into()),
            example: Some(example),
            ..Finding::default()
        };
        let expected = "\
finding    step 40: too short → --set response_length=128
  prompt   73+70=
  said     It is
           14
  expected 143
  reward   0.00";
        assert_eq!(finding_text(&finding), expected);
        let alone = Finding { example: None, key: None, ..finding };
        assert_eq!(finding_text(&alone), "finding    step 40: too short");
    }

    #[test]
    fn what_is_missing_is_said() {
        let text = sample_text(&SampleLine {
            completion: String::new(),
            answer: None,
            rewards: [("number".to_owned(), None)].into(),
            reward: f64::NAN,
            finish: "length".into(),
            ..sample()
        });
        for part in [
            "  said     \"\"\n           (cut off at 4 tokens)",
            "  expected none is given",
            "number does not apply; weighted sum NaN",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }
}
