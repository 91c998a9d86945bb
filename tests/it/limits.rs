//! What a device cannot hold is refused before anything runs, with advice that works.

use std::path::Path;

use regex::Regex;
use wgrpo::config::RunConfig;
use wgrpo::device::{Limits, TooLarge};
use wgrpo::model::ModelConfig;
use wgrpo::train::{RunSizes, model_buffers, run_buffers};

use crate::program::says;

const MIB: u64 = 1 << 20;

/// A run of a size that people train: groups of 8 on a model of 135 M parameters.
const RUN: &str = "\
rollout_batch_size: 32
num_return_sequences_in_group: 8
prompt_length: 512
response_length: 256
use_kl_loss: true
model:
  alphabet: '0'
  architecture: {hidden_size: 576, intermediate_size: 1536, num_hidden_layers: 2,
    num_attention_heads: 9, num_key_value_heads: 3, vocab_size: 49152}
data: {kind: arithmetic, digits: 1, held_out: 1}
rewards: [{kind: exact}]
eval: {samples: 16, k: 4}
warm_start: {batch_size: 64}
diagnostics: {oracle_rollouts: 64}
";

fn device(largest_buffer: u64) -> Limits {
    Limits { largest_buffer, ..Limits::none("a small GPU") }
}

fn model() -> ModelConfig {
    RunConfig::parse(Path::new("run.yaml"), RUN, &[]).unwrap().model.architecture.unwrap()
}

/// What a device of this size says to the run with these settings.
fn checked(set: &[String], largest_buffer: u64) -> Result<(), TooLarge> {
    let config = RunConfig::parse(Path::new("run.yaml"), RUN, set).unwrap();
    let (settings, eval) = (config.settings(&[0]).unwrap(), config.eval_options(&[0]));
    let run = RunSizes {
        settings: &settings,
        eval: &eval,
        warm_start: config.warm_start.as_ref(),
        held_out: 200,
        longest_prompt: config.prompt_length,
        mean_prompt: config.prompt_length,
        mean_answer: config.response_length,
    };
    device(largest_buffer).check(&run_buffers(&model(), run))
}

fn refused(set: &[&str], largest_buffer: u64) -> String {
    let set: Vec<String> = set.iter().map(|key| (*key).to_owned()).collect();
    checked(&set, largest_buffer).unwrap_err().to_string()
}

#[test]
fn a_model_whose_embedding_is_over_the_limit_is_refused_by_the_name_of_the_tensor() {
    let message = device(100 * MIB).check(&model_buffers(&model())).unwrap_err().to_string();
    says(
        &message,
        &[
            "the parameter model.embed_tokens.weight [49152, 576] takes 108.0 MiB",
            "a small GPU holds at most 100.0 MiB",
            "--device cpu",
            "smaller model",
        ],
    );
    assert_eq!(device(108 * MIB).check(&model_buffers(&model())), Ok(()));
}

#[test]
fn every_kind_of_tensor_is_refused_with_the_setting_that_shrinks_it() {
    for (set, mib, parts) in [
        (&[][..], 11, &["the cache of keys of a layer", "device.cache_tokens from 16384 to"][..]),
        (&[], 20, &["widest activation of a generation [4096, 1536]", "device.cache_tokens"]),
        (
            &["device.cache_tokens=1104"],
            13,
            &["an activation [4096, 1536] of a micro-batch", "device.micro_batch_tokens from 4096"],
        ),
        (&["response_length=60000"], 40, &["the cache of keys", "lower prompt_length or response"]),
        (
            &["kl_loss_type=full"],
            200,
            &["distributions of kl_loss_type full [4096, 49152]", "to 1066 or"],
        ),
        (
            &["kl_loss_type=full"],
            128,
            &["distributions of", "lower prompt_length or response_length"],
        ),
        (&["warm_start.batch_size=2000"], 128, &["the warm start", "warm_start.batch_size from"]),
        (
            &["prompt_length=1", "response_length=4", "device.cache_tokens=100000"],
            40,
            &["the logits of a draw [256, 49152]", "device.cache_tokens from 100000 to 3408 or"],
        ),
    ] {
        says(&refused(set, mib * MIB), parts);
    }
    assert_eq!(checked(&[], 512 * MIB), Ok(()));
}

#[test]
fn samples_of_a_problem_beyond_what_is_under_way_at_once_take_no_more_memory() {
    let set = ["eval.samples=4000", "eval.k=1", "diagnostics.oracle_rollouts=4000"];
    assert_eq!(checked(&set.map(String::from), 288 * MIB), checked(&[], 288 * MIB));
    assert_eq!(checked(&set.map(String::from), 288 * MIB), Ok(()));
}

#[test]
fn whoever_follows_the_advice_ends_with_a_run_that_fits() {
    let advice = Regex::new(r"lower (\S+) from \d+ to (\d+) or less").unwrap();
    for (mib, kl) in [(13, "k3"), (16, "k3"), (31, "k3"), (150, "full"), (333, "full")] {
        let mut set = vec![format!("kl_loss_type={kl}"), "warm_start.batch_size=900".to_owned()];
        let mut steps = 0;
        while let Err(refusal) = checked(&set, mib * MIB) {
            let message = refusal.to_string();
            let lower = advice.captures(&message).unwrap_or_else(|| panic!("{mib}: {message}"));
            set.push(format!("{}={}", &lower[1], &lower[2]));
            steps += 1;
            assert!(steps < 12, "{mib} MiB: the advice does not help: {set:?}");
        }
        assert!(steps > 0, "{mib} MiB");
    }
}
