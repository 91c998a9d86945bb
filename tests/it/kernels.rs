//! Every kernel against the formula in f64, and its gradient against central differences.

use burn::tensor::Tensor;

use wgrpo::kernel::{self, AdamW, AttentionPlan, DecodePlan, PAGE, Paged, Rotary, Span, Weight};

use crate::support::{Cpu, Training, assert_close, device, floats, matrix, normals, widen};

type Inputs<'a> = &'a [Tensor<Training, 2>];

const STEP: f32 = 1e-2;
// Most elements of one input that are moved; more are sampled evenly.
const MOVED: usize = 64;

/// Numbers of a shape.
struct Input {
    values: Vec<f32>,
    shape: [usize; 2],
}

fn input(seed: u64, shape: [usize; 2]) -> Input {
    Input { values: normals(seed, shape[0] * shape[1]), shape }
}

/// Compares the gradient of `Σ w·f(inputs)`, w fixed and random, with its slope.
fn check_gradients(inputs: Vec<Input>, f: impl Fn(Inputs) -> Tensor<Training, 1>) {
    let tensors: Vec<_> = inputs
        .iter()
        .map(|input| matrix::<Training>(input.values.clone(), input.shape).require_grad())
        .collect();
    let out = f(&tensors);
    let weights = normals(99, out.dims()[0]);
    let loss = out * Tensor::from_floats(weights.as_slice(), &device());
    let grads = loss.sum().backward();
    for (which, tensor) in tensors.iter().enumerate() {
        let gradient = floats(tensor.grad(&grads).expect("every input has a gradient"));
        let stride = gradient.len().div_ceil(MOVED);
        for at in (0..gradient.len()).step_by(stride) {
            let slope = slope(&inputs, which, at, &weights, &f);
            let error = (f64::from(gradient[at]) - slope).abs();
            assert!(
                error < 2e-3 + 4e-3 * slope.abs(),
                "input {which}, element {at}: gradient {} against slope {slope}",
                gradient[at]
            );
        }
    }
}

fn slope(
    inputs: &[Input],
    which: usize,
    at: usize,
    weights: &[f32],
    f: &impl Fn(Inputs) -> Tensor<Training, 1>,
) -> f64 {
    let value = |by: f32| -> f64 {
        let moved = inputs.iter().enumerate().map(|(i, input)| {
            let mut values = input.values.clone();
            if i == which {
                values[at] += by;
            }
            matrix(values, input.shape)
        });
        let out = floats(f(&moved.collect::<Vec<_>>()));
        // In f64: the sum of many outputs would drown the small change of a few.
        out.iter().zip(weights).map(|(o, w)| f64::from(*o) * f64::from(*w)).sum()
    };
    (value(STEP) - value(-STEP)) / f64::from(2.0 * STEP)
}

fn flat<const D: usize>(tensor: Tensor<Training, D>) -> Tensor<Training, 1> {
    let count = tensor.shape().num_elements();
    tensor.reshape([count])
}

#[test]
fn the_gradient_of_linear_is_its_slope() {
    for (n, from, to) in [(1, 3, 2), (5, 4, 7), (130, 24, 33)] {
        check_gradients(vec![input(1, [n, from]), input(2, [to, from])], |x| {
            flat(kernel::linear(&x[0], &x[1]))
        });
    }
}

#[test]
fn linear_is_the_product_with_the_transpose() {
    let (x, w) = (input(1, [70, 19]), input(2, [23, 19]));
    let expected: Vec<f64> = (0..70 * 23)
        .map(|at| {
            let (row, column) = (&x.values[at / 23 * 19..], &w.values[at % 23 * 19..]);
            row.iter().zip(column).take(19).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
        })
        .collect();
    let y = kernel::linear(&matrix::<Cpu>(x.values, x.shape), &matrix(w.values, w.shape));
    assert_eq!(y.dims(), [70, 23]);
    assert_close(&floats(y), &expected, 1e-5, 1e-5);
}

#[test]
fn the_gradient_of_rms_norm_is_its_slope() {
    // 300 rows of 40 are more than one chunk, both of the input's pass and of the scale's sum.
    for (n, width) in [(1, 2), (3, 5), (300, 40)] {
        check_gradients(vec![input(1, [n, width]), input(2, [1, width])], |x| {
            flat(kernel::rms_norm(&x[0], &x[1].clone().reshape([width]), 1e-5))
        });
    }
}

