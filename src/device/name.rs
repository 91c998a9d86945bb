//! What `--device` takes: a backend or a graphics API, and where there are several adapters, which.

use std::fmt;
use std::str::FromStr;

use super::error::DeviceError;

/// A device by name, such as `cpu`, `vulkan` or `vulkan:nvidia`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceName {
    /// The part before the colon.
    pub family: Family,
    /// The part behind it.
    pub pick: Option<Pick>,
}

/// Devices that are reached the same way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// The CPU, by whatever backend is compiled in.
    Cpu,
    /// The CPU, by Burn's ndarray backend.
    Ndarray,
    /// The CPU, by Burn's flex backend.
    Flex,
    /// The best GPU there is; never a software adapter.
    Gpu,
    /// The best adapter of any graphics API.
    Wgpu,
    /// The best adapter of one graphics API.
    Api(Api),
    /// An NVIDIA GPU by CUDA.
    Cuda,
}

/// A way to talk to a GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Api {
    /// Vulkan: Linux, Windows, Android.
    Vulkan,
    /// Metal: Apple's systems.
    Metal,
    /// DirectX 12: Windows.
    Dx12,
    /// OpenGL: what is left on old machines.
    Gl,
}

/// What kind of thing an adapter is; the better ones first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A GPU with memory of its own.
    Discrete,
    /// A GPU that shares the machine's memory.
    Integrated,
    /// A GPU that a virtual machine is given a part of.
    Virtual,
    /// One that does not say what it is.
    Other,
    /// A program on the CPU that does what a GPU would.
    Software,
}

/// Which of several adapters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pick {
    /// By its number in `wgrpo devices`.
    Index(usize),
    /// By its kind.
    Kind(Kind),
    /// By a part of its name, in lower case.
    Part(String),
}

/// All names before a colon, as messages list them.
pub(super) const FAMILIES: [(&str, Family); 10] = [
    ("cpu", Family::Cpu),
    ("ndarray", Family::Ndarray),
    ("flex", Family::Flex),
    ("gpu", Family::Gpu),
    ("wgpu", Family::Wgpu),
    ("vulkan", Family::Api(Api::Vulkan)),
    ("metal", Family::Api(Api::Metal)),
    ("dx12", Family::Api(Api::Dx12)),
    ("gl", Family::Api(Api::Gl)),
    ("cuda", Family::Cuda),
];

const KINDS: [(&str, Kind); 5] = [
    ("discrete", Kind::Discrete),
    ("integrated", Kind::Integrated),
    ("virtual", Kind::Virtual),
    ("other", Kind::Other),
    ("software", Kind::Software),
];

impl Family {
    /// The name that `--device` takes.
    pub fn name(self) -> &'static str {
        FAMILIES.iter().find(|(_, family)| *family == self).map_or("", |(name, _)| name)
    }

    /// Whether there may be several adapters to pick from.
    fn has_adapters(self) -> bool {
        !matches!(self, Self::Cpu | Self::Ndarray | Self::Flex)
    }
}

impl Api {
    /// The graphics APIs of this system, the one that CubeCL knows best first.
    pub fn of_this_system() -> &'static [Self] {
        if cfg!(target_os = "macos") || cfg!(target_os = "ios") {
            &[Self::Metal]
        } else if cfg!(windows) {
            &[Self::Vulkan, Self::Dx12, Self::Gl]
        } else {
            &[Self::Vulkan, Self::Gl]
        }
    }

    /// The name that `--device` takes.
    pub fn name(self) -> &'static str {
        Family::Api(self).name()
    }
}

impl Kind {
    /// The word that `--device` and `wgrpo devices` use.
    pub fn name(self) -> &'static str {
        KINDS.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }
}

