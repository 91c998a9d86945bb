//! The integration tests: what holds across rooms, each topic a module. No network, no GPU.

// Helpers are outside `#[test]` functions, where clippy.toml does not look.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod adapters;
#[cfg(feature = "wgpu")]
mod agreement;
mod algorithms;
mod bad_data;
mod bad_input;
mod bad_models;
mod check;
mod command_line;
mod configs;
mod contradictions;
mod conversations;
mod damage;
mod data_docs;
#[cfg(feature = "wgpu")]
mod devices;
mod docs;
mod fuzz;
mod fuzz_data;
mod generation;
mod going_on;
mod hostile_models;
mod house;
#[cfg(feature = "hub")]
mod hub;
mod kernels;
mod kills;
mod kl;
mod library;
mod limits;
mod lora_runs;
mod memory;
mod model;
mod model_files;
mod model_folders;
mod own_rewards;
mod own_task;
mod pages;
mod program;
mod prompts;
mod reference;
mod report;
mod rewards;
mod runs;
mod shaders;
mod signal;
mod smollm2;
mod support;
mod token_logprob_bench;
mod training;
mod transformers;
