//! Advantages of groups: a shader; elsewhere a few thousand floats a step go through the host.

use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;

use super::shader::Shader;
use super::tensor::{contiguous, dims, empty};
use super::{GpuForm, LANES, through_host};
use crate::kernel::ops::group_advantage::GroupAdvantage;

const SHADER: Shader = Shader {
    name: "group_advantage",
    source: include_str!("../../../shaders/group_advantage.wgsl"),
    lanes: LANES,
};

impl GpuForm<3, 2> for GroupAdvantage {
    fn cubecl<R: CubeRuntime>(&self, table: [CubeTensor<R>; 3]) -> [CubeTensor<R>; 2] {
        through_host(self, table)
    }

    fn wgsl<R: CubeRuntime>(&self, table: [CubeTensor<R>; 3]) -> [CubeTensor<R>; 2] {
        let [rewards, valid, rows] = table.each_ref().map(contiguous);
        let [p, g] = dims(&rewards);
        assert!(dims(&valid) == [p, g] && dims(&rows) == [p, 4], "tables of other shapes");
        let [advantages, keep] = [(); 2].map(|()| empty(&rewards, [p, g]));
        let tensors = [&rewards, &valid, &rows, &advantages, &keep];
        // Shaders need not know infinity, so that no clip is said aside.
        let clip = self.clip;
        let info = [p as u32, g as u32, u32::from(clip.is_finite()), clip.to_bits()];
        SHADER.run_each(p * g, &tensors, &info);
        [advantages, keep]
    }
}
