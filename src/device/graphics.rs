//! Finding the adapters of the graphics APIs, and making CubeCL use exactly one of them.

use std::sync::{Arc, Mutex, PoisonError};

use burn::backend::wgpu::graphics::{Dx12, Metal, OpenGl, Vulkan};
use burn::backend::wgpu::{RuntimeOptions, WgpuDevice, WgpuSetup, init_setup};
use wgpu::{Backends, DeviceLostReason, DeviceType, Features};

use super::adapter::Adapter;
use super::error::DeviceError;
use super::name::{Api, Kind};
use crate::kernel::Graphics;
use crate::readback::{self, Session};

/// What this process runs on; CubeCL takes one setup a device and never gives it back.
static TAKEN: Mutex<Option<(Adapter, WgpuDevice)>> = Mutex::new(None);

/// All adapters of some APIs, in the order in which drivers report them.
pub(super) fn adapters(apis: &[Api]) -> Vec<Adapter> {
    apis.iter().flat_map(|api| adapters_of(*api)).collect()
}

fn adapters_of(api: Api) -> Vec<Adapter> {
    let backends = match api {
        Api::Vulkan => Backends::VULKAN,
        Api::Metal => Backends::METAL,
        Api::Dx12 => Backends::DX12,
        Api::Gl => Backends::GL,
    };
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
        backends,
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    });
    let found = burn::tensor::try_read_sync(instance.enumerate_adapters(backends));
    let mut adapters: Vec<Adapter> = Vec::new();
    for (index, adapter) in found.unwrap_or_default().iter().enumerate() {
        let kind = kind(adapter.get_info().device_type);
        let place_in_kind = adapters.iter().filter(|other| other.kind == kind).count();
        adapters.push(described(adapter, api, index, place_in_kind));
    }
    adapters
}

fn described(adapter: &wgpu::Adapter, api: Api, index: usize, place_in_kind: usize) -> Adapter {
    let (info, limits, features) = (adapter.get_info(), adapter.limits(), adapter.features());
    let kind = kind(info.device_type);
    let shares_memory = matches!(kind, Kind::Integrated | Kind::Software);
    Adapter {
        api,
        index,
        kind,
        place_in_kind,
        driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
        name: info.name,
        memory: if shares_memory { system_memory() } else { None },
        largest_binding: limits.max_storage_buffer_binding_size,
        largest_buffer: limits.max_buffer_size,
        workgroup_memory: u64::from(limits.max_compute_workgroup_storage_size),
        workgroup_threads: limits.max_compute_invocations_per_workgroup,
        bindings: limits.max_storage_buffers_per_shader_stage,
        f16: features.contains(Features::SHADER_F16),
        subgroups: features
            .contains(Features::SUBGROUP)
            .then_some((info.subgroup_min_size, info.subgroup_max_size)),
        timestamps: features.contains(Features::TIMESTAMP_QUERY),
    }
}

fn kind(kind: DeviceType) -> Kind {
    match kind {
        DeviceType::DiscreteGpu => Kind::Discrete,
        DeviceType::IntegratedGpu => Kind::Integrated,
        DeviceType::VirtualGpu => Kind::Virtual,
        DeviceType::Cpu => Kind::Software,
        DeviceType::Other => Kind::Other,
    }
}

/// The memory of this machine in bytes, where the system tells.
fn system_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = total.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

/// Buffers of the kernel that sees most, the gradient of attention's keys: its ten and CubeCL's own.
const BINDINGS: u32 = 11;

/// Opens `adapter` for this process.
///
/// # Errors
/// A driver that refuses, an adapter that CubeCL cannot be pointed at or that binds too few buffers,
/// or a second adapter.
pub fn open(adapter: &Adapter) -> Result<WgpuDevice, DeviceError> {
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((other, device)) = &*taken {
        let (name, other_name) = (adapter.device(), other.device());
        return match other == adapter {
            true => Ok(device.clone()),
            false => Err(DeviceError::Taken { name, other: other_name }),
        };
    }
    if adapter.bindings < BINDINGS {
        let problem = format!(
            "its kernels see {} buffers and {BINDINGS} are needed; choose another API or adapter",
            adapter.bindings
        );
        return Err(DeviceError::NotOpened { name: adapter.device(), problem });
    }
    let device = cubecl_device(adapter)?;
    let setup = Session::new::<Graphics>().run(|| set_up(adapter.api, &device))?;
    let opened = setup.adapter.get_info().name;
    if opened != adapter.name {
        let problem = format!("`{opened}` was opened in its place; choose that, or another");
        return Err(DeviceError::NotOpened { name: adapter.device(), problem });
    }
    report_errors(&setup);
    *taken = Some((adapter.clone(), device.clone()));
    Ok(device)
}

/// How CubeCL names an adapter: its kind and its place among those of that kind.
fn cubecl_device(adapter: &Adapter) -> Result<WgpuDevice, DeviceError> {
    let place = adapter.place_in_kind;
    match adapter.kind {
        Kind::Discrete => Ok(WgpuDevice::DiscreteGpu(place)),
        Kind::Integrated => Ok(WgpuDevice::IntegratedGpu(place)),
        Kind::Virtual => Ok(WgpuDevice::VirtualGpu(place)),
        // CubeCL looks among those that do not say what they are where no virtual one is left.
        Kind::Other => Ok(WgpuDevice::VirtualGpu(place)),
        Kind::Software if place == 0 => Ok(WgpuDevice::Cpu),
        Kind::Software => Err(DeviceError::NotOpened {
            name: adapter.device(),
            problem: format!(
                "only the first software adapter of an API can be used; choose {}:software",
                adapter.api.name()
            ),
        }),
    }
}

fn set_up(api: Api, device: &WgpuDevice) -> WgpuSetup {
    let options = RuntimeOptions::default();
    match api {
        Api::Vulkan => init_setup::<Vulkan>(device, options),
        Api::Metal => init_setup::<Metal>(device, options),
        Api::Dx12 => init_setup::<Dx12>(device, options),
        Api::Gl => init_setup::<OpenGl>(device, options),
    }
}

/// Without these wgpu panics on whatever thread it happens to be, and says nothing of a lost device.
fn report_errors(setup: &WgpuSetup) {
    setup.device.on_uncaptured_error(Arc::new(|error| told(&error.to_string())));
    setup.device.set_device_lost_callback(|reason, message| {
        if reason == DeviceLostReason::Unknown {
            told(&format!("the device was lost: {message}"));
        }
    });
}

/// Gives the driver's words to the live sessions; where there is none, nobody waits for results.
fn told(said: &str) {
    readback::record(said);
}
