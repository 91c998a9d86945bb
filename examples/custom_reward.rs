//! A reward of your own, and a policy that learns it in a minute: words that are palindromes.
//!
//! `cargo run --release --example custom_reward`

use std::error::Error;

use burn::backend::NdArray;
use wgrpo::config::RunConfig;
use wgrpo::data::Problem;
use wgrpo::monitor::{Progress, Screen};
use wgrpo::reward::{Completion, Reward};
use wgrpo::run::{Options, Run};

/// The share of letters that have their like on the other side.
struct Palindrome;

impl Reward for Palindrome {
    fn name(&self) -> &'static str {
        "palindrome"
    }

    fn score(&self, _: &Problem, completion: &Completion) -> Option<f64> {
        let letters: Vec<char> = completion.text.chars().collect();
        let mirrored = letters.iter().zip(letters.iter().rev()).filter(|(a, b)| a == b);
        // A single letter is one too, and teaches nothing.
        Some(if letters.len() < 3 { 0.0 } else { mirrored.count() as f64 / letters.len() as f64 })
    }
}

const RUN: &str = "
output_dir: runs/palindromes
max_steps: 60
rollout_batch_size: 16
num_return_sequences_in_group: 8
prompt_length: 6
response_length: 6
adv_estimator: mc_grpo
model:
  alphabet: abcd=
  architecture: {hidden_size: 32, intermediate_size: 64, num_hidden_layers: 1, num_attention_heads: 2, tie_word_embeddings: true}
data: {kind: reversal, alphabet: abcd, max_length: 3, count: 60, held_out: 4}
rewards: [{kind: exact, weight: 0}]
optimizer: {learning_rate: 3e-3}
tracking: {show_every: 10}
";

fn main() -> Result<(), Box<dyn Error>> {
    let config = RunConfig::parse("run.yaml".as_ref(), RUN, &[])?;
    let screen = Screen::new(Progress::new(false));
    let options = Options { overwrite: true, ..Options::default() };
    let options = options.reward(1.0, Palindrome).monitor(screen);
    let mut run = Run::<NdArray>::begin(config, &Default::default(), options)?;
    while !run.is_over() {
        run.step()?;
    }
    print!("{}", run.finish()?.report);
    Ok(())
}
