//! What the topics share: the backend, numbers, comparisons, fixture models.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use burn::backend::ndarray::NdArrayDevice;
use burn::backend::{Autodiff, NdArray};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Tensor, TensorData};
use serde_json::Value;

use wgrpo::model::{Decoder, ModelConfig};
use wgrpo::random::Stream;

/// The backend of these tests.
pub type Cpu = NdArray;
/// The same with gradients.
pub type Training = Autodiff<Cpu>;

/// A device of either backend.
pub fn device() -> NdArrayDevice {
    NdArrayDevice::default()
}

/// Says something past the test harness, which keeps what a passing test prints to itself.
pub fn said(text: &str) {
    std::io::stderr().write_all(format!("{text}\n").as_bytes()).unwrap();
}

/// Says what was not tested.
pub fn skipped(why: &str) {
    said(&format!("skipped: {why}"));
}

/// Standard normal numbers, the same for the same seed.
pub fn normals(seed: u64, count: usize) -> Vec<f32> {
    let mut stream = Stream::new(seed, 0x7e57);
    (0..count).map(|_| stream.normal()).collect()
}

/// Token ids from `3..vocabulary`: no pad, BOS or EOS.
pub fn token_ids(seed: u64, count: usize, vocabulary: usize) -> Vec<u32> {
    let mut stream = Stream::new(seed, 0x1d5);
    (0..count).map(|_| 3 + stream.below(vocabulary as u64 - 3) as u32).collect()
}

/// A matrix of the given elements.
pub fn matrix<B: Backend>(elements: Vec<f32>, shape: [usize; 2]) -> Tensor<B, 2> {
    Tensor::from_data(TensorData::new(elements, shape), &Default::default())
}

/// The elements of a tensor, row-major.
pub fn floats<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// Asserts `|actual - expected| <= absolute + relative·|expected|` for every element.
#[track_caller]
pub fn assert_close(actual: &[f32], expected: &[f64], absolute: f64, relative: f64) {
    assert_eq!(actual.len(), expected.len(), "lengths differ");
    for (at, (a, e)) in actual.iter().zip(expected).enumerate() {
        let error = (f64::from(*a) - e).abs();
        assert!(error <= absolute + relative * e.abs(), "element {at}: {a} against {e}");
    }
}

/// `‖a − b‖ / ‖b‖` over all parameters together.
pub fn distance(a: &[Vec<f32>], b: &[Vec<f32>]) -> f64 {
    let pairs = || a.iter().flatten().zip(b.iter().flatten());
    assert_eq!(a.iter().flatten().count(), b.iter().flatten().count());
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>().sqrt();
    let difference = norm(&mut pairs().map(|(a, b)| f64::from(*a) - f64::from(*b)));
    difference / norm(&mut pairs().map(|(_, b)| f64::from(*b)))
}

/// Widens numbers for a comparison.
pub fn widen(values: &[f32]) -> Vec<f64> {
    values.iter().map(|x| f64::from(*x)).collect()
}

/// The folder of a fixture model.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models").join(name)
}

/// The fixture models, one for each way in which families and files differ.
pub const FIXTURES: [&str; 11] = [
    "llama",
    "llama_untied",
    "llama3",
    "llama_biases",
    "mistral",
    "qwen2",
    "qwen3",
    "smollm3",
    "granite",
    "olmo2",
    "gemma3",
];

/// A fixture model.
pub fn open<B: Backend>(name: &str) -> (ModelConfig, Decoder<B>) {
    let config = ModelConfig::from_folder(&fixture(name)).unwrap();
    let decoder = Decoder::load(&config, &fixture(name), &Default::default()).unwrap();
    (config, decoder)
}

/// What PyTorch and transformers computed for a fixture model.
pub fn golden(name: &str) -> Value {
    let text = std::fs::read_to_string(fixture(name).join("golden.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// A JSON list of whole numbers.
pub fn ids_of(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
}

/// A JSON list of numbers.
pub fn numbers_of(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

/// Every parameter's values, in order.
pub fn values<B: Backend>(decoder: &Decoder<B>) -> Vec<Vec<f32>> {
    let mut visitor = Values(Vec::new());
    decoder.visit(&mut visitor);
    visitor.0
}

struct Values(Vec<Vec<f32>>);

impl<B: Backend> ModuleVisitor<B> for Values {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        self.0.push(floats(param.val()));
    }
}

/// Every parameter's values by its name.
pub fn named_values<B: Backend>(decoder: &Decoder<B>) -> BTreeMap<String, Vec<f32>> {
    let names = decoder.parameters().into_iter().map(|parameter| parameter.name);
    names.zip(values(decoder)).collect()
}

/// The gradient of `loss` in every parameter, in order; zeros where there is none.
pub fn gradients(decoder: &Decoder<Training>, loss: Tensor<Training, 1>) -> Vec<Vec<f32>> {
    let mut visitor = Gradients { of: loss.backward(), all: Vec::new() };
    decoder.visit(&mut visitor);
    visitor.all
}

struct Gradients {
    of: <Training as AutodiffBackend>::Gradients,
    all: Vec<Vec<f32>>,
}

impl ModuleVisitor<Training> for Gradients {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<Training, D>>) {
        let value = param.val();
        let zeros = || vec![0.0; value.shape().num_elements()];
        self.all.push(value.grad(&self.of).map_or_else(zeros, floats));
    }
}
