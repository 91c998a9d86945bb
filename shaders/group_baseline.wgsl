// Baseline, scale, signal and pivot of every group. CPU reference: src/kernel/ops/group_baseline/mod.rs.
//
// A workgroup holds 64 groups of at most 64 rollouts, one group a lane, or one larger group. There
// every lane makes the same sums, in the reference's order, and only the order statistics, whose work
// grows with the square of the group, are shared among the lanes.

@group(0) @binding(0) var<storage, read_write> rewards: array<f32>; // [p, g]
@group(0) @binding(1) var<storage, read_write> valid: array<f32>; // [p, g]: 1 or 0
@group(0) @binding(2) var<storage, read_write> lengths: array<f32>; // [p, g]: loss tokens
@group(0) @binding(3) var<storage, read_write> rows: array<f32>; // [p, 4]
@group(0) @binding(4) var<storage, read_write> info: Info;

struct Info {
    p: u32,
    g: u32,
    seed: u32,
    first_group: u32,
    baseline: u32,
    scale: u32,
    eps_mode: u32,
    eps: f32,
    mad_factor: f32,
    mad_zero: u32,
    even_median: u32,
    equal_tol: f32,
    pivot: u32,
    tie_tol: f32,
}

const MEAN: u32 = 0u;
const MEDIAN: u32 = 1u;
const LEAVE_ONE_OUT: u32 = 2u;
const LENGTH_WEIGHTED: u32 = 3u;

const SCALE_NONE: u32 = 0u;
const SCALE_STD: u32 = 1u;
const SCALE_STD_MEDIAN: u32 = 2u;
const SCALE_MAD: u32 = 3u;
const SCALE_MEAN_ABS_DEV: u32 = 4u;

const EPS_ADD: u32 = 0u;

const MAD_ZERO_STD: u32 = 0u;
const MAD_ZERO_MEAN_ABS_DEV: u32 = 1u;
const MAD_ZERO_ONE: u32 = 2u;

const EVEN_LOWER: u32 = 0u;

const PIVOT_NONE: u32 = 0u;
const PIVOT_SHORTEST: u32 = 2u;
const PIVOT_LONGEST: u32 = 3u;
const PIVOT_RANDOM: u32 = 4u;

const NO_PIVOT: u32 = 0xffffffffu;
const LARGEST: f32 = 0x1.fffffep+127f;
const LANES: u32 = 64u;

var<workgroup> shared_info: Info;
// Two arrays of scalars: two lanes may find the two middles of one group at once, and what two lanes
// write into one vector may be lost.
var<workgroup> found_lower: array<f32, LANES>;
var<workgroup> found_upper: array<f32, LANES>;

// The group of this lane: its first place in the table and its rollouts, 0 for a lane without one.
var<private> start: u32;
var<private> g: u32;
// Who shares the group: this lane of so many, and where in `found_…` they leave a value.
var<private> lane: u32;
var<private> lanes: u32;
var<private> slot: u32;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    if local == 0u {
        shared_info = info;
    }
    let rule = workgroupUniformLoad(&shared_info);
    var p = workgroup.x + workgroup.y * grid.x;
    lane = local;
    lanes = LANES;
    if rule.g <= LANES {
        p = p * LANES + local;
        lane = 0u;
        lanes = 1u;
        slot = local;
    }
    // A lane beyond the last group goes through the barriers with an empty one and writes nothing.
    if p < rule.p {
        start = p * rule.g;
        g = rule.g;
    }
    let row = write_row(rule, pivot_draw(rule.seed, rule.first_group + p));
    if p < rule.p && lane == 0u {
        rows[p * 4u] = row[0];
        rows[p * 4u + 1u] = row[1];
        rows[p * 4u + 2u] = row[2];
        rows[p * 4u + 3u] = row[3];
    }
}

fn write_row(rule: Info, draw: u32) -> vec4<f32> {
    var count = 0u;
    var lowest = LARGEST;
    var highest = -LARGEST;
    for (var i = 0u; i < g; i++) {
        if is_valid(i) {
            count++;
            lowest = min(lowest, rewards[start + i]);
            highest = max(highest, rewards[start + i]);
        }
    }
    let unit = unit_for(max(abs(lowest), abs(highest)));
    let mean = mean_of(count, unit);
    let baseline = baseline_of(rule, count, unit, mean);
    let pivot = pivot_of(rule, count, baseline, draw);
    let has_spread = count > 0u && highest - lowest > rule.equal_tol;
    let has_signal = has_spread && differs_from(baseline, pivot);
    let scale = scale_of(rule, count, unit, mean, baseline);
    return vec4(baseline, scale, f32(has_signal), select(f32(pivot), -1.0, pivot == NO_PIVOT));
}

