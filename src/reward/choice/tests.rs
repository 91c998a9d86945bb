//! Choices as models write them.

use serde_json::{Value, json};

use super::*;
use crate::reward::test_support::{completion, problem, reward};

fn of(answer: &str, choices: Option<Value>) -> Problem {
    let mut problem = problem(Some(answer));
    problem.columns.extend(choices.map(|choices| ("choices".to_owned(), choices)));
    problem
}

fn score(answer: &str, choices: Option<Value>, text: &str) -> Option<f64> {
    reward::<ChoiceReward>("{}").score(&of(answer, choices), &completion(text))
}

fn extracted(choices: Option<Value>, text: &str) -> Option<String> {
    reward::<ChoiceReward>("{}").extracted(&of("B", choices), text)
}

fn cities() -> Option<Value> {
    Some(json!(["Mombasa", "Nairobi", "Kisumu", "a New Town"]))
}

#[test]
fn a_letter_is_read_in_every_way_that_models_write_it() {
    for text in [
        "B",
        "b",
        " B \n",
        "B.",
        "B)",
        "(B)",
        "[B]",
        "(b)",
        "b)",
        "b.",
        "**B**",
        "**B.**",
        "**B) 42**",
        "**(B)**",
        "__B__",
        "*B*",
        "_B_",
        "`B`",
        "\"B\"",
        "'B'",
        "$B$",
        "\\(B\\)",
        "\\boxed{B}",
        "$\\boxed{B}$",
        "\\boxed{\\text{B}}",
        "\\boxed{\\textbf{(B) } 42}",
        "\\boxed{(B)}",
        "\\boxed{B. 42}",
        "\\boxed B",
        "So it is 42.\n\n\\boxed{\\mathrm{B}}.",
        "#### B",
        "We get 42.\n#### (B)",
        "<answer>B</answer>",
        "<think>A? C? No.</think><answer>B</answer>",
        "<answer>The answer is B.</answer>",
        "<think>The answer is A or C. Hmm, A.</think>\n\nB",
        "B) 42",
        "B. 42",
        "B: 42",
        "B - 42",
        "(B) 42",
        "Ｂ",
        "（Ｂ）",
        "The answer is B",
        "The answer is B.",
        "the answer is b",
        "The answer is b.",
        "The answer is (B).",
        "The answer is **B**.",
        "The answer is: B",
        "The answer is: **B) 42**",
        "The answer is \"B\".",
        "The answer is option B.",
        "The answer is option (B), 42.",
        "The answer is $\\boxed{B}$",
        "The correct answer is B",
        "The correct answer is B: 42",
        "The correct answer is: (B) 42.",
        "The correct option is B.",
        "The correct choice is **B**",
        "The best answer is B because the others are wrong.",
        "The right answer is clearly B!",
        "The answer to this question is B.",
        "The answer to the question about apples is (B).",
        "The answer would be B, since 6 · 7 = 42.",
        "Answer: B",
        "Answer: B) 42",
        "Answer: B. 42",
        "Answer: (B)",
        "Answer:B",
        "ANSWER: B",
        "answer: b",
        "Answer - B",
        "Answer = B",
        "**Answer:** B",
        "**Answer: B**",
        "### Answer\nB",
        "### Answer: B",
        "Final answer: B",
        "Final Answer: The final answer is B. I hope it is correct.",
        "Correct answer: B",
        "Correct Option: B",
        "Answer\n\nB",
        "option b",
        "Option B",
        "Option B.",
        "Option (B)",
        "Choice B",
        "choice (b)",
        "Option B: 42",
        "I choose B.",
        "I choose option B",
        "I would pick (B).",
        "I'd go with B.",
        "I'd say B",
        "My guess is B... but I select B.",
        "It is B.",
        "It's B!",
        "It must be B.",
        "That is option B.",
        "So, B.",
        "Therefore, (B).",
        "Thus B",
        "Hence option B.",
        "B is correct.",
        "B is the correct answer.",
        "Option B is correct.",
        "(B) is the right choice",
        "Therefore option B is the best answer.",
        "B because 6 · 7 is 42.",
        "B, since 6 · 7 is 42",
        "B, because A is too small.",
        "6 · 7 = 42, which is option B.",
        "6 · 7 = 42, so the answer is B",
        "A is wrong, C is wrong, so the answer must be B.",
        "Option A is wrong because 6 · 7 is not 41. The answer is B.",
        "The answer is A. Wait, no. The answer is B.",
        "I thought it is A. Now the answer is B.",
        "A) 41\nB) 42\nC) 43\n\nAnswer: B",
        "A) 41\nB) 42\nC) 43\n\nB",
        "(A) 41 (B) 42 (C) 43. The correct answer is (B).",
        "Let me think.\n\n6 · 7 = 42\n\n**B**",
        "6 · 7 = 42 (B)",
        "A: B",
        "Q: 6 · 7?\nA: (B)",
        "Answer: B 42",
        "Answer: B\nExplanation: A is too small and C is too large.",
        "The correct answer among A, B, C and D is B.",
        "The answer cannot be A, so it is B.",
        "Among the options, B is the most accurate.",
        "Sure! The answer is:\n\n**B) 42**\n\nBecause 6 · 7 = 42.",
        "The answer is B rather than A.",
        "I think B.",
        "ans: B",
        "{\"answer\": \"B\"}",
        "[[B]]",
        "答案是B。",
        "答案：B",
        "正确答案是（B）",
        "故选：B。",
        "答えはBです",
        "정답: B",
        "Ответ: B",
        "Antwort: B",
        "Die richtige Antwort ist B.",
        "La respuesta es B.",
        "Réponse : B",
    ] {
        assert_eq!(score("B", None, text), Some(1.0), "{text:?}");
    }
}

