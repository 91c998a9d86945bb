//! Runs of pure noise, in which nothing is to be found.

use super::*;

/// Numbers that look random: SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn below(&mut self, count: u64) -> u64 {
        self.next() % count
    }

    /// Near a normal variable: the sum of twelve uniform ones.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}

/// A policy that does not change: its success rates are those of problems around `rate`.
struct Still {
    rate: f64,
    spread: f64,
    /// Whether a reward of form is added, from 0 to 1.
    form: bool,
}

/// A step of such a policy, with samples now and then.
fn step_of(random: &mut Random, still: &Still, setting: &Setting, step: u64) -> StepMetrics {
    let (mut rewards, mut right, mut equal, mut deviations) = (0.0, 0.0, 0.0, 0.0);
    let group = setting.completions;
    for _ in 0..setting.prompts {
        let rate = (still.rate + still.spread * (random.uniform() - 0.5)).clamp(0.02, 0.98);
        let solved: Vec<f64> = (0..group).map(|_| f64::from(random.uniform() < rate)).collect();
        let scores: Vec<f64> = solved
            .iter()
            .map(|s| s + if still.form { 0.5 * random.uniform() } else { 0.0 })
            .collect();
        let mean = scores.iter().sum::<f64>() / group as f64;
        let squares: f64 = scores.iter().map(|score| (score - mean).powi(2)).sum();
        equal += f64::from(squares < 1e-12) / setting.prompts as f64;
        deviations += (squares / group as f64).sqrt() / setting.prompts as f64;
        rewards += mean / setting.prompts as f64;
        right += solved.iter().sum::<f64>() / (group * setting.prompts) as f64;
    }
    StepMetrics {
        reward: rewards,
        reward_std: deviations,
        accuracy: right,
        frac_reward_zero_std: equal,
        entropy: (0.5 + 0.1 * random.normal()).max(0.0),
        kl: Some((0.05 * random.normal().exp()).min(5.0)),
        grad_norm: random.normal().exp(),
        loss: random.normal(),
        clipped_ratio: 0.2 * random.uniform(),
        reward_means: [("exact".to_owned(), right), ("format".to_owned(), 0.5)].into(),
        extra: [("update/relative".to_owned(), 1e-4 * random.uniform())].into(),
        ..healthy(step)
    }
}

/// What is found in a run of noise: sizes, rates and lengths at random, within what trains.
fn found_in_noise(seed: u64) -> (Setting, Vec<Finding>) {
    let mut random = Random(seed);
    let still = Still {
        rate: 0.08 + 0.84 * random.uniform(),
        spread: 0.3 * random.uniform(),
        form: random.below(2) == 0,
    };
    let setting = Setting {
        max_steps: [6, 20, 50, 100, 200, 400][random.below(6) as usize],
        prompts: [1, 2, 4, 8, 32][random.below(5) as usize],
        completions: [4, 8, 16][random.below(3) as usize],
        // A group is in truth too small for rates near 0 or 1, which is no noise.
        draws_again: !(0.3..0.7).contains(&still.rate),
        ..setting()
    };
    let mut run = Told::new(setting.clone());
    for step in 1..=setting.max_steps {
        let metrics = step_of(&mut random, &still, &setting, step);
        let samples: Vec<SampleLine> = match step == 1 || step.is_multiple_of(10) {
            true => (0..4).map(|_| noise_sample(&mut random)).collect(),
            false => Vec::new(),
        };
        run.step(&metrics, &samples);
        if step.is_multiple_of(10) {
            let problems = 100;
            let right = (0..problems).filter(|_| random.uniform() < still.rate).count();
            run.evaluated(step, right as f64 / problems as f64, problems);
        }
    }
    (setting, run.findings.told().to_vec())
}

/// A wrong completion that names many numbers, its answer among them only by chance.
fn noise_sample(random: &mut Random) -> SampleLine {
    let numbers: Vec<String> = (0..20).map(|_| random.below(60).to_string()).collect();
    SampleLine {
        completion: format!("I add {} and so on.", numbers.join(" and then ")),
        answer: Some(random.below(60).to_string()),
        ..sample(random.below(50))
    }
}

#[test]
fn runs_of_pure_noise_have_findings_in_at_most_one_of_a_hundred() {
    let runs: u64 = std::env::var("WGRPO_NOISE_RUNS").map_or(200, |count| count.parse().unwrap());
    let found: Vec<(Setting, Vec<Finding>)> =
        (0..runs).map(found_in_noise).filter(|(_, found)| !found.is_empty()).collect();
    for (setting, found) in &found {
        let Setting { max_steps, prompts, completions, .. } = setting;
        println!("{max_steps} steps of {prompts} × {completions}:");
        found.iter().for_each(|f| println!("  {} at {}: {f}", f.rule, f.step));
    }
    println!("{} of {runs} runs of noise have a finding", found.len());
    assert!(found.len() as u64 <= runs / 100, "{} of {runs}", found.len());
}