#[test]
fn rms_norm_divides_by_the_root_of_the_mean_square() {
    let (x, gamma) = (input(1, [300, 40]), input(2, [1, 40]));
    let expected = x.values.chunks(40).flat_map(|row| {
        let mean = row.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / 40.0;
        let scale = 1.0 / (mean + 0.1).sqrt();
        let of = |(x, g): (&f32, &f32)| f64::from(*x) * scale * f64::from(*g);
        row.iter().zip(&gamma.values).map(of).collect::<Vec<_>>()
    });
    let expected: Vec<f64> = expected.collect();
    let gamma = matrix::<Cpu>(gamma.values, [1, 40]).reshape([40]);
    let y = kernel::rms_norm(&matrix::<Cpu>(x.values, x.shape), &gamma, 0.1);
    assert_close(&floats(y), &expected, 1e-6, 1e-5);
}

#[test]
fn the_gradient_of_swiglu_is_its_slope() {
    for shape in [[2, 3], [300, 40]] {
        check_gradients(vec![input(1, shape), input(2, shape)], |x| {
            flat(kernel::swiglu(&x[0], &x[1]))
        });
    }
}

#[test]
fn swiglu_is_the_gate_times_its_sigmoid_times_the_other() {
    let (gate, up) = (input(1, [300, 40]), input(2, [300, 40]));
    let of = |(g, u): (&f32, &f32)| {
        let g = f64::from(*g);
        g / (1.0 + (-g).exp()) * f64::from(*u)
    };
    let expected: Vec<f64> = gate.values.iter().zip(&up.values).map(of).collect();
    let y = kernel::swiglu(&matrix::<Cpu>(gate.values, gate.shape), &matrix(up.values, up.shape));
    assert_close(&floats(y), &expected, 1e-6, 1e-5);
}

const POSITIONS: [u32; 5] = [0, 7, 3, 7, 51];

#[test]
fn the_gradient_of_rope_is_its_slope() {
    let rotary = Rotary::new(&POSITIONS, 6, 100.0);
    check_gradients(vec![input(1, [5, 12])], |x| flat(kernel::rope(x[0].clone(), &rotary)));
    let many: Vec<u32> = (0..300).map(|i| i % 37).collect();
    let rotary = Rotary::new(&many, 8, 10_000.0);
    check_gradients(vec![input(1, [300, 32])], |x| flat(kernel::rope(x[0].clone(), &rotary)));
}

#[test]
fn rope_turns_the_two_halves_of_every_head_against_each_other() {
    let x = input(1, [5, 12]);
    let mut expected = vec![0.0; 60];
    for (token, position) in POSITIONS.iter().enumerate() {
        for (head, i) in [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)] {
            let low = token * 12 + head * 6 + i;
            let (a, b) = (f64::from(x.values[low]), f64::from(x.values[low + 3]));
            let (sin, cos) = (f64::from(*position) * 100f64.powf(-2.0 * i as f64 / 6.0)).sin_cos();
            expected[low] = a * cos - b * sin;
            expected[low + 3] = b * cos + a * sin;
        }
    }
    let kept = matrix::<Cpu>(x.values.clone(), x.shape);
    let turned = kernel::rope(kept.clone(), &Rotary::new(&POSITIONS, 6, 100.0));
    assert_close(&floats(turned), &expected, 1e-6, 1e-5);
    assert_eq!(floats(kept), x.values, "a tensor somebody else holds must stay as it is");
}

#[test]
fn the_gradient_of_gather_rows_sums_over_repeated_rows() {
    let index = [2, 0, 2, 2, 4];
    check_gradients(vec![input(1, [5, 3])], |x| flat(kernel::gather_rows(&x[0], &index)));
    let many: Vec<u32> = (0..500).map(|i| i * 7 % 90).collect();
    check_gradients(vec![input(1, [90, 24])], |x| flat(kernel::gather_rows(&x[0], &many)));
}

#[test]
fn rows_are_gathered_and_written_by_index() {
    let x = matrix::<Cpu>((0..8).map(|i| i as f32).collect(), [4, 2]);
    assert_eq!(floats(kernel::gather_rows(&x, &[3, 0, 3])), [6., 7., 0., 1., 6., 7.]);
    let rows = matrix(vec![10., 11., 12., 13.], [2, 2]);
    let written = kernel::write_rows(x.clone(), &[2, 0], &rows);
    assert_eq!(floats(written), [12., 13., 2., 3., 10., 11., 6., 7.]);
    assert_eq!(floats(x)[0], 0.0, "a tensor somebody else holds must stay as it is");
}

