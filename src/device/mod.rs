//! Names of devices and what is behind them: with `kernel/` the only place that knows which backends
//! were compiled in.
//!
//! A name becomes a [`Device`] ([`find`]), which knows its [`Limits`] and runs programs that are
//! written for any backend. Each such program is a [`Session`]; what breaks on the device ends it.

mod adapter;
mod error;
#[cfg(feature = "wgpu")]
mod graphics;
mod limits;
mod machine;
mod name;

use std::fmt;

use burn::tensor::backend::BackendTypes;

pub use adapter::{Adapter, choose};
pub use error::DeviceError;
#[cfg(feature = "wgpu")]
pub use graphics::open;
pub use limits::{Buffer, Limits, Mend, TooLarge, mib};
pub use name::{Api, DeviceName, Family, Kind, Pick};

use crate::kernel::{self, Kernels};
pub use crate::readback::{DeviceFailed, Session};

/// Something that runs on whatever backend was chosen.
pub trait OnDevice {
    /// What it gives back.
    type Output;

    /// Runs on backend `B`.
    fn run<B: Kernels>(self, device: B::Device) -> Self::Output;
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

const CPU: &str = "the CPU";

/// What a GPU's kernel can count, in bytes: elements of four in 32 bits.
const LARGEST_TENSOR: u64 = 4 * u32::MAX as u64;

/// All backends there are; the first CPU backend that is compiled in is what `cpu` means.
pub const BACKENDS: [BackendInfo; 4] = [
    BackendInfo {
        name: "ndarray",
        runs_on: CPU,
        feature: "ndarray",
        compiled: cfg!(feature = "ndarray"),
    },
    BackendInfo { name: "flex", runs_on: CPU, feature: "flex", compiled: cfg!(feature = "flex") },
    BackendInfo {
        name: "wgpu",
        runs_on: "GPUs by Vulkan, Metal, DirectX 12 or OpenGL",
        feature: "wgpu",
        compiled: cfg!(feature = "wgpu"),
    },
    BackendInfo {
        name: "cuda",
        runs_on: "NVIDIA GPUs by CUDA",
        feature: "cuda",
        compiled: cfg!(feature = "cuda"),
    },
];

impl BackendInfo {
    /// Whether it computes on the CPU.
    pub fn is_cpu(&self) -> bool {
        self.runs_on == CPU
    }
}

/// What the `wgpu` backend hands to the driver, by the features it was built with.
pub fn shader_language() -> &'static str {
    match () {
        () if cfg!(feature = "vulkan") => "SPIR-V on Vulkan, WGSL elsewhere",
        () if cfg!(feature = "metal") => "MSL on Metal, WGSL elsewhere",
        () => "WGSL",
    }
}

/// A device that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Device {
    /// The CPU, by a backend of this name.
    Host(&'static str),
    /// An adapter of a graphics API.
    Graphics(Adapter),
    /// An NVIDIA GPU by CUDA's own number.
    Cuda(usize),
}

/// The backend that runs what is called `name`; `cpu` is the first CPU backend that is compiled in.
///
/// # Errors
/// A name that is not known, or a backend that this program lacks.
pub fn backend(name: &str) -> Result<BackendInfo, DeviceError> {
    let family = name.parse::<DeviceName>()?.family;
    let is_meant = |backend: &&BackendInfo| match family {
        Family::Cpu => backend.is_cpu() && backend.compiled,
        Family::Gpu => !backend.is_cpu() && (backend.compiled || backend.name == "wgpu"),
        Family::Wgpu | Family::Api(_) => backend.name == "wgpu",
        Family::Ndarray | Family::Flex | Family::Cuda => backend.name == family.name(),
    };
    match BACKENDS.iter().find(is_meant) {
        Some(backend) if backend.compiled => Ok(*backend),
        Some(backend) => {
            Err(DeviceError::NotCompiled { name: name.into(), feature: backend.feature })
        }
        None => Err(DeviceError::NoCpu),
    }
}

/// The device called `name`.
///
/// # Errors
/// As [`backend`], and where no adapter is what was asked for.
pub fn find(name: &str) -> Result<Device, DeviceError> {
    let (backend, parsed) = (backend(name)?, name.parse::<DeviceName>()?);
    match backend.name {
        "cuda" => Ok(cuda(&parsed)),
        "wgpu" => match graphics(&parsed) {
            Err(_) if parsed.family == Family::Gpu && parsed.pick.is_none() && has_cuda() => {
                Ok(cuda(&parsed))
            }
            found => found.map(Device::Graphics),
        },
        host => Ok(Device::Host(host)),
    }
}

fn has_cuda() -> bool {
    cfg!(feature = "cuda")
}

fn cuda(name: &DeviceName) -> Device {
    match name.pick {
        Some(Pick::Index(index)) => Device::Cuda(index),
        _ => Device::Cuda(0),
    }
}

fn graphics(name: &DeviceName) -> Result<Adapter, DeviceError> {
    let present = Api::of_this_system();
    match name.family {
        Family::Api(api) if !present.contains(&api) => {
            let present: Vec<&str> = present.iter().map(|api| api.name()).collect();
            let (name, present) = (name.to_string(), present.join(", "));
            Err(DeviceError::NoApi { name, api: api.name(), present })
        }
        Family::Api(api) => choose(name, &adapters_of(&[api])),
        _ => choose(name, &adapters()),
    }
}

/// Every adapter of every graphics API of this system; none where no such backend is compiled in.
pub fn adapters() -> Vec<Adapter> {
    adapters_of(Api::of_this_system())
}

#[cfg(feature = "wgpu")]
fn adapters_of(apis: &[Api]) -> Vec<Adapter> {
    graphics::adapters(apis)
}

