//! Decoders against what PyTorch and transformers compute, and against themselves.

use burn::tensor::Tensor;
use serde_json::Value;

use wgrpo::kernel::Span;
use wgrpo::model::{Decoder, KvCache, Packed, PackedCompletions, Parameter, PromptGroup};
use wgrpo::rollout::{Generator, Noise, Prompt, Purpose, Sampling};

use crate::support::{
    Cpu, FIXTURES, Training, assert_close, device, distance, floats, golden, gradients, ids_of,
    normals, numbers_of, open, token_ids, values, widen,
};

/// The golden sequences of a fixture: their ids and what belongs to them.
fn sequences(golden: &Value) -> Vec<(Vec<u32>, &Value)> {
    let all = golden["sequences"].as_array().unwrap();
    all.iter().map(|sequence| (ids_of(&sequence["ids"]), sequence)).collect()
}

fn temperature(golden: &Value) -> f32 {
    golden["temperature"].as_f64().unwrap() as f32
}

/// Logits of whole sequences in one pass, those of each sequence in its own list.
fn whole_logits(decoder: &Decoder<Cpu>, sequences: &[&[u32]]) -> Vec<Vec<f32>> {
    let logits = decoder.logits(&decoder.forward(&Packed::sequences(sequences), None));
    let vocabulary = logits.dims()[1];
    let all = floats(logits);
    let mut rest = all.as_slice();
    let mut take = |count: usize| {
        let (mine, others) = rest.split_at(count);
        rest = others;
        mine.to_vec()
    };
    sequences.iter().map(|ids| take(ids.len() * vocabulary)).collect()
}

#[test]
fn logits_of_ragged_sequences_are_those_of_transformers() {
    for name in FIXTURES {
        let (_, decoder) = open(name);
        let golden = golden(name);
        let sequences = sequences(&golden);
        let ids: Vec<&[u32]> = sequences.iter().map(|(ids, _)| ids.as_slice()).collect();
        for (logits, (_, sequence)) in whole_logits(&decoder, &ids).iter().zip(&sequences) {
            let rows = sequence["logits"].as_array().unwrap();
            let expected: Vec<f64> = rows.iter().flat_map(numbers_of).collect();
            assert_close(logits, &expected, 1e-4, 2e-5);
        }
    }
}

#[test]
fn log_probabilities_and_entropies_are_those_of_transformers() {
    for name in FIXTURES {
        let (_, decoder) = open::<Cpu>(name);
        let golden = golden(name);
        let sequences = sequences(&golden);
        let long = sequences.iter().filter(|(ids, _)| ids.len() > 1);
        let groups: Vec<PromptGroup> = long
            .clone()
            .map(|(ids, _)| PromptGroup { prompt: &ids[..1], completions: vec![&ids[1..]] })
            .collect();
        let of = decoder.completion_logps(&PackedCompletions::new(&groups), temperature(&golden));
        let logps = long.clone().flat_map(|(_, golden)| golden["logps"].as_array().unwrap());
        let logps: Vec<f64> = logps.filter_map(Value::as_f64).collect();
        // The entropy after the last token belongs to a token that nobody chose.
        let entropies =
            long.flat_map(|(ids, golden)| numbers_of(&golden["entropy"])[..ids.len() - 1].to_vec());
        assert_close(&floats(of.logps), &logps, 1e-4, 0.0);
        assert_close(&floats(of.entropies), &entropies.collect::<Vec<_>>(), 1e-4, 0.0);
    }
}

#[test]
fn greedy_continuations_are_those_of_transformers() {
    for name in FIXTURES {
        let (_, decoder) = open::<Cpu>(name);
        let golden = golden(name);
        let sequences = sequences(&golden);
        let prompt = |(at, (ids, _)): (usize, &(Vec<u32>, &Value))| Prompt {
            problem: at as u32,
            ids: ids.as_slice().into(),
            samples: 1,
        };
        let prompts: Vec<Prompt> = sequences.iter().enumerate().map(prompt).collect();
        let generator = Generator {
            sampling: Sampling::greedy(),
            response_length: 8,
            eos_ids: Vec::new(),
            cache_tokens: 1000,
        };
        let noise = Noise::new(1, Purpose::Evaluation, 0);
        let groups = generator.generate(&decoder, &prompts, noise).unwrap();
        for (group, (_, sequence)) in groups.iter().zip(&sequences) {
            assert_eq!(group.completions[0].ids, ids_of(&sequence["greedy"]), "{name}");
        }
    }
}

