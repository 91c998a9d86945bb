//! `wgrpo export`: what a run trained, for other programs.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{fetch, output};
use crate::device::{self, Limits, OnDevice};
use crate::kernel::Kernels;
use crate::model::FileType;
use crate::run::{Exported, Form, Stop, export};

/// Arguments of `wgrpo export`.
#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// A run's output_dir, a model folder, an adapter's folder or a GGUF file
    folder: PathBuf,
    /// The form: hf (a whole model's folder), peft (an adapter's folder) or gguf (a file for llama.cpp)
    #[arg(long, value_enum)]
    format: Format,
    /// Where to write it [default: export/FORMAT in the folder, or export/NAME.gguf]
    #[arg(long, value_name = "PATH")]
    output: Option<PathBuf>,
    /// How a GGUF file stores the matrices [default: f16]
    #[arg(long, value_enum, value_name = "TYPE")]
    quantize: Option<Quantize>,
    /// Run on this device, such as cpu, gpu or vulkan:1
    #[arg(long, default_value = "cpu", value_name = "NAME")]
    device: String,
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum Format {
    Hf,
    Peft,
    Gguf,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Quantize {
    F32,
    F16,
    Bf16,
    #[value(name = "q8_0")]
    Q8_0,
    #[value(name = "q4_0")]
    Q4_0,
}

impl Quantize {
    fn file_type(self) -> FileType {
        match self {
            Self::F32 => FileType::F32,
            Self::F16 => FileType::F16,
            Self::Bf16 => FileType::Bf16,
            Self::Q8_0 => FileType::Q8_0,
            Self::Q4_0 => FileType::Q4_0,
        }
    }
}

impl ExportArgs {
    pub(super) fn run(mut self) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.quantize.is_none() || self.format == Format::Gguf,
            "--quantize is how a GGUF file stores its matrices; say --format gguf, or leave it out"
        );
        let device = device::find(&self.device)?;
        self.folder = fetch::model(&self.folder, &Stop::default())?;
        device.compute_on_this_thread();
        let exported = device.run(Exporting { args: self, limits: device.limits() })??;
        output::print(&format!(
            "{}\nread again: log-probabilities of {} tokens differ by {:.2e} on average\n",
            exported.path.display(),
            exported.tokens,
            exported.difference
        ))
    }

    fn form(&self) -> Form {
        match self.format {
            Format::Hf => Form::HuggingFace,
            Format::Peft => Form::Peft,
            Format::Gguf => Form::Gguf(self.quantize.unwrap_or(Quantize::F16).file_type()),
        }
    }

    fn path(&self) -> PathBuf {
        let name = || self.folder.file_stem().unwrap_or("model".as_ref()).to_string_lossy();
        let beside = |last: String| self.folder.join("export").join(last);
        match (&self.output, self.form()) {
            (Some(path), _) => path.clone(),
            (None, Form::HuggingFace) => beside("hf".into()),
            (None, Form::Peft) => beside("peft".into()),
            (None, Form::Gguf(kind)) => beside(format!("{}-{}.gguf", name(), kind.name())),
        }
    }
}

struct Exporting {
    args: ExportArgs,
    limits: Limits,
}

impl OnDevice for Exporting {
    type Output = anyhow::Result<Exported>;

    fn run<B: Kernels>(self, device: B::Device) -> anyhow::Result<Exported> {
        let Self { args, limits } = self;
        Ok(export::<B>(&args.folder, &args.path(), args.form(), &device, &limits)?)
    }
}
