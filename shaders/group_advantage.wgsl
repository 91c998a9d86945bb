// Advantages and keep mask of every rollout. CPU reference: src/kernel/ops/group_advantage.rs.

@group(0) @binding(0) var<storage, read_write> rewards: array<f32>; // [p, g]
@group(0) @binding(1) var<storage, read_write> valid: array<f32>; // [p, g]: 1 or 0
@group(0) @binding(2) var<storage, read_write> rows: array<f32>; // [p, 4] of group_baseline
@group(0) @binding(3) var<storage, read_write> advantages: array<f32>; // [p, g]
@group(0) @binding(4) var<storage, read_write> keep: array<f32>; // [p, g]: 1 or 0
@group(0) @binding(5) var<storage, read_write> info: Info;

struct Info {
    p: u32,
    g: u32,
    has_clip: u32,
    clip: f32,
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let index = (workgroup.x + workgroup.y * grid.x) * 256u + local;
    if index >= info.p * info.g {
        return;
    }
    let row = index / info.g * 4u;
    let is_pivot = rows[row + 3u] == f32(index % info.g);
    let has_value = valid[index] != 0.0 && rows[row + 2u] != 0.0 && !is_pivot;
    var advantage = 0.0;
    if has_value {
        advantage = (rewards[index] - rows[row]) / rows[row + 1u];
        if info.has_clip != 0u {
            advantage = clamp(advantage, -info.clip, info.clip);
        }
    }
    advantages[index] = advantage;
    keep[index] = f32(!is_pivot);
}
