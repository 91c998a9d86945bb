//! Templates held against jinja2, by `tests/fixtures/templates/make.py`.

use std::io::Write;

use serde_json::{Map, Value};

use super::Template;

fn golden() -> Value {
    serde_json::from_str(include_str!("../../../tests/fixtures/templates/golden.json")).unwrap()
}

/// Each conversation with and without a generation prompt, by the name that the fixture gives it.
fn contexts(golden: &Value) -> Vec<(String, Map<String, Value>)> {
    let conversations = golden["conversations"].as_array().unwrap().iter().enumerate();
    let both = conversations.flat_map(|(at, messages)| {
        [true, false].map(|prompt| {
            let mut names = golden["tokens"].as_object().unwrap().clone();
            names.insert("messages".into(), messages.clone());
            names.insert("add_generation_prompt".into(), prompt.into());
            names.insert("tools".into(), Value::Null);
            names.insert("documents".into(), Value::Null);
            (format!("{at}{}", if prompt { '+' } else { '-' }), names)
        })
    });
    both.collect()
}

/// What differs from jinja2, and the number of renderings.
fn differences(golden: &Value) -> (Vec<String>, usize) {
    let contexts = contexts(golden);
    let (mut differences, mut count) = (Vec::new(), 0);
    for case in golden["cases"].as_array().unwrap() {
        let source = case["source"].as_str().unwrap();
        let template = Template::parse(source);
        for (name, names) in &contexts {
            let outputs = &case["outputs"];
            let expected = outputs.get("*").unwrap_or(&outputs[name]).as_str();
            let rendered = match &template {
                Ok(template) => template.render(names).map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            count += 1;
            if rendered.as_ref().ok().map(String::as_str) != expected {
                differences
                    .push(format!("{source}\n  {name}: {rendered:?}\n  jinja2: {expected:?}"));
            }
        }
    }
    (differences, count)
}

#[test]
fn templates_render_and_fail_as_they_do_in_jinja2() {
    let (differences, count) = differences(&golden());
    assert!(count > 5000, "{count} renderings");
    assert!(
        differences.is_empty(),
        "{} of {count}:\n{}",
        differences.len(),
        differences.join("\n")
    );
}

/// `make.py FOLDER OUT.json` renders published templates, which are not ours to ship.
#[test]
fn published_templates_render_as_they_do_in_jinja2() {
    let Ok(path) = std::env::var("WGRPO_TEMPLATES") else {
        // Past the harness, which keeps what a passing test prints.
        writeln!(std::io::stderr(), "skipped: WGRPO_TEMPLATES names no file of make.py").unwrap();
        return;
    };
    let golden = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let (differences, count) = differences(&golden);
    println!("{count} renderings, {} differ from jinja2", differences.len());
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
