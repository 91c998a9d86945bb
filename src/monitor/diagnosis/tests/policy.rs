//! How the policy moves.

use serde_json::json;

use super::*;

#[test]
fn a_collapse_of_the_entropy_is_found_unless_the_task_is_solved() {
    let collapsed = |m: &mut StepMetrics| m.entropy = if m.step < 30 { 1.0 } else { 0.01 };
    let found = found_in(setting(), collapsed, as_is);
    assert!(of(&found, "entropy_collapsed").problem.contains("from 1.000 to 0.010"));
    let solved = |m: &mut StepMetrics| {
        collapsed(m);
        m.accuracy = if m.step < 30 { 0.3 } else { 0.95 };
    };
    assert_eq!(found_in(setting(), solved, as_is), []);
    let falling = |m: &mut StepMetrics| m.entropy = 1.0 / m.step as f64 + 0.2;
    assert_eq!(found_in(setting(), falling, as_is), []);
}

#[test]
fn a_policy_far_from_its_reference_is_found_and_one_spike_is_not() {
    let found = found_in(setting(), |m| m.kl = Some(0.05 * m.step as f64), as_is);
    assert_eq!(of(&found, "far_from_reference").key.as_deref(), Some("use_kl_loss"));
    let leashed = Setting { keeps_reference: true, ..setting() };
    let found = found_in(leashed, |m| m.kl = Some(0.05 * m.step as f64), as_is);
    assert_eq!(of(&found, "far_from_reference").value, Some(json!(3e-6)));
    let spike = |m: &mut StepMetrics| m.kl = Some(if m.step == 40 { 60.0 } else { 0.05 });
    assert_eq!(found_in(setting(), spike, as_is), []);
    assert_eq!(found_in(setting(), |m| m.kl = None, as_is), []);
}

/// A step that changes this share of the weights.
fn changes(relative: f64) -> impl Fn(&mut StepMetrics) {
    move |m| m.extra = [("update/relative".to_owned(), relative)].into()
}

#[test]
fn a_learning_rate_that_moves_nothing_is_told_with_one_that_does() {
    let found = found_in(setting(), changes(1e-8), as_is);
    assert_eq!(rules(&found), ["moves_nothing"]);
    // 1e-5 moves 1e-8, so 1e-2 moves 1e-5.
    assert_eq!(found[0].value, Some(json!(0.01)));
    assert_eq!(found_in(setting(), changes(3e-7), as_is), []);
    let warm_up = Setting { warmup_steps: 100, ..setting() };
    assert_eq!(found_in(warm_up, changes(1e-8), as_is), []);
}

#[test]
fn a_learning_rate_that_moves_too_much_is_told_where_the_run_gets_no_better() {
    let stuck = |m: &mut StepMetrics| {
        changes(5e-2)(m);
        m.reward = 0.3 + 0.01 * (m.step % 3) as f64;
    };
    let found = found_in(setting(), stuck, as_is);
    assert_eq!(
        (found[0].rule.as_str(), found[0].value.clone()),
        ("moves_too_much", Some(json!(2e-7)))
    );
    assert_eq!(found_in(setting(), changes(5e-2), as_is), []);
    let small = |m: &mut StepMetrics| {
        stuck(m);
        changes(5e-3)(m);
    };
    assert_eq!(found_in(setting(), small, as_is), []);
}
