//! What is right and what is wrong.

use std::time::{Duration, Instant};

use serde::Deserialize;

use super::*;
use crate::reward::test_support::{completion, problem, reward};

/// A verdict of mathematics, not of any program.
#[derive(Deserialize)]
struct Pair {
    answer: String,
    completion: String,
    right: bool,
}

fn pairs() -> Vec<Pair> {
    let lines = include_str!("../../../tests/fixtures/math/pairs.jsonl").lines();
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn score(answer: &str, text: &str) -> Option<f64> {
    reward::<MathReward>("{}").score(&problem(Some(answer)), &completion(text))
}

#[test]
fn every_labelled_pair_has_its_verdict() {
    let mut wrong = Vec::new();
    let mut slowest = Duration::ZERO;
    let pairs = pairs();
    for Pair { answer, completion, right } in &pairs {
        let began = Instant::now();
        let given = score(answer, completion);
        slowest = slowest.max(began.elapsed());
        // What cannot be read on the reference's side is not judged, and so not right.
        if given.unwrap_or(0.0) != f64::from(*right) {
            wrong.push(format!("{right}, but {given:?}: {answer} | {completion}"));
        }
    }
    println!("{} pairs, {} not as labelled, slowest {slowest:?}", pairs.len(), wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(slowest < Duration::from_millis(100), "{slowest:?}");
}

#[test]
fn every_reference_equals_itself_or_is_not_judged() {
    for Pair { answer, .. } in pairs() {
        assert_ne!(score(&answer, &format!("\\boxed{{{answer}}}")), Some(0.0), "{answer}");
    }
}

#[test]
fn a_reference_that_cannot_be_read_is_not_judged() {
    let math: MathReward = reward("{}");
    for answer in [r"\int_0^1 x dx", "1/0", "5 + ", r"\frac{1}{", "9^{9^{9^9}}", r"\lim x"] {
        assert_eq!(score(answer, answer), None, "{answer}");
        assert_eq!(math.obstacle(&problem(Some(answer))), Some(NOT_READ), "{answer}");
    }
    assert_eq!(math.obstacle(&problem(None)), Some(NO_ANSWER));
    assert_eq!(math.obstacle(&problem(Some(" "))), Some(NO_ANSWER));
    assert_eq!(math.obstacle(&problem(Some(r"\frac{1}{2}"))), None);
}

#[test]
fn what_cannot_be_read_of_a_completion_is_wrong() {
    for text in
        [r"\boxed{\frac{1}{}", r"\boxed{5 +}", "", "9^9^9^9", r"\boxed{\foo{5}}", r"\boxed{5 5}"]
    {
        assert_eq!(score("5", text), Some(0.0), "{text}");
    }
}

#[test]
fn the_place_of_the_answer_can_be_told() {
    let math: MathReward = reward(r#"{"answer":{"from":"tag:answer"}}"#);
    let score = |text| math.score(&problem(Some("1/2")), &completion(text));
    assert_eq!(score(r"<answer>\frac12</answer> of 3"), Some(1.0));
    assert_eq!(score(r"\boxed{1/2}"), Some(0.0));
}

/// No text takes longer, whatever stands in it.
#[track_caller]
fn check_time(answer: &str, text: &str) {
    let began = Instant::now();
    score(answer, text);
    let took = began.elapsed();
    let start: String = text.chars().take(60).collect();
    assert!(
        took < Duration::from_millis(if cfg!(debug_assertions) { 400 } else { 100 }),
        "{took:?}: {answer} | {start}"
    );
}

#[test]
fn hostile_texts_take_bounded_time_on_either_side() {
    let deep = |open: &str, close: &str, count: usize| {
        format!("{}1{}", open.repeat(count), close.repeat(count))
    };
    let mut texts = vec![
        deep("{", "}", 100_000),
        deep("(", ")", 100_000),
        deep("(", ")", 900),
        deep(r"\frac{1}{", "}", 300),
        deep(r"\sqrt{", "}", 400),
        deep(r"\left(", r"\right)", 400),
        deep("2^{", "}", 1000),
        "9^9^9^9".into(),
        "9^{9^{9^9}}".into(),
        "2^{2^{14}}".into(),
        "(10^9)!".into(),
        "1000000000!".into(),
        "2000!".into(),
        "2000!/1999! + 1999!/1998!".into(),
        "3!!!!!!!!!!!!!!".into(),
        r"\binom{1000000}{1000}".into(),
        "9".repeat(100_000),
        format!("0.{}", "7".repeat(100_000)),
        format!("{}/{}", "7".repeat(2000), "3".repeat(2000)),
        vec!["1"; 1000].join("+"),
        vec!["1/3"; 900].join("+"),
        (1..400).map(|n| format!("1/{}", n * n + 1)).collect::<Vec<_>>().join("+"),
        (1..300).map(|n| format!("\\sin({n}x)")).collect::<Vec<_>>().join("+"),
        (1..500).map(|n| format!("\\sqrt{{{n}}}")).collect::<Vec<_>>().join("+"),
        (1..200).map(|n| format!("\\sqrt{{{n}}}")).collect::<Vec<_>>().join(","),
        (1..150).rev().map(|n| format!("\\sin {n}")).collect::<Vec<_>>().join(","),
        "-".repeat(100_000),
        r"\pm".repeat(1000),
        format!("{}1", r"\pm ".repeat(400)),
        "1,".repeat(5000),
        "$".repeat(100_000),
        "((((1,2),(3,4)),((5,6),(7,8))),1)".into(),
        r"\sum_{k=1}^{400} \sum_{j=1}^{400} \sum_{i=1}^{400} ijk".into(),
        r"\sum_{k=1}^{400} k^{400}".into(),
        r"\sin(10^{300})".into(),
        "e^{e^{e^{e^9}}}".into(),
        r"(x+y+z)^{999}".into(),
        r"\begin{pmatrix}".to_owned() + &"1&".repeat(500) + r"\end{pmatrix}",
        vec![r"\begin{pmatrix}1&2\\3&4\end{pmatrix}"; 60].join(""),
        "answer is ".repeat(10_000),
        "x = ".repeat(10_000),
        "\\text{".repeat(10_000),
        "1 and ".repeat(10_000),
    ];
    texts.extend(texts.clone().iter().map(|text| format!("\\boxed{{{text}}}")));
    for text in &texts {
        check_time("5", text);
        check_time(r"\sqrt{2}", text);
        check_time(text, text);
        check_time(text, "5");
    }
}

/// A stream of texts made of what formulas are made of.
fn random_text(random: &mut crate::random::Stream) -> String {
    const PIECES: [&str; 64] = [
        "1",
        "2",
        "37",
        "0.5",
        "1,000",
        "x",
        "y",
        "n",
        "i",
        "e",
        r"\pi",
        "+",
        "-",
        "*",
        "/",
        "^",
        "_",
        "=",
        "<",
        r"\le ",
        r"\ne ",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        r"\{",
        r"\}",
        ",",
        ";",
        ":",
        "!",
        "%",
        r"\frac",
        r"\sqrt",
        r"\binom",
        r"\sin ",
        r"\log_",
        r"\pm ",
        r"\cup ",
        r"\infty",
        r"\text{ and }",
        r"\text{cm}",
        r"\left",
        r"\right",
        "|",
        "'",
        "°",
        r"^\circ",
        r"\begin{pmatrix}",
        r"\end{pmatrix}",
        "&",
        r"\\",
        r"\sum_{k=1}^{n}",
        "k",
        "...",
        " ",
        "$",
        r"\boxed{",
        "####",
        "½",
        "²",
        "x = ",
    ];
    let length = 1 + random.index_below(24);
    (0..length).map(|_| PIECES[random.index_below(PIECES.len())]).collect()
}

#[test]
fn random_texts_end_in_a_verdict_and_are_right_both_ways_or_not_at_all() {
    let count: u32 =
        std::env::var("WGRPO_FUZZ_CASES").ok().and_then(|count| count.parse().ok()).unwrap_or(4000);
    let mut random = crate::random::Stream::new(7, 0x3A7E_0001);
    let mut judged = 0;
    for _ in 0..count {
        let (answer, text) = (random_text(&mut random), random_text(&mut random));
        let began = Instant::now();
        for (answer, text) in [(&answer, &text), (&answer, &answer)] {
            let given = score(answer, text);
            assert!(given.is_none_or(|score| score == 0.0 || score == 1.0));
            judged += usize::from(given.is_some());
        }
        assert!(began.elapsed() < Duration::from_millis(800), "{answer} | {text}");
    }
    println!("{count} random pairs, {judged} verdicts");
    assert!(judged > 0);
}
