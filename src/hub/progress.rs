//! How far a download is.

use std::ops::ControlFlow;

/// How far the download of a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The path of the file in its repository.
    pub file: &'a str,
    /// Bytes of it that are here.
    pub done_bytes: u64,
    /// Bytes that it has.
    pub total_bytes: u64,
}

/// Is told of the progress about ten times a second; a break ends the download, which a later one goes on with.
pub type Watch<'a> = dyn FnMut(Progress<'_>) -> ControlFlow<()> + 'a;
