//! Baselines of groups: a shader; elsewhere a few thousand floats a step go through the host.

use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;

use super::shader::Shader;
use super::tensor::{contiguous, dims, empty};
use super::{GpuForm, through_host};
use crate::kernel::ops::group_baseline::{GroupBaseline, LARGEST_GROUP};

const SHADER: Shader = Shader {
    name: "group_baseline",
    source: include_str!("../../../shaders/group_baseline.wgsl"),
    lanes: 64,
};

impl GpuForm<3, 1> for GroupBaseline {
    fn cubecl<R: CubeRuntime>(&self, table: [CubeTensor<R>; 3]) -> [CubeTensor<R>; 1] {
        through_host(self, table)
    }

    fn wgsl<R: CubeRuntime>(&self, table: [CubeTensor<R>; 3]) -> [CubeTensor<R>; 1] {
        let [rewards, valid, lengths] = table.each_ref().map(contiguous);
        let [p, g] = dims(&rewards);
        assert!((1..=LARGEST_GROUP).contains(&g), "groups of {g} rollouts");
        assert!(dims(&valid) == [p, g] && dims(&lengths) == [p, g], "one table's shape is another");
        let rows = empty(&rewards, [p, 4]);
        // A lane for each group, or a workgroup where the groups are larger than that.
        let workgroups = if g <= SHADER.lanes { p.div_ceil(SHADER.lanes) } else { p };
        SHADER.run(workgroups, &[&rewards, &valid, &lengths, &rows], &self.info(p, g));
        [rows]
    }
}

impl GroupBaseline {
    fn info(&self, p: usize, g: usize) -> [u32; 14] {
        let Self { rule, draws } = self;
        [
            p as u32,
            g as u32,
            draws.seed,
            draws.first_group,
            rule.baseline as u32,
            rule.scale as u32,
            rule.eps_mode as u32,
            (rule.eps as f32).to_bits(),
            (rule.mad_factor as f32).to_bits(),
            rule.mad_zero as u32,
            rule.even_median as u32,
            (rule.equal_tol as f32).to_bits(),
            rule.pivot.map_or(0, |tie| 1 + tie as u32),
            (rule.tie_tol as f32).to_bits(),
        ]
    }
}
