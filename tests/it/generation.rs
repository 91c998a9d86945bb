//! Rollouts: what is drawn depends on nothing beside it, and ends where it should.

use wgrpo::model::{Decoder, ModelConfig, PackedCompletions, PromptGroup};
use wgrpo::rollout::{
    Completion, FinishReason, GenerationError, Generator, News, Noise, Prompt, Purpose,
    RolloutGroup, Sampling,
};

use crate::support::{Cpu, FIXTURES, assert_close, device, floats, open, token_ids, widen};

// Of 64 tokens six end a completion, so that some rows end early and some never.
const EOS_IDS: [u32; 6] = [2, 10, 20, 30, 40, 50];

fn generator() -> Generator {
    Generator {
        sampling: Sampling { temperature: 1.3, ..Sampling::default() },
        response_length: 12,
        eos_ids: EOS_IDS.to_vec(),
        cache_tokens: 100_000,
        rows_at_once: Generator::ROWS_AT_ONCE,
        tokens_a_readback: None,
    }
}

fn noise() -> Noise {
    Noise::new(5, Purpose::Training, 3)
}

/// Prompts of different lengths; their problem numbers are not their places.
fn prompts(samples: usize) -> Vec<Prompt> {
    prompts_of(64, samples)
}

fn prompts_of(vocabulary: usize, samples: usize) -> Vec<Prompt> {
    let lengths = [3, 1, 17, 5, 5, 40, 2, 9];
    let prompt = |(at, length): (usize, &usize)| Prompt {
        problem: 10 + 3 * at as u32,
        ids: token_ids(at as u64, *length, vocabulary).into(),
        samples,
    };
    lengths.iter().enumerate().map(prompt).collect()
}

fn policy() -> Decoder<Cpu> {
    open("qwen3").1
}

fn generate(generator: &Generator, prompts: &[Prompt]) -> Vec<RolloutGroup> {
    generator.generate(&policy(), prompts, noise()).unwrap()
}

/// Tokens, finish and log-probabilities of every completion must be equal, to the last bit.
#[track_caller]
fn assert_same(actual: &[Completion], expected: &[Completion]) {
    assert_eq!(actual.len(), expected.len());
    for (actual, expected) in actual.iter().zip(expected) {
        assert_eq!((&actual.ids, actual.finish), (&expected.ids, expected.finish));
        assert_eq!(actual.logps, expected.logps);
    }
}

fn completions(groups: &[RolloutGroup]) -> Vec<Completion> {
    groups.iter().flat_map(|group| group.completions.clone()).collect()
}

#[test]
fn completions_are_the_same_alone_together_and_in_any_order() {
    let prompts = prompts(3);
    let together = generate(&generator(), &prompts);
    let alone: Vec<RolloutGroup> = prompts
        .iter()
        .flat_map(|prompt| generate(&generator(), std::slice::from_ref(prompt)))
        .collect();
    assert_same(&completions(&alone), &completions(&together));
    let reversed: Vec<Prompt> = prompts.iter().rev().cloned().collect();
    let mut reversed = generate(&generator(), &reversed);
    reversed.reverse();
    assert_same(&completions(&reversed), &completions(&together));
}

#[test]
fn completions_of_every_family_are_the_same_alone_and_together_and_as_likely_as_in_training() {
    for name in FIXTURES {
        let (config, policy) = open::<Cpu>(name);
        let generate =
            |prompts: &[Prompt]| generator().generate(&policy, prompts, noise()).unwrap();
        let prompts = prompts_of(config.vocab_size, 2);
        let alone = prompts.iter().flat_map(|prompt| generate(std::slice::from_ref(prompt)));
        let alone: Vec<RolloutGroup> = alone.collect();
        let together = generate(&prompts);
        assert_same(&completions(&alone), &completions(&together));
        assert_as_in_training(&policy, &together, 1.3);
    }
}

