//! Groups without signal, what pays, and how completions end.

use serde_json::json;

use super::*;

/// A run in which hardly an answer is right.
fn hopeless(m: &mut StepMetrics) {
    (m.reward, m.accuracy, m.frac_reward_zero_std) = (0.0, 0.0, 1.0);
    m.reward_means = [("exact".to_owned(), 0.0), ("format".to_owned(), 0.0)].into();
}

fn says_its_answer(sample: &mut SampleLine) {
    let answer = sample.answer.clone().unwrap_or_default();
    sample.completion = format!("The answer is {answer}.");
}

/// The same run with one reward, which judges answers.
fn only_exact() -> Setting {
    let mut setting = setting();
    setting.rewards.truncate(1);
    setting
}

#[test]
fn right_answers_inside_sentences_are_not_called_a_task_that_is_too_hard() {
    let found = found_in(only_exact(), hopeless, says_its_answer);
    assert_eq!(rules(&found), ["answers_in_sentences"]);
    let finding = &found[0];
    assert_eq!(finding.value, Some(json!([{"kind": "number"}])));
    assert_eq!(finding.example.as_ref().unwrap().completion, "The answer is 1070.");
    let words = |sample: &mut SampleLine| {
        sample.answer = Some(["Nairobi", "Kairo", "Lagos"][sample.step as usize % 3].into());
        says_its_answer(sample);
    };
    let found = found_in(setting(), hopeless, words);
    let finding = of(&found, "answers_in_sentences");
    assert!(finding.problem.contains("kind contains") && finding.value.is_none());
}

#[test]
fn few_samples_a_time_are_waited_for_before_a_task_is_called_too_hard() {
    let mut run = Told::new(setting());
    for step in 1..=30 {
        let mut metrics = healthy(step);
        hopeless(&mut metrics);
        let mut four: Vec<SampleLine> = (0..4).map(|n| sample(4 * step + n)).collect();
        four.iter_mut().for_each(says_its_answer);
        run.step(&metrics, if step == 1 || step.is_multiple_of(15) { &four } else { &[] });
    }
    assert_eq!(rules(run.findings.told()), ["answers_in_sentences"]);
}

#[test]
fn an_answer_that_the_prompt_names_or_that_any_text_has_is_not_said() {
    let echoed = |sample: &mut SampleLine| {
        says_its_answer(sample);
        sample.prompt = format!("Is it {}?", sample.answer.clone().unwrap());
    };
    assert_eq!(rules(&found_in(setting(), hopeless, echoed)), ["task_too_hard"]);
    let lists_all = |sample: &mut SampleLine| {
        sample.answer = Some(["A", "B", "C"][sample.step as usize % 3].into());
        sample.completion = "A is red, B is blue and C is green.".into();
    };
    assert_eq!(rules(&found_in(setting(), hopeless, lists_all)), ["task_too_hard"]);
    let part = |sample: &mut SampleLine| {
        sample.completion = format!("It is 9{}", sample.answer.clone().unwrap());
    };
    assert_eq!(rules(&found_in(setting(), hopeless, part)), ["task_too_hard"]);
}

#[test]
fn groups_of_equal_rewards_are_told_apart_by_how_many_are_right() {
    let equal = |accuracy: f64| {
        let change = move |m: &mut StepMetrics| {
            (m.frac_reward_zero_std, m.accuracy) = (0.97, accuracy);
        };
        let found = found_in(setting(), change, as_is);
        assert_eq!(found.len(), 1, "{found:#?}");
        (found[0].rule.clone(), found[0].key.clone().unwrap())
    };
    assert_eq!(equal(0.0), ("task_too_hard".into(), "warm_start".into()));
    assert_eq!(equal(1.0), ("task_too_easy".into(), "data".into()));
    assert_eq!(equal(0.5), ("equal_groups".into(), "sampling.temperature".into()));
    assert_eq!(equal(f64::NAN), ("equal_groups".into(), "rewards".into()));
    let solved = |m: &mut StepMetrics| {
        if m.step > 50 {
            (m.frac_reward_zero_std, m.accuracy) = (0.97, 0.98);
        }
    };
    assert_eq!(found_in(setting(), solved, as_is), [], "a task that was learned is not too easy");
    for accuracy in [0.01, 0.99, 0.5] {
        let mixed = |m: &mut StepMetrics| (m.frac_reward_zero_std, m.accuracy) = (0.4, accuracy);
        assert_eq!(found_in(setting(), mixed, as_is), []);
    }
}

#[test]
fn a_short_run_is_judged_by_what_happened_in_all_of_it() {
    let short = Setting { max_steps: 2, prompts: 2, ..setting() };
    assert_eq!(rules(&found_in(short.clone(), hopeless, as_is)), ["task_too_hard"]);
    let half = |m: &mut StepMetrics| {
        hopeless(m);
        m.frac_reward_zero_std = if m.step == 1 { 1.0 } else { 0.5 };
    };
    assert_eq!(found_in(short, half, as_is), []);
}

