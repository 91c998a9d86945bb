//! Moments in files: whose they are, and that they come back to the last bit.

use burn::backend::{Autodiff, NdArray};

use super::*;
use crate::model::{Decoder, save_tensors};
use crate::train::testing::{any_pass, gradients, policy, values};
use crate::train::{Optimizer, OptimizerConfig, StepGradients};

type Policy = Decoder<Autodiff<NdArray>>;

fn optimizer() -> Optimizer<NdArray> {
    Optimizer::new(OptimizerConfig { learning_rate: 0.1, ..Default::default() }, 9)
}

/// A policy after a step over everything that is not frozen, its moments in a file.
fn stepped(policy: Policy, file: &Path) -> (Policy, Optimizer<NdArray>) {
    let (gradients, mut optimizer) = (gradients(&policy), optimizer());
    let (policy, _) = optimizer.step(policy, gradients);
    optimizer.moments().save(file, &policy.parameters()).unwrap();
    (policy, optimizer)
}

fn read(file: &Path, policy: &Policy) -> Result<Moments<NdArray>, TrainError> {
    Moments::read(file, &policy.parameters(), MomentStorage::F32, &Default::default())
}

/// Writes the tensors of `file` again, as `change` leaves them.
fn rewrite(file: &Path, change: impl Fn(&mut Vec<(String, Vec<usize>)>)) {
    let opened = TensorFile::open(file).unwrap();
    let shape_of = |name: &str| (name.to_owned(), opened.shape(name).unwrap().to_vec());
    let mut layout: Vec<_> = opened.names().map(shape_of).collect();
    change(&mut layout);
    let values = layout.iter().map(|(name, shape)| match opened.contains(name) {
        true => opened.get(name, opened.shape(name).unwrap()).unwrap(),
        false => vec![0.0; shape.iter().product()],
    });
    let values: Vec<_> = values.collect();
    save_tensors(file, &layout, &[], values).unwrap();
}

#[test]
fn moments_come_back_by_name_from_a_file_in_whatever_order() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("optimizer.safetensors");
    let (policy, mut first) = stepped(policy(), &file);
    rewrite(&file, |layout| layout.reverse());
    let mut second = optimizer();
    second.restore(1, read(&file, &policy).unwrap());
    let expected = first.step(policy.clone(), gradients(&policy)).0;
    let resumed = second.step(policy.clone(), gradients(&policy)).0;
    assert_ne!(values(&expected), values(&policy));
    assert_eq!(values(&resumed), values(&expected));
}

#[test]
fn a_file_has_no_moments_of_what_never_had_a_gradient_and_needs_none() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("optimizer.safetensors");
    let (policy, mut optimizer) = (policy(), optimizer());
    let mut gradients = StepGradients::default();
    gradients.add(&policy, any_pass(&policy), &policy.head().matrix().sum());
    let (policy, _) = optimizer.step(policy, gradients);
    optimizer.moments().save(&file, &policy.parameters()).unwrap();
    let names = ["first.model.embed_tokens.weight", "second.model.embed_tokens.weight"];
    assert!(TensorFile::open(&file).unwrap().names().eq(names));
    let again = read(&file, &policy).unwrap();
    assert_eq!(again.names().collect::<Vec<_>>(), ["model.embed_tokens.weight"]);
}

#[test]
fn a_missing_and_a_surplus_moment_are_named_with_their_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("optimizer.safetensors");
    let (policy, _) = stepped(policy(), &file);
    rewrite(&file, |layout| {
        layout.retain(|(name, _)| name != "second.model.norm.weight");
        layout.push(("first.value_head.weight".into(), vec![1]));
    });
    let message = read(&file, &policy).unwrap_err().to_string();
    let lacks = "it lacks second.model.norm.weight, and it has first.value_head.weight";
    for part in ["optimizer.safetensors", lacks] {
        assert!(message.contains(part), "{part} is not in: {message}");
    }
}

#[test]
fn moments_of_another_shape_are_refused_with_both_shapes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("optimizer.safetensors");
    let (policy, _) = stepped(policy(), &file);
    rewrite(&file, |layout| {
        let place = layout.iter_mut().find(|(name, _)| name == "first.model.norm.weight");
        place.unwrap().1 = vec![2, 2];
    });
    let message = read(&file, &policy).unwrap_err().to_string();
    for part in ["first.model.norm.weight", "[2, 2]", "[4]"] {
        assert!(message.contains(part), "{part} is not in: {message}");
    }
}

#[test]
fn a_policy_that_trains_more_than_the_file_has_moments_of_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("optimizer.safetensors");
    let frozen = policy().freeze(|name| name.contains("mlp"));
    stepped(frozen, &file);
    let message = read(&file, &policy()).unwrap_err().to_string();
    let lacks = "it lacks first.model.layers.0.mlp.down_proj.weight, \
                 first.model.layers.0.mlp.gate_proj.weight, \
                 first.model.layers.0.mlp.up_proj.weight and 9 more";
    assert!(message.contains(lacks), "{message}");
}

