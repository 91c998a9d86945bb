//! The KL to a reference: in the reward, in the loss, estimated and exact.

use crate::runs::{small, steps, trainer};

#[test]
fn a_token_level_kl_charges_every_token_once_the_policy_has_moved() {
    let mut trainer = trainer(&small("add_token_level_kl: true\ninit_kl_coef: 0.5\n"));
    let reports = steps(&mut trainer, 3);
    let group = &reports[0].advantages.train[0];
    let tokens = group.tokens.as_ref().unwrap();
    // Before the first update the reference is the policy, up to the rounding of cached attention.
    let same = |(tokens, whole): (&Vec<f64>, &f64)| tokens.iter().all(|t| (t - whole).abs() < 1e-4);
    assert!(tokens.advantages.iter().zip(&group.advantages.advantages).all(same));
    let last = &reports[2];
    let tokens = last.advantages.train[0].tokens.as_ref().unwrap();
    let moved =
        tokens.advantages.iter().any(|tokens| tokens.windows(2).any(|two| two[0] != two[1]));
    assert!(moved && last.advantages.kl.is_some_and(|kl| kl != 0.0));
}

#[test]
fn a_target_moves_the_kl_coefficient() {
    let keys = "use_kl_loss: true\nkl_loss_coef: 0.1\ntarget_kl: 10.0\nkl_horizon: 100\n";
    let reports = steps(&mut trainer(&small(keys)), 4);
    let coefs: Vec<f64> = reports.iter().map(|report| report.kl.unwrap().1).collect();
    assert_eq!(coefs[0], 0.1);
    // Far below the target, so it falls by the largest step: 20 % of 16 sequences over 100.
    assert!((coefs[1] / coefs[0] - (1.0 - 0.2 * 0.16)).abs() < 1e-12, "{coefs:?}");
}

#[test]
fn a_reference_that_follows_every_step_is_the_policy() {
    let keys = "use_kl_loss: true\nreference_refresh: {kind: snapshot, every_steps: 1}\n";
    let reports = steps(&mut trainer(&small(keys)), 4);
    assert!(reports.iter().all(|report| report.update.outcomes[0].0.kl == 0.0));
    let keys = "use_kl_loss: true\nreference_refresh: {kind: moving_average, mixup_alpha: 0.5}\n";
    let averaged = steps(&mut trainer(&small(keys)), 4)[3].update.outcomes[0].0.kl;
    let frozen = steps(&mut trainer(&small("use_kl_loss: true\n")), 4)[3].update.outcomes[0].0.kl;
    assert!(0.0 < averaged && averaged < frozen, "{averaged} against {frozen}");
}

#[test]
fn the_exact_kl_is_what_its_estimators_estimate() {
    let kl = |kind: &str| {
        let keys = format!(
            "num_return_sequences_in_group: 64\nuse_kl_loss: true\nkl_loss_coef: 0.0\n\
             kl_loss_type: {kind}\n"
        );
        let mut trainer = trainer(&small(&keys));
        steps(&mut trainer, 6)[5].update.outcomes[0].0.kl
    };
    let (full, k3) = (kl("full"), kl("k3"));
    assert!(full > 0.0 && (k3 / full - 1.0).abs() < 0.2, "{full} against {k3}");
}

#[test]
fn the_exact_kl_holds_the_policy_as_its_estimator_does() {
    let kl_after = |coef: f64| {
        let keys = format!("use_kl_loss: true\nkl_loss_coef: {coef:?}\nkl_loss_type: full\n");
        steps(&mut trainer(&small(&keys)), 20)[19].update.outcomes[0].0.kl
    };
    let (free, held) = (kl_after(0.0), kl_after(5.0));
    assert!(held < 0.5 * free, "{held} against {free}");
}
