//! The same runs on a GPU, real or software, and on the CPU.

use std::path::Path;

use serde_json::Value;

use crate::devices::adapter;
use crate::program::Scene;

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

/// What a run must agree in, and by how much: the size of the number, times this.
const AGREEMENT: [(&str, f64); 6] = [
    ("reward", 1e-2),
    ("completions/mean_length", 1e-2),
    ("entropy", 1e-3),
    ("grad_norm", 2e-2),
    ("loss", 2e-2),
    ("num_tokens", 1e-2),
];

fn quickstart(scene: &Scene, device: &str) -> (Vec<Value>, Vec<Value>) {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/quickstart.yaml");
    let config = config.to_str().unwrap();
    let sets = ["max_steps=20", "warm_start.max_steps=40", "eval.problems=100"];
    let sets = sets.iter().flat_map(|set| ["--set", set]);
    let arguments = ["train", config, "--quiet", "--device", device, "--output-dir", device];
    scene.succeed(&arguments.into_iter().chain(sets).collect::<Vec<_>>());
    (scene.lines(&format!("{device}/metrics.jsonl")), scene.lines(&format!("{device}/eval.jsonl")))
}

#[test]
fn twenty_steps_of_the_quickstart_on_a_gpu_are_those_of_the_cpu() {
    if adapter().is_none() {
        return;
    }
    let scene = Scene::new();
    let ((gpu, gpu_eval), (cpu, cpu_eval)) =
        (quickstart(&scene, "vulkan"), quickstart(&scene, "cpu"));
    assert_eq!((gpu.len(), cpu.len()), (20, 20));
    for (step, (gpu, cpu)) in gpu.iter().zip(&cpu).enumerate() {
        for (name, tolerance) in AGREEMENT {
            let [gpu, cpu] = [gpu, cpu].map(|line| line[name].as_f64().unwrap());
            let apart = (gpu - cpu).abs();
            assert!(
                apart <= tolerance * cpu.abs().max(0.05),
                "step {}: {name} is {gpu} on the GPU and {cpu} on the CPU",
                step + 1
            );
        }
    }
    for (gpu, cpu) in gpu_eval.iter().zip(&cpu_eval) {
        let [gpu, cpu] = [gpu, cpu].map(|line| line["eval/accuracy"].as_f64().unwrap());
        assert!((gpu - cpu).abs() <= 0.02, "greedy accuracy {gpu} on the GPU, {cpu} on the CPU");
    }
}

/// Peak memory in MiB of a run of so many steps.
fn peak(scene: &Scene, device: &str, steps: &str) -> f64 {
    let arguments = ["bench", "tiny.yaml", "--device", device, "--steps", steps, "--warmup", "0"];
    let line: Value = serde_json::from_str(&scene.succeed(&arguments).stdout).unwrap();
    line["max_rss_mib"].as_f64().unwrap()
}

/// On a software adapter, as in CI, the device's memory is the process's own.
#[test]
fn three_hundred_steps_of_varying_length_take_no_more_memory_than_sixty() {
    let scene = Scene::with(TINY);
    let devices = ["cpu", "vulkan"].into_iter().take(1 + usize::from(adapter().is_some()));
    for device in devices {
        let [short, long] = ["60", "300"].map(|steps| peak(&scene, device, steps));
        assert!(long <= short + 8.0, "{device}: {short} MiB after 60 steps, {long} after 300");
    }
}
