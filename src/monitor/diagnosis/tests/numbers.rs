//! Numbers that are not finite, and steps that change nothing.

use serde_json::json;

use super::*;

#[test]
fn rewards_that_never_apply_are_named_and_not_the_learning_rate() {
    let unjudged = |m: &mut StepMetrics| {
        (m.reward, m.reward_std, m.frac_reward_zero_std) = (f64::NAN, f64::NAN, f64::NAN);
        (m.accuracy, m.loss, m.grad_norm) = (f64::NAN, f64::NAN, f64::NAN);
        m.skipped = true;
    };
    let found = found_in(setting(), unjudged, as_is);
    assert_eq!(rules(&found), ["no_reward_applies"]);
    assert_eq!(found[0].key.as_deref(), Some("rewards"));
    let failing = |m: &mut StepMetrics| {
        unjudged(m);
        m.extra.insert("selection/failed".into(), 4.0);
    };
    let found = found_in(setting(), failing, as_is);
    assert!(found[0].problem.contains("failed on 4.0 groups a step"), "{found:?}");
    let now_and_then = |m: &mut StepMetrics| {
        if m.step.is_multiple_of(3) {
            unjudged(m);
        }
    };
    assert_eq!(found_in(setting(), now_and_then, as_is), []);
}

#[test]
fn a_loss_that_is_no_number_is_told_at_once_with_a_smaller_learning_rate() {
    let bad = |m: &mut StepMetrics| m.loss = if m.step >= 7 { f64::NAN } else { 0.1 };
    let found = found_in(setting(), bad, as_is);
    assert_eq!((found[0].step, found[0].value.clone()), (7, Some(json!(1e-6))));
    assert_eq!(rules(&found), ["not_finite"]);
    let skipped = |m: &mut StepMetrics| {
        if m.step == 7 {
            (m.loss, m.grad_norm, m.skipped) = (f64::NAN, f64::NAN, true);
        }
    };
    assert_eq!(found_in(setting(), skipped, as_is), []);
}

#[test]
fn an_infinite_reward_comes_from_a_reward() {
    let found = found_in(
        setting(),
        |m| {
            if m.step == 5 {
                (m.reward, m.loss) = (f64::NEG_INFINITY, f64::NAN);
            }
        },
        as_is,
    );
    let finding = of(&found, "not_finite");
    assert_eq!((finding.key.as_deref(), finding.step), (Some("rewards"), 5));
}

#[test]
fn a_learning_rate_of_zero_is_found_and_a_warm_up_from_it_is_not() {
    let found = found_in(setting(), |m| m.learning_rate = 0.0, as_is);
    assert_eq!(rules(&found), ["zero_learning_rate"]);
    let warm_up = |m: &mut StepMetrics| m.learning_rate = if m.step <= 9 { 0.0 } else { 1e-5 };
    assert_eq!(found_in(setting(), warm_up, as_is), []);
}

#[test]
fn steps_that_are_left_out_are_told_with_what_leaves_them_out() {
    let found = found_in(setting(), |m| m.skipped = !m.step.is_multiple_of(4), as_is);
    assert_eq!(rules(&found), ["skipped_updates"]);
    assert_eq!(found[0].key.as_deref(), Some("query_filter"));
    let overflown = |m: &mut StepMetrics| {
        m.skipped = !m.step.is_multiple_of(4);
        m.extra.insert("loss_scale/overflown_steps".into(), m.step as f64);
    };
    let found = found_in(setting(), overflown, as_is);
    assert_eq!(found[0].value, Some(json!("bf16")));
    assert_eq!(found_in(setting(), |m| m.skipped = m.step.is_multiple_of(4), as_is), []);
}

#[test]
fn a_zero_gradient_is_a_cause_of_its_own_only_where_rewards_differ() {
    let found = found_in(setting(), |m| m.grad_norm = 0.0, as_is);
    assert_eq!(rules(&found), ["no_gradient"]);
    let masked = |m: &mut StepMetrics| (m.grad_norm, m.clipped_ratio) = (0.0, 1.0);
    let found = found_in(setting(), masked, as_is);
    assert_eq!(of(&found, "no_gradient").key.as_deref(), Some("max_len_mask"));
    let equal = |m: &mut StepMetrics| (m.grad_norm, m.frac_reward_zero_std) = (0.0, 1.0);
    assert!(!rules(&found_in(setting(), equal, as_is)).contains(&"no_gradient"));
    let small = |m: &mut StepMetrics| m.grad_norm = 1e-12;
    assert_eq!(found_in(setting(), small, as_is), []);
}
