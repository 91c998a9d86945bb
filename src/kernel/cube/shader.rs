//! Launches of the hand-written shaders on wgpu, whichever compiler and graphics API it has.

use burn_cubecl::CubeRuntime;
use burn_cubecl::template::{KernelSource, SourceKernel, SourceTemplate};
use burn_cubecl::tensor::CubeTensor;
use cubecl::CubeDim;
use cubecl::prelude::KernelId;
use cubecl::server::KernelArguments;

use super::tensor::{grid, numbers};

/// A file of `shaders/`, valid as it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shader {
    /// The file's name, which is what the compiled shader is kept under.
    pub name: &'static str,
    /// Its text.
    pub source: &'static str,
    /// Invocations of a workgroup, as the text says.
    pub lanes: usize,
}

impl KernelSource for Shader {
    fn source(&self) -> SourceTemplate {
        SourceTemplate::new(self.source)
    }

    fn id(&self) -> KernelId {
        KernelId::new::<Self>().info(self.name)
    }
}

impl Shader {
    /// Runs `workgroups` of the shader, in two dimensions where one does not hold them.
    ///
    /// The tensors are bound in their order and the scalars of `info` behind them.
    pub fn run<R: CubeRuntime>(&self, workgroups: usize, tensors: &[&CubeTensor<R>], info: &[u32]) {
        if workgroups == 0 {
            return;
        }
        let info = numbers(tensors[0], info);
        let buffers = tensors.iter().copied().chain([&info]);
        let bindings = buffers.map(|tensor| tensor.handle.clone().binding()).collect();
        let arguments = KernelArguments::new().with_buffers(bindings);
        let kernel = SourceKernel::new(*self, CubeDim::new_1d(self.lanes as u32));
        tensors[0].client.launch(Box::new(kernel), grid(workgroups), arguments);
    }

    /// Runs as many workgroups as `invocations` need.
    pub fn run_each<R: CubeRuntime>(
        &self,
        invocations: usize,
        tensors: &[&CubeTensor<R>],
        info: &[u32],
    ) {
        self.run(invocations.div_ceil(self.lanes), tensors, info);
    }
}
