//! Why a device cannot be had.

use super::BACKENDS;
use super::name::FAMILIES;
use crate::readback::DeviceFailed;

/// A device that cannot be had, or that broke down.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DeviceError {
    /// A name that nothing has.
    #[error(
        "there is no device `{name}`;{} choose one of: {}",
        nearest.as_ref().map(|nearest| format!(" did you mean `{nearest}`?")).unwrap_or_default(),
        FAMILIES.map(|(name, _)| name).join(", ")
    )]
    Unknown {
        /// What was asked for.
        name: String,
        /// What was probably meant.
        nearest: Option<String>,
    },
    /// A choice among adapters that makes no sense for the family.
    #[error("device `{name}`: {family} {problem}")]
    Pick {
        /// What was asked for.
        name: String,
        /// The part before the colon.
        family: &'static str,
        /// What is wrong with the part behind it.
        problem: String,
    },
    /// A backend that is not in this program.
    #[error(
        "device `{name}` is not compiled in; build with `cargo build --release --features {feature}`, \
         or choose one of: {}",
        compiled()
    )]
    NotCompiled {
        /// What was asked for.
        name: String,
        /// The cargo feature that brings it.
        feature: &'static str,
    },
    /// A program without any CPU backend.
    #[error("no CPU backend is compiled in; build with `--features ndarray`")]
    NoCpu,
    /// A graphics API that this system does not have.
    #[error("device `{name}`: {api} does not exist on this system; choose one of: {present}")]
    NoApi {
        /// What was asked for.
        name: String,
        /// The API.
        api: &'static str,
        /// The APIs that do.
        present: String,
    },
    /// Not one adapter.
    #[error("device `{name}`: no adapter was found; {mend}")]
    NoAdapter {
        /// What was asked for.
        name: String,
        /// What to install.
        mend: &'static str,
    },
    /// Adapters, but not the one that was asked for.
    #[error("device `{name}`: no adapter is that; found: {found}")]
    NoMatch {
        /// What was asked for.
        name: String,
        /// The adapters there are.
        found: String,
    },
    /// Nothing but software adapters, which are slower than the CPU itself.
    #[error(
        "device `{name}`: there is no GPU, only a software adapter, which is slower than the CPU; use \
         --device cpu, or name it to try it: {found}"
    )]
    OnlySoftware {
        /// What was asked for.
        name: String,
        /// The adapters there are.
        found: String,
    },
    /// An adapter that cannot be opened.
    #[error("device `{name}`: {problem}")]
    NotOpened {
        /// What was asked for.
        name: String,
        /// Why, and what to choose instead.
        problem: String,
    },
    /// A second adapter in one process.
    #[error("device `{name}`: this process already runs on {other}; start another for it")]
    Taken {
        /// What was asked for.
        name: String,
        /// What is in use.
        other: String,
    },
    /// A device that broke down.
    #[error(transparent)]
    Failed(#[from] DeviceFailed),
}

fn compiled() -> String {
    let backends = BACKENDS.iter().filter(|backend| backend.compiled);
    backends.map(|backend| backend.name).collect::<Vec<_>>().join(", ")
}
