//! Files that are written: read again, and held against those of llama.cpp's package.

use std::io;

use serde_json::{Value, json};
use tokenizers::Tokenizer;

use super::{fixture, json_fixture, model, on_disk, tokenizers::check, value};
use crate::model::gguf::{FileType, GgufError, GgufFile, GgufModel, ModelFiles, write};

/// A tiny model of a family with a tokenizer of its own.
struct Made {
    config: Value,
    tokenizer: Value,
    tokenizer_config: Value,
    layout: Vec<(String, Vec<usize>)>,
}

impl Made {
    fn of(family: &str, tokenizer: &str) -> Self {
        let mut config = json_fixture("families.json")[family].clone();
        let tokenizer = json_fixture("tokenizers.json")["made"][tokenizer]["tokenizer"].clone();
        // More rows than tokens, as published models have them.
        let rows = 3 + Tokenizer::from_bytes(tokenizer.to_string()).unwrap().get_vocab_size(true);
        config["vocab_size"] = rows.into();
        let shapes = config["shapes"].take();
        let layout = shapes.as_object().unwrap().iter().map(|(name, shape)| {
            let mut shape: Vec<usize> = serde_json::from_value(shape.clone()).unwrap();
            if shape[0] == 8 && shape.len() == 2 && !name.contains("layers") {
                shape[0] = rows;
            }
            (name.clone(), shape)
        });
        let layout = layout.collect();
        let tokenizer_config = json!({
            "bos_token": "<s>", "eos_token": {"content": "</s>"},
            "pad_token": "<of no row>", "chat_template": "{{ messages }}",
        });
        Self { config, tokenizer, tokenizer_config, layout }
    }

    fn files(&self) -> ModelFiles<'_> {
        ModelFiles {
            name: "tiny",
            config: &self.config,
            tokenizer: &self.tokenizer,
            tokenizer_config: &self.tokenizer_config,
            chat_template: None,
        }
    }

    fn values(&self) -> impl Iterator<Item = io::Result<Vec<f32>>> {
        self.layout.iter().map(|(name, shape)| Ok(value(name, shape)))
    }

    fn written(&self, file_type: FileType) -> Result<Vec<u8>, GgufError> {
        let mut bytes = Vec::new();
        write(&mut bytes, &self.files(), file_type, &self.layout, self.values())?;
        Ok(bytes)
    }

    fn refusal(&self) -> String {
        self.written(FileType::F16).unwrap_err().to_string()
    }
}

fn open(bytes: &[u8]) -> (tempfile::TempDir, GgufModel) {
    let (folder, path) = on_disk(bytes);
    let model = GgufModel::open(&path).unwrap();
    (folder, model)
}

const FAMILIES: [&str; 6] = ["llama", "qwen2", "qwen3", "granite", "olmo2", "smollm3"];

#[test]
fn what_is_written_is_read_again_the_same() {
    for family in FAMILIES {
        let made = Made::of(family, "smollm");
        for file_type in [FileType::F32, FileType::F16, FileType::Bf16] {
            let (_folder, model) = open(&made.written(file_type).unwrap());
            for (name, shape) in &made.layout {
                let found = model.get(name, shape).unwrap();
                assert_eq!(found, value(name, shape), "{family}, {}: {name}", file_type.name());
            }
            assert_eq!(model.names().count(), made.layout.len());
            let config = model.config_json().unwrap();
            for key in [
                "model_type",
                "vocab_size",
                "hidden_size",
                "head_dim",
                "rms_norm_eps",
                "rope_theta",
                "rope_scaling",
                "tie_word_embeddings",
                "attention_bias",
                "num_key_value_heads",
                "max_position_embeddings",
                "residual_multiplier",
            ] {
                let same = config[key] == made.config[key]
                    || config[key].as_f64() == made.config[key].as_f64();
                assert!(same, "{family}: {key} is {}", config[key]);
            }
        }
    }
}

#[test]
fn tensors_are_named_and_ordered_as_llama_cpps_converter_does() {
    for family in FAMILIES {
        let (_folder, written) = open(&Made::of(family, "smollm").written(FileType::F32).unwrap());
        let theirs = model(family);
        let names: Vec<&str> = theirs.file().names().collect();
        assert_eq!(written.file().names().collect::<Vec<_>>(), names, "{family}");
        // The vocabulary is another.
        for name in
            names.into_iter().filter(|name| !["token_embd.weight", "output.weight"].contains(name))
        {
            let shape = theirs.file().shape(name).unwrap();
            assert_eq!(written.file().shape(name).unwrap(), shape);
            let all = 0..shape.iter().rev().skip(1).product();
            let rows = |model: &GgufModel| model.file().rows(name, all.clone()).unwrap();
            let near = |(a, b): (&f32, &f32)| (a / b - 1.0).abs() < 1e-5 || a == b;
            assert!(rows(&written).iter().zip(&rows(&theirs)).all(near), "{family}: {name}");
        }
    }
}

