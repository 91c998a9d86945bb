//! The same runs on a GPU, real or software, and on the CPU.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::devices::adapter;
use crate::program::{Scene, says};

/// One layer of width 16, completions that end where the model likes.
const TINY: &str = "\
seed: 3
rollout_batch_size: 4
num_return_sequences_in_group: 4
prompt_length: 8
response_length: 8
model:
  alphabet: '0123456789+= '
  architecture: {hidden_size: 16, intermediate_size: 24, num_hidden_layers: 1, num_attention_heads: 2}
data: {kind: arithmetic, digits: 2, held_out: 4}
rewards: [{kind: number, partial: digits}, {kind: length, target: 3, weight: 0.1}]
optimizer: {learning_rate: 1e-3}
";

/// How many steps draw the same tokens at least. Sums run in another order on another device, so the
/// policies drift apart by rounding, and at last a draw falls on the border of two tokens.
const SAME_DRAWS: usize = 8;

/// How far the figures of such steps may be apart, relative to the larger of the CPU's and 0.05.
const TOLERANCE: f64 = 1e-3;

fn quickstart() -> String {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/quickstart.yaml");
    fs::read_to_string(config).unwrap()
}

/// The quickstart from a model that is there, instead of from a new one with a warm start.
fn quickstart_from(model: &str) -> String {
    let from = |text: &str, start: &str, end: &str, new: &str| {
        let (before, rest) = text.split_once(start).unwrap();
        let (_, after) = rest.split_once(end).unwrap();
        format!("{before}{new}{end}{after}")
    };
    let text = from(&quickstart(), "model:\n", "data:", &format!("model: {{path: {model}}}\n"));
    from(&text, "warm_start:", "\n", "")
}

/// Metrics and evaluations of a run of twenty steps.
fn twenty_steps(scene: &Scene, device: &str) -> (Vec<Value>, Vec<Value>) {
    let arguments = ["train", "on.yaml", "--quiet", "--device", device, "--output-dir", device];
    // A quarter of the quickstart's prompts: software Vulkan takes a minute for what a GPU does in a second.
    let sets = ["max_steps=20", "eval.problems=100", "rollout_batch_size=16"];
    let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
    scene.succeed(&[&arguments[..], &sets].concat());
    (scene.lines(&format!("{device}/metrics.jsonl")), scene.lines(&format!("{device}/eval.jsonl")))
}

fn number(line: &Value, name: &str) -> f64 {
    line[name].as_f64().unwrap()
}

#[test]
fn twenty_steps_of_the_quickstart_on_a_gpu_are_those_of_the_cpu() {
    if adapter().is_none() {
        return;
    }
    // The whole path on the GPU, warm start included, makes the model that both go on from.
    let scene = Scene::with(&quickstart());
    let start = ["train", "tiny.yaml", "--quiet", "--device", "vulkan", "--output-dir", "start"];
    let sets =
        ["max_steps=1", "warm_start.max_steps=10", "eval.problems=20", "rollout_batch_size=16"];
    let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
    scene.succeed(&[&start[..], &sets].concat());
    scene.write("on.yaml", &quickstart_from("start/model"));
    let ((gpu, gpu_eval), (cpu, cpu_eval)) =
        (twenty_steps(&scene, "vulkan"), twenty_steps(&scene, "cpu"));
    assert_eq!((gpu.len(), cpu.len()), (20, 20));
    assert_eq!(gpu_eval[0], cpu_eval[0], "greedy completions of the same model");
    let draws = ["num_tokens", "reward", "completions/max_length"];
    let is_same = |(gpu, cpu): &(&Value, &Value)| draws.iter().all(|name| gpu[name] == cpu[name]);
    let same: Vec<_> = gpu.iter().zip(&cpu).take_while(is_same).collect();
    assert!(same.len() >= SAME_DRAWS, "only the first {} steps draw the same", same.len());
    for (gpu, cpu) in same {
        for name in ["loss", "grad_norm", "entropy"] {
            let (gpu, cpu) = (number(gpu, name), number(cpu, name));
            let apart = (gpu - cpu).abs() / cpu.abs().max(0.05);
            assert!(apart <= TOLERANCE, "{name} is {gpu} on the GPU and {cpu} on the CPU");
        }
    }
    let mean = |lines: &[Value]| lines.iter().map(|line| number(line, "entropy")).sum::<f64>();
    let (gpu, cpu) = (mean(&gpu) / 20.0, mean(&cpu) / 20.0);
    assert!((gpu - cpu).abs() <= 0.05 * cpu, "mean entropies {gpu} and {cpu}");
}

