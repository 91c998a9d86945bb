//! The `wgrpo` program.
fn main() {}