#[test]
fn the_gradient_of_every_parameter_is_that_of_pytorch() {
    let (_, decoder) = open::<Training>("llama");
    let golden = golden("llama");
    let of = &golden["gradient"];
    let ids = ids_of(&of["ids"]);
    let group = PromptGroup { prompt: &ids[..1], completions: vec![&ids[1..]] };
    let logps =
        decoder.completion_logps(&PackedCompletions::new(&[group]), temperature(&golden)).logps;
    let loss = logps.mean().neg();
    assert_close(&floats(loss.clone()), &[of["loss"].as_f64().unwrap()], 1e-5, 0.0);
    let gradients = gradients(&decoder, loss);
    assert_eq!(gradients.len(), of["parameters"].as_object().unwrap().len());
    for (Parameter { name, .. }, gradient) in decoder.parameters().iter().zip(&gradients) {
        let expected = &of["parameters"][name];
        let number = |key: &str| expected[key].as_f64().unwrap();
        let norm = gradient.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
        let sum = gradient.iter().map(|g| f64::from(*g)).sum::<f64>();
        let tolerance = 1e-5 * number("norm");
        assert!((norm - number("norm")).abs() < tolerance, "{name}: norm {norm}");
        assert!((sum - number("sum")).abs() < 10.0 * tolerance, "{name}: sum {sum}");
        assert_close(&gradient[..5], &numbers_of(&expected["first"]), tolerance, 1e-4);
    }
}

/// One row of a cached pass: its tokens, the slots of a prompt it shares, and of its own tokens.
struct CachedRow {
    ids: Vec<u32>,
    prefix: std::ops::Range<usize>,
    first_slot: usize,
    computed: usize,
}

/// A pass over the next `count` tokens of every row that has as many left.
fn next_tokens(rows: &mut [CachedRow], count: usize) -> Packed {
    let mut packed = Packed::default();
    for row in rows.iter_mut().filter(|row| row.computed + count <= row.ids.len()) {
        let start = packed.ids.len();
        for at in row.computed..row.computed + count {
            packed.ids.push(row.ids[at]);
            packed.positions.push((row.prefix.len() + at) as u32);
            packed.slots.push((row.first_slot + at) as u32);
        }
        row.computed += count;
        packed.spans.push(Span {
            queries: start..start + count,
            prefix: row.prefix.clone(),
            own: row.first_slot..row.first_slot + row.computed,
        });
    }
    packed
}

#[test]
fn cached_logits_are_those_of_whole_sequences_for_ragged_prompts() {
    for name in FIXTURES {
        let (config, decoder) = open::<Cpu>(name);
        let prompts =
            [2, 23, 1].map(|length| token_ids(length, length as usize, config.vocab_size));
        let completions = [(0, 5), (0, 9), (1, 7), (1, 2), (2, 4)];
        let mut cache = KvCache::new(&decoder, 80);
        let mut starts = vec![0];
        for prompt in &prompts {
            starts.push(starts[starts.len() - 1] + prompt.len());
        }
        let mut packed = Packed::sequences(&prompts.each_ref().map(Vec::as_slice));
        packed.slots = (0..packed.ids.len() as u32).collect();
        decoder.forward(&packed, Some(&mut cache));

        // Slots from the end of the cache downwards: nothing may depend on their order.
        let mut rows: Vec<CachedRow> = Vec::new();
        for (at, (prompt, length)) in completions.iter().enumerate() {
            rows.push(CachedRow {
                ids: token_ids(100 + at as u64, *length, config.vocab_size),
                prefix: starts[*prompt]..starts[prompt + 1],
                first_slot: 80 - 10 * (at + 1),
                computed: 0,
            });
        }
        let whole: Vec<Vec<u32>> = rows
            .iter()
            .zip(completions)
            .map(|(row, (prompt, _))| [&prompts[prompt][..], &row.ids].concat())
            .collect();
        let ids: Vec<&[u32]> = whole.iter().map(Vec::as_slice).collect();
        let expected = whole_logits(&decoder, &ids);

        // Two tokens at once first, then one by one until every row has ended.
        for count in [2, 1, 1, 1, 1, 1, 1, 1] {
            let packed = next_tokens(&mut rows, count);
            let logits = decoder.logits(&decoder.forward(&packed, Some(&mut cache)));
            let logits = floats(logits);
            for (query, position) in packed.positions.iter().enumerate() {
                let span = packed.spans.iter().find(|s| s.queries.contains(&query)).unwrap();
                let row = rows.iter().position(|r| r.first_slot == span.own.start).unwrap();
                let v = config.vocab_size;
                let cached = &logits[query * v..(query + 1) * v];
                let at = *position as usize * v;
                assert_close(cached, &widen(&expected[row][at..at + v]), 2e-5, 1e-5);
            }
        }
        assert!(rows.iter().all(|row| row.computed == row.ids.len()));
    }
}

