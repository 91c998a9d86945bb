// Advantages whitened over their loss tokens. CPU reference: src/kernel/ops/whiten.rs.
//
// One workgroup for the whole table: the sums are the same, in the same order, on every device.

@group(0) @binding(0) var<storage, read_write> advantages: array<f32>; // [count]
@group(0) @binding(1) var<storage, read_write> tokens: array<f32>; // [count]
@group(0) @binding(2) var<storage, read_write> whitened: array<f32>; // [count]
@group(0) @binding(3) var<storage, read_write> info: Info;

struct Info {
    count: u32,
}

const LANES: u32 = 256u;

var<workgroup> sums: array<f32, LANES>;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) lane: u32) {
    let count = info.count;
    var sum = 0.0;
    for (var i = lane; i < count; i += LANES) {
        sum += tokens[i];
    }
    let all_tokens = lane_sum(lane, sum);

    sum = 0.0;
    for (var i = lane; i < count; i += LANES) {
        sum += tokens[i] * advantages[i];
    }
    let mean = lane_sum(lane, sum) / all_tokens;

    sum = 0.0;
    for (var i = lane; i < count; i += LANES) {
        let distance = advantages[i] - mean;
        sum += tokens[i] * (distance * distance);
    }
    let variance = lane_sum(lane, sum) / (all_tokens - 1.0);

    let deviation = sqrt(variance + 1e-8);
    for (var i = lane; i < count; i += LANES) {
        whitened[i] = advantages[i];
        if all_tokens >= 2.0 && tokens[i] != 0.0 {
            whitened[i] = (advantages[i] - mean) / deviation;
        }
    }
}

// The sum of every lane's own sum: halves meet.
fn lane_sum(lane: u32, own: f32) -> f32 {
    sums[lane] = own;
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if lane < half {
            sums[lane] += sums[lane + half];
        }
    }
    return workgroupUniformLoad(&sums[0]);
}