/// Wide enough for parameters of 4096 numbers, and one whose last block is not full.
fn wide_policy() -> Policy {
    let config = serde_json::json!({
        "model_type": "qwen2", "vocab_size": 9, "hidden_size": 64, "intermediate_size": 70,
        "num_hidden_layers": 1, "num_attention_heads": 2, "tie_word_embeddings": true,
    });
    let config = serde_json::from_value(config).unwrap();
    Decoder::initialise(&config, 5, &Default::default()).unwrap()
}

fn in_codes() -> Optimizer<NdArray> {
    let moments = MomentStorage::Q8;
    Optimizer::new(OptimizerConfig { learning_rate: 0.1, moments, ..Default::default() }, 9)
}

/// A wide policy after two steps, its moments in codes in a file.
fn stepped_in_codes(file: &Path) -> (Policy, Optimizer<NdArray>) {
    let (mut policy, mut optimizer) = (wide_policy(), in_codes());
    for _ in 0..2 {
        let gradients = gradients(&policy);
        policy = optimizer.step(policy, gradients).0;
    }
    optimizer.moments().save(file, &policy.parameters()).unwrap();
    (policy, optimizer)
}

fn place(name: &str, shape: &[usize]) -> Place {
    Place { name: name.into(), shape: shape.into(), kind: TensorType::Words }
}

#[test]
fn moments_in_codes_come_back_to_the_last_bit_and_so_does_the_next_step() {
    let folder = tempfile::tempdir().unwrap();
    let [file, again] = ["one", "two"].map(|name| folder.path().join(name));
    let (policy, mut first) = stepped_in_codes(&file);
    let parameters = policy.parameters();
    let read = Moments::read(&file, &parameters, MomentStorage::Q8, &Default::default()).unwrap();
    read.save(&again, &parameters).unwrap();
    assert!(std::fs::read(&file).unwrap() == std::fs::read(&again).unwrap());
    let mut second = in_codes();
    second.restore(2, read);
    let expected = first.step(policy.clone(), gradients(&policy)).0;
    let resumed = second.step(policy.clone(), gradients(&policy)).0;
    assert_ne!(values(&expected), values(&policy));
    assert_eq!(values(&resumed), values(&expected));
}

#[test]
fn moments_of_4096_numbers_and_more_are_words_in_the_file_and_others_stay_f32() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("optimizer.safetensors");
    stepped_in_codes(&file);
    let opened = TensorFile::open(&file).unwrap();
    // 64 · 70 numbers are 17.5 blocks; of each a word is the scale, and 64 are codes.
    for (name, words) in [("mlp.gate_proj.weight", [18, 65]), ("self_attn.q_proj.weight", [16, 65])]
    {
        for moment in ["first", "second"] {
            let place = place(&format!("{moment}.model.layers.0.{name}"), &words);
            assert_eq!(opened.get_words(&place).unwrap().len(), words[0] * words[1]);
            let message = opened.get(&place.name, &words).unwrap_err().to_string();
            assert!(message.contains("stored as U32"), "{message}");
        }
    }
    for (name, shape) in [("norm.weight", [64].as_slice()), ("embed_tokens.weight", &[9, 64])] {
        let name = format!("first.model.{name}");
        assert_eq!(opened.get(&name, shape).unwrap().len(), shape.iter().product::<usize>());
        let message = opened.get_words(&place(&name, shape)).unwrap_err().to_string();
        assert!(message.contains("stored as F32"), "{message}");
    }
}

#[test]
fn moments_that_were_kept_in_something_else_are_refused_with_what_to_set() {
    let folder = tempfile::tempdir().unwrap();
    let [floats, codes] = ["f32", "q8"].map(|name| folder.path().join(name));
    let (policy, _) = stepped(wide_policy(), &floats);
    stepped_in_codes(&codes);
    for (file, storage, told) in [
        (floats, MomentStorage::Q8, "its moments are f32, and this run keeps q8"),
        (codes, MomentStorage::F32, "its moments are q8, and this run keeps f32"),
    ] {
        let read =
            Moments::<NdArray>::read(&file, &policy.parameters(), storage, &Default::default());
        let message = read.unwrap_err().to_string();
        assert!(message.contains(told) && message.contains("optimizer.moments"), "{message}");
    }
}

#[test]
fn a_scale_that_is_no_size_is_refused_with_its_tensor() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("optimizer.safetensors");
    let (policy, _) = stepped_in_codes(&file);
    let bytes = std::fs::read(&file).unwrap();
    let name = "first.model.layers.0.self_attn.q_proj.weight";
    let scale = TensorFile::open(&file).unwrap().get_words(&place(name, &[16, 65])).unwrap()[0];
    let place = bytes.windows(4).position(|four| four == scale.to_le_bytes()).unwrap();
    for strange in [f32::NAN, f32::INFINITY, -1.0] {
        let mut changed = bytes.clone();
        changed[place..place + 4].copy_from_slice(&strange.to_le_bytes());
        std::fs::write(&file, changed).unwrap();
        let parameters = policy.parameters();
        let read =
            Moments::<NdArray>::read(&file, &parameters, MomentStorage::Q8, &Default::default());
        let message = read.unwrap_err().to_string();
        assert!(message.contains(name) && message.contains("scales"), "{message}");
    }
}
