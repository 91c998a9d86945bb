//! What a run is said to take of memory, beside what it takes.

use serde_json::Value;

use crate::program::{Scene, says};

fn json(scene: &Scene, arguments: &[&str]) -> Value {
    serde_json::from_str(&scene.succeed(arguments).stdout).unwrap()
}

/// Two shapes of a few hundred MiB and little work: one that is mostly vocabulary, one mostly layers.
const SHAPES: [&[&str]; 2] = [
    &["vocab_size=60000", "hidden_size=256", "intermediate_size=256", "num_hidden_layers=1"],
    &["vocab_size=64", "hidden_size=512", "intermediate_size=2048", "num_hidden_layers=8"],
];

#[test]
fn a_run_takes_what_was_said_within_15_percent() {
    let scene = Scene::new();
    for shape in SHAPES {
        let shape = shape.iter().map(|size| format!("model.architecture.{size}"));
        let settings: Vec<String> = shape.chain(["gradient_checkpointing=false".into()]).collect();
        let set = settings.iter().flat_map(|setting| ["--set", setting.as_str()]);
        let set: Vec<&str> = set.collect();
        let said = json(&scene, &[&["memory", "tiny.yaml", "--json"], &set[..]].concat());
        let bench = ["bench", "tiny.yaml", "--steps", "1", "--warmup", "1"];
        let measured = json(&scene, &[&bench[..], &set].concat());
        let said = said["bytes"].as_f64().unwrap() / f64::from(1 << 20);
        let Some(measured) = measured["max_rss_mib"].as_f64() else {
            println!("skipped: this system does not tell how much memory a process took");
            return;
        };
        let ratio = said / measured;
        assert!(
            (0.85..1.15).contains(&ratio),
            "{shape:?}: {said} said, {measured} measured",
            shape = settings
        );
    }
}

#[test]
fn a_run_says_what_it_takes_before_it_starts() {
    let scene = Scene::new();
    let ended = scene.train("run", &[]);
    says(&ended.stderr, &["memory     about ", " MiB during ", "the program and its tokenizer "]);
    let told = scene.succeed(&["memory", "tiny.yaml"]).stdout;
    let line = told.lines().find(|line| line.starts_with("about ")).unwrap();
    assert!(ended.stderr.contains(line), "{line}");
}

#[test]
fn a_run_that_cannot_fit_is_refused_with_what_brings_it_under() {
    let scene = Scene::new();
    let set = |settings: &[&str]| -> Vec<String> {
        let wide = [
            "model.architecture.hidden_size=512",
            "model.architecture.intermediate_size=2048",
            "model.architecture.num_hidden_layers=8",
        ];
        let all = wide.iter().chain(settings);
        all.flat_map(|setting| ["--set".to_owned(), (*setting).to_owned()]).collect()
    };
    let refused = |settings: &[&str]| {
        let set = set(settings);
        let set: Vec<&str> = set.iter().map(String::as_str).collect();
        let run = ["train", "tiny.yaml", "--output-dir", "run"];
        let refused = scene.refused(&[&run[..], &set].concat());
        assert!(!scene.path("run").exists());
        refused
    };
    let much = refused(&["device.memory_mib=10"]);
    says(&much, &["there are 10.0 MiB (device.memory_mib says otherwise)", "take a smaller model"]);
    let long = ["rollout_batch_size=64", "response_length=40", "gradient_checkpointing=false"];
    let large = [&long[..], &["device.micro_batch_tokens=100000"]].concat();
    let tight = refused(&[&large[..], &["device.memory_mib=900"]].concat());
    says(&tight, &["the run takes about ", "there are 900.0 MiB"]);
    assert_enough(&scene, &set(&large), &tight, 900);
    // What is named is enough, and no more than needed.
    let large =
        [&long[..2], &["gradient_checkpointing=true", "device.micro_batch_tokens=100000"]].concat();
    let with = |tokens: usize| {
        let set = set(&[&large[..], &[&format!("device.micro_batch_tokens={tokens}")]].concat());
        let set: Vec<&str> = set.iter().map(String::as_str).collect();
        let said = json(&scene, &[&["memory", "tiny.yaml", "--json"], &set[..]].concat());
        said["bytes"].as_u64().unwrap()
    };
    let budget = (with(100_000) >> 20) - 20;
    let budget_key = format!("device.memory_mib={budget}");
    let tight = refused(&[&large[..], &[&budget_key]].concat());
    let (_, named) = tight.split_once("lower device.micro_batch_tokens from 100000 to ").unwrap();
    let tokens: usize = named.split(':').next().unwrap().parse().unwrap();
    assert!(with(tokens) <= budget << 20 && with(tokens + 1) > budget << 20, "{tokens}");
}

