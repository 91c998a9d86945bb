//! A loaded model that writes: one completion as it comes, or several when they are whole.

use anyhow::ensure;

use super::GenerateArgs;
use super::pace::Pace;
use crate::cli::interrupt::ReplyInterrupt;
use crate::cli::output;
use crate::data::Message;
use crate::device::Limits;
use crate::kernel::Kernels;
use crate::model::{Decoder, LoadedModel, ModelConfig};
use crate::rollout::{
    Completion, FinishReason, GenerationError, Generator, News, Noise, Prompt, Purpose,
    RolloutGroup,
};
use crate::text::{GrowingText, Tokenizer};
use crate::train::{Generation, generation_buffers};

/// A model with all that it takes to print what it writes.
pub(super) struct Writer<'a, B: Kernels> {
    args: &'a GenerateArgs,
    limits: Limits,
    interrupt: ReplyInterrupt,
    config: ModelConfig,
    tokenizer: Tokenizer,
    /// Ready for generation, so that its time is not counted as that of tokens.
    decoder: Decoder<B>,
    generator: Generator,
}

/// What bounds the length of a row, for those who have to make it shorter.
pub(super) struct Bounds {
    /// Of what goes before, and of what is written.
    pub(super) keys: [&'static str; 2],
    /// How both become shorter.
    pub(super) otherwise: &'static str,
}

/// What was written while it came.
pub(super) struct Reply {
    pub(super) text: String,
    pub(super) end: End,
}

/// Why a reply is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It ended itself or is as long as may be.
    Finished(FinishReason),
    /// The person stopped it.
    Stopped,
    /// The reader of standard output went away.
    Unread,
}

/// What ends a generation before its end.
enum Halt {
    Early(End),
    Failed(anyhow::Error),
}

impl From<anyhow::Error> for Halt {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

impl From<GenerationError> for Halt {
    fn from(error: GenerationError) -> Self {
        Self::Failed(error.into())
    }
}

const PROMPT: Bounds = Bounds {
    keys: ["--prompt", "--max-tokens"],
    otherwise: "lower --max-tokens or shorten --prompt",
};

impl<'a, B: Kernels> Writer<'a, B> {
    pub(super) fn new(
        args: &'a GenerateArgs,
        limits: Limits,
        interrupt: ReplyInterrupt,
        model: LoadedModel<B>,
    ) -> Self {
        let LoadedModel { config, decoder, tokenizer } = model;
        let generator = Generator {
            sampling: args.sampling(),
            response_length: args.max_tokens,
            eos_ids: tokenizer.eos_ids().to_vec(),
            cache_tokens: 16_384,
            rows_at_once: Generator::ROWS_AT_ONCE,
            tokens_a_readback: None,
        };
        let decoder = decoder.for_inference();
        Self { args, limits, interrupt, config, tokenizer, decoder, generator }
    }

    /// Prints the completions of a prompt.
    pub(super) fn complete(&self, prompt: &str) -> anyhow::Result<()> {
        let ids = match self.args.chat {
            true => {
                let message = [Message::new("user", prompt)];
                self.chat_ids(&[&self.args.opening()[..], &message].concat())?
            }
            false => self.tokenizer.encode(prompt, true)?,
        };
        ensure!(!ids.is_empty(), "--prompt is empty and the tokenizer adds no token to it");
        self.check_length(ids.len(), &PROMPT)?;
        match self.args.samples > 1 || self.args.json {
            true => self.print_whole(ids),
            false => self.stream(ids, 0).map(drop),
        }
    }

    /// A conversation as tokens that a reply follows.
    pub(super) fn chat_ids(&self, messages: &[Message]) -> anyhow::Result<Vec<u32>> {
        let text = self.tokenizer.render_chat(&messages, true)?;
        Ok(self.tokenizer.encode(&text, false)?)
    }

    /// Refuses what the model or the device has no room for.
    pub(super) fn check_length(&self, tokens: usize, bounds: &Bounds) -> anyhow::Result<()> {
        self.config.check_positions(tokens, self.args.max_tokens, bounds.keys)?;
        let sizes = Generation {
            generator: &self.generator,
            prompts: 1,
            longest_prompt: tokens,
            samples: self.args.samples,
            otherwise: bounds.otherwise,
        };
        Ok(self.limits.check(&generation_buffers(&self.config, sizes))?)
    }

    /// Prints one completion as it comes; `turn` is how many came before it, which the noise goes by.
    pub(super) fn stream(&self, ids: Vec<u32>, turn: u64) -> anyhow::Result<Reply> {
        let (mut text, mut pace) = (GrowingText::new(&self.tokenizer), Pace::begin());
        let mut watch = |news: News<'_>| {
            pace.count(news.tokens.len());
            let ids: Vec<u32> = news.tokens.iter().map(|token| token.id).collect();
            self.print_part(&text.add(&ids))
        };
        self.interrupt.begin();
        let groups = self.generate(ids, turn, &mut watch);
        self.interrupt.end();
        let end = ended(groups)?;
        output::print(&(text.end() + "\n"))?;
        output::say(&pace.to_string());
        Ok(Reply { text: text.given().to_owned(), end })
    }

    /// Prints what is new of a completion, and asks whether more of it is wanted.
    fn print_part(&self, text: &str) -> Result<(), Halt> {
        match output::print_more(text)? {
            false => Err(Halt::Early(End::Unread)),
            true if self.interrupt.is_asked() => Err(Halt::Early(End::Stopped)),
            true => Ok(()),
        }
    }

    /// Prints all completions when they are whole.
    fn print_whole(&self, ids: Vec<u32>) -> anyhow::Result<()> {
        let mut pace = Pace::begin();
        let mut watch = |news: News<'_>| {
            pace.count(news.tokens.len());
            anyhow::Ok(())
        };
        let groups = self.generate(ids, 0, &mut watch)?;
        let mut completions = groups.iter().flat_map(|group| &group.completions);
        completions.try_for_each(|completion| self.print_completion(completion))?;
        output::say(&pace.to_string());
        Ok(())
    }

    fn generate<E: From<GenerationError>>(
        &self,
        ids: Vec<u32>,
        turn: u64,
        watch: &mut dyn FnMut(News<'_>) -> Result<(), E>,
    ) -> Result<Vec<RolloutGroup>, E> {
        let prompt = Prompt { problem: 0, ids: ids.into(), samples: self.args.samples };
        let noise = Noise::new(self.args.seed, Purpose::Reading, turn);
        self.generator.generate_watched(&self.decoder, &[prompt], noise, watch)
    }

    fn print_completion(&self, completion: &Completion) -> anyhow::Result<()> {
        let text = self.tokenizer.decode(&completion.ids);
        if !self.args.json {
            return output::print(&format!("{text}\n"));
        }
        output::print_json(&serde_json::json!({
            "completion": text,
            "finish": completion.finish.name(),
            "tokens": completion.ids.len(),
            "logp": completion.logps.iter().map(|x| f64::from(*x)).sum::<f64>(),
        }))
    }
}

/// Why a generation of one completion is over.
fn ended(groups: Result<Vec<RolloutGroup>, Halt>) -> anyhow::Result<End> {
    match groups {
        Ok(groups) => {
            let completion = groups.first().and_then(|group| group.completions.first());
            Ok(End::Finished(completion.map_or(FinishReason::Length, |of| of.finish)))
        }
        Err(Halt::Early(end)) => Ok(end),
        Err(Halt::Failed(error)) => Err(error),
    }
}
