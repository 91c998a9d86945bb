//! The configuration that `wgrpo init` writes, with a comment for each key that a person may want to change.

use super::judge::Judge;

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

/// What model and data ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sizes {
    /// Problems that are held out.
    held_out: usize,
    /// Tokens of a prompt.
    prompt_length: usize,
    /// Whether prompts are the user's turn of a conversation.
    is_chat: bool,
}

/// Tokens of the longest prompt that is taken without being asked for.
const LONGEST: usize = 4096;

impl Sizes {
    /// Where nothing is known but the model's name.
    pub(super) fn usual(model: &str) -> Self {
        let name = model.to_lowercase();
        let is_chat = ["instruct", "chat", "-it"].iter().any(|mark| name.contains(mark));
        Self { held_out: 0, prompt_length: 512, is_chat }
    }

    /// For any prompts that are not unusually long.
    pub(super) fn widest(is_chat: bool) -> Self {
        Self { held_out: 0, prompt_length: LONGEST, is_chat }
    }

    /// For so many problems, the longest of which has so many tokens.
    pub(super) fn of(problems: usize, longest: usize, is_chat: bool) -> Self {
        Self {
            held_out: if problems < 2 { 0 } else { (problems / 10).clamp(1, 100) },
            prompt_length: longest.next_multiple_of(16).clamp(16, LONGEST),
            is_chat,
        }
    }
}

/// The text of the file.
pub(super) fn written(begin: &Begin) -> String {
    let Begin { name, model, data, judge, full, sizes } = begin;
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let reward = match judge {
        Judge::Rule(rule) => format!("{{kind: {}}}", rule.name()),
        Judge::Python { path, function } => format!(
            "{{kind: python, path: {}, function: {}, solved_at: 1}}  # a score of 1 or more counts as solved",
            quoted(&path.display().to_string()),
            function.as_deref().unwrap_or_default()
        ),
    };
    let chat = match sizes.is_chat {
        true => {
            "\n# Prompts are the user's turn in the model's chat template; system: TEXT says what goes before."
        }
        false => "",
    };
    let as_chat = if sizes.is_chat { ", chat: true" } else { "" };
    let (lora, learning_rate) = match full {
        true => (
            "# All weights are trained; an adapter takes far less memory: lora: {rank: 16, alpha: 32}\n",
            "1e-6",
        ),
        false => (
            "# An adapter on the model, which stays as it is in 16 bits; base: q8_0 or q4_0 takes less memory still.\n\
             lora: {rank: 16, alpha: 32}\n",
            "1e-4",
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
# The problems; held_out ones are never trained on, and tell what was learned.{chat}
data: {{path: {data}, held_out: {held_out}{as_chat}}}
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
    use super::super::judge::Rule;
    use super::*;
    use crate::config::RunConfig;

    #[test]
    fn what_is_written_is_a_configuration_whatever_the_names_are() {
        let python = Judge::Python { path: "a: #b\\.py".into(), function: Some("right".into()) };
        for judge in Rule::ALL.map(Judge::Rule).into_iter().chain([python]) {
            for full in [true, false] {
                let begin = Begin {
                    name: "a: \"b\" #c".into(),
                    model: "some folder: {x}".into(),
                    data: "C:\\data\\p #1.jsonl".into(),
                    judge: judge.clone(),
                    full,
                    sizes: Sizes::widest(full),
                };
                let config = RunConfig::parse("run.yaml".as_ref(), &written(&begin), &[]).unwrap();
                assert_eq!(config.model.path, Some("some folder: {x}".into()));
                assert_eq!(config.lora.is_none(), full);
                let file = match &judge {
                    Judge::Python { path, .. } => Some(path.as_path()),
                    Judge::Rule(_) => None,
                };
                assert_eq!(config.rewards[0].file(), file);
            }
        }
    }

    #[test]
    fn a_tenth_of_the_problems_is_held_out_and_prompts_have_room() {
        let of = |problems, longest| {
            let Sizes { held_out, prompt_length, .. } = Sizes::of(problems, longest, false);
            [held_out, prompt_length]
        };
        assert_eq!(of(30, 90), [3, 96]);
        assert_eq!(of(1, 0), [0, 16]);
        assert_eq!(of(7473, 100_000), [100, 4096]);
    }

    #[test]
    fn a_model_that_cannot_be_asked_is_a_chat_model_where_its_name_says_so() {
        assert!(Sizes::usual("HuggingFaceTB/SmolLM2-135M-Instruct").is_chat);
        assert!(!Sizes::usual("HuggingFaceTB/SmolLM2-135M").is_chat);
    }
}
