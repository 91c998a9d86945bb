//! `wgrpo devices`: what this program can run on.

use clap::Args;
use serde_json::{Value, json};

use super::{device_check, output};
use crate::device::{self, Adapter, BACKENDS, BackendInfo, Device};

/// Arguments of `wgrpo devices`.
#[derive(Debug, Args)]
pub(super) struct DevicesArgs {
    /// Print one JSON line for each backend and adapter
    #[arg(long)]
    json: bool,
    /// Compute everything on a device and on the CPU, and print the largest differences
    #[arg(long, conflicts_with = "json")]
    check: bool,
    /// Device to check; the best one there is without it
    #[arg(long, requires = "check", value_name = "NAME")]
    device: Option<String>,
}

impl DevicesArgs {
    pub(super) fn run(self) -> anyhow::Result<()> {
        if self.check {
            return device_check::run(self.device.as_deref());
        }
        let adapters = device::adapters();
        if self.json {
            let lines = BACKENDS.iter().map(backend_json).chain(adapters.iter().map(adapter_json));
            return lines.into_iter().try_for_each(|line| output::print_json(&line));
        }
        output::print(&BACKENDS.iter().map(backend_text).collect::<String>())?;
        output::print(&adapters.iter().map(adapter_text).collect::<String>())?;
        output::print(&closing(&adapters))
    }
}

fn is_cpu_default(info: &BackendInfo) -> bool {
    device::backend("cpu").ok() == Some(*info)
}

fn backend_json(info: &BackendInfo) -> Value {
    json!({
        "name": info.name, "runs_on": runs_on(info), "compiled": info.compiled,
        "feature": info.feature, "is_cpu": is_cpu_default(info),
    })
}

fn backend_text(info: &BackendInfo) -> String {
    let state = match info.compiled {
        true if is_cpu_default(info) => "compiled in, and what `cpu` means".to_owned(),
        true if info.name == "wgpu" => format!("compiled in, {}", device::shader_language()),
        true => "compiled in".to_owned(),
        false => format!("not compiled in; build with --features {}", info.feature),
    };
    format!("{:<9} {}\n          {state}\n", info.name, runs_on(info))
}

fn runs_on(info: &BackendInfo) -> String {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    match info.is_cpu() {
        true => format!("{}, {} with {threads} threads", info.runs_on, std::env::consts::ARCH),
        false => info.runs_on.to_owned(),
    }
}

fn adapter_json(adapter: &Adapter) -> Value {
    json!({
        "device": adapter.device(), "name": adapter.name, "kind": adapter.kind.name(),
        "api": adapter.api.name(), "index": adapter.index, "driver": adapter.driver,
        "memory_bytes": adapter.memory, "largest_tensor_bytes": adapter.largest_tensor(),
        "largest_binding_bytes": adapter.largest_binding,
        "largest_buffer_bytes": adapter.largest_buffer,
        "workgroup_memory_bytes": adapter.workgroup_memory,
        "workgroup_threads": adapter.workgroup_threads, "bindings": adapter.bindings,
        "f16": adapter.f16, "subgroups": adapter.subgroups, "timestamps": adapter.timestamps,
    })
}

fn adapter_text(adapter: &Adapter) -> String {
    let rows = [
        ("kind", adapter.kind.name().to_owned()),
        ("driver", adapter.driver.clone()),
        ("memory", adapter.memory.map_or("not told by the driver".into(), of_machine)),
        (
            "tensors",
            format!(
                "up to {} (bindings {}, buffers {})",
                size(adapter.largest_tensor()),
                size(adapter.largest_binding),
                size(adapter.largest_buffer)
            ),
        ),
        (
            "workgroups",
            format!(
                "up to {} threads, {} shared, {} buffers",
                adapter.workgroup_threads,
                size(adapter.workgroup_memory),
                adapter.bindings
            ),
        ),
        ("features", features(adapter)),
    ];
    let rows = rows.iter().map(|(key, value)| format!("          {key:<11} {value}\n"));
    format!("\n{:<9} {}\n{}", adapter.device(), adapter.name, rows.collect::<String>())
}

fn of_machine(bytes: u64) -> String {
    format!("{}, the machine's own", size(bytes))
}

fn features(adapter: &Adapter) -> String {
    let subgroups = match adapter.subgroups {
        None => "no subgroups".to_owned(),
        Some((least, most)) if least == most => format!("subgroups of {least}"),
        Some((least, most)) => format!("subgroups of {least} to {most}"),
    };
    let has = |has: bool, what: &str| if has { what.to_owned() } else { format!("no {what}") };
    [has(adapter.f16, "f16"), subgroups, has(adapter.timestamps, "timestamps")].join(", ")
}

/// What the vaguer names mean here.
fn closing(adapters: &[Adapter]) -> String {
    let meaning = |name: &str| match device::find(name) {
        Ok(Device::Graphics(adapter)) => format!("{name:<9} is {}\n", adapter.device()),
        Ok(other) => format!("{name:<9} is {other}\n"),
        Err(_) => format!("{name:<9} is none of these\n"),
    };
    match device::backend("wgpu") {
        Err(_) => String::new(),
        Ok(_) if adapters.is_empty() => {
            "\nno adapter was found; a GPU needs its driver, and software Vulkan on Debian\n\
             `apt install mesa-vulkan-drivers libvulkan1`\n"
                .to_owned()
        }
        Ok(_) => format!("\n{}{}", meaning("gpu"), meaning("wgpu")),
    }
}

/// Bytes in the largest unit that leaves a number of 1 or more.
fn size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let unit = UNITS.iter().find(|(_, unit)| bytes >= *unit);
    match unit {
        Some((name, unit)) if bytes.is_multiple_of(*unit) => format!("{} {name}", bytes / unit),
        Some((name, unit)) => format!("{:.1} {name}", bytes as f64 / *unit as f64),
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_whole_where_they_are_whole() {
        assert_eq!(size(128 << 20), "128 MiB");
        assert_eq!(size((2 << 30) - 1), "2.0 GiB");
        assert_eq!(size(48 << 10), "48 KiB");
        assert_eq!(size(12), "12 B");
    }
}
