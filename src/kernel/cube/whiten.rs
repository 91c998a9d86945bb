//! Whitening: a shader; elsewhere a few thousand floats a step go through the host.

use burn::tensor::TensorMetadata;
use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;

use super::shader::Shader;
use super::tensor::{contiguous, dims, empty};
use super::{GpuForm, through_host};
use crate::kernel::ops::whiten::{LANES, LARGEST_TABLE, Whiten};

const SHADER: Shader =
    Shader { name: "whiten", source: include_str!("../../../shaders/whiten.wgsl"), lanes: LANES };

impl GpuForm<2, 1> for Whiten {
    fn cubecl<R: CubeRuntime>(&self, table: [CubeTensor<R>; 2]) -> [CubeTensor<R>; 1] {
        through_host(self, table)
    }

    fn wgsl<R: CubeRuntime>(&self, table: [CubeTensor<R>; 2]) -> [CubeTensor<R>; 1] {
        let [advantages, tokens] = table.each_ref().map(contiguous);
        let [p, g] = dims(&advantages);
        assert!(tokens.shape() == advantages.shape(), "one token count for each advantage");
        assert!(p * g <= LARGEST_TABLE, "{p} × {g} rollouts; the host whitens so many");
        let whitened = empty(&advantages, [p, g]);
        let workgroups = usize::from(p * g > 0);
        SHADER.run(workgroups, &[&advantages, &tokens, &whitened], &[(p * g) as u32]);
        [whitened]
    }
}
