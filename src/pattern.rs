//! Regular expressions that are part of the program.

use regex::Regex;

/// Compiles a pattern of ours; one that does not compile is a bug, and any test of its use says so.
pub(crate) fn constant(pattern: &'static str) -> Regex {
    match Regex::new(pattern) {
        Ok(regex) => regex,
        Err(error) => panic!("a pattern of the program is broken: {error}"),
    }
}
