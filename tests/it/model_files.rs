//! Weights in files: saved, read back, found by name, and refused with their file.

use std::fs;
use std::path::Path;

use wgrpo::model::{Decoder, LoadedModel, ModelConfig, Parameter, Weights, save_tensors};
use wgrpo::text::Tokenizer;

use crate::support::{Cpu, FIXTURES, device, fixture, open, values};

#[test]
fn saved_weights_come_back_bit_for_bit() {
    for name in FIXTURES {
        let (config, decoder) = open::<Cpu>(name);
        let folder = tempfile::tempdir().unwrap();
        decoder.save(&folder.path().join("model.safetensors")).unwrap();
        let again = Decoder::<Cpu>::load(&config, folder.path(), &device()).unwrap();
        assert_eq!(values(&again), values(&decoder), "{name}");
    }
}

#[test]
fn a_saved_folder_opens_as_the_same_model_with_the_same_tokenizer() {
    let tokenizer = Tokenizer::characters("0123456789+=").unwrap();
    let config = ModelConfig::from_folder(&fixture("qwen3")).unwrap();
    let config = config.for_tokenizer(tokenizer.vocab_size(), Some(1), vec![2], Some(0));
    let decoder = Decoder::<Cpu>::initialise(&config, 7, &device()).unwrap();
    let model = LoadedModel { config, decoder, tokenizer };
    let folder = tempfile::tempdir().unwrap();
    model.save(folder.path()).unwrap();
    let again = LoadedModel::<Cpu>::open(folder.path(), &device()).unwrap();
    assert_eq!(values(&again.decoder), values(&model.decoder));
    assert_eq!(again.config, model.config);
    assert_eq!(again.tokenizer.eos_ids(), [2]);
    assert_eq!(again.tokenizer.encode("1+2=", true).unwrap(), [1, 4, 13, 5, 14]);
}

/// The llama fixture in a folder of its own, its tensors changed.
fn broken(change: impl Fn(&mut Vec<(String, Vec<usize>, Vec<f32>)>)) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(fixture("llama").join("config.json"), folder.path().join("config.json")).unwrap();
    let config = ModelConfig::from_folder(folder.path()).unwrap();
    let weights = Weights::open(&fixture("llama")).unwrap();
    let tensors = config.parameters().into_iter().map(|(name, shape)| {
        let values = weights.get(&name, &shape).unwrap();
        (name, shape, values)
    });
    let mut tensors: Vec<_> = tensors.collect();
    change(&mut tensors);
    let layout: Vec<_> =
        tensors.iter().map(|(name, shape, _)| (name.clone(), shape.clone())).collect();
    let values = tensors.into_iter().map(|(_, _, values)| values);
    save_tensors(&folder.path().join("model.safetensors"), &layout, &[], values).unwrap();
    folder
}

fn refusal(folder: &Path) -> String {
    let config = ModelConfig::from_folder(folder).unwrap();
    Decoder::<Cpu>::load(&config, folder, &device()).unwrap_err().to_string()
}

const TENSOR: &str = "model.layers.1.mlp.up_proj.weight";

#[test]
fn every_parameter_has_the_name_and_shape_that_transformers_gave_it() {
    for name in FIXTURES {
        let (config, decoder) = open::<Cpu>(name);
        let stored = Weights::open(&fixture(name)).unwrap();
        let mut names: Vec<_> = decoder.parameters().into_iter().map(|p| p.name).collect();
        names.sort();
        assert_eq!(names, stored.names(), "{name}");
        for Parameter { name, shape, .. } in decoder.parameters() {
            stored.get(&name, &shape).unwrap();
        }
        let listed = decoder.parameters().into_iter().map(|p| (p.name, p.shape));
        assert_eq!(listed.collect::<Vec<_>>(), config.parameters(), "{name}");
    }
}

#[test]
fn values_find_their_parameter_by_name_whatever_their_order_in_the_file() {
    let folder = broken(|tensors| tensors.reverse());
    let config = ModelConfig::from_folder(folder.path()).unwrap();
    let reversed = Decoder::<Cpu>::load(&config, folder.path(), &device()).unwrap();
    assert_eq!(values(&reversed), values(&open::<Cpu>("llama").1));
}

#[test]
fn a_missing_tensor_is_named_with_its_folder() {
    let folder = broken(|tensors| tensors.retain(|(name, _, _)| name != TENSOR));
    let message = refusal(folder.path());
    assert!(message.contains(TENSOR), "{message}");
    assert!(message.contains(folder.path().to_str().unwrap()), "{message}");
}

#[test]
fn a_misshapen_tensor_is_named_with_its_file_and_both_shapes() {
    let folder = broken(|tensors| {
        let (_, shape, _) = tensors.iter_mut().find(|(name, _, _)| name == TENSOR).unwrap();
        shape.reverse();
    });
    let message = refusal(folder.path());
    for part in [TENSOR, "model.safetensors", "[32, 48]", "[48, 32]"] {
        assert!(message.contains(part), "{part} is not in: {message}");
    }
}

#[test]
fn a_file_that_is_cut_short_is_named() {
    let folder = broken(|_| ());
    let file = folder.path().join("model.safetensors");
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..bytes.len() - 100]).unwrap();
    let message = refusal(folder.path());
    assert!(message.contains(file.to_str().unwrap()) && message.contains("cut short"), "{message}");
}
