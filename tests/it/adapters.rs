//! Low-rank adapters against what PEFT and PyTorch compute, and adapters in folders.

use std::path::PathBuf;

use burn::tensor::Tensor;
use serde_json::Value;

use wgrpo::kernel::{AdamW, adamw_step};
use wgrpo::model::{
    Adapter, Base, Decoder, LoraConfig, ModelConfig, Packed, PackedCompletions, PromptGroup,
    TensorFile, WeightStorage, is_of_adapter,
};

use crate::support::{
    Cpu, Training, assert_close, device, fixture, floats, gradients, ids_of, numbers_of,
};

const ADAPTERS: [&str; 2] = ["llama_untied", "qwen2"];

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/adapters").join(name)
}

fn golden(name: &str) -> Value {
    let text = std::fs::read_to_string(folder(name).join("golden.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The model of a fixture with its adapter.
fn adapted(name: &str, base: Base) -> (ModelConfig, Decoder<Training>) {
    let config = ModelConfig::from_folder(&fixture(name)).unwrap();
    let decoder = Decoder::load_frozen(&config, &fixture(name), base, None, &device()).unwrap();
    let decoder = Adapter::open(&folder(name)).unwrap().on(decoder, &config).unwrap();
    (config, decoder.freeze(|name| !is_of_adapter(name)))
}

fn logits(decoder: &Decoder<Training>, ids: &[u32]) -> Vec<f32> {
    floats(decoder.logits(&decoder.forward(&Packed::sequences(&[ids]))))
}

fn rows(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().flat_map(numbers_of).collect()
}

fn loss(decoder: &Decoder<Training>, golden: &Value) -> Tensor<Training, 1> {
    let ids = ids_of(&golden["ids"]);
    let group = PromptGroup { prompt: &ids[..1], completions: vec![&ids[1..]] };
    let temperature = golden["temperature"].as_f64().unwrap() as f32;
    decoder.completion_logps(&PackedCompletions::new(&[group]), temperature).logps.mean().neg()
}

/// Holds sum, norm and first values of a tensor against PyTorch's.
fn assert_numbers(name: &str, values: &[f32], expected: &Value, tolerance: f64) {
    let number = |key: &str| expected[key].as_f64().unwrap();
    let norm = values.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    let sum = values.iter().map(|x| f64::from(*x)).sum::<f64>();
    let allowed = tolerance * number("norm");
    assert!((norm - number("norm")).abs() < allowed, "{name}: norm {norm}");
    assert!((sum - number("sum")).abs() < 10.0 * allowed, "{name}: sum {sum}");
    assert_close(&values[..5], &numbers_of(&expected["first"]), allowed, 1e-4);
}

#[test]
fn logits_with_an_adapter_are_those_of_peft_in_16_bits_8_bits_and_4_bits() {
    for name in ADAPTERS {
        let golden = golden(name);
        for (kind, base) in [("auto", Base::Auto), ("q8_0", Base::Q8_0), ("q4_0", Base::Q4_0)] {
            let (_, decoder) = adapted(name, base);
            let expected = rows(&golden["bases"][kind]);
            assert_close(&logits(&decoder, &ids_of(&golden["ids"])), &expected, 2e-4, 2e-5);
        }
    }
}

#[test]
fn gradients_and_a_step_of_an_adapter_are_those_of_peft_and_pytorch() {
    for name in ADAPTERS {
        let (golden, (_, decoder)) = (golden(name), adapted(name, Base::Auto));
        let loss = loss(&decoder, &golden);
        assert_close(&floats(loss.clone()), &[golden["loss"].as_f64().unwrap()], 1e-5, 0.0);
        let parameters = decoder.parameters();
        let mut checked = 0;
        for (parameter, gradient) in parameters.iter().zip(gradients(&decoder, loss)) {
            assert_eq!(parameter.trainable, is_of_adapter(&parameter.name), "{}", parameter.name);
            if !parameter.trainable {
                assert!(gradient.iter().all(|g| *g == 0.0), "{}", parameter.name);
                continue;
            }
            let peft = peft_name(&parameter.name);
            assert_numbers(&peft, &gradient, &golden["gradient"][&peft], 1e-5);
            let shape = [parameter.shape[0], parameter.shape[1]];
            let file = TensorFile::open(&folder(name).join("adapter_model.safetensors")).unwrap();
            let value = file.get(&peft, &shape).unwrap();
            let stepped = step(&value, &gradient, &golden["adamw"]);
            assert_numbers(&peft, &stepped, &golden["stepped"][&peft], 1e-5);
            checked += 1;
        }
        assert_eq!(checked, golden["gradient"].as_object().unwrap().len());
    }
}

/// The first AdamW step.
fn step(value: &[f32], gradient: &[f32], of: &Value) -> Vec<f32> {
    let tensor = |values: &[f32]| Tensor::<Cpu, 1>::from_floats(values, &device());
    let number = |key: &str| of[key].as_f64().unwrap() as f32;
    let betas = numbers_of(&of["betas"]);
    let zeros = || tensor(&vec![0.0; value.len()]);
    let hyper = AdamW {
        learning_rate: number("lr"),
        beta_1: betas[0] as f32,
        beta_2: betas[1] as f32,
        epsilon: number("eps"),
        weight_decay: number("weight_decay"),
        grad_scale: 1.0,
        step: 1,
    };
    floats(adamw_step(hyper, tensor(value), [zeros(), zeros()], &tensor(gradient)).0)
}

fn peft_name(name: &str) -> String {
    let name = name.replace("lora_a", "lora_A").replace("lora_b", "lora_B");
    format!("base_model.model.{name}")
}

#[test]
fn a_merged_adapter_gives_the_logits_of_peft_however_it_is_merged() {
    for name in ADAPTERS {
        let golden = golden(name);
        let (ids, expected) = (ids_of(&golden["ids"]), rows(&golden["merged"]));
        // While the model is loaded,
        let adapter = Adapter::open(&folder(name)).unwrap();
        let config = ModelConfig::from_folder(&fixture(name)).unwrap();
        let merged = adapter.merged(&config).unwrap();
        let decoder =
            Decoder::load_frozen(&config, &fixture(name), Base::F32, Some(&merged), &device());
        assert_close(&logits(&decoder.unwrap(), &ids), &expected, 2e-4, 2e-5);
        // and when it is saved.
        let saved = tempfile::tempdir().unwrap();
        let file = saved.path().join("model.safetensors");
        adapted(name, Base::Auto).1.save(&file).unwrap();
        let file = TensorFile::open(&file).unwrap();
        let mut source = |name: &str, shape: &[usize]| Ok(file.get(name, shape)?);
        let decoder = Decoder::new(&config, &mut source, &device()).unwrap();
        assert_close(&logits(&decoder, &ids), &expected, 2e-4, 2e-5);
    }
}

#[test]
fn a_saved_adapter_is_read_back_and_is_no_other() {
    for name in ADAPTERS {
        let (config, decoder) = adapted(name, Base::Auto);
        let (saved, lora) =
            (tempfile::tempdir().unwrap(), Adapter::open(&folder(name)).unwrap().lora);
        decoder.save_adapter(saved.path(), &lora, WeightStorage::F32, "a/model").unwrap();
        let again = Adapter::open(saved.path()).unwrap();
        assert_eq!((&again.lora, again.base.as_deref()), (&lora, Some("a/model")));
        again.check(&config).unwrap();
        let read =
            |folder: PathBuf| std::fs::read(folder.join("adapter_model.safetensors")).unwrap();
        assert_eq!(read(saved.path().into()).len(), read(folder(name)).len());
    }
}

#[test]
fn a_fresh_adapter_changes_no_logit_and_is_all_that_is_trained() {
    let config = ModelConfig::from_folder(&fixture("qwen2")).unwrap();
    let load = || {
        Decoder::<Training>::load_frozen(&config, &fixture("qwen2"), Base::Auto, None, &device())
            .unwrap()
    };
    let targets = vec!["o_proj".to_owned(), "up_proj".to_owned()];
    let lora = LoraConfig { rank: 4, alpha: 8.0, targets, ..Default::default() };
    let adapted = load().with_fresh_adapter(&lora, 7).unwrap();
    let trained = adapted.parameters().into_iter().filter(|parameter| parameter.trainable);
    let count: usize = trained.map(|parameter| parameter.shape.iter().product::<usize>()).sum();
    assert_eq!(count, lora.parameter_count(&config));
    assert_eq!(count, 2 * 4 * ((32 + 32) + (48 + 32)));
    let ids = [5, 9, 3, 17];
    assert_eq!(logits(&adapted, &ids), logits(&load(), &ids));
}

#[test]
fn an_adapter_that_would_be_read_as_something_else_is_refused_by_name() {
    let changed = |key: &str, value: Value| {
        let copy = tempfile::tempdir().unwrap();
        for file in ["adapter_config.json", "adapter_model.safetensors"] {
            std::fs::copy(folder("qwen2").join(file), copy.path().join(file)).unwrap();
        }
        let path = copy.path().join("adapter_config.json");
        let mut config: Value =
            serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        config[key] = value;
        std::fs::write(&path, config.to_string()).unwrap();
        Adapter::open(copy.path()).unwrap_err().to_string()
    };
    for (key, value) in [
        ("use_dora", true.into()),
        ("peft_type", "IA3".into()),
        ("bias", "all".into()),
        ("modules_to_save", serde_json::json!(["lm_head"])),
        ("rank_pattern", serde_json::json!({"q_proj": 8})),
        ("fan_in_fan_out", true.into()),
    ] {
        assert!(
            changed(key, value).contains(&format!(
                "adapter_config.json has {}",
                if key == "bias" { "a bias" } else { key }
            )),
            "{key}"
        );
    }
    assert!(changed("r", 0.into()).contains("its rank is 0"));
    assert!(changed("lora_alpha", (-1.0).into()).contains("its alpha is -1"));
    assert!(changed("r", "x".into()).contains("adapter_config.json: "));
}

#[test]
fn an_adapter_of_another_model_is_refused_with_the_tensor_that_does_not_fit() {
    let adapter = Adapter::open(&folder("qwen2")).unwrap();
    let other = ModelConfig::from_folder(&fixture("llama_untied")).unwrap();
    let wider = ModelConfig { intermediate_size: 64, ..other.clone() };
    assert!(adapter.check(&wider).unwrap_err().to_string().contains("down_proj"));
    let shorter = ModelConfig { num_hidden_layers: 1, ..other };
    let told = adapter.check(&shorter).unwrap_err().to_string();
    assert!(told.contains("layers.1.") && told.contains("no place"), "{told}");
}
