//! Tiles against attention by its definition in f64, over every border of a tile, and on any number of
//! threads.

use std::ops::Range;

use super::backward::{self, Saved, backward};
use super::blocks::blocks;
use super::forward::{self, Inputs, forward};
use super::scratch::Sizes;
use super::units::{family_blocks, units};
use super::{AttentionPlan, Span};

const ALL: [bool; 3] = [true; 3];

/// Tensors q, k, v and the gradient of the output.
struct Tensors([Vec<f32>; 4]);

impl Tensors {
    fn new(plan: &AttentionPlan, scale: f32) -> Self {
        let n = plan.spans.last().map_or(0, |span| span.queries.end);
        let widths = [plan.width(), plan.kv_width(), plan.kv_width(), plan.width()];
        let mut state = 1_u64;
        Self(widths.map(|width| {
            let mut number = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                scale * ((state >> 40) as f32 / (1 << 23) as f32 - 1.0)
            };
            (0..n * width).map(|_| number()).collect()
        }))
    }

    fn inputs(&self) -> Inputs<'_> {
        let [q, k, v, _] = &self.0;
        Inputs { q, k, v }
    }

    /// Output, log-sum-exps and the gradients that are needed.
    fn passes(&self, plan: &AttentionPlan, needs: [bool; 3]) -> [Vec<f32>; 5] {
        let [out, lse] = forward(plan, self.inputs());
        let saved = Saved { out: &out, lse: &lse, dout: &self.0[3] };
        let [dq, dk, dv] = backward(plan, self.inputs(), saved, needs);
        [out, lse, dq, dk, dv]
    }

    /// All of that by the definition, one query and head after another.
    fn exact(&self, plan: &AttentionPlan) -> [Vec<f64>; 5] {
        let [q, k, v, dout] = self.0.each_ref().map(|x| x.iter().map(|x| f64::from(*x)).collect());
        let [q, k, v, dout]: [Vec<f64>; 4] = [q, k, v, dout];
        let (d, heads, group) = (plan.head_dim, plan.heads, plan.heads / plan.kv_heads);
        let zeros = |x: &[f64]| vec![0.0; x.len()];
        let [mut out, mut dq, mut dk, mut dv] = [&q, &q, &k, &v].map(|x| zeros(x));
        let mut lse = vec![0.0; q.len() / d];
        let row = |i: usize| i * d..i * d + d;
        let scale = 1.0 / (d as f64).sqrt();
        for span in plan.spans.iter() {
            for (i, query) in span.queries.clone().enumerate() {
                let keys: Vec<usize> =
                    span.prefix.clone().chain(span.own.clone()).take(span.seen(i)).collect();
                for head in 0..heads {
                    let at = row(query * heads + head);
                    let of_key = |key: usize| row(key * plan.kv_heads + head / group);
                    let scores: Vec<f64> = keys
                        .iter()
                        .map(|key| scale * dot(&q[at.clone()], &k[of_key(*key)]))
                        .collect();
                    let max = scores.iter().copied().fold(f64::MIN, f64::max);
                    let sum: f64 = scores.iter().map(|score| (score - max).exp()).sum();
                    lse[query * heads + head] = max + sum.ln();
                    let p: Vec<f64> = scores.iter().map(|s| (s - max).exp() / sum).collect();
                    for (p, key) in p.iter().zip(&keys) {
                        add(&mut out[at.clone()], &v[of_key(*key)], *p);
                    }
                    let along = dot(&out[at.clone()], &dout[at.clone()]);
                    for (p, key) in p.iter().zip(&keys) {
                        let key = of_key(*key);
                        let ds = p * (dot(&dout[at.clone()], &v[key.clone()]) - along) * scale;
                        add(&mut dq[at.clone()], &k[key.clone()], ds);
                        add(&mut dk[key.clone()], &q[at.clone()], ds);
                        add(&mut dv[key], &dout[at.clone()], *p);
                    }
                }
            }
        }
        [out, lse, dq, dk, dv]
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(to: &mut [f64], x: &[f64], scale: f64) {
    to.iter_mut().zip(x).for_each(|(to, x)| *to += scale * x);
}

/// Prompts, each with its completions.
fn plan(groups: &[(usize, &[usize])], [heads, kv_heads, d]: [usize; 3]) -> AttentionPlan {
    let (mut spans, mut end) = (Vec::new(), 0);
    for (prompt, completions) in groups {
        let prompt = end..end + prompt;
        let mut push = |length: usize, prefix: Range<usize>| {
            let own = end..end + length;
            spans.push(Span { queries: own.clone(), prefix, own });
            end += length;
        };
        push(prompt.len(), 0..0);
        completions.iter().for_each(|length| push(*length, prompt.clone()));
    }
    AttentionPlan::new(spans, heads, kv_heads, d)
}

fn on_threads<T: Send>(threads: usize, run: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(run)
}

fn bits(numbers: &[Vec<f32>; 5]) -> Vec<Vec<u32>> {
    numbers.iter().map(|of| of.iter().map(|x| x.to_bits()).collect()).collect()
}

#[track_caller]
fn assert_exact(plan: &AttentionPlan, scale: f32, tolerance: f64) {
    let tensors = Tensors::new(plan, scale);
    let (got, exact) = (tensors.passes(plan, ALL), tensors.exact(plan));
    for (what, (got, exact)) in ["out", "lse", "dq", "dk", "dv"].iter().zip(got.iter().zip(&exact))
    {
        assert_eq!(got.len(), exact.len(), "{what}");
        let size = exact.iter().fold(1e-30, |size: f64, x| size.max(x.abs()));
        for (at, (got, exact)) in got.iter().zip(exact).enumerate() {
            let error = (f64::from(*got) - exact).abs() / size;
            assert!(error < tolerance, "{what} at {at}: {got} for {exact}");
        }
    }
}

/// Around a register, a tile of keys, a block of rows and several of each.
const LENGTHS: [usize; 14] = [1, 15, 16, 17, 47, 48, 49, 63, 64, 65, 127, 128, 129, 300];

#[test]
fn sequences_of_every_length_around_a_tile_are_attention_by_its_definition() {
    for shape in [[4, 2, 24], [3, 1, 20], [2, 2, 16], [7, 7, 1]] {
        let lone: Vec<(usize, &[usize])> =
            LENGTHS.iter().map(|length| (*length, &[][..])).collect();
        assert_exact(&plan(&lone, shape), 2.0, 2e-6);
    }
}

#[test]
fn completions_that_share_a_prompt_are_attention_by_its_definition() {
    let groups: [(usize, &[usize]); 6] = [
        (17, &[1, 16, 65]),
        (96, &[1, 7, 8]),
        (97, &[95, 0, 2, 96, 97]),
        (129, &[63, 15, 128, 1]),
        (1, &[300, 1]),
        (300, &[3, 5, 8, 13, 21]),
    ];
    for shape in [[4, 2, 24], [6, 2, 20], [2, 1, 64]] {
        assert_exact(&plan(&groups, shape), 2.0, 2e-6);
    }
}

/// Own keys that begin before the queries, as where a part of a sequence was computed before.
#[test]
fn queries_at_the_end_of_their_own_keys_see_what_is_before_them() {
    let span = |queries: Range<usize>, prefix, own| Span { queries, prefix, own };
    let spans = vec![
        span(0..100, 0..0, 0..100),
        span(100..230, 0..0, 0..230),
        span(230..231, 0..100, 130..231),
        span(231..300, 0..100, 140..300),
    ];
    let plan = AttentionPlan::new(spans, 2, 1, 12);
    let tensors = Tensors::new(&plan, 2.0);
    let [out, lse] = forward(&plan, tensors.inputs());
    let [exact_out, exact_lse, ..] = tensors.exact(&plan);
    for (got, exact) in out.iter().chain(&lse).zip(exact_out.iter().chain(&exact_lse)) {
        assert!((f64::from(*got) - exact).abs() < 1e-5, "{got} for {exact}");
    }
}

/// q·k/√d reaches some ±1e4, where f32 tells scores apart by 1e-3.
#[test]
fn scores_of_ten_thousand_give_finite_numbers() {
    let plan = plan(&[(130, &[50, 3]), (40, &[])], [4, 2, 24]);
    let tensors = Tensors::new(&plan, 80.0);
    let [out, lse, ..] = tensors.exact(&plan);
    assert!(lse.iter().any(|lse| *lse > 5e3) && out.len() > 1000);
    for numbers in tensors.passes(&plan, ALL) {
        assert!(numbers.iter().all(|number| number.is_finite()));
    }
}

#[test]
fn one_family_goes_to_all_threads_and_gives_the_same_bits_on_any_number_of_them() {
    for (groups, shape) in [
        (&[(300, &[][..])][..], [2, 1, 24]),
        (&[(130, &[70, 5, 200, 0, 1])], [6, 2, 20]),
        (&[(9, &[3, 8]), (400, &[1]), (8, &[8, 8])], [4, 2, 32]),
    ] {
        let plan = plan(groups, shape);
        let tensors = Tensors::new(&plan, 2.0);
        let count = || units(&plan, &family_blocks(&plan), ALL).len();
        let of_families = groups.len() * shape[1];
        assert_eq!(on_threads(1, count), of_families);
        assert!(on_threads(8, count) >= 8.max(2 * of_families), "{shape:?}");
        let [one, two, eight] =
            [1, 2, 8].map(|threads| bits(&on_threads(threads, || tensors.passes(&plan, ALL))));
        assert!(one == two && one == eight, "{shape:?}");
    }
}

#[test]
fn a_gradient_has_the_same_bits_whatever_else_is_computed_and_on_any_number_of_threads() {
    let plan = plan(&[(110, &[70, 5])], [4, 2, 20]);
    let tensors = Tensors::new(&plan, 2.0);
    let all = tensors.passes(&plan, ALL);
    for threads in [1, 8] {
        for mask in 0..8 {
            let needs = [0, 1, 2].map(|i| mask >> i & 1 == 1);
            let some = on_threads(threads, || tensors.passes(&plan, needs));
            for i in 0..3 {
                let expected = if needs[i] { &all[2 + i][..] } else { &[] };
                assert!(some[2 + i] == expected, "gradient {i} for {needs:?} on {threads}");
            }
        }
    }
}

/// What a span gives does not depend on the spans beside it: log-probabilities do not depend on the batch.
#[test]
fn a_completion_has_the_same_bits_alone_and_beside_others() {
    let shape = [4, 2, 24];
    let of = |completions: &[usize]| {
        let plan = plan(&[(120, completions)], shape);
        let [out, _] = forward(&plan, Tensors::new(&plan, 2.0).inputs());
        (plan, out)
    };
    let (together, out) = of(&[30, 9, 70]);
    let spans = vec![together.spans[0].clone(), together.spans[1].clone()];
    let alone = AttentionPlan::new(spans, 4, 2, 24);
    let tensors = Tensors::new(&together, 2.0);
    let [q, k, v] =
        [&tensors.0[0][..150 * 96], &tensors.0[1][..150 * 48], &tensors.0[2][..150 * 48]];
    let [alone, _] = forward(&alone, Inputs { q, k, v });
    assert!(alone[..] == out[..150 * 96]);
}

#[test]
fn the_memory_of_a_thread_does_not_grow_with_queries_and_keys() {
    let sizes = |prompt: usize, completion: usize| {
        let plan = plan(&[(prompt, &[completion; 4])], [9, 3, 64]);
        let sizes = Sizes::of(&plan, &blocks(&plan.spans, 3));
        [forward::Scratch::new(sizes).len(), backward::Scratch::new(sizes).len()]
    };
    let long = sizes(2048, 4096);
    assert_eq!(long, sizes(320, 320));
    // Below 200 and 400 KiB, where one matrix of scores would be 100 MiB.
    assert!(long[0] < 50 << 10 && long[1] < 100 << 10, "{long:?}");
    assert!(sizes(8, 8)[1] < long[1]);
}
