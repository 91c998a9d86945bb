//! The configuration that `wgrpo init` writes, with a comment for each key that a person may want to change.

use super::Judge;

/// What a configuration begins with.
#[derive(Debug, Clone)]
pub(super) struct Begin {
    /// The run's name, and its folder's.
    pub name: String,
    /// The model.
    pub model: String,
    /// The problems.
    pub data: String,
    /// How completions are judged.
    pub judge: Judge,
    /// Whether all weights are trained.
    pub full: bool,
    /// What the data asks for.
    pub sizes: Sizes,
}

/// What data asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sizes {
    /// Problems that are held out.
    held_out: usize,
    /// Tokens of a prompt.
    prompt_length: usize,
}

impl Default for Sizes {
    fn default() -> Self {
        Self { held_out: 0, prompt_length: 512 }
    }
}

impl Sizes {
    /// For so many problems, the longest of which has so many bytes.
    pub(super) fn of(problems: usize, longest: usize) -> Self {
        // A token has about four bytes of English, two of most other text; a chat template adds some.
        let tokens = longest / 2 + 64;
        Self {
            held_out: if problems < 2 { 0 } else { (problems / 10).clamp(1, 100) },
            prompt_length: tokens.next_multiple_of(64).clamp(64, 4096),
        }
    }
}

/// The text of the file.
pub(super) fn written(begin: &Begin) -> String {
    let Begin { name, model, data, judge, full, sizes } = begin;
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let reward = match judge {
        Judge::Math => "{kind: math}",
        Judge::Number => "{kind: number}",
        Judge::Exact => "{kind: exact}",
    };
    let (lora, learning_rate) = match full {
        true => (
            "# All weights are trained; an adapter takes far less memory: lora: {rank: 16, alpha: 32}\n",
            "1e-6",
        ),
        false => (
            "# An adapter on the model, which stays as it is in 16 bits; base: q8_0 or q4_0 takes less memory still.\n\
             lora: {rank: 16, alpha: 32}\n",
            "1e-5",
        ),
    };
    format!(
        "\
# `wgrpo check` tries it, `wgrpo train` runs it, `wgrpo explain KEY` says what a key means.
output_dir: {output_dir}
# Training steps, and what each draws: so many prompts, and so many completions of each that are compared.
max_steps: 100
rollout_batch_size: 4
num_return_sequences_in_group: 8
# The longest prompt and the longest completion, in tokens. Memory and time follow them.
prompt_length: {prompt_length}
response_length: 256
# How rewards become advantages.
adv_estimator: grpo
loss_agg_mode: token-mean

model: {{path: {model}}}
{lora}
# The problems; held_out ones are never trained on, and tell what was learned.
data: {{path: {data}, held_out: {held_out}}}
# What is good: the weighted sum of these is the reward.
rewards:
  - {reward}

optimizer: {{learning_rate: {learning_rate}, schedule: cosine, warmup_steps: 5}}
# Held-out problems that are tried, before the first step, every so many, and at the end.
eval: {{problems: 50, every_steps: 25}}
checkpoint: {{save_steps: 25, keep: 2}}
",
        output_dir = quoted(&format!("runs/{name}")),
        prompt_length = sizes.prompt_length,
        held_out = sizes.held_out,
        model = quoted(model),
        data = quoted(data),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RunConfig;

    #[test]
    fn what_is_written_is_a_configuration_whatever_the_names_are() {
        for judge in [Judge::Math, Judge::Number, Judge::Exact] {
            for full in [true, false] {
                let begin = Begin {
                    name: "a: \"b\" #c".into(),
                    model: "some folder: {x}".into(),
                    data: "C:\\data\\p #1.jsonl".into(),
                    judge,
                    full,
                    sizes: Sizes::default(),
                };
                let config = RunConfig::parse("run.yaml".as_ref(), &written(&begin), &[]).unwrap();
                assert_eq!(config.model.path, Some("some folder: {x}".into()));
                assert_eq!(config.lora.is_none(), full);
            }
        }
    }

    #[test]
    fn a_tenth_of_the_problems_is_held_out_and_prompts_have_room() {
        assert_eq!(Sizes::of(30, 200), Sizes { held_out: 3, prompt_length: 192 });
        assert_eq!(Sizes::of(1, 0), Sizes { held_out: 0, prompt_length: 64 });
        assert_eq!(Sizes::of(7473, 100_000), Sizes { held_out: 100, prompt_length: 4096 });
    }
}