#[test]
fn a_sum_of_squares_is_exact_where_f32_sums_are_not() {
    // 2^24 + 1 is no f32: a running f32 sum would lose every small square.
    let mut values = vec![1.0_f32; 40_000];
    values[0] = 4096.0;
    let count = values.len();
    let sum = kernel::sum_of_squares(&matrix::<Cpu>(values, [count / 8, 8]));
    assert_eq!(floats(sum), [(16_777_216 + 39_999) as f32]);
}

fn causal(queries: std::ops::Range<usize>, prefix: std::ops::Range<usize>) -> Span {
    Span { own: queries.clone(), queries, prefix }
}

/// Groups whose prompts are shared, of `prompt` and then `completions` tokens.
fn groups(sizes: &[(usize, &[usize])]) -> (Vec<Span>, usize) {
    let (mut spans, mut end) = (Vec::new(), 0);
    for (prompt, completions) in sizes {
        let prefix = end..end + prompt;
        spans.push(causal(prefix.clone(), 0..0));
        end += prompt;
        for length in *completions {
            spans.push(causal(end..end + length, prefix.clone()));
            end += length;
        }
    }
    (spans, end)
}

/// Attention of every query by the definition, in f64.
fn naive_attention(
    [q, k, v]: [&[f32]; 3],
    spans: &[Span],
    [heads, kv_heads, d]: [usize; 3],
) -> Vec<f64> {
    let mut out = vec![0.0; q.len()];
    let at = |x: &[f32], row: usize, heads: usize, head: usize, i: usize| {
        f64::from(x[row * heads * d + head * d + i])
    };
    for span in spans {
        for (i, query) in span.queries.clone().enumerate() {
            let unseen = span.queries.len() - 1 - i;
            let own = span.own.start..span.own.end - unseen;
            let keys: Vec<usize> = span.prefix.clone().chain(own).collect();
            for head in 0..heads {
                let kv = head / (heads / kv_heads);
                let score = |key: &usize| {
                    let products =
                        (0..d).map(|i| at(q, query, heads, head, i) * at(k, *key, kv_heads, kv, i));
                    (products.sum::<f64>() / (d as f64).sqrt()).exp()
                };
                let scores: Vec<f64> = keys.iter().map(score).collect();
                let total: f64 = scores.iter().sum();
                for i in 0..d {
                    let weighted =
                        keys.iter().zip(&scores).map(|(key, s)| s * at(v, *key, kv_heads, kv, i));
                    out[query * heads * d + head * d + i] = weighted.sum::<f64>() / total;
                }
            }
        }
    }
    out
}

fn check_attention(spans: &[Span], [n, m]: [usize; 2], shape: [usize; 3]) {
    let [heads, kv_heads, d] = shape;
    let (q, k, v) =
        (input(1, [n, heads * d]), input(2, [m, kv_heads * d]), input(3, [m, kv_heads * d]));
    let expected = naive_attention([&q.values, &k.values, &v.values], spans, shape);
    let plan = AttentionPlan::new(spans.to_vec(), heads, kv_heads, d);
    let [q, k, v] = [q, k, v].map(|x| matrix::<Cpu>(x.values, x.shape));
    assert_close(&floats(kernel::attention(&q, &k, &v, &plan)), &expected, 2e-6, 2e-5);
}

/// Sizes on both sides of any threshold between one row at a time and whole blocks: lone short and
/// long sequences, and groups of which the prompt, the completions, both or neither are long.
const SIZES: [&[(usize, &[usize])]; 6] = [
    &[(1, &[])],
    &[(3, &[1, 2, 4]), (2, &[]), (1, &[5])],
    &[(40, &[])],
    &[(30, &[2, 1, 25, 9]), (2, &[3])],
    &[(4, &[33, 3]), (24, &[6, 7])],
    &[(70, &[40, 1, 40])],
];

const SHAPES: [[usize; 3]; 4] = [[1, 1, 2], [4, 2, 6], [2, 2, 16], [6, 1, 4]];

#[test]
fn attention_is_the_softmax_over_the_shared_prompt_and_what_came_before() {
    for sizes in SIZES {
        let (spans, n) = groups(sizes);
        for shape in SHAPES {
            check_attention(&spans, [n, n], shape);
        }
    }
}

