//! Every kernel on a device of wgpu against its twin: the shaders, and the forms in CubeCL's language
//! for runtimes that take none. One test walks the table on one thread, since each thread that
//! touches a device has a stream and a memory pool of its own.

use std::io::Write;
use std::time::Instant;

use burn::tensor::TensorMetadata;
use burn_cubecl::CubeRuntime;
use burn_cubecl::ops::{into_data_sync, permute};
use cubecl::Runtime;
use cubecl::wgpu::{AutoGraphicsApi, GraphicsApi, WgpuDevice, WgpuRuntime};

use super::cube::forms;
use super::cube::tensor::tensor_of;
use super::group_advantage::group_advantage;
use super::group_baseline::{GroupBaselines, GroupTable, group_baseline};
use super::group_rule::{
    Baseline, EpsMode, EvenMedian, GroupRule, MadZeroFallback, PivotDraws, PivotTie, Scale,
};
use super::token_logprob::{Saved, of_logits, turn_into_gradients};
use super::token_weights::{TokenWeighting, token_weights};
use super::wgsl::{self, CubeTensor};
use super::whiten::whiten;
use crate::random::Stream;

/// A row: a shader's name, and how it is compared with its twin in one form.
type Row = (&'static str, fn(&Form, &CubeTensor) -> f32);

const TABLE: [Row; 6] = [
    ("group_baseline", check_group_baseline),
    ("group_advantage", check_group_advantage),
    ("whiten", check_whiten),
    ("token_weights", check_token_weights),
    ("token_logprob", check_token_logprob),
    ("token_logprob_backward", check_token_logprob_backward),
];

/// The kernels as a backend calls them.
struct Form {
    name: &'static str,
    group_baseline: fn([&CubeTensor; 3], &GroupRule, PivotDraws) -> CubeTensor,
    group_advantage: fn([&CubeTensor; 2], &CubeTensor, f32) -> [CubeTensor; 2],
    whiten: fn(&CubeTensor, &CubeTensor) -> CubeTensor,
    token_weights: fn(&CubeTensor, &[u32], usize, TokenWeighting) -> [CubeTensor; 2],
    logprob: fn(&CubeTensor, &[u32], f32) -> [CubeTensor; 2],
    logprob_backward: fn(&CubeTensor, &[u32], f32, [&CubeTensor; 2], &CubeTensor) -> CubeTensor,
}

const SHADERS: Form = Form {
    name: "WGSL",
    group_baseline: wgsl::group_baseline,
    group_advantage: wgsl::group_advantage,
    whiten: wgsl::whiten,
    token_weights: wgsl::token_weights,
    logprob: wgsl::logit_logprob,
    logprob_backward: wgsl::logit_logprob_backward,
};

const CUBES: Form = Form {
    name: "CubeCL",
    group_baseline: forms::group_baseline,
    group_advantage: forms::group_advantage,
    whiten: forms::whiten,
    token_weights: forms::token_weights,
    logprob: forms::logit_logprob,
    logprob_backward: forms::logit_logprob_backward,
};

#[test]
fn every_kernel_on_the_device_agrees_with_its_twin() {
    let Some(device) = device() else { return };
    for (kernel, check) in TABLE {
        for form in [SHADERS, CUBES] {
            let began = Instant::now();
            let worst = check(&form, &device);
            let secs = began.elapsed().as_secs_f32();
            eprintln!("{kernel} in {}: {worst:.2} of the tolerance, {secs:.1} s", form.name);
        }
    }
}

/// A tensor of the device that others are made beside, or a line that says why there is none.
fn device() -> Option<CubeTensor> {
    const OF_ANY_KIND: u16 = 4;
    if WgpuRuntime::enumerate_devices(OF_ANY_KIND, &AutoGraphicsApi::backend()).is_empty() {
        // Past the harness, which keeps what a passing test prints.
        writeln!(std::io::stderr(), "skipped: no GPU adapter (kernels against twins)").unwrap();
        return None;
    }
    Some(beside(&WgpuDevice::DefaultDevice))
}

fn beside<R: CubeRuntime>(device: &R::Device) -> burn_cubecl::tensor::CubeTensor<R> {
    let client = R::client(device);
    let buffer = client.empty(size_of::<f32>());
    let shape = burn::tensor::Shape::new([1]);
    let dtype = burn::tensor::DType::F32;
    burn_cubecl::tensor::CubeTensor::new_contiguous(client, device.clone(), shape, buffer, dtype)
}

fn floats(tensor: CubeTensor) -> Vec<f32> {
    into_data_sync(tensor).into_vec().unwrap()
}

/// Asserts `|got - want| <= tolerance` everywhere and returns the largest share of it.
#[track_caller]
fn near(what: &str, got: &[f32], want: &[f32], tolerance: impl Fn(usize) -> f32) -> f32 {
    assert_eq!(got.len(), want.len(), "{what}");
    let mut worst = 0.0f32;
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        let error = (got - want).abs();
        assert!(error <= tolerance(i), "{what}, element {i}: {got} against {want}");
        if error > 0.0 {
            worst = worst.max(error / tolerance(i));
        }
    }
    worst
}

