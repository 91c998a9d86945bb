//! What the columns of published data sets mean.

use serde_json::Value;

use super::super::rows::Row;

const GSM8K_TASK: &str = "\n\nReason step by step, then end with the final answer on a line of its own, \
     written as `#### number`.";
const BOXED_TASK: &str =
    "\n\nPlease reason step by step, and put your final answer within \\boxed{}.";

/// A way of writing problems into columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::data) enum Preset {
    /// `prompt` or `messages`, and `answer`.
    Plain,
    /// `question`, and `answer` with the worked solution and `#### number`. Cobbe et al., "Training verifiers to
    /// solve math word problems", 2021, arXiv 2110.14168.
    Gsm8k,
    /// `problem`, and `solution` with `\boxed{}`, or `answer`. Hendrycks et al., "Measuring mathematical problem
    /// solving with the MATH dataset", 2021, arXiv 2103.03874.
    Math,
    /// `messages` as JSON text, or `prompt`, and `ground_truth`: `get_encode_function` of ROLL's
    /// `roll/pipeline/rlvr/rlvr_pipeline.py`.
    Roll,
    /// `prompt`, plain or conversational, and `answer`, `solution` or `ground_truth`: the page "Dataset formats and
    /// types" of TRL.
    Trl,
    /// `prompt` as a conversation, and `reward_model.ground_truth`: the page "Prepare data for post-training" of verl.
    Verl,
    /// `problem`, and `answer`, else `solution` with `\boxed{}`: OpenR1-Math-220k.
    Openr1,
}

/// Where an answer stands in its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AnswerRule {
    /// It is the whole column.
    Whole,
    /// It is what stands after the last `####`, without commas, and must be there.
    Hashes,
    /// It is in the last `\boxed{}` or behind the last `####` where there is one, else the whole column; `true` says
    /// that a column called `solution` without a mark holds none.
    Marked,
}

impl Preset {
    /// Columns that may hold the prompt, the first that is there.
    pub(super) fn prompts(self) -> &'static [&'static str] {
        match self {
            Self::Plain => &["messages", "prompt"],
            Self::Gsm8k => &["question"],
            Self::Math | Self::Openr1 => &["problem"],
            Self::Roll => &["messages", "prompt"],
            Self::Trl => &["prompt", "messages"],
            Self::Verl => &["prompt"],
        }
    }

    /// Columns that may hold the answer, the first that is there.
    pub(super) fn answers(self) -> &'static [&'static str] {
        match self {
            Self::Plain | Self::Gsm8k => &["answer"],
            Self::Math | Self::Openr1 => &["answer", "solution"],
            Self::Roll => &["ground_truth"],
            Self::Trl => &["answer", "solution", "ground_truth"],
            Self::Verl => &["reward_model.ground_truth"],
        }
    }

    /// Columns that may hold what an example is answered with.
    pub(super) fn replies(self) -> &'static [&'static str] {
        match self {
            Self::Math | Self::Openr1 => &["solution", "answer"],
            other => other.answers(),
        }
    }

    pub(super) fn rule(self) -> AnswerRule {
        match self {
            Self::Gsm8k => AnswerRule::Hashes,
            Self::Math | Self::Trl | Self::Openr1 => AnswerRule::Marked,
            Self::Plain | Self::Roll | Self::Verl => AnswerRule::Whole,
        }
    }

    /// What is put behind the question where the configuration gives no template.
    pub(super) fn task(self) -> &'static str {
        match self {
            Self::Gsm8k => GSM8K_TASK,
            Self::Math | Self::Openr1 => BOXED_TASK,
            Self::Plain | Self::Roll | Self::Trl | Self::Verl => "",
        }
    }

    /// Whether a prompt of plain text becomes a conversation where the configuration does not say.
    pub(super) fn is_chat(self) -> bool {
        matches!(self, Self::Gsm8k | Self::Math | Self::Openr1)
    }

    /// Columns that are left out where the configuration does not say: long, and of no use to a reward.
    pub(super) fn dropped(self) -> &'static [&'static str] {
        match self {
            Self::Openr1 => &["generations", "messages"],
            _ => &[],
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Plain => "file",
            Self::Gsm8k => "gsm8k",
            Self::Math => "math",
            Self::Roll => "roll",
            Self::Trl => "trl",
            Self::Verl => "verl",
            Self::Openr1 => "openr1",
        }
    }

    /// The preset that the columns of a row are those of.
    pub(super) fn of(row: &Row<'_>) -> Self {
        let has = |name: &str| row.column(name).is_some();
        let text = |name: &str| row.column(name).and_then(Value::as_str).unwrap_or_default();
        if has("prompt") && has("reward_model.ground_truth") {
            Self::Verl
        } else if has("question") && text("answer").contains("####") && !has("prompt") {
            Self::Gsm8k
        } else if has("problem") && has("generations") {
            Self::Openr1
        } else if has("problem") && has("solution") && !has("prompt") {
            Self::Math
        } else if has("ground_truth") && text("messages").trim_start().starts_with('[') {
            Self::Roll
        } else if has("prompt") && !has("answer") && (has("solution") || has("ground_truth")) {
            Self::Trl
        } else {
            Self::Plain
        }
    }
}