#[test]
fn auto_is_on_exactly_where_the_run_does_not_fit_without() {
    let scene = Scene::new();
    let shape = [
        "--set",
        "model.architecture.hidden_size=512",
        "--set",
        "model.architecture.num_hidden_layers=8",
        "--set",
        "rollout_batch_size=64",
        "--set",
        "response_length=40",
        "--json",
    ];
    let of = |more: &[&str]| json(&scene, &[&["memory", "tiny.yaml"], &shape[..], more].concat());
    let bytes = |checkpoints: &str| {
        let set = format!("gradient_checkpointing={checkpoints}");
        of(&["--set", &set])["bytes"].as_u64().unwrap()
    };
    let [on, off] = ["true", "false"].map(bytes);
    assert!(on < off, "{on} and {off}");
    let auto = |budget: u64| {
        let set = format!("device.memory_mib={}", budget >> 20);
        let found = of(&["--set", &set]);
        (found["gradient_checkpointing"].as_bool().unwrap(), found["bytes"].as_u64().unwrap())
    };
    assert_eq!(auto(off + (2 << 20)), (false, off));
    assert_eq!(auto((on + off) / 2), (true, on));
}

#[test]
fn a_folder_with_nothing_but_a_configuration_is_reckoned_with_its_longest_prompts() {
    let scene = Scene::new();
    scene.train("base", &["--set", "max_steps=1"]);
    std::fs::create_dir(scene.path("bare")).unwrap();
    let config = scene.read("base/model/config.json");
    scene.write("bare/config.json", &config);
    let text = scene.read("tiny.yaml");
    let (before, rest) = text.split_once("model:\n").unwrap();
    let (_, after) = rest.split_once("data:").unwrap();
    scene.write("bare.yaml", &format!("{before}model: {{path: bare}}\ndata:{after}"));
    let told = scene.succeed(&["memory", "bare.yaml"]).stdout;
    says(&told, &["no tokenizer.json", "(prompt_length)"]);
    // A run's folder is one, too.
    scene.write("of_run.yaml", &scene.read("bare.yaml").replace("path: bare", "path: base"));
    assert!(!scene.succeed(&["memory", "of_run.yaml"]).stdout.contains("no tokenizer.json"));
    // A model that does not fit is refused before its weights are looked for.
    let train = ["train", "bare.yaml", "--output-dir", "run", "--set", "device.memory_mib=10"];
    says(&scene.refused(&train), &["the run takes about ", "there are 10.0 MiB"]);
}

/// Takes the advice of a refusal, and asserts that the run then fits.
fn assert_enough(scene: &Scene, set: &[String], refusal: &str, mib: u64) {
    let (_, advice) = refusal.split_once("says otherwise); ").unwrap();
    let (advice, _) = advice.split_once(": that takes ").unwrap();
    let mut set = set.to_vec();
    for change in advice.split(", and ") {
        let words: Vec<&str> = change.split(' ').collect();
        let setting = match words[0] {
            "set" => format!("{}={}", words[1], words[3]),
            "lower" => format!("{}={}", words[1], words[5]),
            _ => "lora={}".to_owned(),
        };
        set.extend(["--set".to_owned(), setting]);
    }
    // What is `auto` is settled by what there is.
    set.extend(["--set".to_owned(), format!("device.memory_mib={mib}")]);
    let set: Vec<&str> = set.iter().map(String::as_str).collect();
    let found = json(scene, &[&["memory", "tiny.yaml", "--json"], &set[..]].concat());
    assert_eq!(found["fits"], true);
    assert!(found["bytes"].as_u64().unwrap() <= mib << 20, "{refusal}: {found}");
}

