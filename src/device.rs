//! Names of devices and the backends behind them: with `kernel/` the only place that knows which
//! backends were compiled in.

use burn::tensor::backend::BackendTypes;

use crate::kernel::TrainingKernels;

/// Something that runs on whatever backend was chosen.
pub trait OnDevice {
    /// What it gives back.
    type Output;

    /// Runs on backend `B`.
    fn run<B: TrainingKernels>(self, device: B::Device) -> Self::Output;
}

/// A backend that this program can be built with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackendInfo {
    /// The name that `--device` takes.
    pub name: &'static str,
    /// What it runs on.
    pub runs_on: &'static str,
    /// The cargo feature that compiles it in.
    pub feature: &'static str,
    /// Whether this program has it.
    pub compiled: bool,
}

/// All backends there are.
pub const BACKENDS: [BackendInfo; 2] = [
    BackendInfo {
        name: "ndarray",
        runs_on: "the CPU",
        feature: "ndarray",
        compiled: cfg!(feature = "ndarray"),
    },
    BackendInfo {
        name: "flex",
        runs_on: "the CPU",
        feature: "flex",
        compiled: cfg!(feature = "flex"),
    },
];

/// A device that cannot be had.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DeviceError {
    /// A name that no backend has.
    #[error("there is no device `{name}`; choose one of: cpu, {}", names(|_| true))]
    Unknown {
        /// What was asked for.
        name: String,
    },
    /// A backend that is not in this program.
    #[error(
        "device `{name}` is not compiled in; build with `cargo build --release --features {name}`, \
         or choose one of: {}", names(|backend| backend.compiled)
    )]
    NotCompiled {
        /// What was asked for.
        name: String,
    },
    /// A program without any backend.
    #[error("no backend is compiled in; build with `--features ndarray`")]
    None,
}

/// The backend that `name` stands for; `cpu` is the first CPU backend that is compiled in.
///
/// # Errors
/// A name that is not known, or a backend that this program lacks.
pub fn backend(name: &str) -> Result<BackendInfo, DeviceError> {
    if name == "cpu" {
        return BACKENDS.into_iter().find(|backend| backend.compiled).ok_or(DeviceError::None);
    }
    match BACKENDS.into_iter().find(|backend| backend.name == name) {
        Some(backend) if backend.compiled => Ok(backend),
        Some(_) => Err(DeviceError::NotCompiled { name: name.into() }),
        None => Err(DeviceError::Unknown { name: name.into() }),
    }
}

/// Runs `program` on the device called `name`.
///
/// # Errors
/// As [`backend`].
pub fn run_on<P: OnDevice>(name: &str, program: P) -> Result<P::Output, DeviceError> {
    match backend(name)?.name {
        #[cfg(feature = "ndarray")]
        "ndarray" => Ok(on::<burn::backend::NdArray, P>(program)),
        #[cfg(feature = "flex")]
        "flex" => Ok(on::<burn::backend::Flex, P>(program)),
        _ => Err(DeviceError::NotCompiled { name: name.into() }),
    }
}

fn on<B: TrainingKernels, P: OnDevice>(program: P) -> P::Output {
    program.run::<B>(<B as BackendTypes>::Device::default())
}

fn names(which: impl Fn(&BackendInfo) -> bool) -> String {
    let names = BACKENDS.iter().filter(|backend| which(backend)).map(|backend| backend.name);
    names.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_device_is_refused_with_the_names_there_are() {
        let message = backend("gpu").unwrap_err().to_string();
        assert!(message.contains("`gpu`") && message.contains("cpu, ndarray, flex"), "{message}");
    }

    #[test]
    fn a_backend_that_is_not_compiled_in_names_its_feature() {
        for missing in BACKENDS.iter().filter(|backend| !backend.compiled) {
            let message = backend(missing.name).unwrap_err().to_string();
            assert!(message.contains(&format!("--features {}", missing.feature)), "{message}");
        }
        assert!(backend("cpu").unwrap().compiled);
    }
}