impl FromStr for DeviceName {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        let (family, pick) = match text.split_once(':') {
            Some((family, pick)) => (family, Some(pick)),
            None => (text, None),
        };
        let known = FAMILIES.iter().find(|(name, _)| *name == family);
        let Some((_, family)) = known else { return Err(unknown(family)) };
        let pick = pick.map(|pick| picked(text, *family, pick)).transpose()?;
        Ok(Self { family: *family, pick })
    }
}

fn picked(text: &str, family: Family, pick: &str) -> Result<Pick, DeviceError> {
    let refuse = |problem: &str| {
        Err(DeviceError::Pick { name: text.into(), family: family.name(), problem: problem.into() })
    };
    let pick = match (pick.parse(), KINDS.iter().find(|(name, _)| *name == pick)) {
        _ if !family.has_adapters() => return refuse("has no adapters to choose from"),
        _ if pick.is_empty() => return refuse("has nothing behind its colon"),
        (Ok(index), _) => Pick::Index(index),
        (_, Some((_, kind))) => Pick::Kind(*kind),
        _ => Pick::Part(pick.to_lowercase()),
    };
    match (family, &pick) {
        (Family::Cuda, Pick::Kind(_) | Pick::Part(_)) => {
            refuse("takes a number, as in `cuda:0`; `nvidia-smi -L` lists them")
        }
        (Family::Gpu | Family::Wgpu, Pick::Index(_)) => {
            refuse("counts by graphics API, as in `vulkan:0`; `wgrpo devices` lists them")
        }
        _ => Ok(pick),
    }
}

fn unknown(name: &str) -> DeviceError {
    let likeness = |known: &str| strsim::jaro_winkler(name, known);
    let names = FAMILIES.iter().map(|(known, _)| *known);
    let nearest = names.max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    let nearest = nearest.filter(|nearest| likeness(nearest) > 0.8).map(str::to_owned);
    DeviceError::Unknown { name: name.into(), nearest }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.family.name())?;
        match &self.pick {
            None => Ok(()),
            Some(Pick::Index(index)) => write!(f, ":{index}"),
            Some(Pick::Kind(kind)) => write!(f, ":{}", kind.name()),
            Some(Pick::Part(part)) => write!(f, ":{part}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_family_and_perhaps_which_of_its_adapters() {
        for (text, family, pick) in [
            ("cpu", Family::Cpu, None),
            ("vulkan", Family::Api(Api::Vulkan), None),
            ("vulkan:1", Family::Api(Api::Vulkan), Some(Pick::Index(1))),
            ("dx12:discrete", Family::Api(Api::Dx12), Some(Pick::Kind(Kind::Discrete))),
            ("gpu:NVIDIA H200", Family::Gpu, Some(Pick::Part("nvidia h200".into()))),
            ("cuda:3", Family::Cuda, Some(Pick::Index(3))),
        ] {
            let name: DeviceName = text.parse().unwrap();
            assert_eq!(name, DeviceName { family, pick }, "{text}");
            assert_eq!(name.to_string(), text.to_lowercase());
        }
    }

    #[test]
    fn a_name_that_is_nearly_right_is_told_the_right_one() {
        let message = "vulcan:0".parse::<DeviceName>().unwrap_err().to_string();
        assert!(message.contains("`vulcan`; did you mean `vulkan`?"), "{message}");
        let message = "abacus".parse::<DeviceName>().unwrap_err().to_string();
        assert!(!message.contains("did you mean"), "{message}");
        for (name, _) in FAMILIES {
            assert!(message.contains(name), "{name} is not in: {message}");
        }
    }

    #[test]
    fn a_choice_that_a_family_does_not_have_is_refused() {
        for (text, problem) in [
            ("cpu:0", "no adapters"),
            ("vulkan:", "nothing behind"),
            ("cuda:nvidia", "nvidia-smi"),
            ("gpu:0", "`vulkan:0`"),
        ] {
            let message = text.parse::<DeviceName>().unwrap_err().to_string();
            assert!(message.contains(problem), "{text}: {message}");
        }
    }
}
