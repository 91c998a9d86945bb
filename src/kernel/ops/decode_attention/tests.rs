//! Rows over a paged cache against attention by its definition in f64, and each row against itself alone.

use super::attend::{Inputs, attend};
use super::{DecodePlan, PAGE, Paged};
use crate::kernel::check::noise;

/// Tokens of a prompt and of each of its rows, around a page and a tile of keys.
const GROUPS: [(usize, &[usize]); 6] = [
    (1, &[1, 2]),
    (15, &[1, 15, 16, 17, 33]),
    (16, &[5; 23]),
    (17, &[40, 1]),
    (0, &[1, 3, 32]),
    (100, &[31, 2, 8]),
];

/// Pages of all of them, scattered over a cache.
struct Scene {
    rows: Vec<[(Vec<u32>, usize); 2]>,
    pages: usize,
}

impl Scene {
    fn new() -> Self {
        let mut scene = Self { rows: Vec::new(), pages: 0 };
        for (prompt, rows) in GROUPS {
            let prompt = scene.take(prompt);
            for own in rows {
                let own = scene.take(*own);
                scene.rows.push([prompt.clone(), own]);
            }
        }
        // 37 shares no divisor with the number of pages: every page goes to another place.
        let pages = scene.pages as u32;
        assert!(!scene.pages.is_multiple_of(37));
        for (of_tokens, _) in scene.rows.iter_mut().flatten() {
            of_tokens.iter_mut().for_each(|page| *page = (*page * 37 + 5) % pages);
        }
        scene
    }

    fn take(&mut self, tokens: usize) -> (Vec<u32>, usize) {
        let first = self.pages;
        self.pages += tokens.div_ceil(PAGE);
        ((first as u32..self.pages as u32).collect(), tokens)
    }

    fn paged(&self) -> Vec<[Paged<'_>; 2]> {
        let paged = self
            .rows
            .iter()
            .map(|row| row.each_ref().map(|(pages, tokens)| Paged { pages, tokens: *tokens }));
        paged.collect()
    }
}

/// Attention of one query of a row by its definition.
fn exact(q: &[f32], keys: &[&[f32]], values: &[&[f32]]) -> Vec<f64> {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    let scores: Vec<f64> =
        keys.iter().map(|key| (dot(q, key) / (q.len() as f64).sqrt()).exp()).collect();
    let sum: f64 = scores.iter().sum();
    let of_column = |i: usize| -> f64 {
        let products = scores.iter().zip(values).map(|(score, v)| score * f64::from(v[i]));
        products.sum::<f64>() / sum
    };
    (0..q.len()).map(of_column).collect()
}

fn slices(rows: &[Vec<f32>]) -> Vec<&[f32]> {
    rows.iter().map(Vec::as_slice).collect()
}

#[test]
fn rows_on_scattered_pages_are_attention_by_its_definition_and_each_row_is_as_if_alone() {
    let scene = Scene::new();
    let rows = scene.paged();
    for [heads, kv_heads, d] in [[4, 2, 24], [3, 1, 20], [2, 2, 16], [5, 5, 1]] {
        let (n, slots) = (rows.len(), scene.pages * PAGE);
        let q: Vec<f32> = noise([n, heads * d], 1).iter().map(|x| 3.0 * x).collect();
        let (k, v) = (noise([slots, kv_heads * d], 2), noise([slots, kv_heads * d], 3));
        let run = |rows: &[[Paged; 2]], q: &[f32]| {
            attend(&DecodePlan::new(rows, heads, kv_heads, d), Inputs { q, k: &k, v: &v })
        };
        let together = run(&rows, &q);
        assert_eq!(together.len(), q.len());
        for (i, row) in rows.iter().enumerate() {
            let of_row = i * heads * d..(i + 1) * heads * d;
            let alone = run(&[*row], &q[of_row.clone()]);
            assert_eq!(alone, together[of_row.clone()], "row {i}");
            let slots = row.iter().flat_map(|keys| (0..keys.tokens).map(|at| keys.slot(at)));
            let slots: Vec<usize> = slots.collect();
            for head in 0..heads {
                let kv_head = head / (heads / kv_heads);
                let of = |x: &[f32]| -> Vec<Vec<f32>> {
                    let row = |slot: &usize| x[(slot * kv_heads + kv_head) * d..][..d].to_vec();
                    slots.iter().map(row).collect()
                };
                let (k, v) = (of(&k), of(&v));
                let at = (i * heads + head) * d;
                let expected = exact(&q[at..at + d], &slices(&k), &slices(&v));
                for (got, expected) in together[at..at + d].iter().zip(expected) {
                    assert!((f64::from(*got) - expected).abs() < 2e-6, "row {i}: {got} {expected}");
                }
            }
        }
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let scene = Scene::new();
    let rows = scene.paged();
    let q = noise([rows.len(), 96], 1);
    let (k, v) = (noise([scene.pages * PAGE, 48], 2), noise([scene.pages * PAGE, 48], 3));
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let plan = DecodePlan::new(&rows, 4, 2, 24);
        pool.install(|| attend(&plan, Inputs { q: &q, k: &k, v: &v }))
    };
    let one = on(1);
    for threads in [2, 3, 16] {
        assert_eq!(on(threads), one, "{threads} threads");
    }
}

#[test]
fn the_prompt_of_neighbours_is_listed_once() {
    let of = |pages, tokens| Paged { pages, tokens };
    let (prompt, other) = (of(&[4, 2], 20), of(&[4, 3], 20));
    let rows = [[prompt, of(&[1], 1)], [prompt, of(&[5], 16)], [other, of(&[6, 7], 17)]];
    let plan = DecodePlan::new(&rows, 2, 1, 4);
    assert_eq!(*plan.pages, [4, 2, 1, 5, 4, 3, 6, 7]);
    assert_eq!(plan.rows[0].prompt, plan.rows[1].prompt);
    assert_eq!((plan.rows[2].prompt.first, plan.rows[2].own.first), (4, 6));
}