/// Whole training of large models in ever less memory: what is told to change is enough, and allowed.
#[test]
fn the_advice_of_a_refusal_is_enough_however_little_there_is() {
    let scene = Scene::new();
    let models = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/memory/models");
    scene.write("tiny.yaml", &std::fs::read_to_string(models.join("../run.yaml")).unwrap());
    let told = |set: &[String], mib: u64| {
        let budget = format!("device.memory_mib={mib}");
        let set: Vec<&str> = set.iter().map(String::as_str).chain(["--set", &budget]).collect();
        let found = scene.succeed(&[&["memory", "tiny.yaml"], &set[..]].concat()).stdout;
        found.lines().find(|line| line.starts_with("it does not fit: ")).map(str::to_owned)
    };
    for (model, budgets) in [
        ("SmolLM2-135M", [3000, 1200, 700]),
        ("Qwen2.5-0.5B", [9000, 5000, 1500]),
        ("Llama-3.2-3B", [30_000, 9000, 4200]),
    ] {
        let path = format!("model.path={}", models.join(model).display());
        // A reference in 16 bits leaves no place for an adapter.
        for more in [&[][..], &["use_kl_loss=true", "device.reference_dtype=f16"]] {
            let all = std::iter::once(path.as_str()).chain(more.iter().copied());
            let set: Vec<String> =
                all.flat_map(|setting| ["--set".to_owned(), setting.to_owned()]).collect();
            for mib in budgets {
                let Some(refusal) = told(&set, mib) else { continue };
                match refusal.contains("take a smaller model") {
                    true => assert!(!more.is_empty(), "{model}, {mib}: {refusal}"),
                    false => assert_enough(&scene, &set, &refusal, mib),
                }
            }
        }
    }
}

/// Parameters as the models' own pages give them.
#[test]
fn the_models_of_the_memory_page_have_the_parameters_that_they_are_known_for() {
    let models = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/memory/models");
    for (name, parameters) in [
        ("SmolLM2-135M", 134_515_008),
        ("SmolLM2-360M", 361_821_120),
        ("SmolLM2-1.7B", 1_711_376_384),
        ("Qwen2.5-0.5B", 494_032_768),
        ("Qwen2.5-1.5B", 1_543_714_304),
        ("Qwen3-0.6B", 596_049_920),
        ("Qwen3-1.7B", 1_720_574_976),
        ("Llama-3.2-1B", 1_235_814_400),
        ("Llama-3.2-3B", 3_212_749_824),
    ] {
        let config = wgrpo::model::ModelConfig::from_folder(&models.join(name)).unwrap();
        assert_eq!(config.parameter_count(), parameters, "{name}");
    }
}

/// A bf16 checkpoint of zeros: a file without blocks on most systems.
fn write_zeros(path: &std::path::Path, config: &wgrpo::model::ModelConfig) -> u64 {
    let mut end = 0;
    let tensors: serde_json::Map<String, Value> = config
        .parameters()
        .into_iter()
        .map(|(name, shape)| {
            let begin = end;
            end += 2 * shape.iter().product::<usize>();
            let tensor = serde_json::json!({
                "dtype": "BF16", "shape": shape, "data_offsets": [begin, end],
            });
            (name, tensor)
        })
        .collect();
    let header = serde_json::to_vec(&tensors).unwrap();
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header);
    std::fs::write(path, &bytes).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len((bytes.len() + end) as u64).unwrap();
    end as u64
}

#[test]
fn a_model_that_stays_in_16_bits_is_opened_in_1_2_times_its_size() {
    let scene = Scene::new();
    scene.train("base", &["--set", "max_steps=1"]);
    let text = scene.read("tiny.yaml");
    let (before, rest) = text.split_once("model:\n").unwrap();
    let (_, after) = rest.split_once("data:").unwrap();
    let run =
        |model: &str| format!("{before}model: {{path: {model}}}\nlora: {{rank: 1}}\ndata:{after}");
    scene.write("small.yaml", &run("base/model"));
    scene.write("large.yaml", &run("large"));
    let mut config: Value = serde_json::from_str(&scene.read("base/model/config.json")).unwrap();
    for (key, size) in [
        ("vocab_size", 60_000),
        ("hidden_size", 512),
        ("head_dim", 64),
        ("num_attention_heads", 8),
        ("num_key_value_heads", 8),
        ("intermediate_size", 2048),
        ("num_hidden_layers", 8),
    ] {
        config[key] = size.into();
    }
    scene.write("large/config.json", &config.to_string());
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        scene.write(&format!("large/{name}"), &scene.read(&format!("base/model/{name}")));
    }
    let model = wgrpo::model::ModelConfig::from_folder(&scene.path("large")).unwrap();
    let stored = write_zeros(&scene.path("large/model.safetensors"), &model) as f64;
    let opened = |run: &str| {
        let least = ["--problems", "1", "--samples", "1", "--no-step", "--json"];
        let told = scene.run(&[&["check", run][..], &least].concat()).stdout;
        let found: Value = serde_json::from_str(&told).unwrap();
        found["peak_rss_mib"].as_f64()
    };
    let (Some(small), Some(large)) = (opened("small.yaml"), opened("large.yaml")) else {
        println!("skipped: this system does not tell how much memory a process took");
        return;
    };
    let stored = stored / f64::from(1 << 20);
    assert!(stored > 100.0 && large - small <= 1.2 * stored, "{small}, {large}, stored {stored}");
}
