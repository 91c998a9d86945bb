//! What a file may have and the decoder does not: refused by name.

use super::built::{Entry, Tensor, build, matrix, vector};
use super::on_disk;
use crate::model::gguf::{GgufError, GgufModel};

/// The metadata of a model of one layer.
fn metadata() -> Vec<(&'static str, Entry)> {
    vec![
        ("general.architecture", Entry::Text("llama")),
        ("llama.block_count", Entry::Whole(1)),
        ("llama.context_length", Entry::Whole(64)),
        ("llama.embedding_length", Entry::Whole(16)),
        ("llama.feed_forward_length", Entry::Whole(8)),
        ("llama.attention.head_count", Entry::Whole(2)),
        ("llama.attention.layer_norm_rms_epsilon", Entry::Number(1e-5)),
        ("tokenizer.ggml.model", Entry::Text("gpt2")),
        ("tokenizer.ggml.pre", Entry::Text("gpt-2")),
        ("tokenizer.ggml.tokens", Entry::Texts(vec!["a", "b", "ab", "<s>"])),
        ("tokenizer.ggml.token_type", Entry::Numbers(vec![1.0, 1.0, 1.0, 3.0])),
        ("tokenizer.ggml.merges", Entry::Texts(vec!["a b"])),
    ]
}

fn tensors() -> Vec<Tensor> {
    vec![matrix("token_embd.weight", 4, 16), vector("output_norm.weight", &[1.0; 16])]
}

/// What is said of the model with one more key, or with another value under one that it has.
fn said(key: &'static str, entry: Entry) -> String {
    let mut all = metadata();
    all.retain(|(other, _)| *other != key);
    all.push((key, entry));
    said_of(&all, &tensors())
}

fn said_of(metadata: &[(&'static str, Entry)], tensors: &[Tensor]) -> String {
    let (_folder, path) = on_disk(&build(metadata, tensors));
    let told = || -> Result<(), GgufError> {
        let model = GgufModel::open(&path)?;
        let _ = (model.config_json()?, model.tokenizer_json()?, model.tokenizer_config_json()?);
        Ok(())
    };
    told().err().map(|error| error.to_string()).unwrap_or_default()
}

fn check(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "{message:?} lacks {part}");
    }
}

#[test]
fn a_model_of_one_layer_is_read() {
    assert_eq!(said_of(&metadata(), &tensors()), "");
}

#[test]
fn other_models_are_refused_by_name() {
    let families = "the families are llama, qwen2, qwen3, granite, olmo2, smollm3";
    check(&said("general.architecture", Entry::Text("gemma3")), &["gemma3", families]);
    check(&said("general.type", Entry::Text("adapter")), &["adapter", "whole model"]);
    check(&said("split.count", Entry::Whole(3)), &["one of 3 parts", "llama-gguf-split --merge"]);
    check(&said("llama.expert_count", Entry::Whole(8)), &["llama.expert_count 8", "dense"]);
    check(&said("llama.attention.sliding_window", Entry::Whole(32)), &["sliding_window 32"]);
    check(&said("llama.attention.causal", Entry::Flag(false)), &["attention.causal false"]);
    check(&said("llama.attention.value_length", Entry::Whole(4)), &["value_length 4", "width 8"]);
    check(&said("llama.rope.dimension_count", Entry::Whole(4)), &["dimension_count 4", "width 8"]);
    check(&said("llama.logit_scale", Entry::Number(8.0)), &["llama.logit_scale 8", "granite"]);
}

#[test]
fn scalings_of_positions_are_refused_by_name() {
    check(&said("llama.rope.scaling.type", Entry::Text("yarn")), &["rope.scaling.type \"yarn\""]);
    let strength = said("llama.rope.scaling.attn_factor", Entry::Number(1.5));
    check(&strength, &["rope.scaling.attn_factor 1.5"]);
    let with = |factors: &[f32]| {
        let all = [tensors(), vec![vector("rope_freqs.weight", factors)]].concat();
        said_of(&metadata(), &all)
    };
    assert_eq!(with(&[1.0; 4]), "");
    check(&with(&[1.0, 2.0, 3.0, 4.0]), &["rope_freqs.weight that is no published Llama's"]);
    check(&with(&[1.0; 5]), &["rope_freqs.weight has shape [5], expected [4]"]);
}

#[test]
fn sizes_that_fit_no_decoder_are_refused_by_key() {
    check(&said("llama.attention.head_count", Entry::Whole(0)), &["head_count is 0"]);
    check(&said("llama.attention.key_length", Entry::Whole(7)), &["key_length", "width 7"]);
    check(&said("llama.block_count", Entry::Text("1")), &["block_count is no whole number"]);
    let lists = |numbers: Vec<f32>| said("llama.attention.head_count_kv", Entry::Numbers(numbers));
    check(&lists(vec![1.0, 2.0]), &["head_count_kv that differs between layers"]);
    assert_eq!(lists(vec![1.0, 1.0]), "");
    let mut all = metadata();
    all.retain(|(key, _)| *key != "llama.context_length");
    check(&said_of(&all, &tensors()), &["llama.context_length is missing"]);
}

#[test]
fn a_tensor_without_a_place_is_refused_by_name() {
    let with = |tensor: Tensor| said_of(&metadata(), &[tensors(), vec![tensor]].concat());
    let sinks = with(vector("blk.0.attn_sinks.weight", &[1.0; 2]));
    check(&sinks, &["a tensor blk.0.attn_sinks.weight", "llama"]);
    let query = with(matrix("blk.0.attn_q.weight", 8, 16));
    check(&query, &["q_proj.weight has shape [8, 16], expected [16, 16]"]);
}

#[test]
fn tokenizers_that_are_not_known_are_refused_by_name() {
    check(&said("tokenizer.ggml.model", Entry::Text("bert")), &["tokenizer.ggml.model \"bert\""]);
    check(&said("tokenizer.ggml.pre", Entry::Text("viking")), &["\"viking\"", "smollm", "qwen2"]);
    let mut all = metadata();
    all.retain(|(key, _)| *key != "tokenizer.ggml.pre");
    check(&said_of(&all, &tensors()), &["no tokenizer.ggml.pre", "convert the model again"]);
    let tokens = said("tokenizer.ggml.tokens", Entry::Texts(vec!["a", "b", "a", "<s>"]));
    check(&tokens, &["tokenizer.ggml.tokens has \"a\" twice"]);
    check(&said("tokenizer.ggml.merges", Entry::Texts(vec!["ab"])), &["\"ab\", which is no pair"]);
    check(&said("tokenizer.ggml.token_type", Entry::Numbers(vec![1.0])), &["1 kinds for 4 tokens"]);
    check(&said("tokenizer.ggml.eos_token_id", Entry::Whole(9)), &["is 9", "4 tokens"]);
    for none in [Entry::Whole(u32::MAX), Entry::Raw(5, (-1i32).to_le_bytes().into())] {
        assert_eq!(said("tokenizer.ggml.eos_token_id", none), "");
    }
    check(&said("tokenizer.ggml.eos_token_id", Entry::Number(0.5)), &["is no whole number"]);
}
