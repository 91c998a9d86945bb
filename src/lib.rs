//! wgrpo
pub mod advantage;
pub mod cli;
pub mod config;
pub mod data;
pub mod device;
pub mod files;
pub mod kernel;
pub mod loss;
pub mod model;
mod pattern;
pub mod random;
pub mod reward;
pub mod rollout;
pub mod text;
pub mod track;
pub mod train;