#[test]
fn another_letter_two_letters_and_no_letter_are_wrong() {
    for text in [
        "",
        " ",
        "42",
        "A",
        "(C)",
        "The answer is A.",
        "The answer is not B.",
        "The answer isn't B, it is C.",
        "B is not correct.",
        "B is wrong.",
        "Neither A nor B is correct.",
        "I do not know if B is correct.",
        "The answer is A or B.",
        "The answer is B or C",
        "The answer is A, B and C.",
        "The answer is B and D.",
        "Answer: A, B",
        "Answer: B, C, D",
        "Answer: A/B",
        "\\boxed{A, B}",
        "<answer>B and C</answer>",
        "\\boxed{A} not B",
        "A) 41\nB) 42\nC) 43",
        "The answer is B. No, wait: the answer is C.",
        "Option A, option B and option C are possible.",
        "Let us look at each option:\n\nA) 41 - wrong\nB) 42 - right\nC) 43 - wrong",
        "The answer choices are:\nB) 42\nC) 43",
        "The answer can't be B.",
        "Hepatitis B is a virus.",
        "The blood type is B.",
        "Best regards",
        "By now, be brief.",
        "B-cells are the answer.",
        "The answer is B-cells",
        "The answer is B.C. 42",
        "The answer is Bob.",
        "Answer: Because",
        "x = B + 1",
        "Vitamin B helps.",
        "plan B",
        "e.g. b.c",
        "F",
    ] {
        assert_eq!(score("B", None, text), Some(0.0), "{text:?}");
    }
}

