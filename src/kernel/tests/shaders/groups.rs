//! The shaders of groups on tables of every kind of rewards.

use burn::tensor::TensorMetadata;

use super::{CubeTensor, Form, elements, floats, near};
use crate::kernel::Op;
use crate::kernel::cube::tensor::tensor_of;
use crate::kernel::group_rule::{
    Baseline, EpsMode, EvenMedian, GroupRule, MadZeroFallback, PivotDraws, PivotTie, Scale,
};
use crate::kernel::ops::group_advantage::GroupAdvantage;
use crate::kernel::ops::group_baseline::{GroupBaseline, GroupBaselines, GroupTable, baselines};
use crate::kernel::ops::whiten::Whiten;
use crate::random::Stream;

const SHAPES_PG: [[usize; 2]; 22] = [
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
    [63, 66],
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
const SHAPES_OF_ALL_RULES: [[usize; 2]; 4] = [[64, 9], [65, 4], [9, 65], [9, 66]];

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

pub(super) fn check_group_baseline(form: Form, device: &CubeTensor) -> f32 {
    let mut worst = 0.0f32;
    let mut check = |shape: [usize; 2], rules: &[GroupRule]| {
        for groups in Groups::all(shape) {
            let on_device = groups.on(device);
            for rule in rules {
                let op = GroupBaseline { rule: *rule, draws: DRAWS };
                let [rows] = form.run(&op, on_device.clone());
                let got = GroupBaselines::from_rows(&floats(rows));
                worst = worst.max(rows_agree(&groups, rule, &got));
            }
        }
    };
    SHAPES_PG.iter().for_each(|shape| check(*shape, &usual_rules()));
    // The middle of 1,024 is for the CPU a million comparisons a group.
    check(LARGEST_PG, &usual_rules()[..1]);
    check([18, 1024], &usual_rules());
    // More groups than one dimension of a dispatch has workgroups, and the most there may be.
    check([66_000, 65], &usual_rules()[..1]);
    check([1_000_000, 2], &usual_rules()[..1]);
    if form == Form::Wgsl {
        SHAPES_OF_ALL_RULES.iter().for_each(|shape| check(*shape, &all_rules()));
    }
    let none = [(); 3].map(|()| tensor_of(device, [0, 4], &[]));
    let [rows] = form.run(&GroupBaseline { rule: GroupRule::default(), draws: DRAWS }, none);
    assert_eq!(rows.shape().dims(), [0, 4]);
    worst
}

/// Signals and pivots are equal. A division or a root may be a few units in the last place off on a
/// device; a median is a reward or the middle of two, a mean is as exact as the largest reward.
fn rows_agree(groups: &Groups, rule: &GroupRule, got: &GroupBaselines) -> f32 {
    const UNITS: f32 = 4.0 * f32::EPSILON;
    let want = baselines(&groups.table(), rule, DRAWS);
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

pub(super) fn check_group_advantage(form: Form, device: &CubeTensor) -> f32 {
    let mut worst = 0.0f32;
    for groups in SHAPES_PG.iter().chain([&LARGEST_PG]).flat_map(|shape| Groups::all(*shape)) {
        let [rewards, valid, _] = groups.on(device);
        let rule = if groups.g > 65 { usual_rules()[0] } else { usual_rules()[3] };
        let rows = baselines(&groups.table(), &rule, DRAWS).to_rows();
        let rows_on = tensor_of(device, [groups.shape()[0], 4], &rows);
        let flags: Vec<f32> = groups.valid.iter().map(|valid| *valid as f32).collect();
        for clip in [f32::INFINITY, 0.7] {
            let op = GroupAdvantage { clip };
            let inputs = [rewards.clone(), valid.clone(), rows_on.clone()];
            let [advantages, keep] = form.run(&op, inputs).map(floats);
            let [want, want_keep] = op.cpu([
                elements(&groups.rewards, groups.shape()),
                elements(&flags, groups.shape()),
                elements(&rows, [groups.shape()[0], 4]),
            ]);
            let what = format!("{:?} clipped at {clip}", groups.shape());
            assert_eq!(keep, want_keep, "{what}");
            let tolerance = |i: usize| 4.0 * f32::EPSILON * want[i].abs();
            worst = worst.max(near(&what, &advantages, &want, tolerance));
        }
    }
    let none = tensor_of(device, [0, 4], &[]);
    let none = [none.clone(), none.clone(), none];
    for empty in form.run(&GroupAdvantage { clip: 1.0 }, none) {
        assert_eq!(empty.shape().dims(), [0, 4]);
    }
    worst
}

pub(super) fn check_whiten(form: Form, device: &CubeTensor) -> f32 {
    let mut worst = 0.0f32;
    for shape in SHAPES_PG.into_iter().chain([LARGEST_PG]) {
        let mut stream = Stream::new(23, shape[0] as u32);
        for longest in [0, 1, 100] {
            let advantages: Vec<f32> = (0..shape[0] * shape[1]).map(|_| stream.normal()).collect();
            let tokens: Vec<u32> =
                advantages.iter().map(|_| stream.below(longest + 1) as u32).collect();
            let counts: Vec<f32> = tokens.iter().map(|count| *count as f32).collect();
            let [a, t] = [&advantages, &counts].map(|values| tensor_of(device, shape, values));
            let [want] = Whiten.cpu([elements(&advantages, shape), elements(&counts, shape)]);
            let [got] = form.run(&Whiten, [a, t]).map(floats);
            let tolerance = |i: usize| 1e-6 * (1.0 + want[i].abs());
            worst = worst.max(near(&format!("{shape:?} of {longest}"), &got, &want, tolerance));
        }
    }
    let none = tensor_of(device, [0, 4], &[]);
    let [white] = form.run(&Whiten, [none.clone(), none]);
    assert_eq!(white.shape().dims(), [0, 4]);
    worst
}