#[test]
fn attention_over_a_cache_sees_the_slots_of_its_rows_only() {
    // Rows in a cache of ten pages: three share a prompt that lies in pages 3, 0 and 5, and one has pages
    // of its own on both sides of it.
    let of = |pages, tokens| Paged { pages, tokens };
    let prompt = of(&[3, 0, 5], 36);
    let rows = [
        [prompt, of(&[7], 3)],
        [prompt, of(&[9, 1], 17)],
        [prompt, of(&[2], 16)],
        [of(&[6], 1), of(&[8, 4], 22)],
    ];
    for [heads, kv_heads, d] in SHAPES {
        let (n, m) = (rows.len(), 10 * PAGE);
        let (q, k, v) =
            (input(1, [n, heads * d]), input(2, [m, kv_heads * d]), input(3, [m, kv_heads * d]));
        let plan = DecodePlan::new(&rows, heads, kv_heads, d);
        let [of_q, of_k, of_v] = [&q, &k, &v].map(|x| matrix::<Cpu>(x.values.clone(), x.shape));
        let seen = floats(kernel::decode_attention(&of_q, &of_k, &of_v, &plan));
        for (i, row) in rows.iter().enumerate() {
            // The keys of the row one after another, as the only ones there are.
            let slots: Vec<usize> = row
                .iter()
                .flat_map(|keys| {
                    (0..keys.tokens).map(|at| keys.pages[at / 16] as usize * 16 + at % 16)
                })
                .collect();
            let packed = |x: &[f32]| -> Vec<f32> {
                let width = kv_heads * d;
                slots.iter().flat_map(|slot| x[slot * width..][..width].to_vec()).collect()
            };
            let (k, v) = (packed(&k.values), packed(&v.values));
            let of_row = i * heads * d..(i + 1) * heads * d;
            let span = Span { queries: 0..1, prefix: 0..0, own: 0..slots.len() };
            let q = &q.values[of_row.clone()];
            let expected = naive_attention([q, &k, &v], &[span], [heads, kv_heads, d]);
            assert_close(&seen[of_row], &expected, 2e-6, 2e-5);
        }
    }
}

#[test]
fn the_gradient_of_attention_is_its_slope() {
    for sizes in SIZES {
        let (spans, n) = groups(sizes);
        for [heads, kv_heads, d] in [[4, 2, 6], [2, 2, 4], [3, 1, 2]] {
            let plan = AttentionPlan::new(spans.clone(), heads, kv_heads, d);
            let inputs = vec![
                input(1, [n, heads * d]),
                input(2, [n, kv_heads * d]),
                input(3, [n, kv_heads * d]),
            ];
            check_gradients(inputs, |x| flat(kernel::attention(&x[0], &x[1], &x[2], &plan)));
        }
    }
}

#[test]
fn attention_takes_scores_that_would_overflow_an_exponential() {
    let plan = AttentionPlan::new(vec![causal(0..40, 0..0)], 1, 1, 2);
    let large = |seed| {
        let values = normals(seed, 80).iter().map(|x| x * 60.0).collect();
        matrix::<Training>(values, [40, 2]).require_grad()
    };
    let (q, k, v) = (large(1), large(2), large(3));
    let out = kernel::attention(&q, &k, &v, &plan);
    assert!(floats(out.clone()).iter().all(|x| x.is_finite()));
    let grads = out.sum().backward();
    for input in [q, k, v] {
        assert!(floats(input.grad(&grads).unwrap()).iter().all(|x| x.is_finite()));
    }
}

fn distribution(hidden: &[f32], head: &[f32], width: usize, temperature: f64) -> Vec<f64> {
    let logits: Vec<f64> = head
        .chunks(width)
        .map(|row| row.iter().zip(hidden).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum())
        .map(|z: f64| z / temperature)
        .collect();
    let max = logits.iter().copied().fold(f64::MIN, f64::max);
    let lse = max + logits.iter().map(|z| (z - max).exp()).sum::<f64>().ln();
    logits.iter().map(|z| z - lse).collect()
}

#[test]
fn token_logprob_is_the_log_softmax_and_its_entropy() {
    for (n, vocabulary, width, temperature) in [(1, 2, 1, 1.0), (9, 50, 5, 0.7), (40, 333, 16, 2.5)]
    {
        let (hidden, head) = (input(1, [n, width]), input(2, [vocabulary, width]));
        let tokens: Vec<u32> = (0..n).map(|i| (i * 31 % vocabulary) as u32).collect();
        let (mut logps, mut entropies) = (Vec::new(), Vec::new());
        for (row, token) in hidden.values.chunks(width).zip(&tokens) {
            let distribution = distribution(row, &head.values, width, f64::from(temperature));
            logps.push(distribution[*token as usize]);
            entropies.push(-distribution.iter().map(|logp| logp.exp() * logp).sum::<f64>());
        }
        let (hidden, head) =
            (matrix::<Cpu>(hidden.values, hidden.shape), matrix(head.values, head.shape));
        let [actual_logps, actual_entropies] =
            kernel::token_logprob(&hidden, &Weight::Rows(head), &tokens, temperature);
        assert_close(&floats(actual_logps), &logps, 2e-6, 2e-6);
        assert_close(&floats(actual_entropies), &entropies, 4e-6, 4e-6);
    }
}