// Groups.

const SHAPES_PG: [[usize; 2]; 21] = [
    [1, 1],
    [1, 2],
    [1, 3],
    [1, 4],
    [1, 9],
    [1, 64],
    [1, 65],
    [1, 1024],
    [63, 2],
    [63, 65],
    [64, 3],
    [64, 64],
    [65, 4],
    [65, 65],
    [1000, 1],
    [1000, 9],
    [1000, 64],
    [1000, 65],
    [70_000, 1],
    [70_000, 4],
    [70_000, 9],
];
const LARGEST_PG: [usize; 2] = [1000, 1024];
const SHAPES_OF_ALL_RULES: [[usize; 2]; 3] = [[64, 9], [65, 4], [9, 65]];

#[derive(Debug, Clone, Copy)]
enum Rewards {
    Equal,
    Binary,
    TiesAtMedian,
    Outlier,
    TinySpread,
    Negative,
    Huge,
    Vanishing,
    Missing,
}

const REWARDS: [Rewards; 9] = [
    Rewards::Equal,
    Rewards::Binary,
    Rewards::TiesAtMedian,
    Rewards::Outlier,
    Rewards::TinySpread,
    Rewards::Negative,
    Rewards::Huge,
    Rewards::Vanishing,
    Rewards::Missing,
];

impl Rewards {
    fn draw(self, stream: &mut Stream) -> f32 {
        match self {
            Self::Equal => 0.1,
            Self::Binary => stream.below(2) as f32,
            Self::TiesAtMedian => [0.0, 0.5, 0.5, 1.0][stream.index_below(4)],
            Self::Outlier if stream.below(16) == 0 => 1e6,
            Self::TinySpread => 4096.0 + stream.below(3) as f32 * 0.001,
            Self::Negative => -1.0 - stream.uniform(),
            Self::Huge => stream.normal() * 1e30,
            Self::Vanishing => stream.normal() * 1e-30,
            Self::Missing if stream.below(3) == 0 => f32::NAN,
            Self::Outlier | Self::Missing => stream.normal(),
        }
    }
}

/// A table whose groups have each kind of rewards in turn.
struct Groups {
    g: usize,
    rewards: Vec<f32>,
    valid: Vec<u32>,
    lengths: Vec<u32>,
}

impl Groups {
    fn new([p, g]: [usize; 2], first: usize) -> Self {
        let mut stream = Stream::new(17, (p * 2048 + g) as u32);
        let mut rewards = Vec::with_capacity(p * g);
        for group in 0..p {
            let kind = REWARDS[(first + group) % REWARDS.len()];
            // Now and then nothing of a group was scored.
            let none = matches!(kind, Rewards::Missing) && stream.below(4) == 0;
            rewards.extend((0..g).map(|_| if none { f32::NAN } else { kind.draw(&mut stream) }));
        }
        let valid = rewards.iter().map(|reward| u32::from(!reward.is_nan())).collect();
        let lengths = (0..p * g).map(|_| stream.below(20) as u32).collect();
        Self { g, rewards, valid, lengths }
    }

