//! What comes of training.

use super::*;

/// A little noise, the same each time; over the last ten of 100 steps its mean is -0.002.
fn jitter(step: u64) -> f64 {
    0.02 * ((step * 7 % 11) as f64 / 5.0 - 1.0)
}

#[test]
fn a_reward_that_fell_back_is_told_with_its_peak() {
    let collapsed = |m: &mut StepMetrics| {
        m.reward = jitter(m.step) + if m.step <= 50 { 0.02 * m.step as f64 } else { 0.1 };
    };
    let found = found_in(setting(), collapsed, as_is);
    let finding = of(&found, "reward_fell_back");
    assert!(finding.problem.contains("by step 50 and fell back to 0.098"), "{finding}");
    assert_eq!(finding.value, Some(serde_json::json!(3e-6)));
    // A third of the way back is no collapse.
    let dented = |m: &mut StepMetrics| {
        m.reward = jitter(m.step) + if m.step <= 50 { 0.02 * m.step as f64 } else { 0.85 };
    };
    assert_eq!(found_in(setting(), dented, as_is), []);
}

#[test]
fn six_steps_of_eight_completions_have_not_fallen_back() {
    let six = Setting { max_steps: 6, prompts: 1, ..setting() };
    let noisy =
        |m: &mut StepMetrics| m.reward = [0.1, 0.9, 0.6, 0.4, 0.1, 0.0][m.step as usize - 1];
    assert_eq!(found_in(six, noisy, as_is), []);
}

#[test]
fn a_reward_that_rises_without_accuracy_is_found_unless_answers_come_nearer() {
    let hacked = |m: &mut StepMetrics| {
        m.reward = jitter(m.step) + 0.01 * m.step as f64;
        m.accuracy = 0.2 + jitter(m.step);
        m.reward_means.insert("exact".into(), 0.2);
    };
    let found = found_in(setting(), hacked, as_is);
    assert_eq!(of(&found, "reward_without_accuracy").key.as_deref(), Some("rewards"));
    let nearer = |m: &mut StepMetrics| {
        hacked(m);
        m.reward_means.insert("exact".into(), 0.01 * m.step as f64);
    };
    assert_eq!(found_in(setting(), nearer, as_is), []);
    let better = |m: &mut StepMetrics| {
        hacked(m);
        m.accuracy += 0.001 * m.step as f64;
    };
    assert_eq!(found_in(setting(), better, as_is), []);
}

/// What is found in a run of 100 steps that was tried on `problems` each 20 steps.
fn with_evaluations(accuracies: [f64; 5], problems: u64, rises: bool) -> Vec<Finding> {
    let mut run = Told::new(setting());
    for step in 1..=100 {
        let mut metrics = healthy(step);
        metrics.reward = 0.3 + jitter(step) + if rises { 0.004 * step as f64 } else { 0.0 };
        run.step(&metrics, &[sample(step)]);
        if step.is_multiple_of(20) {
            run.evaluated(step, accuracies[step as usize / 20 - 1], problems);
        }
    }
    run.findings.told().to_vec()
}

#[test]
fn held_out_accuracy_that_falls_while_the_reward_rises_is_found() {
    let falling = [0.5, 0.6, 0.55, 0.4, 0.3];
    let found = with_evaluations(falling, 500, true);
    let finding = of(&found, "held_out_falls");
    assert_eq!((finding.step, finding.key.as_deref()), (80, Some("use_kl_loss")));
    assert!(finding.problem.contains("60 % after step 40 to 40 %"), "{finding}");
    assert_eq!(with_evaluations(falling, 20, true), [], "twenty problems say little");
    assert_eq!(with_evaluations(falling, 500, false), [], "the reward did not rise");
    assert_eq!(with_evaluations([0.5, 0.6, 0.61, 0.6, 0.58], 500, true), []);
}
