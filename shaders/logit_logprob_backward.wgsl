// Gradients of logits from those of log-probabilities and entropies. CPU reference: `turn_into_gradients` in
// src/kernel/ops/logit_logprob.rs.

@group(0) @binding(0) var<storage, read_write> logits: array<f32>; // [n, v]
@group(0) @binding(1) var<storage, read_write> tokens: array<u32>; // [n]
@group(0) @binding(2) var<storage, read_write> out: array<f32>; // [n, 2]: log-probability, entropy
@group(0) @binding(3) var<storage, read_write> lse: array<f32>; // [n]
@group(0) @binding(4) var<storage, read_write> dout: array<f32>; // [n, 2]
@group(0) @binding(5) var<storage, read_write> dlogits: array<f32>; // [n, v]
@group(0) @binding(6) var<storage, read_write> info: Info;

struct Info {
    n: u32,
    v: u32,
    inverse: f32, // 1 / temperature
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let index = (workgroup.x + workgroup.y * grid.x) * 256u + local;
    if index >= info.n * info.v {
        return;
    }
    let row = index / info.v;
    let dlogp = dout[row * 2u] * info.inverse;
    let dentropy = dout[row * 2u + 1u] * info.inverse;
    let entropy = out[row * 2u + 1u];
    // Below -87 a probability leaves the normal numbers; it is nothing either way.
    let logp = max(logits[index] * info.inverse - lse[row], -87.0);
    var dz = -exp(logp) * (dlogp + dentropy * (logp + entropy));
    if index % info.v == tokens[row] {
        dz += dlogp;
    }
    dlogits[index] = dz;
}
