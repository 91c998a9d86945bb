//! The schema against the ranges, and what is said of keys.

use super::*;

#[test]
fn every_number_with_a_range_stands_in_the_schema_with_it() {
    let root = schema();
    // Another name that is read for `policy_loss.dual_clip_c`.
    for (key, bounds, _) in numbers::ranges().filter(|(key, ..)| *key != "policy_loss.delta") {
        let way: Vec<&str> = key.split('.').collect();
        let places = places::numbers_at(&root, &way);
        assert!(!places.is_empty(), "{key}");
        for (name, bound) in &bounds {
            let found = root.pointer(&format!("{}/{name}", places[0]));
            assert!(found.is_some(), "{key} has no {name} {bound}");
        }
    }
}

#[test]
fn every_key_says_what_it_means() {
    let root = schema();
    let mut ways: Vec<String> = vec![String::new()];
    let mut seen = 0;
    while let Some(way) = ways.pop() {
        let described = describe(&way).unwrap();
        assert!(!described.meaning.is_empty(), "{way} says nothing");
        seen += 1;
        let deeper = described.keys.iter().map(|(name, _)| match way.is_empty() {
            true => name.clone(),
            false => format!("{way}.{name}"),
        });
        ways.extend(deeper);
    }
    assert!(seen > 150 && root.is_object(), "{seen}");
}

#[test]
fn a_key_is_told_with_its_default_its_range_and_what_stands_beside_it() {
    let found = describe("optimizer.learning_rate").unwrap();
    assert!(found.range.unwrap().contains("from 0 to 1000"));
    assert!(found.default.is_some() && found.beside.contains(&"weight_decay".to_owned()));
    assert_eq!(found.takes, "a number");
    assert_eq!(describe("num_return_sequences_in_group").unwrap().in_trl, ["num_generations"]);
}

#[test]
fn the_kinds_of_a_block_are_told_with_their_meaning() {
    let rewards = describe("rewards").unwrap();
    let exact = rewards.names.iter().find(|(name, _)| name == "exact").unwrap();
    assert_eq!(exact.1, "The text is the answer.");
    assert!(rewards.keys.iter().any(|(name, _)| name == "partial"));
    let estimator = describe("adv_estimator").unwrap();
    assert!(estimator.names.iter().any(|(name, _)| name == "mc_grpo"));
}

#[test]
fn a_key_of_a_lists_block_needs_no_star() {
    assert_eq!(describe("rewards.weight"), {
        let mut found = describe("rewards.*.weight").unwrap();
        found.key = "rewards.weight".into();
        Ok(found)
    });
}

#[test]
fn an_unknown_key_names_the_nearest() {
    let of = |key: &str| describe(key).unwrap_err();
    assert!(of("optimizer.learning_rat").contains("did you mean `learning_rate`?"));
    assert!(of("optimzer").contains("did you mean `optimizer`?"));
    assert!(of("seed.more").contains("`seed` is no block"), "{}", of("seed.more"));
}