#[test]
fn a_problem_that_comes_again_draws_other_completions_and_the_first_keeps_its_own() {
    let [first, other] = [0, 2].map(|at| prompts(2).remove(at));
    let repeated = [first.clone(), other, first.clone(), first.clone()];
    let alone = generate(&generator(), &[Prompt { samples: 6, ..first }]);
    for cache_tokens in [100_000, 1] {
        let groups = generate(&Generator { cache_tokens, ..generator() }, &repeated);
        let of_first = [&groups[0], &groups[2], &groups[3]];
        let drawn: Vec<Completion> =
            of_first.iter().flat_map(|group| group.completions.clone()).collect();
        assert_same(&drawn, &alone[0].completions);
    }
    let mut distinct: Vec<&[u32]> = alone[0].completions.iter().map(|c| &c.ids[..]).collect();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), 6, "12 tokens of 64 hardly ever agree by chance");
}

#[test]
fn completions_are_the_same_whatever_is_under_way_at_once() {
    // Completions of up to four pages, many of which end early: rows wait for pages and for places.
    let generator = Generator { response_length: 50, eos_ids: vec![7], ..generator() };
    let prompts = prompts(3);
    let together = generate(&generator, &prompts);
    let lengths: Vec<usize> = completions(&together).iter().map(|c| c.ids.len()).collect();
    assert!(lengths.iter().any(|length| *length < 16) && lengths.contains(&50), "{lengths:?}");
    let reversed: Vec<Prompt> = prompts.iter().rev().cloned().collect();
    for cache_tokens in [100_000, 500, 230, 1] {
        for rows_at_once in [0, 2, 7, 23] {
            let small = Generator { cache_tokens, rows_at_once, ..generator.clone() };
            assert_same(&completions(&generate(&small, &prompts)), &completions(&together));
            let mut groups = generate(&small, &reversed);
            groups.reverse();
            assert_same(&completions(&groups), &completions(&together));
        }
    }
}

#[test]
fn completions_are_the_same_however_many_tokens_are_drawn_before_the_host_reads_them() {
    let generator = Generator { response_length: 50, eos_ids: vec![7, 9], ..generator() };
    let expected = completions(&generate(&generator, &prompts(3)));
    for tokens in [2, 8, 64] {
        for (cache_tokens, rows_at_once) in [(100_000, 512), (500, 7), (1, 2)] {
            let tokens_a_readback = Some(tokens);
            let ahead =
                Generator { tokens_a_readback, cache_tokens, rows_at_once, ..generator.clone() };
            assert_same(&completions(&generate(&ahead, &prompts(3))), &expected);
        }
    }
    // Whoever reads 64 tokens at once learns of all ends at once.
    let tells = |tokens| {
        let (mut tells, generator) =
            (0, Generator { tokens_a_readback: Some(tokens), ..generator.clone() });
        let mut watch = |_: News<'_>| {
            tells += 1;
            Ok::<(), GenerationError>(())
        };
        generator.generate_watched(&policy(), &prompts(3), noise(), &mut watch).unwrap();
        tells
    };
    assert_eq!(tells(64), 1);
    assert!(tells(1) > 8 && tells(8) <= 7, "{} and {}", tells(1), tells(8));
}

#[test]
fn prompts_beyond_one_pass_and_prompts_without_samples_change_nothing() {
    // Three prompts of 1500 tokens do not go through the decoder in one pass.
    let prompt = |problem: u32, length, samples| Prompt {
        problem,
        ids: token_ids(u64::from(problem), length, 64).into(),
        samples,
    };
    let prompts = [
        prompt(1, 1500, 1),
        prompt(2, 3, 0),
        prompt(3, 1500, 2),
        prompt(4, 1500, 1),
        prompt(5, 2, 2),
        prompt(6, 9, 0),
    ];
    let generator = Generator { response_length: 3, eos_ids: Vec::new(), ..generator() };
    let together = generate(&generator, &prompts);
    for (prompt, group) in prompts.iter().zip(&together) {
        assert_eq!(group.completions.len(), prompt.samples);
        let alone = generate(&generator, std::slice::from_ref(prompt));
        assert_same(&group.completions, &alone[0].completions);
    }
    assert!(generate(&generator, &[]).is_empty());
}