// Whether a kept reward differs from the baseline.
fn differs_from(baseline: f32, pivot: u32) -> bool {
    for (var i = 0u; i < g; i++) {
        if is_valid(i) && i != pivot && rewards[start + i] != baseline {
            return true;
        }
    }
    return false;
}

fn is_valid(i: u32) -> bool {
    return valid[start + i] != 0.0;
}

fn mean_of(count: u32, unit: f32) -> f32 {
    if count == 0u {
        return 0.0;
    }
    var sum = 0.0;
    for (var i = 0u; i < g; i++) {
        if is_valid(i) {
            sum += rewards[start + i] * unit;
        }
    }
    let first = sum / f32(count);
    var residue = 0.0;
    for (var i = 0u; i < g; i++) {
        if is_valid(i) {
            residue += rewards[start + i] * unit - first;
        }
    }
    return (first + residue / f32(count)) * inverse_of(unit);
}

fn baseline_of(rule: Info, count: u32, unit: f32, mean: f32) -> f32 {
    switch rule.baseline {
        case MEDIAN: {
            return median(rule, count, 0.0, false);
        }
        case LENGTH_WEIGHTED: {
            return length_weighted(unit, mean);
        }
        // MEAN, LEAVE_ONE_OUT
        default: {
            return mean;
        }
    }
}

fn length_weighted(unit: f32, mean: f32) -> f32 {
    var tokens = 0.0;
    var sum = 0.0;
    for (var i = 0u; i < g; i++) {
        if is_valid(i) {
            tokens += lengths[start + i];
            sum += lengths[start + i] * (rewards[start + i] * unit - mean * unit);
        }
    }
    if tokens == 0.0 {
        return mean;
    }
    return mean + sum / tokens * inverse_of(unit);
}

// The middle of the rewards, or of their distances from `about`. No lane leaves before the
// barriers inside, so an empty group looks for its zeroth value too.
fn median(rule: Info, count: u32, about: f32, distances: bool) -> f32 {
    let last = max(count, 1u) - 1u;
    let middles = order_statistics(last / 2u, (last + 1u) / 2u, about, distances);
    var middle = middles.x;
    if rule.even_median != EVEN_LOWER {
        middle = 0.5 * middles.x + 0.5 * middles.y;
    }
    if count == 0u {
        return 0.0;
    }
    return middle;
}

// The values with at most `k` values below them and more than `k` not above them, for two k in one
// pass. Among equals the k-th alone is the one found, so that no two lanes write it.
fn order_statistics(lower: u32, upper: u32, about: f32, distances: bool) -> vec2<f32> {
    for (var i = lane; i < g; i += lanes) {
        if is_valid(i) {
            let value = key(rewards[start + i], about, distances);
            var below = 0u;
            for (var j = 0u; j < g; j++) {
                if is_valid(j) {
                    let other = key(rewards[start + j], about, distances);
                    below += u32(other < value || (other == value && j < i));
                }
            }
            if below == lower {
                found_lower[slot] = value;
            }
            if below == upper {
                found_upper[slot] = value;
            }
        }
    }
    workgroupBarrier();
    let value = vec2(found_lower[slot], found_upper[slot]);
    workgroupBarrier();
    return value;
}

fn key(reward: f32, about: f32, distances: bool) -> f32 {
    return select(reward, abs(reward - about), distances);
}

fn scale_of(rule: Info, count: u32, unit: f32, mean: f32, baseline: f32) -> f32 {
    var divisor = 1.0;
    switch rule.scale {
        case SCALE_STD: {
            divisor = with_eps(rule, deviation(count, unit, mean));
        }
        case SCALE_STD_MEDIAN: {
            divisor = with_eps(rule, deviation(count, unit, baseline));
        }
        case SCALE_MEAN_ABS_DEV: {
            divisor = with_eps(rule, mean_abs_dev(count, unit, baseline));
        }
        case SCALE_MAD: {
            divisor = mad_scale(rule, count, unit, mean, baseline);
        }
        // SCALE_NONE
        default: {}
    }
    if rule.baseline == LEAVE_ONE_OUT && count >= 2u {
        return divisor * f32(count - 1u) / f32(count);
    }
    return divisor;
}