/// Prompts with completions, short and long.
fn shared_groups(vocabulary: usize) -> Vec<(Vec<u32>, Vec<Vec<u32>>)> {
    let sizes: [(usize, &[usize]); 3] = [(30, &[1, 25, 8]), (2, &[3, 3]), (7, &[26, 1, 2, 4])];
    let ids = |seed, count| token_ids(seed, count, vocabulary);
    let group = |(g, (prompt, completions)): (usize, &(usize, &[usize]))| {
        let g = 100 * g as u64;
        let rows = completions.iter().enumerate().map(|(i, n)| ids(g + 1 + i as u64, *n));
        (ids(g, *prompt), rows.collect())
    };
    sizes.iter().enumerate().map(group).collect()
}

#[test]
fn rows_that_share_a_prompt_have_the_log_probabilities_and_gradients_of_rows_alone() {
    for name in FIXTURES {
        let (config, decoder) = open::<Training>(name);
        let groups = shared_groups(config.vocab_size);
        let shared: Vec<PromptGroup> = groups
            .iter()
            .map(|(prompt, rows)| PromptGroup {
                prompt,
                completions: rows.iter().map(Vec::as_slice).collect(),
            })
            .collect();
        let alone: Vec<PromptGroup> = groups
            .iter()
            .flat_map(|(prompt, rows)| {
                rows.iter().map(move |row| PromptGroup { prompt, completions: vec![row] })
            })
            .collect();
        let run = |groups: &[PromptGroup]| {
            let of = decoder.completion_logps(&PackedCompletions::new(groups), 0.9);
            let weights = normals(5, of.logps.dims()[0]);
            let weights = Tensor::from_floats(weights.as_slice(), &device());
            let loss = (of.logps.clone() * weights + of.entropies * 0.3).sum();
            (floats(of.logps), gradients(&decoder, loss))
        };
        let (logps, shared_gradients) = run(&shared);
        let (expected, alone_gradients) = run(&alone);
        assert_close(&logps, &widen(&expected), 1e-4, 0.0);
        let apart = distance(&shared_gradients, &alone_gradients);
        assert!(apart < 1e-5, "{name}: gradients are {apart:e} apart");
    }
}

#[test]
fn fresh_weights_follow_from_the_seed_alone() {
    let (config, _) = open::<Cpu>("qwen2");
    let of = |seed| values(&Decoder::<Cpu>::initialise(&config, seed, &device()).unwrap());
    assert_eq!(of(3), of(3));
    assert_ne!(of(3), of(4));
    let fresh = Decoder::<Cpu>::initialise(&config, 3, &device()).unwrap();
    for (Parameter { name, shape, .. }, values) in fresh.parameters().iter().zip(of(3)) {
        match name {
            _ if name.ends_with("bias") => assert!(values.iter().all(|x| *x == 0.0)),
            _ if shape.len() == 1 => assert!(values.iter().all(|x| *x == 1.0)),
            _ => assert!(values.iter().all(|x| x.abs() < 0.2)),
        }
    }
}