#[cfg(not(feature = "wgpu"))]
fn adapters_of(_apis: &[Api]) -> Vec<Adapter> {
    Vec::new()
}

/// Keeps drivers quiet; part of `main`.
///
/// Mesa's layer that sorts Vulkan devices looks for a desktop, and where there is none it prints an
/// error of its own six times over. We sort by kind ourselves.
///
/// # Safety
/// No other thread may run yet: a driver could be reading the environment that this changes.
pub unsafe fn silence_drivers() {
    #[cfg(feature = "wgpu")]
    // SAFETY: the caller promises it.
    unsafe {
        std::env::set_var("NODEVICE_SELECT", "1")
    }
}

/// Runs `program` on the device called `name`.
///
/// # Errors
/// As [`find`], and where the device breaks down.
pub fn run_on<P: OnDevice>(name: &str, program: P) -> Result<P::Output, DeviceError> {
    find(name)?.run(program)
}

impl Device {
    /// What it can hold.
    pub fn limits(&self) -> Limits {
        match self {
            Self::Graphics(adapter) => Limits {
                largest_buffer: adapter.largest_tensor(),
                ..Limits::none(&self.to_string())
            },
            // CUDA's kernels count elements in 32 bits.
            Self::Cuda(_) => {
                Limits { largest_buffer: LARGEST_TENSOR, ..Limits::none(&self.to_string()) }
            }
            Self::Host(_) => {
                Limits { memory: machine::memory(), ..Limits::none(&self.to_string()) }
            }
        }
    }

    /// Has a CPU compute on this thread too, as [`kernel::compute_on_this_thread`]; beside a GPU it does
    /// nothing, whose own threads may need all others while this one waits for them.
    pub fn compute_on_this_thread(&self) {
        if matches!(self, Self::Host(_)) {
            kernel::compute_on_this_thread();
        }
    }

    /// Runs `program` here, on this thread: no other may touch a tensor of it.
    ///
    /// # Errors
    /// A device that cannot be opened or that breaks down, whatever the program made of that.
    pub fn run<P: OnDevice>(&self, program: P) -> Result<P::Output, DeviceError> {
        match self {
            #[cfg(feature = "ndarray")]
            Self::Host("ndarray") => Ok(on::<burn::backend::NdArray, P>(program)),
            #[cfg(feature = "flex")]
            Self::Host("flex") => Ok(on::<burn::backend::Flex, P>(program)),
            #[cfg(feature = "wgpu")]
            Self::Graphics(adapter) => {
                let device = open(adapter)?;
                Ok(in_session::<crate::kernel::Graphics, P>(program, device)?)
            }
            #[cfg(feature = "cuda")]
            Self::Cuda(index) => {
                let device = burn::backend::cuda::CudaDevice::new(*index);
                Ok(in_session::<crate::kernel::Cuda, P>(program, device)?)
            }
            _ => Err(backend_lacks(self)),
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(name) => f.write_str(name),
            Self::Graphics(adapter) => write!(f, "{} ({})", adapter.device(), adapter.name),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

/// Runs `program` in a session of its own on a device that works on other threads.
#[cfg(any(feature = "wgpu", feature = "cuda"))]
fn in_session<B: Kernels, P: OnDevice>(
    program: P,
    device: B::Device,
) -> Result<P::Output, DeviceFailed> {
    Session::begin::<B>(&device).run(|| program.run::<B>(device))
}

fn on<B: Kernels, P: OnDevice>(program: P) -> P::Output {
    program.run::<B>(<B as BackendTypes>::Device::default())
}

/// What a device says that was made up, for [`find`] gives none that this program cannot run.
fn backend_lacks(device: &Device) -> DeviceError {
    let feature = match device {
        Device::Host("flex") => "flex",
        Device::Host(_) => "ndarray",
        Device::Graphics(_) => "wgpu",
        Device::Cuda(_) => "cuda",
    };
    DeviceError::NotCompiled { name: device.to_string(), feature }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_device_is_refused_with_the_names_there_are() {
        let message = backend("abacus").unwrap_err().to_string();
        assert!(
            message.contains("`abacus`") && message.contains("cpu, ndarray, flex"),
            "{message}"
        );
    }

    #[test]
    fn a_backend_that_is_not_compiled_in_names_its_feature() {
        for missing in BACKENDS.iter().filter(|backend| !backend.compiled) {
            let message = backend(missing.name).unwrap_err().to_string();
            assert!(message.contains(&format!("--features {}", missing.feature)), "{message}");
        }
        assert!(backend("cpu").unwrap().compiled);
    }

    #[test]
    fn every_graphics_api_belongs_to_the_wgpu_backend() {
        for name in ["wgpu", "vulkan", "metal:0", "dx12:nvidia", "gl"] {
            match backend(name) {
                Ok(backend) => assert_eq!(backend.name, "wgpu", "{name}"),
                Err(error) => assert!(error.to_string().contains("--features wgpu"), "{error}"),
            }
        }
    }

    #[test]
    fn the_cpu_is_found_and_holds_any_buffer() {
        let device = find("cpu").unwrap();
        assert_eq!(device.to_string(), backend("cpu").unwrap().name);
        assert_eq!(device.limits().largest_buffer, u64::MAX);
    }

    #[cfg(all(feature = "wgpu", target_os = "linux"))]
    #[test]
    fn a_graphics_api_of_another_system_is_refused_with_those_of_this_one() {
        let message = find("metal").unwrap_err().to_string();
        assert!(message.contains("metal does not exist on this system"), "{message}");
        assert!(message.contains("vulkan, gl"), "{message}");
    }
}
