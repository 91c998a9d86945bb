//! `wgrpo memory`: what a run takes of memory, told without its weights.

use clap::Args;

use super::{ConfigFile, fetch, output};
use crate::device::{self, Device};
use crate::run::{Outlook, Stop, memory_text, outlook};

/// Arguments of `wgrpo memory`.
#[derive(Debug, Args)]
pub(super) struct MemoryArgs {
    #[command(flatten)]
    file: ConfigFile,
    /// Print one JSON object, in bytes
    #[arg(long)]
    json: bool,
}

impl MemoryArgs {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let mut config = self.file.load()?;
        fetch::all_but_weights(&mut config, &Stop::default())?;
        let device = device::find(&config.device.name)?;
        let found = outlook(&config, &device.limits(), matches!(device, Device::Host(_)))?;
        match self.json {
            true => output::print_json(&json(&found)),
            false => output::print(&text(&found, config.prompt_length)),
        }
    }
}

fn json(found: &Outlook) -> serde_json::Value {
    let parts: serde_json::Map<_, _> =
        found.memory.parts.iter().map(|(what, bytes)| ((*what).into(), (*bytes).into())).collect();
    serde_json::json!({
        "parameters": found.parameters,
        "bytes": found.memory.bytes(),
        "when": found.memory.when,
        "parts": parts,
        "gradient_checkpointing": found.has_checkpoints,
        "knows_prompts": found.knows_prompts,
        "fits": found.refusal.is_none(),
    })
}

fn text(found: &Outlook, prompt_length: usize) -> String {
    let checkpoints = match found.has_checkpoints {
        true => "each layer is computed once more in an update (gradient_checkpointing)\n",
        false => "",
    };
    let prompts = match found.knows_prompts {
        true => String::new(),
        false => format!(
            "prompts are taken to have {prompt_length} tokens each (prompt_length), for the model's folder has no \
             tokenizer.json\n"
        ),
    };
    let refusal =
        found.refusal.as_ref().map_or(String::new(), |why| format!("it does not fit: {why}\n"));
    let (parameters, memory) = (found.parameters, memory_text(&found.memory));
    format!("{parameters} parameters\n{memory}\n{checkpoints}{prompts}{refusal}")
}
