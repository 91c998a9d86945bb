//! Every shader is valid as it stands, keeps to the rules of `shaders/README.md`, and goes by one
//! name in four places: its file, its CPU reference, its launch, its row of the kernel test.

use std::fs;
use std::path::Path;

use naga::valid::{Capabilities, ValidationFlags, Validator};
use naga::{AddressSpace, Handle, Module, ShaderStage, StorageAccess, Type, TypeInner};

/// A WebGPU device need not have more buffers than eight, and CubeCL takes one of them.
const MOST_BUFFERS: u32 = 7;
const MOST_INVOCATIONS: u32 = 256;
const MOST_WORKGROUP_BYTES: u32 = 32 << 10;

struct Shader {
    name: String,
    text: String,
}

impl Shader {
    fn module(&self) -> Module {
        match naga::front::wgsl::parse_str(&self.text) {
            Ok(module) => module,
            Err(error) => panic!("{}: {}", self.name, error.emit_to_string(&self.text)),
        }
    }

    /// A file of the kernel room by what the shader computes: a backward pass stands beside its forward
    /// pass, and what is long has a folder.
    fn file(&self, folder: &str) -> String {
        let stem = format!("src/kernel/{folder}/{}", self.name.trim_end_matches("_backward"));
        let files = [format!("{stem}.rs"), format!("{stem}/mod.rs")];
        let there = |file: &String| Path::new(env!("CARGO_MANIFEST_DIR")).join(file).exists();
        files.into_iter().find(there).unwrap_or_else(|| panic!("no {stem}.rs"))
    }
}

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn shaders() -> Vec<Shader> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut names: Vec<String> = files
        .filter(|file| file.extension().is_some_and(|extension| extension == "wgsl"))
        .map(|file| file.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    assert!(!names.is_empty(), "no shader in shaders/");
    let shader = |name: String| Shader { text: read(&format!("shaders/{name}.wgsl")), name };
    names.into_iter().map(shader).collect()
}

#[test]
fn every_shader_is_valid_as_it_stands_and_needs_no_extension() {
    for shader in shaders() {
        let mut validator = Validator::new(ValidationFlags::all(), Capabilities::empty());
        if let Err(error) = validator.validate(&shader.module()) {
            panic!("{}: {}", shader.name, error.emit_to_string(&shader.text));
        }
        assert!(!shader.text.contains("{{"), "{}: a placeholder", shader.name);
    }
}

#[test]
fn every_shader_has_one_entry_point_within_the_limits_of_webgpu() {
    for shader in shaders() {
        let module = shader.module();
        let [entry] = &module.entry_points[..] else {
            panic!("{}: {} entry points", shader.name, module.entry_points.len());
        };
        assert_eq!((entry.name.as_str(), entry.stage), ("main", ShaderStage::Compute));
        let invocations: u32 = entry.workgroup_size.iter().product();
        assert!(invocations <= MOST_INVOCATIONS, "{}: {invocations}", shader.name);
        let shared = module.global_variables.iter().map(|(_, variable)| variable);
        let shared = shared.filter(|variable| variable.space == AddressSpace::WorkGroup);
        let bytes: u32 = shared.map(|v| module.types[v.ty].inner.size(module.to_ctx())).sum();
        assert!(bytes <= MOST_WORKGROUP_BYTES, "{}: {bytes} bytes shared", shader.name);
    }
}

/// A device may write one component of a vector by reading and writing the whole of it: what another
/// lane wrote into its neighbour meanwhile is lost.
#[test]
fn lanes_share_scalars_and_never_the_components_of_a_vector() {
    for shader in shaders() {
        let module = shader.module();
        for (_, variable) in module.global_variables.iter() {
            let shared = variable.space == AddressSpace::WorkGroup;
            assert!(
                !(shared && holds_vectors(&module, variable.ty)),
                "{}: {:?} holds vectors",
                shader.name,
                variable.name
            );
        }
    }
}

fn holds_vectors(module: &Module, of: Handle<Type>) -> bool {
    match &module.types[of].inner {
        TypeInner::Vector { .. } | TypeInner::Matrix { .. } => true,
        TypeInner::Array { base, .. } => holds_vectors(module, *base),
        TypeInner::Struct { members, .. } => {
            members.iter().any(|member| holds_vectors(module, member.ty))
        }
        _ => false,
    }
}

#[test]
fn every_buffer_of_a_shader_is_bound_in_order_and_read_write() {
    let read_write = StorageAccess::LOAD | StorageAccess::STORE;
    for shader in shaders() {
        let module = shader.module();
        let bound = module.global_variables.iter().map(|(_, variable)| variable);
        let bound: Vec<_> = bound.filter(|variable| variable.binding.is_some()).collect();
        for (at, variable) in bound.iter().enumerate() {
            let binding = variable.binding.unwrap();
            let name = variable.name.as_deref().unwrap();
            assert_eq!((binding.group, binding.binding), (0, at as u32), "{} {name}", shader.name);
            assert_eq!(variable.space, AddressSpace::Storage { access: read_write }, "{name}");
        }
        assert!(bound.len() as u32 <= MOST_BUFFERS, "{}: {}", shader.name, bound.len());
        assert_eq!(bound.last().unwrap().name.as_deref(), Some("info"), "{}", shader.name);
    }
}

#[test]
fn every_shader_names_its_cpu_reference_and_is_launched_and_has_a_row_in_the_kernel_test() {
    let table = read("src/kernel/tests/shaders/mod.rs");
    for shader in shaders() {
        let (name, reference, launch) = (&shader.name, shader.file("ops"), shader.file("cube"));
        assert!(shader.text.contains(&reference), "{name}.wgsl does not name {reference}");
        assert!(
            read(&launch).contains(&format!("shaders/{name}.wgsl")),
            "{launch}: no {name}.wgsl"
        );
        let named = format!("const NAME: &'static str = \"{name}\"");
        assert!(read(&reference).contains(&named), "{reference}: no operation {name}");
        assert!(table.contains(&format!("(\"{name}\", ")), "the kernel test has no row {name}");
    }
}
