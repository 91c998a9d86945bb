//! Devices as a person meets them: what is listed, what is refused, and what a broken one does.
//! Without an adapter the tests of the GPU say so and pass.

use std::process::Command;

use burn::backend::Wgpu;
use burn::backend::wgpu::WgpuDevice;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use wgrpo::device::{self, Adapter, Device, Session};
use wgrpo::readback;

use crate::program::{Scene, says};
use crate::support::skipped;

/// Says to the test that runs itself again that it is the second one.
const AGAIN: &str = "WGRPO_TEST_AGAIN";

/// An adapter to test on, or a line that says why there is none.
pub fn adapter() -> Option<Adapter> {
    match device::find("vulkan") {
        Ok(Device::Graphics(adapter)) => Some(adapter),
        Ok(other) => unreachable!("vulkan is {other}"),
        Err(error) => {
            skipped(&format!("no GPU adapter ({error})"));
            None
        }
    }
}

/// Runs the test of this name in a process of its own, where a device may break; what it printed.
fn again(test: &str, how: &str) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([&format!("devices::{test}"), "--exact", "--nocapture"]).env(AGAIN, how);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    format!(
        "{}{}",
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap()
    )
}

/// A tensor twice as large as the device allows.
fn too_large(adapter: &Adapter, device: &WgpuDevice) -> Tensor<Wgpu, 1> {
    Tensor::ones([(adapter.largest_tensor() / 2) as usize], device) * 2.0
}

#[test]
fn a_tensor_over_the_limit_ends_the_run_instead_of_giving_garbage() {
    let Some(adapter) = adapter() else { return };
    let test = "a_tensor_over_the_limit_ends_the_run_instead_of_giving_garbage";
    let Ok(how) = std::env::var(AGAIN) else {
        for how in ["sync_and_check", "read", "believed"] {
            let printed = again(test, how);
            assert!(how != "read" || printed.contains("as a result: true"), "{printed}");
            says(&printed, &["said: the device failed: ", "--device cpu", "devices --check"]);
            assert!(!printed.contains("panicked"), "{printed}");
        }
        return;
    };
    let device = device::open(&adapter).unwrap();
    let session = Session::begin::<Wgpu>(&device);
    let outcome = session.run(|| {
        let tensor = too_large(&adapter, &device);
        match how.as_str() {
            "sync_and_check" => readback::sync_and_check::<Wgpu>(&device),
            "read" => {
                let read = readback::read(tensor.sum()).map(drop);
                println!("as a result: {}", read.is_err());
                read
            }
            _ => {
                println!("sum: {}", tensor.sum().into_scalar());
                session.check()
            }
        }
    });
    println!("said: {}", outcome.and_then(|inner| inner).unwrap_err());
    assert!(session.check().is_err(), "a failure is not forgotten");
}

#[test]
fn a_session_after_one_that_failed_starts_clean() {
    let Some(adapter) = adapter() else { return };
    if std::env::var_os(AGAIN).is_none() {
        let printed = again("a_session_after_one_that_failed_starts_clean", "");
        says(&printed, &["first: the device failed: ", "second: 6"]);
        assert!(!printed.contains("panicked"), "{printed}");
        return;
    }
    let device = device::open(&adapter).unwrap();
    let first = Session::begin::<Wgpu>(&device);
    let failed = first.run(|| readback::read(too_large(&adapter, &device).sum()).map(drop));
    println!("first: {}", failed.and_then(|inner| inner).unwrap_err());
    drop(first);
    let second = Session::begin::<Wgpu>(&device);
    let sum = second.run(|| {
        let tensor = Tensor::<Wgpu, 1>::from_floats([1.0, 2.0, 3.0], &device);
        readback::read(tensor.sum())
    });
    println!("second: {}", sum.unwrap().unwrap().iter::<f32>().sum::<f32>());
    assert_eq!(second.check(), Ok(()));
    readback::sync_and_check::<Wgpu>(&device).unwrap();
}

