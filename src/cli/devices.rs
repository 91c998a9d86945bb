//! `wgrpo devices`: what this program can run on.

use clap::Args;

use super::output;
use crate::device::{BACKENDS, backend};

/// Arguments of `wgrpo devices`.
#[derive(Debug, Args)]
pub(super) struct DevicesArgs {
    /// Print one JSON line a backend
    #[arg(long)]
    json: bool,
}

impl DevicesArgs {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let chosen = backend("cpu").ok();
        for info in BACKENDS {
            let is_cpu = chosen == Some(info);
            if self.json {
                let line = serde_json::json!({
                    "name": info.name, "runs_on": info.runs_on, "compiled": info.compiled,
                    "feature": info.feature, "is_cpu": is_cpu, "adapters": adapters(),
                });
                output::print_json(&line)?;
                continue;
            }
            let state = match info.compiled {
                true if is_cpu => "compiled in, and what `cpu` means".to_owned(),
                true => "compiled in".to_owned(),
                false => format!("not compiled in; build with --features {}", info.feature),
            };
            let on = format!("{}, {}", info.runs_on, adapters());
            output::print(&format!("{:<10} {on}: {state}\n", info.name))?;
        }
        Ok(())
    }
}

fn adapters() -> String {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{} with {threads} threads", std::env::consts::ARCH)
}