#[test]
fn completions_are_told_as_they_end_and_whoever_is_told_can_end_it() {
    let (generator, prompts) = (Generator { rows_at_once: 2, ..generator() }, prompts(1));
    let mut told = Vec::new();
    let mut watch = |news: News<'_>| {
        told.push(news.ended);
        Ok::<(), GenerationError>(())
    };
    generator.generate_watched(&policy(), &prompts, noise(), &mut watch).unwrap();
    assert_eq!(told.last(), Some(&8));
    assert!(told.is_sorted(), "{told:?}");
    told.dedup();
    assert!(told.len() > 3, "{told:?}");
    let stop = GenerationError::NotFinite { problem: 77 };
    let mut stop = Some(stop);
    let mut watch = |_: News<'_>| stop.take().map_or(Ok(()), Err);
    let ended = generator.generate_watched(&policy(), &prompts, noise(), &mut watch).unwrap_err();
    assert!(matches!(ended, GenerationError::NotFinite { problem: 77 }));
}

#[test]
fn tokens_are_told_as_they_are_read_and_are_those_of_the_completions() {
    for (tokens, rows_at_once) in [(1, 512), (3, 512), (8, 3)] {
        let tokens_a_readback = Some(tokens);
        let generator = Generator { tokens_a_readback, rows_at_once, ..generator() };
        let (mut told, mut most) = (vec![Vec::new(); 16], 0);
        let mut watch = |news: News<'_>| {
            assert!(!news.tokens.is_empty());
            most = most.max(news.tokens.len());
            news.tokens.iter().for_each(|token| told[token.completion].push(token.id));
            Ok::<(), GenerationError>(())
        };
        let groups = generator.generate_watched(&policy(), &prompts(2), noise(), &mut watch);
        let ids = completions(&groups.unwrap()).into_iter().map(|completion| completion.ids);
        assert_eq!(told, ids.collect::<Vec<_>>());
        assert!(most <= tokens * 16.min(rows_at_once), "{most} at once");
    }
}

#[test]
fn more_samples_leave_the_first_ones_as_they_were() {
    let (two, four) = (generate(&generator(), &prompts(2)), generate(&generator(), &prompts(4)));
    for (two, four) in two.iter().zip(&four) {
        assert_same(&two.completions, &four.completions[..2]);
    }
}

#[test]
fn samples_of_a_prompt_differ_and_so_do_steps_seeds_and_purposes() {
    let groups = generate(&generator(), &prompts(4));
    let ids = |groups: &[RolloutGroup]| -> Vec<Vec<u32>> {
        completions(groups).into_iter().map(|completion| completion.ids).collect()
    };
    let different = groups.iter().filter(|g| g.completions[0].ids != g.completions[1].ids);
    assert!(different.count() >= 7);
    for other in [
        Noise::new(5, Purpose::Training, 4),
        Noise::new(6, Purpose::Training, 3),
        Noise::new(5, Purpose::Evaluation, 3),
    ] {
        let drawn = generator().generate(&policy(), &prompts(4), other).unwrap();
        assert_ne!(ids(&drawn), ids(&groups));
    }
}

#[test]
fn an_eos_is_the_last_token_of_its_completion_and_nothing_comes_after() {
    let all = completions(&generate(&generator(), &prompts(8)));
    for completion in &all {
        let (last, before) = completion.ids.split_last().unwrap();
        assert!(before.iter().all(|id| !EOS_IDS.contains(id)), "{completion:?}");
        let ended = EOS_IDS.contains(last);
        assert_eq!(completion.finish == FinishReason::Eos, ended, "{completion:?}");
        assert!(ended || completion.ids.len() == 12, "{completion:?}");
        assert!(completion.ids.len() <= 12);
        assert_eq!(completion.logps.len(), completion.ids.len());
        assert!(completion.logps.iter().all(|logp| logp.is_finite() && *logp <= 0.0));
    }
    let count = |finish| all.iter().filter(|completion| completion.finish == finish).count();
    assert!(count(FinishReason::Eos) > 5 && count(FinishReason::Length) > 5);
    let enders: std::collections::BTreeSet<_> = all
        .iter()
        .filter(|completion| completion.finish == FinishReason::Eos)
        .filter_map(|completion| completion.ids.last())
        .collect();
    assert!(enders.len() > 1, "several ids must be able to end a completion");
}

