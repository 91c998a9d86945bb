//! `wgrpo generate`: completions of a prompt by a saved model.

use std::path::PathBuf;

use clap::Args;

use super::{fetch, output};
use crate::config::check_sampling;
use crate::data::Message;
use crate::device::{self, Limits, OnDevice};
use crate::kernel::Kernels;
use crate::rollout::{Completion, Generator, Noise, Prompt, Purpose, Sampling};
use crate::run::{Stop, saved_model};
use crate::text::Tokenizer;
use crate::train::{Generation, generation_buffers};

/// Arguments of `wgrpo generate`.
#[derive(Debug, Args)]
pub(super) struct GenerateArgs {
    /// A run's output_dir or a model folder
    folder: PathBuf,
    /// The text to continue
    #[arg(long)]
    prompt: String,
    /// Put the prompt through the model's chat template as the user's message
    #[arg(long)]
    chat: bool,
    /// Number of completions
    #[arg(long, default_value_t = 1)]
    samples: usize,
    /// Most tokens of a completion
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
        anyhow::ensure!(self.samples > 0, "--samples must be at least 1");
        anyhow::ensure!(self.max_tokens > 0, "--max-tokens must be at least 1");
        check_sampling(self.sampling())?;
        self.folder = fetch::model(&self.folder, &Stop::default())?;
        let device = device::find(&self.device)?;
        device.compute_on_this_thread();
        device.run(Generating { args: self, limits: device.limits() })?
    }

    fn sampling(&self) -> Sampling {
        Sampling { temperature: self.temperature, top_k: self.top_k, top_p: self.top_p }
    }

    fn generator(&self, eos_ids: &[u32]) -> Generator {
        Generator {
            sampling: self.sampling(),
            response_length: self.max_tokens,
            eos_ids: eos_ids.to_vec(),
            cache_tokens: 16_384,
            rows_at_once: Generator::ROWS_AT_ONCE,
            tokens_a_readback: None,
        }
    }

    /// Says what may be wrong with the way of the prompt to the model.
    fn note_prompt(&self, tokenizer: &Tokenizer) {
        tokenizer.tokens_without_row().iter().for_each(|text| output::note(text));
        if tokenizer.has_chat_template() && !self.chat {
            output::note(
                "the model has a chat template, and the prompt goes to it as plain text; --chat \
                 puts it through the template",
            );
        }
    }

    fn prompt_ids(&self, tokenizer: &Tokenizer) -> anyhow::Result<Vec<u32>> {
        let ids = match self.chat {
            true => {
                let messages = [Message::new("user", &self.prompt)];
                tokenizer.encode(&tokenizer.render_chat(&messages, true)?, false)?
            }
            false => tokenizer.encode(&self.prompt, true)?,
        };
        anyhow::ensure!(!ids.is_empty(), "--prompt is empty and the tokenizer adds no token to it");
        Ok(ids)
    }

    fn show(&self, completion: &Completion, tokenizer: &Tokenizer) -> anyhow::Result<()> {
        let text = tokenizer.decode(&completion.ids);
        if !self.json {
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

struct Generating {
    args: GenerateArgs,
    limits: Limits,
}

impl OnDevice for Generating {
    type Output = anyhow::Result<()>;

    fn run<B: Kernels>(self, device: B::Device) -> anyhow::Result<()> {
        let Self { args, limits } = self;
        let model = saved_model::<B>(&args.folder, &device, &limits)?;
        output::note_left_out(&args.folder);
        args.note_prompt(&model.tokenizer);
        let ids = args.prompt_ids(&model.tokenizer)?;
        model.config.check_positions(ids.len(), args.max_tokens, ["--prompt", "--max-tokens"])?;
        let generator = args.generator(model.tokenizer.eos_ids());
        let sizes = Generation {
            generator: &generator,
            prompts: 1,
            longest_prompt: ids.len(),
            samples: args.samples,
            otherwise: "lower --max-tokens or shorten --prompt",
        };
        limits.check(&generation_buffers(&model.config, sizes))?;
        let prompt = Prompt { problem: 0, ids: ids.into(), samples: args.samples };
        let noise = Noise::new(args.seed, Purpose::Reading, 0);
        for group in generator.generate(&model.decoder, &[prompt], noise)? {
            for completion in group.completions {
                args.show(&completion, &model.tokenizer)?;
            }
        }
        Ok(())
    }
}
