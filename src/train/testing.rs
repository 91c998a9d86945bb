//! What the tests of this room share: groups made by hand, and a tiny policy.

use std::collections::BTreeMap;
use std::sync::Arc;

use burn::backend::{Autodiff, NdArray};
use burn::module::Param;
use burn::tensor::{Tensor, backend::Backend};

use super::gradients::StepGradients;
use super::score::{ScoredCompletion, ScoredGroup};
use super::settings::TrainSettings;
use crate::config::RunConfig;
use crate::model::{
    Decoder, Packed, PackedCompletions, ParameterVisitor, PromptGroup, TrainingPass, UpdatePass,
};
use crate::reward::Score;
use crate::rollout::{Completion, FinishReason, Prompt, RolloutGroup};

/// A group of completions of the given lengths and endings.
pub(crate) fn group(problem: u32, completions: &[(usize, FinishReason)]) -> RolloutGroup {
    let completion = |&(length, finish): &(usize, FinishReason)| Completion {
        ids: vec![7; length],
        logps: vec![-1.0; length],
        finish,
    };
    RolloutGroup {
        prompt: Prompt { problem, ids: Arc::from([1, 2]), samples: completions.len() },
        completions: completions.iter().map(completion).collect(),
    }
}

/// A group whose completions earned these rewards, each of one token.
pub(crate) fn scored(rewards: &[f64]) -> ScoredGroup {
    let completions: Vec<_> = rewards.iter().map(|_| (1, FinishReason::Eos)).collect();
    scored_as(group(0, &completions), rewards)
}

/// A group whose completions earned these rewards.
pub(crate) fn scored_as(rollout: RolloutGroup, rewards: &[f64]) -> ScoredGroup {
    let completion = |&reward: &f64| ScoredCompletion {
        text: String::new(),
        score: Score { each: vec![Some(reward)], total: Some(reward), solved: None, failed: false },
    };
    ScoredGroup::new(rollout, rewards.iter().map(completion).collect())
}

/// The settings of a small run with more keys of a configuration.
pub(crate) fn settings(keys: &str) -> TrainSettings {
    let run = "model: {alphabet: '0', architecture: {hidden_size: 2, intermediate_size: 1, \
               num_hidden_layers: 1, num_attention_heads: 1}}\n\
               data: {kind: arithmetic, digits: 1, held_out: 1}\nrewards: [{kind: exact}]\n";
    let config = RunConfig::parse("test.yaml".as_ref(), &format!("{run}{keys}"), &[]).unwrap();
    config.settings(&[2]).unwrap()
}

/// A tiny policy, whose head is the embedding.
pub(crate) fn policy() -> Decoder<Autodiff<NdArray>> {
    let config = serde_json::json!({
        "model_type": "qwen2", "vocab_size": 9, "hidden_size": 4, "intermediate_size": 6,
        "num_hidden_layers": 2, "num_attention_heads": 2, "tie_word_embeddings": true,
    });
    let config = serde_json::from_value(config).unwrap();
    Decoder::initialise(&config, 5, &Default::default()).unwrap()
}

/// A loss that depends on every parameter.
pub(crate) fn loss(policy: &Decoder<Autodiff<NdArray>>) -> Tensor<Autodiff<NdArray>, 1> {
    let group = PromptGroup { prompt: &[3, 4], completions: vec![&[5, 8, 2], &[7]] };
    policy.completion_logps(&PackedCompletions::new(&[group]), 1.0).logps.mean().neg()
}

/// Its gradients.
pub(crate) fn gradients(policy: &Decoder<Autodiff<NdArray>>) -> StepGradients<NdArray> {
    let mut gradients = StepGradients::default();
    gradients.add(policy, any_pass(policy), &loss(policy));
    gradients
}

/// A pass for losses that were made without one.
pub(crate) fn any_pass(policy: &Decoder<Autodiff<NdArray>>) -> TrainingPass<NdArray> {
    policy.training_pass(&Packed::sequences(&[&[3, 4]]), UpdatePass::default())
}

/// Values of every parameter, by name.
pub(crate) fn values(policy: &Decoder<Autodiff<NdArray>>) -> BTreeMap<String, Vec<f32>> {
    let mut values = Values(BTreeMap::new());
    policy.visit_parameters(&mut values);
    values.0
}

struct Values(BTreeMap<String, Vec<f32>>);

impl<B: Backend> ParameterVisitor<B> for Values {
    fn visit<const D: usize>(&mut self, name: &str, param: &Param<Tensor<B, D>>) {
        self.0.insert(name.to_owned(), param.val().into_data().iter().collect());
    }
}
