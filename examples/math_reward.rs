//! The `math` reward on GSM8K as published, and its speed: `cargo run --release --example math_reward FOLDER`,
//! where FOLDER holds `train.jsonl` and `test.jsonl`.

use std::path::Path;
use std::time::Instant;

use serde_json::{Map, Value};
use wgrpo::data::{Problem, Prompt};
use wgrpo::reward::{Completion, Item, MathReward, Reward};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let math: MathReward = serde_json::from_str("{}")?;
    match std::env::args().nth(1) {
        Some(folder) => gsm8k(&math, Path::new(&folder))?,
        None => println!("skipped: no folder with GSM8K's train.jsonl and test.jsonl was named"),
    }
    speed(&math)?;
    Ok(())
}

fn problem(id: u64, answer: &str) -> Problem {
    Problem {
        id,
        prompt: Prompt::Text(String::new()),
        answer: Some(answer.to_owned()),
        columns: Map::new(),
    }
}

fn completion(text: &str) -> Completion<'_> {
    Completion { text, tokens: 1, finished: true, max_tokens: 1, ids: &[] }
}

fn solutions(path: &Path) -> Result<Vec<String>, Failure> {
    let text = std::fs::read_to_string(path)?;
    let solution = |line: &str| -> Result<String, Failure> {
        let row: Value = serde_json::from_str(line)?;
        Ok(row["answer"].as_str().ok_or("a row without an answer")?.to_owned())
    };
    text.lines().map(solution).collect()
}

fn gsm8k(math: &MathReward, folder: &Path) -> Result<(), Failure> {
    let test = solutions(&folder.join("test.jsonl"))?;
    let number =
        |solution: &str| solution.rsplit("####").next().unwrap_or_default().trim().replace(',', "");
    let judged = test.iter().filter(|answer| math.obstacle(&problem(0, answer)).is_none()).count();
    println!("test: {} references, {judged} can be judged", test.len());
    let score = |answer: &str, text: &str| math.score(&problem(0, answer), &completion(text));
    let own = test.iter().filter(|answer| score(answer, answer) == Some(1.0)).count();
    println!("test: {own} equal themselves");
    let neighbours = test.iter().zip(test.iter().cycle().skip(1));
    let wrong =
        neighbours.filter(|(a, b)| (score(a, b) == Some(1.0)) != (number(a) == number(b))).count();
    println!("test: {wrong} judged wrongly beside their neighbour");

    let train = solutions(&folder.join("train.jsonl"))?;
    let right =
        train.iter().filter(|solution| score(&number(solution), solution) == Some(1.0)).count();
    println!("train: {right} of {} solutions are right", train.len());
    let changed = train.iter().filter(|solution| {
        score(&number(solution), &with_last_digit_changed(solution)) == Some(0.0)
    });
    println!("train: {} of {} are wrong with the last digit changed", changed.count(), train.len());
    Ok(())
}

fn with_last_digit_changed(solution: &str) -> String {
    let at = solution.rfind(|c: char| c.is_ascii_digit()).unwrap_or(0);
    let digit = solution[at..].chars().next().and_then(|c| c.to_digit(10)).unwrap_or(0);
    format!("{}{}{}", &solution[..at], (digit + 1) % 10, &solution[at + 1..])
}

/// 100,000 completions of 1 KB, four of five right, marked and unmarked, over answers of many kinds.
fn speed(math: &MathReward) -> Result<(), Failure> {
    const ANSWERS: [(&str, &str); 10] = [
        ("72", "72"),
        ("1,200", "1200.00"),
        (r"\frac{3}{4}", "0.75"),
        (r"\frac{3}{4}", r"\frac{4}{3}"),
        ("(1, 2)", "(1,2)"),
        ("x^2+2x+1", "(x+1)^2"),
        (r"2\sqrt{3}", r"\sqrt{12}"),
        (r"\{1, 2, 3\}", "3, 2, 1"),
        (r"(2, \infty)", "x > 2"),
        ("18", "17"),
    ];
    const COUNT: usize = 100_000;
    let filler =
        "We add the parts one by one: 12 + 30 = 42, so $x = 42$ is half of 84. ".repeat(20);
    let texts: Vec<String> =
        (0..COUNT).map(|index| text(&filler, ANSWERS[index % ANSWERS.len()].1, index)).collect();
    let problems: Vec<Problem> =
        (0..COUNT).map(|index| problem(index as u64, ANSWERS[index % ANSWERS.len()].0)).collect();
    let items: Vec<Item> = problems
        .iter()
        .zip(&texts)
        .map(|(problem, text)| Item { problem, completion: completion(text) })
        .collect();
    let began = Instant::now();
    let scores = math.score_batch(&items)?;
    let took = began.elapsed().as_secs_f64();
    let right = scores.iter().filter(|score| **score == Some(1.0)).count();
    println!("{COUNT} completions of 1 KB in {took:.2} s, {right} of them right");
    Ok(())
}

fn text(filler: &str, answer: &str, index: usize) -> String {
    let end = match index / 10 % 3 {
        0 => format!("The answer is \\boxed{{{answer}}}."),
        1 => format!("\n#### {answer}"),
        _ => format!("The answer is ${answer}$."),
    };
    format!("{}{end}", &filler[..1024 - end.len()])
}
