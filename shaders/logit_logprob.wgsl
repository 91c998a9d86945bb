// Log-probability of the chosen token and entropy, from logits in one pass. CPU reference: `of_logits` in
// src/kernel/ops/logit_logprob.rs.
//
// A workgroup holds one row. Every lane strides over it once and keeps its largest z and two sums
// relative to that; then halves meet. A lane sums a block of z at a time, and blocks meet like lanes:
// beside a probability near 1 a running sum would lose every smaller one.

@group(0) @binding(0) var<storage, read_write> logits: array<f32>; // [n, v]
@group(0) @binding(1) var<storage, read_write> tokens: array<u32>; // [n]
@group(0) @binding(2) var<storage, read_write> out: array<f32>; // [n, 2]: log-probability, entropy
@group(0) @binding(3) var<storage, read_write> lse: array<f32>; // [n]
@group(0) @binding(4) var<storage, read_write> info: Info;

struct Info {
    n: u32,
    v: u32,
    inverse: f32, // 1 / temperature
}

// The distribution of some z: their maximum, and sums of e^(z - max) and of e^(z - max)·(z - max).
struct Distribution {
    max: f32,
    sum: f32,
    mean: f32,
}

const LANES: u32 = 256u;
// The maximum of no z at all: below every z, and not so far that a difference would overflow.
const LOWEST: f32 = -1e38;
const NOTHING: Distribution = Distribution(LOWEST, 0.0, 0.0);
// The z of a lane that are summed before they meet the others.
const BLOCK: u32 = 32u;

var<workgroup> shared_info: Info;
var<workgroup> distributions: array<Distribution, LANES>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    if lane == 0u {
        shared_info = info;
    }
    let about = workgroupUniformLoad(&shared_info);
    let row = workgroup.x + workgroup.y * grid.x;
    if row >= about.n {
        return;
    }
    let start = row * about.v;
    var own = NOTHING;
    for (var first = lane; first < about.v; first += LANES * BLOCK) {
        var block = NOTHING;
        let end = min(first + LANES * BLOCK, about.v);
        for (var i = first; i < end; i += LANES) {
            block = with_z(block, logits[start + i] * about.inverse);
        }
        own = join(own, block);
    }
    let distribution = joined(lane, own);
    if lane == 0u {
        let log_sum = log(distribution.sum);
        lse[row] = distribution.max + log_sum;
        // Near the largest z the difference is exact, and a probability near 1 keeps its digits.
        out[row * 2u] = (logits[start + tokens[row]] * about.inverse - distribution.max) - log_sum;
        out[row * 2u + 1u] = log_sum - distribution.mean / distribution.sum;
    }
}

fn with_z(distribution: Distribution, z: f32) -> Distribution {
    let rise = z - distribution.max;
    let e = exp_below_zero(-abs(rise));
    if rise > 0.0 {
        let mean = (distribution.mean - distribution.sum * rise) * e;
        return Distribution(z, distribution.sum * e + 1.0, mean);
    }
    return Distribution(distribution.max, distribution.sum + e, distribution.mean + e * rise);
}

fn join(a: Distribution, b: Distribution) -> Distribution {
    let top = max(a.max, b.max);
    let a_fall = a.max - top;
    let b_fall = b.max - top;
    let a_e = exp_below_zero(a_fall);
    let b_e = exp_below_zero(b_fall);
    let mean = (a.mean + a.sum * a_fall) * a_e + (b.mean + b.sum * b_fall) * b_e;
    return Distribution(top, a.sum * a_e + b.sum * b_e, mean);
}

// The exponential of no more than 0, clamped where it would leave the normal numbers.
fn exp_below_zero(x: f32) -> f32 {
    return exp(max(x, -87.0));
}

// The distribution of every lane's own distribution: halves meet. Lane 0 has it.
fn joined(lane: u32, own: Distribution) -> Distribution {
    distributions[lane] = own;
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if lane < half {
            distributions[lane] = join(distributions[lane], distributions[lane + half]);
        }
    }
    return distributions[lane];
}