#[test]
fn a_group_too_small_for_the_success_rate_asks_for_the_size_that_is_enough() {
    // Of problems with the same rate of 0.1 it is 0.9^4 + 0.1^4 = 0.66, and 0.43 of groups of 8.
    let at = |share: f64, accuracy: f64, completions: usize| {
        let change = move |m: &mut StepMetrics| {
            (m.frac_reward_zero_std, m.accuracy) = (share, accuracy);
        };
        found_in(Setting { prompts: 16, completions, ..setting() }, change, as_is)
    };
    let found = at(0.6562, 0.1, 4);
    let finding = of(&found, "small_group");
    assert_eq!(finding.key.as_deref(), Some("num_return_sequences_in_group"));
    assert_eq!(finding.value, Some(json!(8)));
    assert!(finding.problem.contains("in 66 % of the groups of 4"), "{finding}");
    assert!(finding.problem.contains("groups of 8 would be that in about 43 %"), "{finding}");
    // Problems that are always right or always wrong stay so in larger groups.
    let found = at(0.85, 0.4, 8);
    assert_eq!(of(&found, "small_group").key.as_deref(), Some("dynamic_sampling"));
    assert_eq!(at(0.45, 0.2, 4), []);
    assert_eq!(at(0.7, 0.8, 8), [], "a run that solves its task has right groups");
    let again = Setting { prompts: 16, draws_again: true, ..setting() };
    let rare = |m: &mut StepMetrics| (m.frac_reward_zero_std, m.accuracy) = (0.7, 0.1);
    assert_eq!(found_in(again, rare, as_is), []);
}

#[test]
fn a_reward_that_pays_only_for_format_is_found() {
    let form = |m: &mut StepMetrics| {
        (m.reward, m.accuracy) = (0.05, 0.0);
        m.reward_means = [("exact".to_owned(), 0.0), ("format".to_owned(), 0.5)].into();
    };
    let found = found_in(setting(), form, as_is);
    let finding = of(&found, "format_only");
    assert_eq!(rules(&found), ["format_only"]);
    assert!(finding.problem.contains("none of the last 320 completions"), "{finding}");
    assert!(finding.problem.contains("pays is format"), "{finding}");
    let one_right = |m: &mut StepMetrics| {
        form(m);
        m.accuracy = if m.step.is_multiple_of(9) { 1.0 / 32.0 } else { 0.0 };
    };
    assert_eq!(found_in(setting(), one_right, as_is), []);
    let credit = |m: &mut StepMetrics| {
        form(m);
        m.reward_means.insert("exact".into(), [0.1, 0.2][m.step as usize % 2]);
    };
    assert_eq!(found_in(setting(), credit, as_is), []);
}

#[test]
fn a_chat_model_with_raw_prompts_is_told_only_where_it_does_badly() {
    let raw = || Setting { bypasses_template: true, ..setting() };
    let badly = |m: &mut StepMetrics| m.accuracy = 0.02;
    let found = found_in(raw(), badly, as_is);
    assert_eq!(found[0].to_string().split(" → ").nth(1), Some("--set data.chat=true"));
    assert_eq!(rules(&found), ["plain_prompts"]);
    assert_eq!(found_in(raw(), as_is, as_is), []);
    assert!(!rules(&found_in(setting(), badly, as_is)).contains(&"plain_prompts"));
}

#[test]
fn completions_that_are_cut_off_ask_for_more_tokens_as_far_as_there_are_positions() {
    let cut = |m: &mut StepMetrics| m.clipped_ratio = 0.6;
    let value = |longest_response| {
        let found = found_in(Setting { longest_response, ..setting() }, cut, as_is);
        of(&found, "cut_off").value.clone()
    };
    assert_eq!(
        [value(None), value(Some(80)), value(Some(64))],
        [Some(json!(128)), Some(json!(80)), None]
    );
    assert_eq!(found_in(setting(), |m| m.clipped_ratio = 0.4, as_is), []);
}

#[test]
fn completions_that_say_their_answer_and_never_end_are_not_asked_for_more_tokens() {
    let cut = |m: &mut StepMetrics| {
        hopeless(m);
        m.clipped_ratio = 1.0;
    };
    let goes_on = |sample: &mut SampleLine| {
        says_its_answer(sample);
        sample.completion += " What is the next question? It is this:";
        sample.finish = "length".into();
    };
    let found = found_in(setting(), cut, goes_on);
    assert!(rules(&found).contains(&"never_ends") && !rules(&found).contains(&"cut_off"));
    let chat = Setting { bypasses_template: true, ..setting() };
    let found = found_in(chat, cut, goes_on);
    assert_eq!(of(&found, "never_ends").key.as_deref(), Some("data.chat"));
    // Cut off before the answer, they need tokens.
    let found = found_in(setting(), cut, |sample| sample.finish = "length".into());
    assert!(rules(&found).contains(&"cut_off") && !rules(&found).contains(&"never_ends"));
    // Where one in ten ends, the model has an end.
    let some_end = |m: &mut StepMetrics| (m.accuracy, m.clipped_ratio) = (0.1, 0.9);
    let found = found_in(setting(), some_end, goes_on);
    assert!(!rules(&found).contains(&"never_ends"), "{found:#?}");
}

#[test]
fn completions_that_repeat_themselves_are_found_and_long_ones_are_not() {
    let loops = |sample: &mut SampleLine| sample.completion = "So it goes on. ".repeat(20);
    let found = found_in(setting(), as_is, loops);
    assert_eq!(rules(&found), ["repetition"]);
    let long = |sample: &mut SampleLine| {
        let words = (0..80).map(|i| format!("{} is {}", i * sample.step, i + 3));
        sample.completion = words.collect::<Vec<_>>().join(", ");
    };
    assert_eq!(found_in(setting(), as_is, long), []);
    let few = |sample: &mut SampleLine| {
        if sample.step.is_multiple_of(4) {
            loops(sample);
        }
    };
    assert_eq!(found_in(setting(), as_is, few), []);
}