#[test]
fn an_adapter_that_was_opened_computes_and_is_the_same_one_again() {
    let Some(adapter) = adapter() else { return };
    if std::env::var_os(AGAIN).is_none() {
        let test = "an_adapter_that_was_opened_computes_and_is_the_same_one_again";
        says(&again(test, ""), &["computed 6"]);
        return;
    }
    let device = device::open(&adapter).unwrap();
    assert_eq!(device::open(&adapter).unwrap(), device);
    let tensor = Tensor::<Wgpu, 1>::from_floats([1.0, 2.0, 3.0], &device);
    println!("computed {}", tensor.sum().into_scalar());
    Wgpu::<f32>::sync(&device).unwrap();
    let other = Adapter { index: adapter.index + 1, ..adapter };
    let message = device::open(&other).unwrap_err().to_string();
    says(&message, &["already runs on vulkan:"]);
}

#[test]
fn every_adapter_is_listed_under_the_name_that_chooses_it() {
    let scene = Scene::new();
    let (text, json) = (scene.succeed(&["devices"]), scene.succeed(&["devices", "--json"]));
    for adapter in device::adapters() {
        let name = adapter.device();
        says(&text.stdout, &[&name, &adapter.name, adapter.kind.name()]);
        says(&json.stdout, &[&format!("\"device\":\"{name}\"")]);
        let Ok(Device::Graphics(found)) = device::find(&name) else { panic!("{name}") };
        assert_eq!(found, adapter);
    }
    assert!(text.stdout.lines().all(|line| line.chars().count() <= 80), "{}", text.stdout);
    assert_eq!(text.stderr, "");
}

/// A scene whose device allows less than what the test asks of it.
fn small_scene() -> Option<Scene> {
    let adapter = adapter()?;
    if adapter.largest_tensor() > 128 << 20 {
        skipped(&format!("{} holds more than this test asks for", adapter.name));
        return None;
    }
    Some(Scene::new())
}

#[test]
fn a_model_that_an_adapter_cannot_hold_is_refused_before_anything_is_written() {
    let Some(scene) = small_scene() else { return };
    let wide = ["--device", "vulkan", "--set", "model.architecture.vocab_size=2200000"];
    for command in ["train", "bench"] {
        let message = scene.refused(&[&[command, "tiny.yaml"], &wide[..]].concat());
        says(&message, &["model.embed_tokens.weight [2200000, 16] takes 134.3 MiB", "128.0 MiB"]);
        says(&message, &["vulkan:", "--device cpu"]);
    }
    assert!(!scene.path("runs").exists());
}

#[test]
fn completions_that_an_adapter_cannot_hold_are_refused_by_every_command() {
    let Some(scene) = small_scene() else { return };
    // A model that has the positions, and keys wide enough.
    let [positions, width] = ["max_position_embeddings=2000000", "hidden_size=64"]
        .map(|size| format!("model.architecture.{size}"));
    let roomy = ["--set", &positions, "--set", &width];
    scene.train("run", &[&["--set", "max_steps=1"], &roomy[..]].concat());
    let prompt = ["generate", "run", "--prompt", "1+1=", "--device", "vulkan"];
    let message = scene.refused(&[&prompt[..], &["--max-tokens", "1000000"]].concat());
    says(&message, &["the cache of keys", "lower --max-tokens or shorten --prompt"]);
    let long = ["--device", "vulkan", "--set", "response_length=1000000"];
    let message = scene.refused(&[&["eval", "run"], &long[..]].concat());
    says(&message, &["the cache of keys", "response_length"]);
    let train = ["train", "tiny.yaml", "--output-dir", "long"];
    let message = scene.refused(&[&train[..], &long[..], &roomy[..]].concat());
    says(&message, &["the cache of keys", "lower prompt_length or response_length"]);
    assert!(!scene.path("long").exists());
}

#[test]
fn an_adapter_that_is_not_there_is_refused_with_those_that_are() {
    let Some(adapter) = adapter() else { return };
    let scene = Scene::new();
    let train = ["train", "tiny.yaml", "--output-dir", "run", "--device"];
    for missing in ["vulkan:99", "vulkan:abacus", "gpu:abacus"] {
        let message = scene.refused(&[&train[..], &[missing]].concat());
        says(&message, &[missing, &adapter.name]);
    }
    assert!(!scene.path("run").exists());
}