    /// Of a shape with every kind of rewards: in one table, or one for each where p is small.
    fn all(shape: [usize; 2]) -> Vec<Self> {
        let tables = if shape[0] < REWARDS.len() { REWARDS.len() } else { 1 };
        (0..tables).map(|first| Self::new(shape, first)).collect()
    }

    fn table(&self) -> GroupTable<'_> {
        let Self { g, rewards, valid, lengths } = self;
        GroupTable { g: *g, rewards_pg: rewards, valid_pg: valid, lengths_pg: lengths }
    }

    fn shape(&self) -> [usize; 2] {
        [self.rewards.len() / self.g, self.g]
    }

    fn on(&self, device: &CubeTensor) -> [CubeTensor; 3] {
        let counts = |counts: &[u32]| counts.iter().map(|count| *count as f32).collect();
        [self.rewards.clone(), counts(&self.valid), counts(&self.lengths)]
            .map(|values: Vec<f32>| tensor_of(device, self.shape(), &values))
    }

    /// The largest reward of a group.
    fn largest(&self, p: usize) -> f32 {
        let row = &self.rewards[p * self.g..(p + 1) * self.g];
        row.iter().fold(0.0f32, |largest, reward| largest.max(reward.abs()))
    }
}

const DRAWS: PivotDraws = PivotDraws { seed: 5, first_group: u32::MAX - 3 };

/// A rule of each estimator's kind.
fn usual_rules() -> Vec<GroupRule> {
    let rule = GroupRule::default();
    let median = GroupRule { baseline: Baseline::Median, ..rule };
    vec![
        GroupRule { scale: Scale::Std, ..rule },
        GroupRule { baseline: Baseline::LeaveOneOut, ..rule },
        // Four middle values of a group: the most work there is.
        GroupRule {
            scale: Scale::Mad,
            even_median: EvenMedian::MeanOfTwo,
            pivot: Some(PivotTie::First),
            ..median
        },
        GroupRule {
            scale: Scale::StdMedian,
            even_median: EvenMedian::MeanOfTwo,
            eps_mode: EpsMode::Floor,
            pivot: Some(PivotTie::Random),
            tie_tol: 0.01,
            ..median
        },
        GroupRule { baseline: Baseline::LengthWeighted, scale: Scale::MeanAbsDev, ..rule },
        GroupRule { scale: Scale::Std, eps: 1e-35, equal_tol: 0.0, ..rule },
    ]
}

/// Every combination of choices.
fn all_rules() -> Vec<GroupRule> {
    let mut rules = vec![GroupRule { mad_factor: 1.4826, eps: 1e-3, ..GroupRule::default() }];
    type Choice<T> = fn(&mut GroupRule, T);
    fn vary<T: Copy>(rules: &mut Vec<GroupRule>, values: &[T], set: Choice<T>) {
        let varied = |rule: &GroupRule| {
            let rule = *rule;
            values.iter().map(move |value| {
                let mut varied = rule;
                set(&mut varied, *value);
                varied
            })
        };
        *rules = rules.iter().flat_map(varied).collect();
    }
    use {Baseline as B, EpsMode as E, EvenMedian as M, MadZeroFallback as Z, PivotTie as P};
    let baselines = [B::Mean, B::Median, B::LeaveOneOut, B::LengthWeighted];
    vary(&mut rules, &baselines, |rule, baseline| rule.baseline = baseline);
    vary(&mut rules, &[Z::Std, Z::MeanAbsDev, Z::One, Z::Eps], |rule, zero| rule.mad_zero = zero);
    let scales = [Scale::Mad, Scale::None, Scale::Std, Scale::StdMedian, Scale::MeanAbsDev];
    vary(&mut rules, &scales, |rule, scale| rule.scale = scale);
    // What replaces a MAD of zero says nothing where there is no MAD.
    rules.retain(|rule| rule.scale == Scale::Mad || rule.mad_zero == Z::Std);
    vary(&mut rules, &[E::Add, E::Floor], |rule, mode| rule.eps_mode = mode);
    vary(&mut rules, &[M::Lower, M::MeanOfTwo], |rule, median| rule.even_median = median);
    let ties = [None, Some(P::First), Some(P::Shortest), Some(P::Longest), Some(P::Random)];
    vary(&mut rules, &ties, |rule, tie| rule.pivot = tie);
    rules
}

