//! Losses as a configuration names them.

use super::support::all_losses;
use crate::loss::*;

fn parse(text: &str) -> Result<PolicyLoss, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

#[test]
fn a_kind_alone_is_the_loss_with_its_defaults_which_pass_their_own_check() {
    for loss in all_losses() {
        let parsed = parse(&format!(r#"{{"kind": "{}"}}"#, loss.name()));
        assert_eq!(parsed.as_ref(), Ok(&loss));
        assert_eq!(loss.check(1, 1), Ok(()));
    }
}

#[test]
fn settings_stand_beside_the_kind() {
    let expected =
        ClippedSurrogate { pg_clip_high: 0.28, dual_clip_c: Some(3.0), ..Default::default() };
    let parsed = parse(r#"{"kind": "ppo", "pg_clip_high": 0.28, "dual_clip_c": 3}"#);
    assert_eq!(parsed, Ok(PolicyLoss::ClippedSurrogate(expected)));
}

#[test]
fn unknown_keys_are_refused_for_every_loss() {
    for loss in all_losses() {
        let text = format!(r#"{{"kind": "{}", "pg_clip_hi": 1}}"#, loss.name());
        let message = parse(&text).unwrap_err();
        assert!(message.contains("pg_clip_hi"), "{}: {message}", loss.name());
    }
}

#[test]
fn only_the_policy_gradient_refuses_to_reuse_a_batch() {
    let refusing = all_losses().map(|loss| loss.check(2, 1).is_err());
    assert!(refusing[1] && refusing.iter().filter(|&&refuses| refuses).count() == 1);
}
