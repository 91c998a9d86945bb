//! Rewards of many groups through the group kernels of whatever backend there is, and back to the host.

use burn::tensor::{Tensor, Transaction};

use super::group_advantage::RolloutAdvantages;
use super::group_baseline::{GroupBaselines, GroupTable};
use super::group_rule::{GroupRule, PivotDraws};
use super::whiten::LARGEST_TABLE;
use super::{Kernels, group_advantage, group_baseline, whiten};
use crate::readback::{self, traffic};

/// The most elements of a buffer made here: 64 MiB, half of what every WebGPU adapter binds.
const LARGEST_BUFFER: usize = (64 << 20) / size_of::<f32>();

/// Values of a row of [`GroupBaselines::to_rows`].
const ROW: usize = 4;

/// Runs `group_baseline` and `group_advantage` on `device`, and reads both results back.
///
/// Larger tables go there in runs of groups; where they are cut changes no result. `clip` is infinite
/// where nothing is clipped. Panics if the table is not whole groups of 1 to
/// [`LARGEST_GROUP`](super::group_baseline::LARGEST_GROUP).
pub fn group_advantages<B: Kernels>(
    table: &GroupTable,
    rule: &GroupRule,
    draws: PivotDraws,
    clip: f32,
    device: &B::Device,
) -> (GroupBaselines, RolloutAdvantages) {
    let run = LARGEST_BUFFER / table.g.max(ROW);
    in_runs::<B>(run, table, rule, draws, clip, device)
}

fn in_runs<B: Kernels>(
    groups: usize,
    table: &GroupTable,
    rule: &GroupRule,
    draws: PivotDraws,
    clip: f32,
    device: &B::Device,
) -> (GroupBaselines, RolloutAdvantages) {
    let mut out = (GroupBaselines::default(), RolloutAdvantages::default());
    for (at, run) in table.runs(groups).enumerate() {
        let first_group = draws.first_group.wrapping_add((at * groups) as u32);
        let draws = PivotDraws { first_group, ..draws };
        let (baselines, advantages) = one_run::<B>(&run, rule, draws, clip, device);
        out.0.append(baselines);
        out.1.append(advantages);
    }
    out
}

fn one_run<B: Kernels>(
    table: &GroupTable,
    rule: &GroupRule,
    draws: PivotDraws,
    clip: f32,
    device: &B::Device,
) -> (GroupBaselines, RolloutAdvantages) {
    let upload = |values| table_on::<B>(values, table.g, device);
    // What stands at an invalid place may be NaN, which not every device keeps to itself.
    let rewards = table.rewards_pg.iter().zip(table.valid_pg);
    let rewards = upload(rewards.map(|(&r, &valid)| if valid != 0 { r } else { 0.0 }).collect());
    let counts = |counts: &[u32]| upload(counts.iter().map(|&count| count as f32).collect());
    let (valid, lengths) = (counts(table.valid_pg), counts(table.lengths_pg));
    let rows = group_baseline([&rewards, &valid, &lengths], rule, draws);
    let [advantages, keep] = group_advantage([&rewards, &valid], &rows, clip);
    let [rows, advantages_pg, keep] = read([rows, advantages, keep]);
    let keep_pg = keep.into_iter().map(|keep| keep as u32).collect();
    (GroupBaselines::from_rows(&rows), RolloutAdvantages { advantages_pg, keep_pg })
}

/// Advantages whitened on `device` over their loss tokens, one of each for every rollout of a step; a
/// rollout of no tokens is left at what it is.
///
/// Panics above [`LARGEST_TABLE`] rollouts.
pub fn whitened<B: Kernels>(advantages: &[f32], tokens: &[u32], device: &B::Device) -> Vec<f32> {
    let count = advantages.len();
    assert!(count <= LARGEST_TABLE, "{count} advantages are too many to whiten at once");
    if count == 0 {
        return Vec::new();
    }
    let tokens = tokens.iter().map(|&count| count as f32).collect();
    let [advantages, tokens] =
        [advantages.to_vec(), tokens].map(|values| table_on::<B>(values, count, device));
    let [white] = read([whiten(&advantages, &tokens)]);
    white
}

fn table_on<B: Kernels>(values: Vec<f32>, g: usize, device: &B::Device) -> Tensor<B, 2> {
    let shape = [values.len() / g, g];
    readback::upload(values, shape, device)
}

