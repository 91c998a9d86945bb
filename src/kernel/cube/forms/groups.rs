//! Tables of groups `[p, g]` for runtimes that take no WGSL: a few thousand floats a step, read
//! back, given to the twin on the host, and brought to the device again.

use burn_cubecl::CubeRuntime;
use burn_cubecl::ops::into_data_sync;
use burn_cubecl::tensor::CubeTensor;

use crate::kernel::cube::tensor::{contiguous, dims, tensor_of};
use crate::kernel::group_baseline::{GroupBaselines, GroupTable};
use crate::kernel::group_rule::{GroupRule, PivotDraws};
use crate::kernel::{group_advantage, group_baseline, whiten};

/// Rows `[p, 4]` of rewards, valid and lengths, all `[p, g]`.
pub fn group_baseline<R: CubeRuntime>(
    [rewards, valid, lengths]: [&CubeTensor<R>; 3],
    rule: &GroupRule,
    draws: PivotDraws,
) -> CubeTensor<R> {
    let [p, g] = dims(rewards);
    let (rewards_pg, valid_pg, lengths_pg) = (floats(rewards), counts(valid), counts(lengths));
    let table =
        GroupTable { g, rewards_pg: &rewards_pg, valid_pg: &valid_pg, lengths_pg: &lengths_pg };
    let rows = group_baseline::group_baseline(&table, rule, draws).to_rows();
    tensor_of(rewards, [p, 4], &rows)
}

/// Advantages and keep mask `[p, g]` of rewards and valid `[p, g]` and rows `[p, 4]`.
pub fn group_advantage<R: CubeRuntime>(
    [rewards, valid]: [&CubeTensor<R>; 2],
    rows: &CubeTensor<R>,
    clip: f32,
) -> [CubeTensor<R>; 2] {
    let [p, g] = dims(rewards);
    let (rewards_pg, valid_pg) = (floats(rewards), counts(valid));
    let table =
        GroupTable { g, rewards_pg: &rewards_pg, valid_pg: &valid_pg, lengths_pg: &valid_pg };
    let baselines = GroupBaselines::from_rows(&floats(rows));
    let out = group_advantage::group_advantage(&table, &baselines, clip);
    let keep_pg: Vec<f32> = out.keep_pg.iter().map(|keep| *keep as f32).collect();
    [out.advantages_pg, keep_pg].map(|values| tensor_of(rewards, [p, g], &values))
}

/// Whitened advantages `[p, g]` of advantages and tokens `[p, g]`.
pub fn whiten<R: CubeRuntime>(advantages: &CubeTensor<R>, tokens: &CubeTensor<R>) -> CubeTensor<R> {
    let whitened = whiten::whiten(&floats(advantages), &counts(tokens));
    tensor_of(advantages, dims::<R, 2>(advantages), &whitened)
}

/// The elements in row-major order.
fn floats<R: CubeRuntime>(tensor: &CubeTensor<R>) -> Vec<f32> {
    if tensor.meta.num_elements() == 0 {
        return Vec::new();
    }
    match into_data_sync(contiguous(tensor)).into_vec() {
        Ok(values) => values,
        Err(error) => panic!("a tensor of f32 reads back as such: {error:?}"),
    }
}

/// Flags and token counts as the twins take them; a device holds every table in floats.
fn counts<R: CubeRuntime>(tensor: &CubeTensor<R>) -> Vec<u32> {
    floats(tensor).iter().map(|value| *value as u32).collect()
}