#[test]
fn the_article_is_no_letter() {
    for text in [
        "A cat sat on the mat.",
        "The answer is a number.",
        "The answer is a prime number.",
        "The answer is A prime.",
        "Answer: A cat",
        "It is a cat.",
        "It's a cat",
        "This is A big problem",
        "A triangle has three sides.",
        "I choose a cat.",
        "So a cat it is.",
        "So, a cat.",
        "A",
        "Choice a person makes",
        "A: The cat.",
        "A: 42",
        "A man, a plan, a canal.",
        "\\boxed{a cat}",
        "<answer>a cat</answer>",
        "An apple a day",
        "That would be a mistake.",
    ] {
        let found = extracted(None, text);
        let expected = (text == "A").then(|| "A".to_owned());
        assert_eq!(found, expected, "{text:?}");
    }
    for text in [
        "a",
        "a)",
        "(a)",
        "(A)",
        "A.",
        "A)",
        "A) a cat",
        "The answer is A.",
        "The answer is a.",
        "The answer is (a)",
        "The answer is A because it is a cat.",
        "It is A.",
        "I choose A",
        "A is correct.",
        "Option A is correct.",
        "A, because a cat is an animal.",
        "Answer: A",
        "A: A",
        "\\boxed{A}",
        "A cat is an animal, so the answer is A.",
    ] {
        assert_eq!(extracted(None, text), Some("A".to_owned()), "{text:?}");
    }
}

#[test]
fn the_text_of_a_choice_is_its_letter_where_there_is_a_column_of_them() {
    for text in [
        "Nairobi",
        "nairobi.",
        "**Nairobi**",
        "The capital of Kenya is Nairobi.",
        "The answer is Nairobi.",
        "\\boxed{Nairobi}",
        "\\boxed{\\text{Nairobi}}",
        "<answer>Nairobi</answer>",
        "Mombasa and Kisumu are large, but the answer is Nairobi.",
        "Mombasa is a port.\nNairobi",
        "Answer: B Nairobi",
        "B Nairobi",
        "The answer is b nairobi",
        "B",
        "Answer: B) Nairobi",
    ] {
        assert_eq!(score("B", cities(), text), Some(1.0), "{text:?}");
    }
    for text in ["Nairobian", "Mombasa, Nairobi and Kisumu", "Mombasa", "Kenya", "E"] {
        assert_eq!(score("B", cities(), text), Some(0.0), "{text:?}");
    }
    // What is chosen by its letter is not chosen by another's text.
    assert_eq!(extracted(cities(), "The answer is C."), Some("C".into()));
    assert_eq!(extracted(cities(), "Answer: A Mombasa"), Some("A".into()));
    assert_eq!(extracted(cities(), "It is a new town."), Some("D".into()));
}

#[test]
fn a_choice_that_is_part_of_another_is_read_whole() {
    let choices = Some(json!(["York", "New York", "New York City"]));
    for (text, letter) in
        [("It is New York City.", "C"), ("It is New York.", "B"), ("It is York.", "A")]
    {
        assert_eq!(extracted(choices.clone(), text), Some(letter.into()), "{text}");
    }
    let numbers = Some(json!([4, 42, "-42", "4.2"]));
    assert_eq!(extracted(numbers.clone(), "That makes 42."), Some("B".into()));
    assert_eq!(extracted(numbers, "\\boxed{-42}"), Some("C".into()));
}

#[test]
fn choices_are_read_from_every_shape_that_data_has() {
    let texts = json!(["1", "2", "3", "4"]);
    for choices in [
        texts.clone(),
        json!(texts.to_string()),
        json!({"text": texts, "label": ["A", "B", "C", "D"]}),
        json!({"text": texts, "label": ["1", "2", "3", "4"]}),
        json!({"A": "1", "B": "2", "C": "3", "D": "4"}),
        json!({"b": 2, "a": 1, "d": 4, "c": 3}),
    ] {
        assert_eq!(score("C", Some(choices.clone()), "The answer is 3."), Some(1.0), "{choices}");
        assert_eq!(score("3", Some(choices.clone()), "C"), Some(1.0), "{choices}");
        assert_eq!(score("3", Some(choices.clone()), "E"), Some(0.0), "{choices}");
    }
    let labels = json!({"text": ["ja", "nein"], "label": ["1", "2"]});
    assert_eq!(score("2", Some(labels), "B"), Some(1.0));
}

