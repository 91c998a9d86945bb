//! Where base and scaling are found, and what is refused by the name that it has in the file.

use super::*;

fn keys(json: Value) -> RopeKeys {
    serde_json::from_str(&json.to_string()).unwrap()
}

fn scaling(json: Value) -> Option<RopeScaling> {
    keys(json).scaling().unwrap()
}

fn refusal(json: Value) -> String {
    let keys = keys(json);
    keys.theta().and_then(|_| keys.scaling()).unwrap_err().0
}

/// The rope_scaling of Llama-3.2-1B.
fn llama3() -> Value {
    json!({"factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
        "original_max_position_embeddings": 8192, "rope_type": "llama3"})
}

#[test]
fn a_scaling_is_read_where_transformers_4_and_5_put_it() {
    let expected = RopeScaling::Llama3 {
        factor: 32.0,
        low_freq_factor: 1.0,
        high_freq_factor: 4.0,
        original_max_position_embeddings: 8192,
    };
    let mut new = llama3();
    new["rope_theta"] = json!(5e5);
    for json in [
        json!({"rope_theta": 5e5, "rope_scaling": llama3()}),
        json!({"rope_parameters": new}),
        json!({"rope_theta": 5e5, "rope_parameters": new, "rope_scaling": llama3()}),
    ] {
        assert_eq!(keys(json.clone()).theta().unwrap(), Some(5e5));
        assert_eq!(scaling(json), Some(expected));
    }
}

#[test]
fn type_and_rope_type_are_one_thing_where_they_agree() {
    let both = |new: Value, old: Value| json!({"rope_scaling": {"rope_type": new, "type": old, "factor": 2.0}});
    assert_eq!(scaling(both("default".into(), "default".into())), None);
    assert_eq!(scaling(both(Value::Null, "default".into())), None);
    let linear = Some(RopeScaling::Linear { factor: 2.0 });
    assert_eq!(scaling(both("linear".into(), "linear".into())), linear);
    assert_eq!(scaling(both(Value::Null, "linear".into())), linear);
    let dynamic = Some(RopeScaling::Dynamic { factor: 2.0 });
    assert_eq!(scaling(both("dynamic".into(), Value::Null)), dynamic);
}

#[test]
fn type_and_rope_type_that_differ_are_both_named() {
    let json = json!({"rope_scaling": {"rope_type": "default", "type": "mrope"}});
    assert_eq!(
        refusal(json),
        r#"rope_scaling.rope_type "default" beside rope_scaling.type "mrope""#
    );
}

#[test]
fn scalings_that_are_not_supported_are_refused_by_the_name_they_have_in_the_file() {
    for kind in ["yarn", "longrope", "su", "mrope", "proportional"] {
        let json = json!({"rope_scaling": {"type": kind, "factor": 2.0}});
        assert_eq!(refusal(json), format!("rope_scaling.type {kind:?}"));
        let json = json!({"rope_parameters": {"rope_type": kind, "rope_theta": 1e4}});
        assert_eq!(refusal(json), format!("rope_parameters.rope_type {kind:?}"));
    }
    let json = json!({"rope_parameters": {"full_attention": {"rope_type": "default"}}});
    assert_eq!(refusal(json), "rope_parameters by kind of layer");
}

#[test]
fn a_scaling_without_its_numbers_is_not_taken_for_another() {
    let without = |key: &str| {
        let mut scaling = llama3();
        scaling.as_object_mut().unwrap().remove(key);
        json!({ "rope_scaling": scaling, "max_position_embeddings": 131_072 })
    };
    for key in ["factor", "low_freq_factor", "high_freq_factor"] {
        let said = format!(r#"rope_scaling.rope_type "llama3" without {key}"#);
        assert_eq!(refusal(without(key)), said);
    }
    assert_eq!(refusal(without("rope_type")), "rope_scaling.factor 32 without a rope_type");
    let whole = scaling(without("original_max_position_embeddings")).unwrap();
    let RopeScaling::Llama3 { original_max_position_embeddings, .. } = whole else { panic!() };
    assert_eq!(original_max_position_embeddings, 131_072);
    let two = json!({"rope_scaling": llama3(), "original_max_position_embeddings": 4096});
    assert!(refusal(two).ends_with("8192 beside original_max_position_embeddings 4096"));
}

#[test]
fn two_scalings_that_differ_are_both_named() {
    let json = json!({"rope_parameters": {"rope_type": "default"}, "rope_scaling": llama3()});
    assert_eq!(refusal(json), r#"rope_parameters "default" beside another rope_scaling "llama3""#);
}

#[test]
fn two_bases_that_differ_are_both_named() {
    let block = |key: &str| json!({"rope_theta": 1e4, key: {"rope_theta": 5e5}});
    for key in ["rope_parameters", "rope_scaling"] {
        let said = format!("{key}.rope_theta 500000 beside rope_theta 10000");
        assert_eq!(refusal(block(key)), said);
    }
    let same = keys(json!({"rope_theta": 5e5, "rope_scaling": {"rope_theta": 5e5}}));
    assert!(same.scaling().unwrap().is_none() && same.theta().unwrap() == Some(5e5));
}