#[test]
fn without_an_eos_every_completion_has_the_longest_length() {
    let endless = Generator { eos_ids: Vec::new(), ..generator() };
    for length in [1, 5] {
        let generator = Generator { response_length: length, ..endless.clone() };
        for completion in completions(&generate(&generator, &prompts(2))) {
            assert_eq!((completion.ids.len(), completion.finish), (length, FinishReason::Length));
        }
    }
}

#[test]
fn an_eos_at_the_very_last_place_counts_as_an_end() {
    let all: Vec<u32> = (0..64).collect();
    let generator = Generator { eos_ids: all, response_length: 1, ..generator() };
    for completion in completions(&generate(&generator, &prompts(2))) {
        assert_eq!((completion.ids.len(), completion.finish), (1, FinishReason::Eos));
    }
}

#[test]
fn an_eos_inside_a_prompt_ends_nothing() {
    let prompt = Prompt { problem: 1, ids: [2, 5, 2].into(), samples: 4 };
    let generator = Generator { eos_ids: vec![2], ..generator() };
    let groups = generate(&generator, &[prompt]);
    assert!(groups[0].completions.iter().any(|completion| completion.ids.len() > 1));
}

#[test]
fn the_log_probabilities_of_sampled_tokens_are_those_that_the_trainer_computes() {
    for temperature in [1.0, 0.7, 1.3] {
        let sampling = Sampling { temperature, ..Sampling::default() };
        let groups = generate(&Generator { sampling, ..generator() }, &prompts(4));
        assert_as_in_training(&policy(), &groups, temperature);
    }
}

/// The log-probabilities that came with completions must be those that a forward pass over them gives.
#[track_caller]
fn assert_as_in_training(policy: &Decoder<Cpu>, groups: &[RolloutGroup], temperature: f32) {
    let packed: Vec<PromptGroup> = groups
        .iter()
        .map(|group| PromptGroup {
            prompt: &group.prompt.ids,
            completions: group.completions.iter().map(|c| c.ids.as_slice()).collect(),
        })
        .collect();
    let trained = policy.completion_logps(&PackedCompletions::new(&packed), temperature);
    let sampled: Vec<f64> =
        completions(groups).iter().flat_map(|completion| widen(&completion.logps)).collect();
    assert_close(&floats(trained.logps), &sampled, 1e-4, 0.0);
}

#[test]
fn keeping_one_token_is_greedy() {
    let of = |sampling| {
        let groups = generate(&Generator { sampling, ..generator() }, &prompts(2));
        completions(&groups).into_iter().map(|completion| completion.ids).collect::<Vec<_>>()
    };
    let greedy = of(Sampling::greedy());
    assert_eq!(of(Sampling { top_k: 1, ..Sampling::default() }), greedy);
    assert_eq!(of(Sampling { top_p: 1e-6, ..Sampling::default() }), greedy);
    assert_ne!(of(Sampling::default()), greedy);
    assert!(greedy.chunks(2).all(|pair| pair[0] == pair[1]), "greedy has no noise");
}

fn diverged(config: &ModelConfig) -> Decoder<Cpu> {
    let mut source = |_: &str, shape: &[usize]| Ok(vec![f32::NAN; shape.iter().product()]);
    Decoder::new(config, &mut source, &device()).unwrap()
}

#[test]
fn a_policy_without_finite_logits_is_an_error_that_says_what_to_do() {
    let (config, _) = open::<Cpu>("qwen3");
    let result = generator().generate(&diverged(&config), &prompts(1), noise());
    let error = result.unwrap_err();
    assert!(matches!(error, GenerationError::NotFinite { problem: 10 }));
    assert!(error.to_string().contains("learning_rate"), "{error}");
}
