//! `wgrpo check`: what there is to know of a run before the long wait.

use clap::Args;

use super::{ConfigFile, fetch, output};
use crate::config::RunConfig;
use crate::device::{self, Limits, OnDevice};
use crate::kernel::Kernels;
use crate::monitor::peak_rss_mib;
use crate::run::{Apart, Opened, Stop, budget, loss_of_accuracy, memory_text};

/// Arguments of `wgrpo check`.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    file: ConfigFile,
}

impl CheckArgs {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let mut config = self.file.load()?;
        fetch::fetch_all(&mut config, &Stop::default())?;
        let device = device::find(&config.device.name)?;
        device.compute_on_this_thread();
        device.run(Checking { config, limits: device.limits() })?
    }
}

struct Checking {
    config: RunConfig,
    limits: Limits,
}

impl OnDevice for Checking {
    type Output = anyhow::Result<()>;

    fn run<B: Kernels>(self, device: B::Device) -> anyhow::Result<()> {
        let Self { config, limits } = self;
        // What was opened is closed before the model is opened again.
        let memory = Opened::<B>::open(&config, &device, &limits)?.memory;
        let opened = peak_rss_mib().map_or(String::new(), |mib| {
            format!("opened     model and problems, with {mib:.1} MiB at most\n")
        });
        output::print(&format!("{opened}memory     {}\n", memory_text(&memory)))?;
        let Some(base) = config.lora.as_ref().map(|lora| lora.base).filter(|base| base.is_few())
        else {
            return Ok(());
        };
        let memory = budget(&config, &limits);
        output::print(&match loss_of_accuracy::<B>(&config, &device, memory)? {
            Some(apart) => text(base.name(), apart),
            None => {
                "base       not compared: in 16 bits the model does not fit the memory\n".into()
            }
        })
    }
}

fn text(base: &str, Apart { tokens, mean, largest }: Apart) -> String {
    format!(
        "base       {base} against 16 bits: log-probabilities of {tokens} tokens that the model wrote differ by \
         {mean:.4} nats on average, {largest:.3} at most\n"
    )
}