fn mad_scale(rule: Info, count: u32, unit: f32, mean: f32, baseline: f32) -> f32 {
    let mad = median(rule, count, baseline, true);
    if mad > 0.0 {
        return with_eps(rule, mad * rule.mad_factor);
    }
    switch rule.mad_zero {
        case MAD_ZERO_STD: {
            return with_eps(rule, deviation(count, unit, mean));
        }
        case MAD_ZERO_MEAN_ABS_DEV: {
            return with_eps(rule, mean_abs_dev(count, unit, baseline));
        }
        case MAD_ZERO_ONE: {
            return 1.0;
        }
        // The epsilon alone.
        default: {
            return with_eps(rule, 0.0);
        }
    }
}

fn with_eps(rule: Info, divisor: f32) -> f32 {
    if rule.eps_mode == EPS_ADD {
        return divisor + rule.eps;
    }
    return max(divisor, rule.eps);
}

fn deviation(count: u32, unit: f32, centre: f32) -> f32 {
    if count < 2u {
        return 0.0;
    }
    var squares = 0.0;
    for (var i = 0u; i < g; i++) {
        if is_valid(i) {
            let distance = (rewards[start + i] - centre) * unit;
            squares += distance * distance;
        }
    }
    return sqrt(squares / f32(count - 1u)) * inverse_of(unit);
}

fn mean_abs_dev(count: u32, unit: f32, centre: f32) -> f32 {
    if count == 0u {
        return 0.0;
    }
    var sum = 0.0;
    for (var i = 0u; i < g; i++) {
        if is_valid(i) {
            sum += abs((rewards[start + i] - centre) * unit);
        }
    }
    return sum / f32(count) * inverse_of(unit);
}

fn pivot_of(rule: Info, count: u32, baseline: f32, draw: u32) -> u32 {
    if rule.pivot == PIVOT_NONE {
        return NO_PIVOT;
    }
    if count == 0u {
        return 0u;
    }
    let reach = pivot_reach(rule, baseline);
    var tied = 0u;
    for (var i = 0u; i < g; i++) {
        tied += u32(is_tied(i, baseline, reach));
    }
    let drawn = draw % max(tied, 1u);
    var pivot = NO_PIVOT;
    var seen = 0u;
    for (var i = 0u; i < g; i++) {
        if is_tied(i, baseline, reach) {
            if pivot == NO_PIVOT || is_better(rule, i, pivot, seen == drawn) {
                pivot = i;
            }
            seen++;
        }
    }
    return pivot;
}

fn is_tied(i: u32, baseline: f32, reach: f32) -> bool {
    return is_valid(i) && abs(rewards[start + i] - baseline) <= reach;
}

fn is_better(rule: Info, i: u32, pivot: u32, is_drawn: bool) -> bool {
    switch rule.pivot {
        case PIVOT_SHORTEST: {
            return lengths[start + i] < lengths[start + pivot];
        }
        case PIVOT_LONGEST: {
            return lengths[start + i] > lengths[start + pivot];
        }
        case PIVOT_RANDOM: {
            return is_drawn;
        }
        // The first stays.
        default: {
            return false;
        }
    }
}

fn pivot_reach(rule: Info, baseline: f32) -> f32 {
    var closest = LARGEST;
    for (var i = 0u; i < g; i++) {
        if is_valid(i) {
            closest = min(closest, abs(rewards[start + i] - baseline));
        }
    }
    return max(rule.tie_tol, closest * 1.00001);
}

fn unit_for(largest: f32) -> f32 {
    if largest > 0x1p+40f {
        return 0x1p-80f;
    }
    if largest < 0x1p-40f {
        return 0x1p+80f;
    }
    return 1.0;
}

// Where the CPU reference divides by the unit, which is exact; a division of WGSL need not be.
fn inverse_of(unit: f32) -> f32 {
    if unit < 1.0 {
        return 0x1p+80f;
    }
    if unit > 1.0 {
        return 0x1p-80f;
    }
    return 1.0;
}

// Source: the PCG-RXS-M-XS output function (Jarzynski and Olano, 2020, "Hash functions for GPU
// rendering"). CPU reference: src/kernel/group_rule.rs.
fn pivot_draw(seed: u32, group: u32) -> u32 {
    return pcg(seed + pcg(group));
}

fn pcg(input: u32) -> u32 {
    let state = input * 747796405u + 2891336453u;
    let word = ((state >> ((state >> 28u) + 4u)) ^ state) * 277803737u;
    return (word >> 22u) ^ word;
}