/// Waits for the device once for all of them.
fn read<B: Kernels, const N: usize>(tensors: [Tensor<B, 2>; N]) -> [Vec<f32>; N] {
    let all = tensors.into_iter().fold(Transaction::default(), Transaction::register);
    let data = all.execute();
    let bytes = data.iter().map(|data| data.bytes.len()).sum();
    traffic::note(traffic::Crossing::Readback(bytes));
    let mut data = data.into_iter();
    std::array::from_fn(|_| data.next().map(|data| data.iter().collect()).unwrap_or_default())
}

impl<'a> GroupTable<'a> {
    /// The table as tables of so many groups, the last one shorter.
    fn runs(&self, groups: usize) -> impl Iterator<Item = GroupTable<'a>> {
        let Self { g, rewards_pg, valid_pg, lengths_pg } = *self;
        let places = groups * g;
        let runs = rewards_pg.chunks(places).zip(valid_pg.chunks(places));
        runs.zip(lengths_pg.chunks(places)).map(move |((rewards_pg, valid_pg), lengths_pg)| {
            GroupTable { g, rewards_pg, valid_pg, lengths_pg }
        })
    }
}

impl GroupBaselines {
    fn append(&mut self, other: Self) {
        self.baseline_p.extend(other.baseline_p);
        self.scale_p.extend(other.scale_p);
        self.signal_p.extend(other.signal_p);
        self.pivot_p.extend(other.pivot_p);
    }
}

impl RolloutAdvantages {
    fn append(&mut self, other: Self) {
        self.advantages_pg.extend(other.advantages_pg);
        self.keep_pg.extend(other.keep_pg);
    }
}

#[cfg(test)]
mod tests {
    use burn::backend::NdArray;

    use super::*;
    use crate::kernel::group_advantage::advantages;
    use crate::kernel::group_baseline::baselines;
    use crate::kernel::group_rule::{Baseline, PivotTie, Scale};

    const G: usize = 5;

    /// Groups with ties everywhere, so that every pivot is a draw.
    fn values() -> (Vec<f32>, [Vec<u32>; 2]) {
        let places = 0..37 * G;
        let rewards = places.clone().map(|at| (at * at % 7 % 3) as f32);
        let valid = places.clone().map(|at| u32::from(at % 11 != 4));
        (rewards.collect(), [valid.collect(), places.map(|at| at as u32 % 9).collect()])
    }

    fn rule() -> GroupRule {
        let pivot = Some(PivotTie::Random);
        GroupRule { baseline: Baseline::Median, scale: Scale::Std, pivot, ..GroupRule::default() }
    }

    #[test]
    fn the_cut_into_tables_never_changes_a_draw() {
        let (rewards, [valid, lengths]) = values();
        let table =
            GroupTable { g: G, rewards_pg: &rewards, valid_pg: &valid, lengths_pg: &lengths };
        let draws = PivotDraws { seed: 3, first_group: 100 };
        let rows = baselines(&table, &rule(), draws);
        let rollouts = advantages(&table, &rows, 1.5);
        let device = Default::default();
        for groups in [1, 2, 7, 36, 37, 1000] {
            let got = in_runs::<NdArray>(groups, &table, &rule(), draws, 1.5, &device);
            assert!(got == (rows.clone(), rollouts.clone()), "runs of {groups} groups");
        }
        let other = PivotDraws { first_group: 101, ..draws };
        assert_ne!(baselines(&table, &rule(), other).pivot_p, rows.pivot_p);
    }

    #[test]
    fn what_stands_at_an_invalid_place_never_reaches_a_device() {
        let table = GroupTable {
            g: 3,
            rewards_pg: &[1.0, f32::NAN, 0.0],
            valid_pg: &[1, 0, 1],
            lengths_pg: &[1; 3],
        };
        let (rows, rollouts) = group_advantages::<NdArray>(
            &table,
            &GroupRule::default(),
            PivotDraws::default(),
            f32::INFINITY,
            &Default::default(),
        );
        assert_eq!(rows.baseline_p, [0.5]);
        assert_eq!(rollouts.advantages_pg, [0.5, 0.0, -0.5]);
    }

    #[test]
    fn whitening_on_a_device_is_that_of_the_reference() {
        let (values, [_, tokens]) = values();
        let got = whitened::<NdArray>(&values, &tokens, &Default::default());
        assert_eq!(got, crate::kernel::whiten::whitened(&values, &tokens));
        assert!(whitened::<NdArray>(&[], &[], &Default::default()).is_empty());
    }
}
