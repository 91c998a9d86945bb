//! Decoders against what PyTorch and transformers compute, and against themselves.

use burn::tensor::Tensor;
use serde_json::Value;

use wgrpo::kernel::{PAGE, Paged};
use wgrpo::model::{
    Decoder, KvCache, Newest, NextTokens, Packed, PackedCompletions, Parameter, PromptGroup,
};
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
    let logits = decoder.logits(&decoder.forward(&Packed::sequences(sequences)));
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
            rows_at_once: Generator::ROWS_AT_ONCE,
            tokens_a_readback: None,
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
    FIXTURES.iter().for_each(|name| gradients_are_those_of_pytorch(name));
}

fn gradients_are_those_of_pytorch(fixture: &str) {
    let (_, decoder) = open::<Training>(fixture);
    let golden = golden(fixture);
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
        assert!((norm - number("norm")).abs() < tolerance, "{fixture}: {name}: norm {norm}");
        assert!((sum - number("sum")).abs() < 10.0 * tolerance, "{fixture}: {name}: sum {sum}");
        assert_close(&gradient[..5], &numbers_of(&expected["first"]), tolerance, 1e-4);
    }
}

/// A completion in a cache: which prompt it continues, its pages, and how much of it was computed.
struct CachedRow {
    ids: Vec<u32>,
    prompt: usize,
    pages: Vec<u32>,
    computed: usize,
}

#[test]
fn cached_logits_are_those_of_whole_sequences_for_ragged_prompts() {
    for name in FIXTURES {
        let (config, decoder) = open::<Cpu>(name);
        let v = config.vocab_size;
        let prompts = [2, 23, 1].map(|length| token_ids(length, length as usize, v));
        let completions = [(0, 5), (0, 9), (1, 7), (1, 2), (2, 4), (2, 19)];
        // Pages in no order: nothing may depend on it.
        let mut pages = [7, 2, 10, 0, 5, 9, 1, 8, 3, 6, 4].into_iter();
        let mut take =
            |tokens: usize| -> Vec<u32> { pages.by_ref().take(tokens.div_ceil(PAGE)).collect() };
        let of_prompts = prompts.each_ref().map(|prompt| take(prompt.len()));
        let mut rows: Vec<CachedRow> = completions
            .iter()
            .enumerate()
            .map(|(at, (prompt, length))| CachedRow {
                ids: token_ids(100 + at as u64, *length, v),
                prompt: *prompt,
                pages: take(*length),
                computed: 0,
            })
            .collect();
        let paged =
            |prompt: usize| Paged { pages: &of_prompts[prompt], tokens: prompts[prompt].len() };

        let mut cache = KvCache::new(&decoder, 11);
        let packed = Packed::sequences(&prompts.each_ref().map(Vec::as_slice));
        let slots: Vec<u32> = (0..3)
            .flat_map(|prompt| (0..prompts[prompt].len()).map(move |at| (prompt, at)))
            .map(|(prompt, at)| paged(prompt).slot(at) as u32)
            .collect();
        decoder.prefill(&packed, &slots, &mut cache);

        let whole: Vec<Vec<u32>> =
            rows.iter().map(|row| [&prompts[row.prompt][..], &row.ids].concat()).collect();
        let ids: Vec<&[u32]> = whole.iter().map(Vec::as_slice).collect();
        let expected = whole_logits(&decoder, &ids);

        // One token of every row at a time, until each has ended.
        for _ in 0..19 {
            let (mut ids_of_rows, mut keys) = (Vec::new(), Vec::new());
            let open = (0..rows.len()).filter(|row| rows[*row].computed < rows[*row].ids.len());
            let open: Vec<usize> = open.collect();
            open.iter().for_each(|row| rows[*row].computed += 1);
            for row in &open {
                let CachedRow { ids, prompt, pages, computed } = &rows[*row];
                let own = Paged { pages, tokens: *computed };
                ids_of_rows.push(ids[computed - 1]);
                keys.push([paged(*prompt), own]);
            }
            let next = NextTokens { newest: Newest::Known(ids_of_rows), keys };
            let logits = floats(decoder.logits(&decoder.decode(&next, &mut cache)));
            for (i, row) in open.iter().enumerate() {
                let position = prompts[rows[*row].prompt].len() + rows[*row].computed - 1;
                let expected = &expected[*row][position * v..][..v];
                assert_close(&logits[i * v..][..v], &widen(expected), 2e-5, 1e-5);
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
