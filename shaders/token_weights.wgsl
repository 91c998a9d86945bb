// Weight and advantage of every token's loss. CPU reference: src/kernel/ops/token_weights.rs.

@group(0) @binding(0) var<storage, read_write> row_advantages: array<f32>; // [b, width]
@group(0) @binding(1) var<storage, read_write> lengths: array<u32>; // [b]
@group(0) @binding(2) var<storage, read_write> weights: array<f32>; // [b, tokens]
@group(0) @binding(3) var<storage, read_write> advantages: array<f32>; // [b, tokens]
@group(0) @binding(4) var<storage, read_write> info: Info;

struct Info {
    b: u32,
    tokens: u32,
    width: u32,
    factor: f32,
    per_row_length: u32,
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let index = (workgroup.x + workgroup.y * grid.x) * 256u + local;
    if index >= info.b * info.tokens {
        return;
    }
    let row = index / info.tokens;
    let token = index % info.tokens;
    weights[index] = 0.0;
    advantages[index] = 0.0;
    if token < lengths[row] {
        let divisor = select(1.0, f32(lengths[row]), info.per_row_length != 0u);
        weights[index] = info.factor / divisor;
        advantages[index] = row_advantages[row * info.width + token % info.width];
    }
}
