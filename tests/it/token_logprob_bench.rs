//! The benchmark of the log-probability kernel, `benches/token_logprob`, run inside this process.

#[path = "../../benches/token_logprob/compare.rs"]
mod compare;
#[path = "../../benches/token_logprob/forms.rs"]
mod forms;

use clap::Parser;
use serde_json::Value;
use wgrpo::device;

#[cfg(feature = "wgpu")]
use crate::devices::adapter;
use crate::program::says;
use compare::Arguments;
use forms::{Forms, LogitShape, Part};

fn arguments(text: &str) -> Result<Arguments, clap::Error> {
    Arguments::try_parse_from(["token_logprob"].into_iter().chain(text.split_whitespace()))
}

/// What it prints for each shape, the parts measured here instead of in processes of their own.
fn printed(text: &str) -> Vec<String> {
    let arguments = arguments(text).unwrap();
    let device = arguments.device().unwrap();
    let here = |arguments: &Arguments, shape, part| arguments.here(shape, &device, part);
    let shapes = arguments.shapes.iter();
    shapes.map(|shape| arguments.line(*shape, &device, here).unwrap()).collect()
}

fn refused(text: &str) -> String {
    arguments(text).unwrap().device().unwrap_err().to_string()
}

#[test]
fn the_benchmark_holds_the_log_probability_kernel_against_tensor_operations() {
    let table = printed("8x300,2x5 --device cpu --repeats 1 --bench").concat();
    let parts =
        ["8 × 300 on ", "\n2 × 5 on ", "\nkernel ", "\ncomposed ", "\nratio ", "×", "difference"];
    says(&table, &parts);
    let lines: Vec<Value> = printed("8x300,2x5 --device cpu --repeats 1 --json")
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let sizes = (lines.len(), &lines[0]["rows"], &lines[0]["vocabulary"]);
    assert_eq!(sizes, (2, &8.into(), &300.into()));
    for line in &lines {
        assert!(line["largest_difference"].as_f64().unwrap() < 1e-5, "{line}");
        assert!(line["time_ratio"].as_f64().unwrap() > 0.0, "{line}");
        for form in ["kernel", "composed"] {
            assert!(line[form]["median_s"].as_f64().unwrap() > 0.0, "{line}");
            assert_eq!(line[form]["peak_mib"].is_number(), cfg!(target_os = "linux"), "{line}");
        }
    }
}

#[test]
fn what_a_process_prints_for_a_part_reads_back() {
    let line = printed("8x300 --repeats 2 --part Composed").concat();
    let measured: forms::Measured = serde_json::from_str(&line).unwrap();
    assert_eq!(measured.seconds.len(), 2);
}

#[test]
fn mistakes_in_its_arguments_are_refused() {
    says(&arguments("").unwrap_err().to_string(), &["<ROWSxTOKENS>"]);
    says(&arguments("512").unwrap_err().to_string(), &["512x50257"]);
    says(&refused("2x3 --repeats 0"), &["at least 1"]);
    says(&refused("2x3 --device abacus"), &["no device `abacus`"]);
}

#[test]
fn a_shape_reads_back_as_itself_and_nothing_else_is_one() {
    let shape: LogitShape = "512x50257".parse().unwrap();
    assert_eq!(shape, LogitShape { rows: 512, vocabulary: 50_257 });
    assert_eq!((shape.to_string().as_str(), shape.bytes()), ("512x50257", 102_926_336));
    for wrong in ["", "512", "0x3", "3x0", "axb", "3x4x5", "-1x2"] {
        assert!(wrong.parse::<LogitShape>().is_err(), "{wrong}");
    }
}

#[test]
fn both_forms_give_the_same_numbers_and_gradients() {
    let shape = LogitShape { rows: 9, vocabulary: 301 };
    let forms = |part| Forms { shape, part, repeats: 2 };
    let measured = device::run_on("cpu", forms(Part::Difference)).unwrap().unwrap();
    assert!(measured.largest_difference.as_ref().unwrap().1 < 1e-5, "{measured:?}");
    let measured = device::run_on("cpu", forms(Part::Composed)).unwrap().unwrap();
    assert_eq!(measured.seconds.len(), 2);
}

#[cfg(feature = "wgpu")]
#[test]
fn the_kernel_keeps_rows_and_tensor_operations_keep_logits_on_a_device() {
    if adapter().is_none() {
        return;
    }
    let line = printed("64x3000 --device vulkan --repeats 1 --json").concat();
    let line: Value = serde_json::from_str(&line).unwrap();
    let kept = |form: &str| line[form]["kept_mib"].as_f64().unwrap();
    assert!(line["largest_difference"].as_f64().unwrap() < 1e-4, "{line}");
    // Logits of 0.73 MiB.
    assert!(kept("kernel") < 0.05 && kept("composed") > 1.4, "{line}");
}

#[cfg(feature = "wgpu")]
#[test]
fn logits_that_the_device_cannot_hold_are_not_measured() {
    let Some(adapter) = adapter() else { return };
    let rows = adapter.largest_tensor() / (4 * 50_257) + 1;
    let message = refused(&format!("{rows}x50257 --device {}", adapter.device()));
    says(&message, &["a tensor of logits [", "take fewer rows", "--device cpu"]);
}