#[test]
fn answers_are_letters_texts_or_numbers_as_asked() {
    for answer in
        ["B", "b", "(B)", "B)", "B.", " B ", "B) Nairobi", "B. Nairobi", "Nairobi", "nairobi"]
    {
        assert_eq!(score(answer, cities(), "B"), Some(1.0), "{answer}");
        assert_eq!(score(answer, cities(), "C"), Some(0.0), "{answer}");
    }
    for (from, answer) in [(0, "1"), (1, "2")] {
        let choice: ChoiceReward = reward(&format!(r#"{{"index_from":{from}}}"#));
        let scores = ["B", "C"].map(|t| choice.score(&of(answer, cities()), &completion(t)));
        assert_eq!(scores, [Some(1.0), Some(0.0)]);
        assert!(choice.score(&of("4", None), &completion("E")).is_some());
        assert_eq!(choice.score(&of("9", cities()), &completion("B")), None);
    }
}

#[test]
fn answers_that_are_no_choice_are_not_judged() {
    let choice: ChoiceReward = reward("{}");
    for (answer, choices) in [
        ("F", None),
        ("E", cities()),
        ("Lagos", cities()),
        ("Nairobi", None),
        ("2", cities()),
        ("A or B", None),
        ("", None),
    ] {
        let problem = of(answer, choices);
        assert_eq!(choice.score(&problem, &completion("A")), None, "{answer}");
        assert!(choice.obstacle(&problem).unwrap().contains("no letter"), "{answer}");
    }
    assert_eq!(choice.obstacle(&problem(None)), Some("have no answer"));
    assert_eq!(choice.obstacle(&of("B", None)), None);
}

#[test]
fn more_letters_are_read_on_request() {
    let choice: ChoiceReward = reward(r#"{"last":"J"}"#);
    let score = |text| choice.score(&of("J", None), &completion(text));
    assert_eq!(
        [score("J"), score("The answer is (J)."), score("I")],
        [Some(1.0), Some(1.0), Some(0.0)]
    );
    assert_eq!(score("I choose J"), Some(1.0));
    assert_eq!(score("I like it"), Some(0.0));
}

#[test]
fn the_choice_is_looked_for_where_it_is_said_to_stand() {
    let choice: ChoiceReward = reward(r#"{"answer":{"from":"regex","pattern":"ANSWER (.*)"}}"#);
    let score = |text| choice.score(&of("B", None), &completion(text));
    assert_eq!(score("The answer is C. ANSWER (b)"), Some(1.0));
    assert_eq!(score("The answer is B."), Some(0.0));
}

#[test]
fn settings_that_cannot_be_used_are_refused_with_their_key() {
    for (settings, key) in [
        (r#"{"last":"A"}"#, "choice.last"),
        (r#"{"last":"e"}"#, "choice.last"),
        (r#"{"index_from":2}"#, "choice.index_from"),
        (r#"{"choices":""}"#, "choice.choices"),
    ] {
        let error = reward::<ChoiceReward>(settings).checked().unwrap_err();
        assert!(error.to_string().contains(key), "{error}");
    }
}

#[test]
fn texts_without_measure_end_soon() {
    let start = std::time::Instant::now();
    let long = Some(json!(vec!["word ".repeat(5_000); 20]));
    for text in [
        "The answer is ".repeat(70_000),
        "(A".repeat(500_000),
        "\\boxed{".repeat(140_000),
        "<answer>".repeat(120_000),
        "answer to ".repeat(100_000),
        "A is ".repeat(200_000),
        "word ".repeat(200_000),
        "A) ".repeat(300_000),
        "*_$`".repeat(250_000),
        "\u{301}".repeat(500_000),
        "B".repeat(1_000_000),
        "\n".repeat(1_000_000),
        " ".repeat(1_000_000),
    ] {
        extracted(None, &text);
        extracted(long.clone(), &text);
    }
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}