#[test]
fn few_bits_keep_what_they_can() {
    let made = Made::of("llama", "smollm");
    // Steps are the greatest of a block over 127 and over 8; the values are at most 16 and 17 of 32 of one sign.
    for (file_type, off) in [(FileType::Q8_0, 0.08), (FileType::Q4_0, 2.2)] {
        let (_folder, model) = open(&made.written(file_type).unwrap());
        let name = "model.layers.0.mlp.down_proj.weight";
        let (found, exact) = (model.get(name, &[16, 32]).unwrap(), value(name, &[16, 32]));
        let most = found.iter().zip(&exact).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(most > 0.0 && most < off, "{}: {most}", file_type.name());
        // Rows of 16 fill no block, and norms are vectors.
        for name in ["model.layers.0.mlp.up_proj.weight", "model.norm.weight"] {
            let shape = model.shape(name).unwrap().to_vec();
            assert_eq!(model.get(name, &shape).unwrap(), value(name, &shape));
        }
    }
}

#[test]
fn tokenizers_are_written_with_their_ids() {
    for (name, pre) in [("smollm", "smollm"), ("llama-bpe", "llama-bpe"), ("llama", "default")] {
        let made = Made::of("llama", name);
        let (_folder, model) = open(&made.written(FileType::F16).unwrap());
        assert_eq!(model.file().text("tokenizer.ggml.pre").unwrap(), Some(pre));
        let json = model.tokenizer_json().unwrap();
        check(&Tokenizer::from_bytes(json.to_string()).unwrap(), name);
        let config = model.tokenizer_config_json().unwrap();
        assert_eq!((&config["bos_token"], &config["eos_token"]), (&"<s>".into(), &"</s>".into()));
        assert_eq!(config["add_bos_token"], pre != "smollm", "{name}");
        assert_eq!(config["chat_template"], "{{ messages }}");
        let tokens = model.file().texts("tokenizer.ggml.tokens").unwrap().unwrap();
        assert_eq!(tokens.len(), made.config["vocab_size"]);
        assert_eq!(*tokens.last().unwrap(), format!("[PAD{}]", tokens.len() - 1));
    }
}

/// The metadata that llama.cpp's package wrote for the same tokenizer.
#[test]
fn tokens_kinds_and_merges_are_those_of_llama_cpps_package() {
    let (_folder, model) = open(&Made::of("llama", "smollm").written(FileType::F16).unwrap());
    let theirs = GgufFile::open(&fixture("smollm.tokenizer.gguf")).unwrap();
    let (own, count) = (model.file(), theirs.length("tokenizer.ggml.tokens").unwrap().unwrap());
    for key in ["tokenizer.ggml.tokens", "tokenizer.ggml.merges"] {
        let texts = |file: &GgufFile| -> Vec<String> {
            file.texts(key)
                .unwrap()
                .unwrap()
                .iter()
                .take(count)
                .map(|text| text.to_string())
                .collect()
        };
        assert_eq!(texts(own), texts(&theirs), "{key}");
    }
    let kinds = |file: &GgufFile| file.numbers("tokenizer.ggml.token_type").unwrap().unwrap();
    assert_eq!(kinds(own)[..count], kinds(&theirs));
}

#[test]
fn the_template_of_a_file_comes_before_that_of_the_config_and_turns_end_too() {
    let mut made = Made::of("llama", "smollm");
    made.config["eos_token_id"] = json!([2, 9]);
    let mut bytes = Vec::new();
    let files = ModelFiles { chat_template: Some("own"), ..made.files() };
    write(&mut bytes, &files, FileType::F16, &made.layout, made.values()).unwrap();
    let (_folder, model) = open(&bytes);
    assert_eq!(model.tokenizer_config_json().unwrap()["chat_template"], "own");
    let eos = model.file().whole("tokenizer.ggml.eos_token_id").unwrap().unwrap();
    assert_eq!(model.config_json().unwrap()["eos_token_id"], json!([eos, 2]));
}

#[test]
fn what_llama_cpp_would_compute_otherwise_is_refused() {
    let changed = |key: &str, value: Value| {
        let mut made = Made::of("llama", "smollm");
        made.config[key] = value;
        made.refusal()
    };
    for (key, value, part) in [
        ("model_type", json!("gemma"), "model_type is \"gemma\""),
        ("hidden_act", json!("gelu"), "hidden_act is \"gelu\""),
        ("rope_scaling", json!({"type": "yarn", "factor": 2.0}), "\"yarn\""),
        ("partial_rotary_factor", json!(0.5), "partial_rotary_factor is 0.5"),
        ("layer_types", json!(["sliding_attention"]), "window"),
        ("head_dim", json!(7), "heads are 7 wide"),
        ("hidden_size", json!("wide"), "hidden_size is \"wide\""),
    ] {
        let message = changed(key, value);
        assert!(message.contains(part), "{message} lacks {part}");
    }
    let mut made = Made::of("qwen2", "smollm");
    made.config["rope_scaling"] = Made::of("llama", "smollm").config["rope_scaling"].take();
    assert!(made.refusal().contains("scaled as Llama 3's, and it is a qwen2"));
    let mut made = Made::of("llama", "smollm");
    made.layout.push(("model.layers.0.self_attn.sinks".into(), vec![2]));
    assert!(made.refusal().contains("no place for model.layers.0.self_attn.sinks in a llama"));
    for (family, part) in [("qwen3", "self_attn.q_proj"), ("qwen2", "self_attn.o_proj")] {
        let mut made = Made::of(family, "smollm");
        made.layout.push((format!("model.layers.0.{part}.bias"), vec![16]));
        assert!(made.refusal().contains(&format!("{part}.bias in a {family}")));
    }
}

