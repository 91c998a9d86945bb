//! `wgrpo generate`: completions of a prompt by a saved model, or a conversation with it.

mod conversation;
mod pace;
mod writer;

use std::path::PathBuf;

use anyhow::ensure;
use clap::Args;

use self::conversation::Conversation;
use self::writer::Writer;
use super::interrupt::ReplyInterrupt;
use super::{fetch, output};
use crate::config::check_sampling;
use crate::data::Message;
use crate::device::{self, Limits, OnDevice};
use crate::kernel::Kernels;
use crate::rollout::Sampling;
use crate::run::{Stop, saved_model};
use crate::text::Tokenizer;

/// Arguments of `wgrpo generate`.
#[derive(Debug, Args)]
pub(super) struct GenerateArgs {
    /// A run's output_dir or a model folder
    folder: PathBuf,
    /// The text to continue
    #[arg(long, value_name = "TEXT")]
    prompt: Option<String>,
    /// Put the prompt through the model's chat template as the user's message. Without --prompt, hold a
    /// conversation: each line of standard input is a message, /reset begins anew, /exit ends
    #[arg(long)]
    chat: bool,
    /// The system's message, which comes before the user's
    #[arg(long, value_name = "TEXT", requires = "chat")]
    system: Option<String>,
    /// Number of completions; one is printed as it is written, several when they are whole
    #[arg(long, default_value_t = 1)]
    samples: usize,
    /// Most tokens of a completion or a reply
    #[arg(long, default_value_t = 128)]
    max_tokens: usize,
    /// Sampling temperature; 0 takes the most probable token
    #[arg(long, default_value_t = 0.0)]
    temperature: f32,
    /// Keep only this many most probable tokens; 0 keeps all
    #[arg(long, default_value_t = 0)]
    top_k: usize,
    /// Keep the fewest most probable tokens that reach this probability
    #[arg(long, default_value_t = 1.0)]
    top_p: f32,
    /// Decides the samples
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Print a JSON line for each completion
    #[arg(long)]
    json: bool,
    /// Run on this device, such as cpu, gpu or vulkan:1
    #[arg(long, default_value = "cpu", value_name = "NAME")]
    device: String,
}

impl GenerateArgs {
    pub(super) fn run(mut self) -> anyhow::Result<()> {
        self.check()?;
        let interrupt = match &self.prompt {
            Some(_) => ReplyInterrupt::default(),
            None => ReplyInterrupt::watch()?,
        };
        self.folder = fetch::model(&self.folder, &Stop::default())?;
        let device = device::find(&self.device)?;
        device.compute_on_this_thread();
        device.run(Generating { args: self, limits: device.limits(), interrupt })?
    }

    fn check(&self) -> anyhow::Result<()> {
        ensure!(self.samples > 0, "--samples must be at least 1");
        ensure!(self.max_tokens > 0, "--max-tokens must be at least 1");
        if self.prompt.is_none() {
            self.check_conversation()?;
        }
        Ok(check_sampling(self.sampling())?)
    }

    fn check_conversation(&self) -> anyhow::Result<()> {
        ensure!(
            self.chat,
            "there is nothing to continue; give a text by --prompt TEXT, or hold a conversation by --chat"
        );
        ensure!(
            self.samples == 1,
            "--samples {}: a conversation goes on from one reply; leave --samples out, or give a message \
             by --prompt",
            self.samples
        );
        ensure!(
            !self.json,
            "--json: a conversation is printed as it is written, and JSON when it is whole; leave --json \
             out, or give a message by --prompt"
        );
        Ok(())
    }

    fn sampling(&self) -> Sampling {
        Sampling { temperature: self.temperature, top_k: self.top_k, top_p: self.top_p }
    }

    /// What comes before the first message of the user's.
    fn opening(&self) -> Vec<Message> {
        self.system.iter().map(|text| Message::new("system", text)).collect()
    }

    /// Refuses a conversation without a template, and says what may be wrong with the way of the prompt
    /// to the model.
    fn check_prompt(&self, tokenizer: &Tokenizer) -> anyhow::Result<()> {
        tokenizer.tokens_without_row().iter().for_each(|text| output::note(text));
        let has_template = tokenizer.has_chat_template();
        ensure!(
            has_template || !self.chat,
            "{} has no chat template, which --chat needs; leave --chat out and give plain text by \
             --prompt, or add the model's chat_template.jinja to its folder",
            self.folder.display()
        );
        if has_template && !self.chat {
            output::note(
                "the model has a chat template, and the prompt goes to it as plain text; --chat \
                 puts it through the template",
            );
        }
        Ok(())
    }
}

struct Generating {
    args: GenerateArgs,
    limits: Limits,
    interrupt: ReplyInterrupt,
}

impl OnDevice for Generating {
    type Output = anyhow::Result<()>;

    fn run<B: Kernels>(self, device: B::Device) -> anyhow::Result<()> {
        let Self { args, limits, interrupt } = self;
        let model = saved_model::<B>(&args.folder, &device, &limits)?;
        output::note_left_out(&args.folder);
        args.check_prompt(&model.tokenizer)?;
        let writer = Writer::new(&args, limits, interrupt, model);
        match &args.prompt {
            Some(prompt) => writer.complete(prompt),
            None => Conversation::new(writer, &args).hold(),
        }
    }
}
