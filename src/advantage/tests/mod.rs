//! Estimators against published numbers and against each other.

mod golden;
mod identities;