/// Peak memory of the process and what tensors take on a GPU at the end, in MiB, of a run of so many
/// steps.
fn memory(scene: &Scene, device: &str, steps: &str) -> [f64; 2] {
    let arguments = ["bench", "tiny.yaml", "--device", device, "--steps", steps, "--warmup", "0"];
    let line: Value = serde_json::from_str(&scene.succeed(&arguments).stdout).unwrap();
    ["max_rss_mib", "device_mib"].map(|name| line[name].as_f64().unwrap_or(0.0))
}

/// On a software adapter, as in CI, the device's memory is the process's own, and that of its compiler
/// and its threads comes and goes by some 40 MiB. What 240 steps leak shows above that.
#[test]
fn three_hundred_steps_of_varying_length_take_no_more_memory_than_sixty() {
    let scene = Scene::with(TINY);
    let devices = [("cpu", 8.0), ("vulkan", 64.0)];
    let present = 1 + usize::from(adapter().is_some());
    for (device, noise) in devices.into_iter().take(present) {
        let [short, long] = ["60", "300"].map(|steps| memory(&scene, device, steps));
        let says = format!("{device}: {short:?} MiB after 60 steps, {long:?} after 300");
        assert!(long[0] <= short[0] + noise && long[1] <= short[1] + 0.25, "{says}");
    }
}

/// What the counter of `bench` counts of a step under one changed setting.
fn counts(scene: &Scene, set: &str) -> Value {
    let arguments = ["bench", "tiny.yaml", "--device", "vulkan", "--count"];
    let bench =
        scene.succeed(&[&arguments[..], &["--steps", "1", "--warmup", "0", "--set", set]].concat());
    says(&bench.stderr, &["decoded token", "readback bytes", "tokens of a row for each readback"]);
    let line: Value = serde_json::from_str(&bench.stdout).unwrap();
    line["counts"].clone()
}

/// What it counts of one decoded token of a model with so many layers.
fn a_token_of(scene: &Scene, layers: &str) -> Value {
    let counts = counts(scene, &format!("model.architecture.num_hidden_layers={layers}"));
    counts["decoded_token"].clone()
}

#[test]
fn a_decoded_token_takes_at_most_nine_launches_a_layer_and_one_readback() {
    if adapter().is_none() {
        return;
    }
    let scene = Scene::with(TINY);
    let [one, three] = ["1", "3"].map(|layers| a_token_of(&scene, layers));
    let [of_one, of_three] = [&one, &three].map(|token| token["launches"].as_u64().unwrap());
    let a_layer = (of_three - of_one) / 2;
    assert!((1..=9).contains(&a_layer), "{a_layer} launches a layer: {one} and {three}");
    assert_eq!((one["readbacks"].as_u64(), three["readbacks"].as_u64()), (Some(1), Some(1)));
    assert_eq!(one["uploads"], three["uploads"], "tables go to the device once a pass");
}

#[test]
fn long_completions_are_read_several_tokens_at_a_time() {
    if adapter().is_none() {
        return;
    }
    let counts = counts(&Scene::with(TINY), "response_length=48");
    let tokens = counts["tokens_a_readback"].as_f64().unwrap();
    assert!(tokens > 1.4, "{tokens} tokens for each readback");
}
