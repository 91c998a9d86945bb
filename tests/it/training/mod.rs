//! The training loop: what may change a gradient and what may not, what is kept, that it learns.

mod checkpoints;
mod learning;
mod loss_scale;
mod micro_batches;

use wgrpo::advantage::{Estimator, Grpo, PostProcessing, RewardShaping};
use wgrpo::data::{Problem, Prompt as Question};
use wgrpo::loss::{KlCoefficient, KlEstimator, KlTerm, Objective};
use wgrpo::model::{Decoder, ModelConfig, WeightStorage};
use wgrpo::reward::{Completion, Reward, Rewards};
use wgrpo::rollout::{Generator, Sampling};
use wgrpo::text::Tokenizer;
use wgrpo::train::{
    Checkpointing, Diagnostics, OptimizerConfig, PreparedProblems, ReferenceRefresh, SampleFilters,
    Selection, StepReport, TrainConfig, TrainSettings, Trainer,
};

use crate::support::{Cpu, Training, device};

const ALPHABET: &str = "abcdefgh=";

/// The share of the longest length that is the letter `a`, times a factor.
struct LetterA(f64);

impl Reward for LetterA {
    fn name(&self) -> &'static str {
        "letter_a"
    }

    fn score(&self, _: &Problem, completion: &Completion) -> Option<f64> {
        let count = completion.text.matches('a').count();
        Some(self.0 * count as f64 / completion.max_tokens as f64)
    }
}

fn tokenizer() -> Tokenizer {
    Tokenizer::characters(ALPHABET).unwrap()
}

fn model_config() -> ModelConfig {
    let json = serde_json::json!({
        "vocab_size": 12, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "tie_word_embeddings": true,
    });
    serde_json::from_value(json).unwrap()
}

fn fresh_policy(seed: u64) -> Decoder<Training> {
    Decoder::initialise(&model_config(), seed, &device()).unwrap()
}

fn problems() -> PreparedProblems {
    let letters: Vec<char> = ALPHABET.chars().collect();
    let problem = |id: usize| Problem {
        id: id as u64,
        // Prompts of one to four letters.
        prompt: Question::Text(letters[id % 8..].iter().take(1 + id % 4).collect()),
        answer: None,
        columns: Default::default(),
    };
    PreparedProblems::new("training", (0..24).map(problem).collect(), &tokenizer(), 8).unwrap()
}

fn training() -> TrainConfig {
    TrainConfig {
        gradient_checkpointing: Checkpointing::Off,
        seed: 1,
        max_steps: 40,
        rollout_batch_size: 6,
        num_return_sequences_in_group: 8,
        ppo_epochs: 1,
        mini_batches: 1,
        reference_refresh: ReferenceRefresh::default(),
        optimizer: OptimizerConfig { learning_rate: 3e-3, ..OptimizerConfig::default() },
        diagnostics: Diagnostics::default(),
    }
}

fn settings() -> TrainSettings {
    TrainSettings {
        training: training(),
        generator: Generator {
            sampling: Sampling::default(),
            response_length: 6,
            eos_ids: vec![2],
            cache_tokens: 10_000,
            rows_at_once: Generator::ROWS_AT_ONCE,
            tokens_a_readback: None,
        },
        selection: Selection::default(),
        shaping: RewardShaping::default(),
        filters: SampleFilters::default(),
        estimator: Estimator::Grpo(Grpo::default()),
        post: PostProcessing::default(),
        kl_penalty: None,
        kl_coefficient: KlCoefficient::default(),
        objective: Objective::default(),
        micro_batch_tokens: 10_000,
        scales_loss: false,
        has_dropout: false,
        reference_storage: WeightStorage::F32,
        reference_is_base: false,
    }
}

fn with_kl(kl_loss_coef: f64) -> Objective {
    let kl = KlTerm { kl_loss_type: KlEstimator::K3, kl_loss_coef };
    Objective { kl: Some(kl), ..Objective::default() }
}

fn trainer_of(settings: TrainSettings, policy: Decoder<Training>, factor: f64) -> Trainer<Cpu> {
    let mut rewards =
        Rewards::new(&[serde_json::from_str(r#"{"kind":"length","max":6}"#).unwrap()]).unwrap();
    rewards.push(1.0, Box::new(LetterA(factor))).unwrap();
    Trainer::new(settings, policy, tokenizer(), problems(), rewards)
}

fn trainer(settings: TrainSettings) -> Trainer<Cpu> {
    trainer_of(settings, fresh_policy(1), 1.0)
}

fn steps(trainer: &mut Trainer<Cpu>, count: usize) -> Vec<StepReport> {
    (0..count).map(|_| trainer.step().unwrap()).collect()
}

/// Everything a report says that is not a time.
fn facts(report: &StepReport) -> String {
    let completions = report.rollouts().flat_map(|group| &group.completions);
    format!(
        "{} {} {} {:?} {:?} {:?} {:?}",
        report.step,
        report.epoch,
        report.tokens_seen,
        completions.collect::<Vec<_>>(),
        report.advantages,
        report.update.outcomes,
        report.update.tokens,
    )
}

fn all_facts(reports: &[StepReport]) -> Vec<String> {
    reports.iter().map(facts).collect()
}
