//! What a graphics API found on this machine, and which of it a name means.

use super::error::DeviceError;
use super::name::{Api, DeviceName, Family, Kind, Pick};

/// An adapter as its driver describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adapter {
    /// What it is called.
    pub name: String,
    /// The API that found it; one piece of hardware may be found by several.
    pub api: Api,
    /// Its place among all adapters of that API.
    pub index: usize,
    /// What it is.
    pub kind: Kind,
    /// Its place among the adapters of that API and kind.
    pub place_in_kind: usize,
    /// The driver and its version.
    pub driver: String,
    /// Memory in bytes, where that is known.
    pub memory: Option<u64>,
    /// Largest part of a buffer that a kernel can see, in bytes.
    pub largest_binding: u64,
    /// Largest buffer, in bytes.
    pub largest_buffer: u64,
    /// Memory that the threads of a workgroup share, in bytes.
    pub workgroup_memory: u64,
    /// Most threads of a workgroup.
    pub workgroup_threads: u32,
    /// Most buffers that a kernel can see.
    pub bindings: u32,
    /// Whether kernels can compute in half precision.
    pub f16: bool,
    /// Sizes of a subgroup, smallest and largest, where kernels can use them.
    pub subgroups: Option<(u32, u32)>,
    /// Whether kernels can be timed on the device itself.
    pub timestamps: bool,
}

impl Adapter {
    /// What `--device` takes for it.
    pub fn device(&self) -> String {
        format!("{}:{}", self.api.name(), self.index)
    }

    /// The largest tensor that it can hold, in bytes.
    pub fn largest_tensor(&self) -> u64 {
        self.largest_binding.min(self.largest_buffer).min(super::LARGEST_TENSOR)
    }
}

/// The adapter that `name` means: the best of those that fit it.
///
/// # Errors
/// None that fits, or none but software where a GPU was asked for.
pub fn choose(name: &DeviceName, adapters: &[Adapter]) -> Result<Adapter, DeviceError> {
    let of_family: Vec<_> = adapters.iter().filter(|adapter| fits(name.family, adapter)).collect();
    if of_family.is_empty() {
        return Err(DeviceError::NoAdapter { name: name.to_string(), mend: mend(name.family) });
    }
    let picked = of_family.iter().filter(|adapter| is_picked(&name.pick, adapter));
    let best = picked.min_by_key(|adapter| (adapter.kind, adapter.api, adapter.index));
    let found = || list(&of_family);
    match best {
        None => Err(DeviceError::NoMatch { name: name.to_string(), found: found() }),
        Some(best) if is_gpu_in_name_only(name, best) => {
            Err(DeviceError::OnlySoftware { name: name.to_string(), found: found() })
        }
        Some(best) => Ok((*best).clone()),
    }
}

fn fits(family: Family, adapter: &Adapter) -> bool {
    match family {
        Family::Api(api) => adapter.api == api,
        _ => true,
    }
}

fn is_picked(pick: &Option<Pick>, adapter: &Adapter) -> bool {
    match pick {
        None => true,
        Some(Pick::Index(index)) => adapter.index == *index,
        Some(Pick::Kind(kind)) => adapter.kind == *kind,
        Some(Pick::Part(part)) => adapter.name.to_lowercase().contains(part),
    }
}

fn is_gpu_in_name_only(name: &DeviceName, best: &Adapter) -> bool {
    name.family == Family::Gpu && name.pick.is_none() && best.kind == Kind::Software
}

fn list(adapters: &[&Adapter]) -> String {
    let one = |adapter: &&Adapter| {
        format!("{} ({}, {})", adapter.device(), adapter.name, adapter.kind.name())
    };
    adapters.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// How to get an adapter where there is none.
pub(super) fn mend(family: Family) -> &'static str {
    match family {
        _ if !cfg!(target_os = "linux") => "install the driver of the GPU, or use --device cpu",
        Family::Api(Api::Gl) => {
            "install the driver of the GPU, or `apt install libegl1 libgl1-mesa-dri` for software \
             OpenGL, or use --device cpu"
        }
        _ => {
            "install the driver of the GPU, or `apt install mesa-vulkan-drivers libvulkan1` for \
             software Vulkan, or use --device cpu"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapter(api: Api, index: usize, kind: Kind, name: &str) -> Adapter {
        Adapter {
            name: name.into(),
            api,
            index,
            kind,
            place_in_kind: 0,
            driver: String::new(),
            memory: None,
            largest_binding: 128 << 20,
            largest_buffer: 256 << 20,
            workgroup_memory: 32 << 10,
            workgroup_threads: 1024,
            bindings: 1024,
            f16: false,
            subgroups: None,
            timestamps: false,
        }
    }

    /// A laptop with two GPUs and software Vulkan, in an order that is not that of their worth.
    fn laptop() -> Vec<Adapter> {
        vec![
            adapter(Api::Vulkan, 0, Kind::Software, "llvmpipe (LLVM 19)"),
            adapter(Api::Vulkan, 1, Kind::Integrated, "Intel Iris Xe"),
            adapter(Api::Vulkan, 2, Kind::Discrete, "NVIDIA RTX 4070"),
            adapter(Api::Gl, 0, Kind::Discrete, "NVIDIA RTX 4070"),
        ]
    }

    fn chosen(name: &str, adapters: &[Adapter]) -> Result<String, String> {
        let found = choose(&name.parse().unwrap(), adapters);
        found.map(|adapter| adapter.device()).map_err(|error| error.to_string())
    }

    #[test]
    fn without_a_choice_the_discrete_gpu_is_taken_before_all_others() {
        for name in ["gpu", "wgpu", "vulkan"] {
            assert_eq!(chosen(name, &laptop()).unwrap(), "vulkan:2", "{name}");
        }
        assert_eq!(chosen("gl", &laptop()).unwrap(), "gl:0");
        assert_eq!(chosen("vulkan", &laptop()[..2]).unwrap(), "vulkan:1");
    }

    #[test]
    fn an_adapter_is_chosen_by_number_kind_or_part_of_its_name() {
        for (name, device) in [
            ("vulkan:0", "vulkan:0"),
            ("vulkan:integrated", "vulkan:1"),
            ("vulkan:INTEL", "vulkan:1"),
            ("gpu:software", "vulkan:0"),
            ("wgpu:rtx", "vulkan:2"),
        ] {
            assert_eq!(chosen(name, &laptop()).unwrap(), device, "{name}");
        }
    }

    #[test]
    fn a_choice_that_nothing_fits_lists_what_there_is() {
        for name in ["vulkan:3", "vulkan:virtual", "vulkan:radeon"] {
            let message = chosen(name, &laptop()).unwrap_err();
            assert!(message.contains("vulkan:1 (Intel Iris Xe, integrated)"), "{message}");
            assert!(!message.contains("gl:0"), "{message}");
        }
    }

    #[test]
    fn a_machine_without_adapters_is_told_what_to_install() {
        let message = chosen("vulkan", &[]).unwrap_err();
        assert!(message.contains("no adapter was found; install"), "{message}");
        #[cfg(target_os = "linux")]
        assert!(message.contains("mesa-vulkan-drivers"), "{message}");
    }

    #[test]
    fn gpu_never_means_software_unless_that_is_named() {
        let software = &laptop()[..1];
        let message = chosen("gpu", software).unwrap_err();
        assert!(message.contains("there is no GPU") && message.contains("vulkan:0"), "{message}");
        assert_eq!(chosen("gpu:llvm", software).unwrap(), "vulkan:0");
        assert_eq!(chosen("wgpu", software).unwrap(), "vulkan:0");
    }
}
