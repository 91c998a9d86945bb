//! Every encoding, by what the `gguf` package of llama.cpp's own repository makes of the same bytes.

use std::fs;

use super::{fixture, numbers_of};
use crate::model::gguf::encoding::write::Encoder;
use crate::model::gguf::{GgufError, GgufFile};

const NAMES: [&str; 11] =
    ["bf16", "f16", "f32", "q4_0", "q4_1", "q4_k", "q5_0", "q5_1", "q5_k", "q6_k", "q8_0"];

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn every_encoding_is_decoded_to_the_bit_as_llama_cpps_package_does() {
    let file = GgufFile::open(&fixture("encodings.gguf")).unwrap();
    let expected = numbers_of("encodings.f32");
    let mut rest = expected.as_slice();
    for name in NAMES {
        let shape = file.shape(name).unwrap();
        let (own, others) = rest.split_at(shape.iter().product());
        rest = others;
        assert_eq!(bits(&file.rows(name, 0..shape[0]).unwrap()), bits(own), "{name}");
        let width = shape[1];
        assert_eq!(file.rows(name, 1..2).unwrap(), own[width..2 * width], "{name}");
        assert!(file.rows(name, 3..3).unwrap().is_empty());
    }
    assert!(rest.is_empty());
}

#[test]
fn another_encoding_is_refused_by_name() {
    let file = GgufFile::open(&fixture("encodings.gguf")).unwrap();
    let message = file.rows("iq4_nl", 0..1).unwrap_err().to_string();
    assert!(message.contains("iq4_nl is stored as IQ4_NL; F32, F16, Q4_0"), "{message}");
}

#[test]
fn a_missing_tensor_is_named_with_the_nearest_one() {
    let file = GgufFile::open(&fixture("encodings.gguf")).unwrap();
    let message = file.rows("q4_2", 0..1).unwrap_err().to_string();
    assert!(message.contains("no tensor q4_2 (the nearest there is q4_"), "{message}");
}

#[test]
#[should_panic(expected = "rows 2..4 of f32, which has 3")]
fn rows_that_there_are_not_are_a_bug() {
    let file = GgufFile::open(&fixture("encodings.gguf")).unwrap();
    let _ = file.rows("f32", 2..4);
}

#[test]
fn values_that_are_no_numbers_are_counted() {
    let mut bytes = fs::read(fixture("encodings.gguf")).unwrap();
    let file = GgufFile::open(&fixture("encodings.gguf")).unwrap();
    let place = file.header.tensors["f32"].bytes.start;
    bytes[place..place + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    bytes[place + 8..place + 12].copy_from_slice(&f32::INFINITY.to_le_bytes());
    let (_folder, path) = super::on_disk(&bytes);
    let broken = GgufFile::open(&path).unwrap();
    let error = broken.rows("f32", 0..1).unwrap_err();
    assert!(matches!(error, GgufError::NotFinite { count: 2, nans: 1, of: 7, .. }), "{error}");
    assert!(broken.rows("f32", 1..3).is_ok());
}

#[test]
fn numbers_are_stored_to_the_bit_as_llama_cpps_package_stores_them() {
    let values = numbers_of("quantise.f32");
    for (encoder, name) in [
        (Encoder::F16, "quantise.f16"),
        (Encoder::Bf16, "quantise.bf16"),
        (Encoder::Q8_0, "quantise.q8_0"),
        (Encoder::Q4_0, "quantise.q4_0"),
    ] {
        let mut bytes = Vec::new();
        assert!(encoder.encode(&values, &mut bytes));
        assert_eq!(bytes.len(), encoder.size(values.len()));
        assert_eq!(bytes, fs::read(fixture(name)).unwrap(), "{name}");
    }
}

#[test]
fn values_that_do_not_fit_are_told() {
    let fits = |encoder: Encoder, value: f32| encoder.encode(&[value; 32], &mut Vec::new());
    for encoder in [Encoder::F32, Encoder::F16, Encoder::Bf16, Encoder::Q8_0, Encoder::Q4_0] {
        assert!(fits(encoder, 60_000.0) && fits(encoder, 0.0) && fits(encoder, 1e-38));
        assert!(!fits(encoder, f32::NAN) && !fits(encoder, f32::NEG_INFINITY), "{encoder:?}");
    }
    assert!(!fits(Encoder::F16, 70_000.0) && fits(Encoder::Bf16, 70_000.0));
    assert!(!fits(Encoder::Q8_0, 1e7) && !fits(Encoder::Q4_0, 1e7));
}
