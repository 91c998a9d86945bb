//! A reward of your own, and a policy that learns it in a minute: words that are palindromes.
//!
//! `cargo run --release --example custom_reward`

use std::error::Error;

use burn::backend::{Autodiff, NdArray};
use wgrpo::config::RunConfig;
use wgrpo::data::Problem;
use wgrpo::model::Decoder;
use wgrpo::reward::{Completion, Reward, Rewards};
use wgrpo::text::Tokenizer;
use wgrpo::train::{PreparedProblems, Trainer};

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
";

fn main() -> Result<(), Box<dyn Error>> {
    let config = RunConfig::parse("run.yaml".as_ref(), RUN, &[])?;
    let mut trainer = trainer(&config)?;
    for _ in 0..config.max_steps {
        let step = trainer.step()?;
        if step.step % 10 == 0 {
            let sample = &step.scored[0][0];
            println!("step {:>2}: {:.2}  {:?}", step.step, step.summary.reward(), sample.text);
        }
    }
    Ok(())
}

fn trainer(config: &RunConfig) -> Result<Trainer<NdArray>, Box<dyn Error>> {
    let alphabet = config.model.alphabet.as_deref().ok_or("a new model has an alphabet")?;
    let tokenizer = Tokenizer::characters(alphabet)?;
    let architecture = config.model.architecture.clone().ok_or("a new model has a shape")?;
    let architecture = architecture.for_tokenizer(
        tokenizer.vocab_size(),
        tokenizer.bos_id(),
        tokenizer.eos_ids().to_vec(),
        Some(tokenizer.pad_id()),
    );
    let policy: Decoder<Autodiff<NdArray>> =
        Decoder::initialise(&architecture, config.seed, &Default::default())?;
    let data = config.data.load(config.seed)?;
    let problems = PreparedProblems::new("training", data.train, &tokenizer, config.prompt_length)?;
    let mut rewards = Rewards::new(&config.rewards)?;
    rewards.push(1.0, Box::new(Palindrome))?;
    let settings = config.settings(tokenizer.eos_ids())?;
    Ok(Trainer::new(settings, policy, tokenizer, problems, rewards))
}