fn check_group_baseline(form: &Form, device: &CubeTensor) -> f32 {
    let mut worst = 0.0f32;
    let mut check = |shape: [usize; 2], rules: &[GroupRule]| {
        for groups in Groups::all(shape) {
            let on_device = groups.on(device);
            for rule in rules {
                let rows = (form.group_baseline)(on_device.each_ref(), rule, DRAWS);
                let got = GroupBaselines::from_rows(&floats(rows));
                worst = worst.max(rows_agree(&groups, rule, &got));
            }
        }
    };
    SHAPES_PG.iter().for_each(|shape| check(*shape, &usual_rules()));
    // The middle of 1,024 is for the twin a million comparisons a group.
    check(LARGEST_PG, &usual_rules()[..1]);
    check([18, 1024], &usual_rules());
    // More groups than one dimension of a dispatch has workgroups, and the most there may be.
    check([66_000, 65], &usual_rules()[..1]);
    check([1_000_000, 2], &usual_rules()[..1]);
    if form.name == SHADERS.name {
        SHAPES_OF_ALL_RULES.iter().for_each(|shape| check(*shape, &all_rules()));
    }
    let none = [(); 3].map(|()| tensor_of(device, [0, 4], &[]));
    let rows = (form.group_baseline)(none.each_ref(), &GroupRule::default(), DRAWS);
    assert_eq!(rows.shape().dims(), [0, 4]);
    worst
}

/// Signals and pivots are equal. A division or a root may be a few units in the last place off on a
/// device; a median is a reward or the middle of two, a mean is as exact as the largest reward.
fn rows_agree(groups: &Groups, rule: &GroupRule, got: &GroupBaselines) -> f32 {
    const UNITS: f32 = 4.0 * f32::EPSILON;
    let want = group_baseline(&groups.table(), rule, DRAWS);
    let what = format!("{:?} of {rule:?}", groups.shape());
    assert_eq!(got.pivot_p, want.pivot_p, "{what}");
    assert_eq!(got.signal_p, want.signal_p, "{what}");
    let baseline = |p: usize| match rule.baseline {
        Baseline::Median => UNITS * want.baseline_p[p].abs(),
        _ => UNITS * groups.largest(p),
    };
    let scale = |p: usize| UNITS * (2.0 * want.scale_p[p] + want.baseline_p[p].abs());
    near(&what, &got.baseline_p, &want.baseline_p, baseline).max(near(
        &what,
        &got.scale_p,
        &want.scale_p,
        scale,
    ))
}

fn check_group_advantage(form: &Form, device: &CubeTensor) -> f32 {
    let mut worst = 0.0f32;
    for groups in SHAPES_PG.iter().chain([&LARGEST_PG]).flat_map(|shape| Groups::all(*shape)) {
        let [rewards, valid, _] = groups.on(device);
        let rule = if groups.g > 65 { usual_rules()[0] } else { usual_rules()[3] };
        let baselines = group_baseline(&groups.table(), &rule, DRAWS);
        let rows = tensor_of(device, [groups.shape()[0], 4], &baselines.to_rows());
        for clip in [f32::INFINITY, 0.7] {
            let [advantages, keep] = (form.group_advantage)([&rewards, &valid], &rows, clip);
            let want = group_advantage(&groups.table(), &baselines, clip);
            let kept: Vec<u32> = floats(keep).iter().map(|keep| *keep as u32).collect();
            let what = format!("{:?} clipped at {clip}", groups.shape());
            assert_eq!(kept, want.keep_pg, "{what}");
            let tolerance = |i: usize| 4.0 * f32::EPSILON * want.advantages_pg[i].abs();
            worst = worst.max(near(&what, &floats(advantages), &want.advantages_pg, tolerance));
        }
    }
    let none = tensor_of(device, [0, 4], &[]);
    for empty in (form.group_advantage)([&none, &none], &none, 1.0) {
        assert_eq!(empty.shape().dims(), [0, 4]);
    }
    worst
}

