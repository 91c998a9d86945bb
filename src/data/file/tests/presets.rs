//! Rows in the columns of published sets.

use super::*;

/// The one problem of a row, read by a preset and by the columns alone.
fn one(kind: &str, row: &Value, more: Value) -> Problem {
    let mut settings = more;
    settings["kind"] = json!(kind);
    let read = load(&row.to_string(), settings.clone()).unwrap().train.remove(0);
    settings["kind"] = json!("auto");
    let guessed = load(&row.to_string(), settings).unwrap().train.remove(0);
    assert_eq!(read, guessed, "{kind} is not what the columns tell");
    read
}

#[test]
fn gsm8k_is_read_as_published() {
    let solution = "6*200=<<6*200=1200>>1,200\n#### 1,200";
    let row = json!({"question": "How many?", "answer": solution});
    let problem = one("gsm8k", &row, json!({}));
    assert_eq!(problem.answer.as_deref(), Some("1200"));
    assert_eq!(problem.columns["answer"], solution);
    let Prompt::Messages(turns) = &problem.prompt else { panic!("no conversation") };
    assert_eq!((turns.len(), turns[0].role.as_str()), (1, "user"));
    assert!(
        turns[0].content.starts_with("How many?\n\n") && turns[0].content.contains("#### number")
    );
    let plain = json!({"chat": false, "system": "S", "template": "Q: {question}\nA:"});
    assert_eq!(one("gsm8k", &row, plain).prompt, Prompt::Text("S\n\nQ: How many?\nA:".into()));
    let refused = |line: &str, part: &str| check_error(line, json!({"kind": "gsm8k"}), &[part]);
    refused(r#"{"question":"q","answer":"12"}"#, "p.jsonl:1: the answer has no");
    refused(r#"{"question":"q","answer":"12 #### "}"#, "nothing stands after");
    refused(r#"{"answer":"12 #### 3"}"#, "no column \"question\"");
}

#[test]
fn math_is_read_as_published() {
    let row = json!({
        "problem": "What is $\\frac{1}{4}+\\frac{1}{4}$?", "level": "Level 1", "type": "Algebra",
        "solution": "It is $\\frac{2}{4} = \\boxed{\\frac{1}{2}}$."
    });
    let problem = one("math", &row, json!({}));
    assert_eq!(problem.answer.as_deref(), Some("\\frac{1}{2}"));
    let Prompt::Messages(turns) = &problem.prompt else { panic!("no conversation") };
    let task = "\n\nPlease reason step by step, and put your final answer within \\boxed{}.";
    assert_eq!(turns[0].content, format!("{}{task}", row["problem"].as_str().unwrap()));
    // MATH-500 has the answer in a column of its own.
    let mut with_answer = row.clone();
    with_answer["answer"] = json!("0.5");
    assert_eq!(one("math", &with_answer, json!({})).answer.as_deref(), Some("0.5"));
    let explicit = json!({"answer_column": "solution", "prompt": "{{ problem }}", "chat": false});
    let problem = one("math", &with_answer, explicit);
    assert_eq!(problem.answer.as_deref(), Some("\\frac{1}{2}"));
    assert_eq!(problem.prompt, Prompt::Text(row["problem"].as_str().unwrap().into()));
    // A solution without a box, of some length, is no answer.
    let unmarked = json!({"problem": "p", "solution": "We see\nthat it holds."});
    assert_eq!(one("math", &unmarked, json!({})).answer, None);
}

#[test]
fn rows_of_roll_are_read_as_roll_reads_them() {
    let turns = json!([{"role": "system", "content": "Box it."}, {"role": "user", "content": "Compute 1+1."}]);
    let row = json!({
        "id": "1", "source": "deepmath", "prompt": "Compute 1+1.", "messages": turns.to_string(),
        "ground_truth": "2", "tag": "deepmath", "difficulty": 3
    });
    let problem = one("roll", &row, json!({}));
    let expected = conversation_of(&[("system", "Box it."), ("user", "Compute 1+1.")]);
    assert_eq!((problem.prompt, problem.answer.as_deref()), (expected, Some("2")));
    assert_eq!(problem.columns["difficulty"], 3);
    // Without messages it encodes the prompt as it stands.
    let plain =
        load(r#"{"prompt": "1+1=", "ground_truth": "2"}"#, json!({"kind": "roll"})).unwrap();
    assert_eq!(plain.train[0].prompt, Prompt::Text("1+1=".into()));
}

#[test]
fn both_forms_of_trl_are_read() {
    let plain = json!({"prompt": "1+1=", "solution": "$\\boxed{2}$"});
    let problem = one("trl", &plain, json!({}));
    assert_eq!(
        (problem.prompt, problem.answer.as_deref()),
        (Prompt::Text("1+1=".into()), Some("2"))
    );
    let turns = json!([{"role": "user", "content": "1+1?"}]);
    let row = json!({"prompt": turns, "completion": [{"role": "assistant", "content": "2"}], "solution": "2"});
    let problem = one("trl", &row, json!({}));
    let expected = conversation_of(&[("user", "1+1?")]);
    assert_eq!((problem.prompt, problem.answer.as_deref()), (expected, Some("2")));
}

#[test]
fn verl_and_openr1_are_read_from_what_pyarrow_and_datasets_write() {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/data");
    let of = |kind: Value, file: &str| {
        let mut config = json!({"path": format!("{fixtures}/{file}.parquet")});
        if !kind.is_null() {
            config["kind"] = kind;
        }
        serde_json::from_value::<DataConfig>(config).unwrap().load(0).unwrap()
    };
    let verl = of(json!("verl"), "verl");
    assert_eq!(verl.train.len(), 10);
    assert_eq!(verl.train[4].prompt, conversation_of(&[("user", "What is 4+4?")]));
    assert_eq!(verl.train[4].answer.as_deref(), Some("8"));
    assert_eq!(verl.train[4].columns["extra_info"]["index"], 4);
    assert_eq!(of(Value::Null, "verl").train, verl.train);
    let openr1 = of(json!("openr1"), "openr1");
    let Prompt::Messages(turns) = &openr1.train[3].prompt else { panic!("no conversation") };
    assert!(turns[0].content.starts_with("Compute $3+1$.\n\nPlease reason"));
    assert_eq!(openr1.train[3].answer.as_deref(), Some("4"));
    // The solutions of a teacher do not stand in the prompt, nor in memory.
    let names: Vec<&String> = openr1.train[3].columns.keys().collect();
    assert_eq!(names, ["problem", "solution", "answer", "correctness_math_verify"]);
    let guessed = of(Value::Null, "openr1");
    assert_eq!(guessed.train, openr1.train);
    assert!(guessed.notes[0].contains("data.kind openr1 is taken"), "{:?}", guessed.notes);
}

/// Row `n` of each set, in all the columns that it is published with; the question is `Q<n>`, the answer `n`.
fn published(n: usize) -> [(&'static str, Value); 8] {
    let user = json!({"role": "user", "content": format!("Q{n}?")});
    let system = json!({"role": "system", "content": "Box it."});
    let solution = format!("First $\\boxed{{{}}}$?\nNo: $x^2 = \\boxed{{{n}}}$.", n + 1);
    [
        (
            "gsm8k",
            json!({"question": format!("Q{n}?"), "answer": format!("1+{n} = <<1+{n}=3>>3\n#### {n}")}),
        ),
        (
            "math",
            json!({
                "problem": format!("Q{n}?"), "level": "Level 5", "type": "Number Theory", "solution": solution
            }),
        ),
        // MATH-500.
        (
            "math",
            json!({
                "problem": format!("Q{n}?"), "solution": solution, "answer": n.to_string(), "subject": "Algebra",
                "level": 2, "unique_id": format!("test/algebra/{n}.json")
            }),
        ),
        (
            "roll",
            json!({
                "id": n.to_string(), "source": "deepmath", "difficulty": n, "prompt": format!("Q{n}?"),
                "messages": json!([system, user]).to_string(), "ground_truth": n.to_string(),
                "case_type": "", "test_case_function": "", "test_cases": "", "tag": "deepmath"
            }),
        ),
        // DeepMath as TRL publishes it, and DAPO's problems.
        ("trl", json!({"prompt": [user], "solution": format!("${n}$")})),
        ("trl", json!({"prompt": format!("Q{n}?"), "solution": n.to_string()})),
        (
            "verl",
            json!({
                "data_source": "openai/gsm8k", "prompt": [user], "ability": "math",
                "reward_model": {"ground_truth": n.to_string(), "style": "rule"},
                "extra_info": {"answer": "...", "index": n, "question": "...", "split": "train"}
            }),
        ),
        (
            "openr1",
            json!({
                "problem": format!("Q{n}?"), "solution": solution, "answer": n.to_string(), "problem_type": "Algebra",
                "question_type": "math-word-problem", "source": "olympiads", "uuid": format!("0-{n}"),
                "is_reasoning_complete": [true, false], "generations": ["<think>", "no"],
                "correctness_math_verify": [true, false], "correctness_llama": null,
                "finish_reasons": null, "correctness_count": 1,
                "messages": [user, {"role": "assistant", "content": solution}]
            }),
        ),
    ]
}

#[test]
fn ten_rows_of_each_set_are_read_with_their_questions_and_answers() {
    for set in 0..8 {
        let kind = published(0)[set].0;
        let rows: Vec<Value> = (0..10).map(|n| published(n)[set].1.clone()).collect();
        for said in [kind, "auto"] {
            let train = load(&lines_of(&rows), json!({"kind": said})).unwrap().train;
            assert_eq!(train.len(), 10, "{kind}");
            for (n, problem) in train.iter().enumerate() {
                let answer = problem.answer.as_deref().map(|answer| answer.trim_matches('$'));
                assert_eq!(answer, Some(n.to_string().as_str()), "{kind} as {said}");
                let asked = problem.prompt.text();
                assert!(asked.contains(&format!("Q{n}?")), "{kind} as {said}: {asked}");
                assert!(!asked.contains("x^2"), "{kind} as {said}: {asked}");
            }
        }
    }
}