#[test]
fn the_gradients_of_log_probability_and_entropy_are_their_slopes() {
    for (n, vocabulary, width, temperature) in [(2, 3, 2, 1.0), (7, 40, 5, 0.7), (30, 90, 8, 1.5)] {
        let tokens: Vec<u32> = (0..n).map(|i| (i * 31 % vocabulary) as u32).collect();
        check_gradients(vec![input(1, [n, width]), input(2, [vocabulary, width])], |x| {
            let head = Weight::Rows(x[1].clone());
            Tensor::cat(kernel::token_logprob(&x[0], &head, &tokens, temperature).into(), 0)
        });
    }
}

#[test]
fn log_probabilities_beyond_one_block_of_logits_are_the_same() {
    // 2^21 logits are a block: with a vocabulary of 300,000 a block holds six rows.
    let (n, vocabulary, width) = (15, 300_000, 2);
    let (hidden, head) = (input(1, [n, width]), input(2, [vocabulary, width]));
    let tokens: Vec<u32> = (0..n as u32).map(|i| i * 17_003).collect();
    let all = kernel::token_logprob(
        &matrix::<Cpu>(hidden.values.clone(), hidden.shape),
        &Weight::Rows(matrix(head.values.clone(), head.shape)),
        &tokens,
        1.0,
    );
    let [logps, entropies] = all.map(floats);
    for row in [0, 5, 6, 14] {
        let distribution =
            distribution(&hidden.values[row * width..][..width], &head.values, width, 1.0);
        let entropy = -distribution.iter().map(|logp| logp.exp() * logp).sum::<f64>();
        assert_close(&logps[row..=row], &[distribution[tokens[row] as usize]], 1e-5, 1e-5);
        assert_close(&entropies[row..=row], &[entropy], 1e-5, 1e-5);
    }
}

#[test]
fn adamw_follows_its_formula_over_several_steps() {
    let count = 40_000;
    let (mut weights, shape) = (normals(1, count), [count / 10, 10]);
    let mut tensor = matrix::<Cpu>(weights.clone(), shape);
    let zeros = || Tensor::<Cpu, 1>::zeros([count], &device());
    let mut moments = [zeros(), zeros()];
    let mut expected = (widen(&weights), vec![0.0; count], vec![0.0; count]);
    for step in 1..=5 {
        let gradient = normals(1 + step as u64, count);
        let hyper = AdamW {
            learning_rate: 0.01 * step as f32,
            beta_1: 0.9,
            beta_2: 0.99,
            epsilon: 1e-6,
            weight_decay: 0.1,
            grad_scale: 0.5,
            step,
        };
        let gradient_tensor = Tensor::from_floats(gradient.as_slice(), &device());
        (tensor, moments) = kernel::adamw_step(hyper, tensor, moments, &gradient_tensor);
        adamw_in_f64(hyper, &mut expected, &gradient);
        weights = floats(tensor.clone());
        assert_close(&weights, &expected.0, 2e-6, 2e-6);
    }
    let [first, second] = moments.map(floats);
    assert_close(&first, &expected.1, 1e-6, 1e-5);
    assert_close(&second, &expected.2, 1e-6, 1e-5);
}

fn adamw_in_f64(h: AdamW, state: &mut (Vec<f64>, Vec<f64>, Vec<f64>), gradient: &[f32]) {
    let (beta_1, beta_2) = (f64::from(h.beta_1), f64::from(h.beta_2));
    let rate = f64::from(h.learning_rate);
    for (i, g) in gradient.iter().enumerate() {
        let g = f64::from(*g) * f64::from(h.grad_scale);
        state.1[i] = beta_1 * state.1[i] + (1.0 - beta_1) * g;
        state.2[i] = beta_2 * state.2[i] + (1.0 - beta_2) * g * g;
        let first = state.1[i] / (1.0 - beta_1.powi(h.step));
        let second = state.2[i] / (1.0 - beta_2.powi(h.step));
        let decay = f64::from(h.weight_decay) * state.0[i];
        state.0[i] -= rate * (decay + first / (second.sqrt() + f64::from(h.epsilon)));
    }
}