fn check_whiten(form: &Form, device: &CubeTensor) -> f32 {
    let mut worst = 0.0f32;
    for shape in SHAPES_PG.into_iter().chain([LARGEST_PG]) {
        let mut stream = Stream::new(23, shape[0] as u32);
        for longest in [0, 1, 100] {
            let advantages: Vec<f32> = (0..shape[0] * shape[1]).map(|_| stream.normal()).collect();
            let tokens: Vec<u32> =
                advantages.iter().map(|_| stream.below(longest + 1) as u32).collect();
            let counts: Vec<f32> = tokens.iter().map(|count| *count as f32).collect();
            let [a, t] = [&advantages, &counts].map(|values| tensor_of(device, shape, values));
            let want = whiten(&advantages, &tokens);
            let got = floats((form.whiten)(&a, &t));
            let tolerance = |i: usize| 1e-6 * (1.0 + want[i].abs());
            worst = worst.max(near(&format!("{shape:?} of {longest}"), &got, &want, tolerance));
        }
    }
    let none = tensor_of(device, [0, 4], &[]);
    assert_eq!((form.whiten)(&none, &none).shape().dims(), [0, 4]);
    worst
}

// Tokens.

fn check_token_weights(form: &Form, device: &CubeTensor) -> f32 {
    let mut worst = 0.0f32;
    for [b, tokens] in [[0, 4], [1, 1], [3, 0], [1, 64], [63, 65], [1000, 7], [70_000, 9]] {
        let mut stream = Stream::new(29, b as u32);
        let lengths: Vec<u32> = (0..b).map(|_| stream.below(tokens as u64 + 1) as u32).collect();
        for (width, per_row_length) in [(1, false), (1, true), (tokens, false), (tokens, true)] {
            let advantages: Vec<f32> = (0..b * width).map(|_| stream.normal()).collect();
            let weighting = TokenWeighting { factor: 0.3, per_row_length };
            let on_device = tensor_of(device, [b, width], &advantages);
            let got = (form.token_weights)(&on_device, &lengths, tokens, weighting);
            assert!(got.iter().all(|tensor| tensor.shape().dims() == [b, tokens]));
            if b * tokens == 0 {
                continue;
            }
            let [weights, spread] = token_weights(&advantages, &lengths, tokens, weighting);
            let [got_weights, got_spread] = got.map(floats);
            assert_eq!(got_spread, spread);
            let tolerance = |i: usize| 4.0 * f32::EPSILON * weights[i];
            worst = worst.max(near(&format!("{b} × {tokens}"), &got_weights, &weights, tolerance));
        }
    }
    worst
}

const SHAPES_NV: [[usize; 2]; 8] = [
    [1, 1],
    [1, 2],
    [3, 7],
    [64, 257],
    [16, 50_257],
    [512, 50_257],
    [2, 262_144],
    // More rows than one dimension of a dispatch has workgroups.
    [70_000, 8],
];

/// Logits of which one row in four is nearly certain and one nearly flat.
struct Logits {
    shape: [usize; 2],
    values: Vec<f32>,
    tokens: Vec<u32>,
    temperature: f32,
}

impl Logits {
    fn new([n, v]: [usize; 2], temperature: f32) -> Self {
        let mut stream = Stream::new(31, (n + v) as u32);
        let mut values: Vec<f32> = (0..n * v).map(|_| 16.0 * stream.uniform() - 12.0).collect();
        for (row, values) in values.chunks_exact_mut(v).enumerate() {
            match row % 4 {
                0 => values[stream.index_below(v)] += 60.0,
                1 => values.iter_mut().for_each(|value| *value *= 1e-3),
                _ => {}
            }
        }
        let tokens = (0..n).map(|_| stream.index_below(v) as u32).collect();
        Self { shape: [n, v], values, tokens, temperature }
    }

    fn on(&self, device: &CubeTensor) -> CubeTensor {
        tensor_of(device, self.shape, &self.values)
    }