#[test]
fn tokenizers_that_llama_cpp_does_not_have_are_refused() {
    let changed = |part: &str, value: Value| {
        let mut made = Made::of("llama", "smollm");
        made.tokenizer[part] = value;
        made.refusal()
    };
    let message = changed("pre_tokenizer", json!({"type": "Whitespace"}));
    assert!(
        message.contains("no name for the pre_tokenizer {\"type\":\"Whitespace\"}"),
        "{message}"
    );
    assert!(changed("normalizer", json!({"type": "Lowercase"})).contains("Lowercase"));
    assert!(changed("model", json!({"type": "WordLevel"})).contains("WordLevel"));
    assert!(
        changed("post_processor", json!({"type": "BertProcessing"})).contains("BertProcessing")
    );
    let token = json!({"SpecialToken": {"id": "<s>", "type_id": 0}});
    let text = json!({"Sequence": {"id": "A", "type_id": 0}});
    let around = |single: Value| {
        changed("post_processor", json!({"type": "TemplateProcessing", "single": single}))
    };
    assert!(around(json!([token, token, text, token])).contains("more around a text"));
    assert!(around(json!([token, token, text])).contains("more around a text"));
    assert!(around(json!([text, token])).contains("ends a text with \"<s>\""));
    let mut made = Made::of("llama", "smollm");
    made.tokenizer["model"]["end_of_word_suffix"] = "</w>".into();
    assert!(made.refusal().contains("end_of_word_suffix \"</w>\""));
    let mut made = Made::of("llama", "smollm");
    made.tokenizer["added_tokens"][0]["id"] = 9.into();
    assert!(made.refusal().contains("\"<s>\" under two ids"));
    let mut made = Made::of("llama", "smollm");
    made.tokenizer_config["eos_token"] = "<stop>".into();
    assert!(made.refusal().contains("eos_token is \"<stop>\""));
}

#[test]
fn the_ways_to_write_spaces_down_are_told_apart() {
    let put = |normalizer: Value, pre: Value| {
        let mut made = Made::of("llama", "llama");
        (made.tokenizer["normalizer"], made.tokenizer["pre_tokenizer"]) = (normalizer, pre);
        let bytes = made.written(FileType::F16).map_err(|error| error.to_string())?;
        let (_folder, model) = open(&bytes);
        Ok::<_, String>(model.file().flag("tokenizer.ggml.add_space_prefix").unwrap())
    };
    let metaspace =
        |scheme: &str| json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme});
    let spaces = json!({"type": "Replace", "pattern": {"String": " "}, "content": "▁"});
    assert_eq!(put(Value::Null, metaspace("first")), Ok(Some(true)));
    assert_eq!(put(Value::Null, metaspace("never")), Ok(Some(false)));
    assert_eq!(put(spaces.clone(), Value::Null), Ok(Some(false)));
    assert!(put(spaces, metaspace("first")).unwrap_err().contains("does not turn spaces"));
}

#[test]
fn errors_of_values_and_of_the_disk_come_back() {
    struct Full;
    impl io::Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let made = Made::of("llama", "smollm");
    let into = |out: &mut dyn io::Write, values: Vec<io::Result<Vec<f32>>>| {
        let mut out = out;
        write(&mut out, &made.files(), FileType::F16, &made.layout, values).unwrap_err()
    };
    let full = into(&mut Full, Vec::new());
    assert!(
        matches!(&full, GgufError::Write(e) if e.kind() == io::ErrorKind::StorageFull),
        "{full}"
    );
    let failed = into(&mut Vec::new(), vec![Err(io::Error::other("the device failed"))]);
    assert!(failed.to_string().contains("the device failed"));
    let rows = made.layout[0].1.iter().product();
    let wild = into(&mut Vec::new(), vec![Ok(vec![1e6; rows])]).to_string();
    assert!(wild.contains("tensor token_embd.weight has values beyond F16"), "{wild}");
}

#[test]
#[should_panic(expected = "values of tensor token_embd.weight")]
fn values_that_do_not_fit_the_layout_are_a_bug() {
    let made = Made::of("llama", "smollm");
    let values = [Ok(vec![1.0])];
    let _ = write(&mut Vec::new(), &made.files(), FileType::F16, &made.layout, values);
}