    fn all() -> impl Iterator<Item = Self> {
        SHAPES_NV.into_iter().map(|shape| Self::new(shape, if shape[0] == 3 { 1.0 } else { 0.7 }))
    }
}

fn check_token_logprob(form: &Form, device: &CubeTensor) -> f32 {
    let mut worst = 0.0f32;
    for logits in Logits::all() {
        let Logits { shape, tokens, temperature, .. } = &logits;
        let [out, lse] = (form.logprob)(&logits.on(device), tokens, *temperature).map(floats);
        let (want_out, want_lse) = of_logits(&logits.values, tokens, *temperature);
        let what = format!("{shape:?}");
        let tolerance = |i: usize| 1e-6 * (4.0 + want_lse[i].abs());
        worst = worst.max(near(&what, &lse, &want_lse, tolerance));
        worst = worst
            .max(near(&what, &out, &want_out, |i| tolerance(i / 2) + 1e-6 * want_out[i].abs()));
    }
    let none = tensor_of(device, [0, 4], &[]);
    let [out, lse] = (form.logprob)(&none, &[], 1.0);
    assert!(out.shape().dims() == [0, 2] && lse.shape().dims() == [0]);
    assert_views_are_read_by_their_strides(form, device);
    worst
}

fn assert_views_are_read_by_their_strides(form: &Form, device: &CubeTensor) {
    let logits = Logits::new([3, 7], 1.0);
    let columns: Vec<f32> = (0..21).map(|i| logits.values[i % 3 * 7 + i / 3]).collect();
    let view = permute(tensor_of(device, [7, 3], &columns), &[1, 0]);
    let [got, want] =
        [view, logits.on(device)].map(|x| (form.logprob)(&x, &logits.tokens, 1.0).map(floats));
    assert_eq!(got, want);
}

fn check_token_logprob_backward(form: &Form, device: &CubeTensor) -> f32 {
    let mut worst = 0.0f32;
    for logits in Logits::all() {
        let Logits { shape: [n, _], values, tokens, temperature } = &logits;
        let (out, lse) = of_logits(values, tokens, *temperature);
        let mut stream = Stream::new(37, *n as u32);
        let dout: Vec<f32> = (0..n * 2).map(|_| stream.normal()).collect();
        let saved = [tensor_of(device, [*n, 2], &out), tensor_of(device, [*n], &lse)];
        let on_device = tensor_of(device, [*n, 2], &dout);
        let got = floats((form.logprob_backward)(
            &logits.on(device),
            tokens,
            *temperature,
            saved.each_ref(),
            &on_device,
        ));
        let mut want = values.clone();
        let saved = Saved { out: &out, lse: &lse, dout: &dout };
        turn_into_gradients(&mut want, tokens, *temperature, saved);
        let tolerance = |i: usize| 1e-6 + 4e-6 * want[i].abs();
        worst = worst.max(near(&format!("{:?}", logits.shape), &got, &want, tolerance));
        if *n == 3 {
            assert_is_slope(&logits, &dout, &got);
        }
    }
    let none = tensor_of(device, [0, 4], &[]);
    let [out, lse] = (form.logprob)(&none, &[], 1.0);
    let gradient = (form.logprob_backward)(&none, &[], 1.0, [&out, &lse], &out);
    assert_eq!(gradient.shape().dims(), [0, 4]);
    worst
}

/// Compares gradients with central differences of the twin.
fn assert_is_slope(logits: &Logits, dout: &[f32], gradient: &[f32]) {
    const STEP: f32 = 1e-2;
    for i in 0..logits.values.len() {
        let value = |by: f32| -> f32 {
            let mut moved = logits.values.clone();
            moved[i] += by;
            let (out, _) = of_logits(&moved, &logits.tokens, logits.temperature);
            out.iter().zip(dout).map(|(out, dout)| out * dout).sum()
        };
        let slope = (value(STEP) - value(-STEP)) / (2.0 * STEP);
        let error = (gradient[i] - slope).abs();
        assert!(error < 2e-3, "logit {i}: gradient {} against slope {slope}", gradient[i]);
    }
}
