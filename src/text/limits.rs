//! How long a text, a template or a file may be.

/// Bytes of the longest prompt: 128 thousand tokens of eight bytes. A text of a megabyte takes 400 MB while it is
/// tokenised.
pub(super) const LONGEST_TEXT: usize = 1 << 20;
/// Bytes that a text of that length may become on its way through a tokenizer's rules.
pub(super) const LONGEST_ON_THE_WAY: f64 = (8 << 20) as f64;
/// Bytes from which on texts are tokenised one at a time, so that threads do not multiply the memory.
pub(super) const LARGE_TEXT: usize = 64 << 10;
/// Bytes of the longest chat template; published ones have up to 50 kB.
pub(super) const LONGEST_TEMPLATE: usize = 1 << 20;
/// Bytes of the longest `tokenizer.json`; published ones have up to 35 MB.
pub(super) const LONGEST_TOKENIZER: u64 = 128 << 20;
/// Bytes of the longest other file.
pub(super) const LONGEST_FILE: u64 = 32 << 20;
/// Bytes of the longest added token: the automaton that looks for them takes time with the square of it.
pub(super) const LONGEST_ADDED: usize = 1024;
/// Most added tokens; published tokenizers have some thousands.
pub(super) const MOST_ADDED: usize = 1 << 18;
/// Letters of the longest word that WordPiece looks at, with work that grows as their third power.
pub(super) const LONGEST_WORD: u64 = 1000;

/// For messages: 1,500,000 bytes are 1.5 MB.
pub(super) fn megabytes(bytes: usize) -> f64 {
    (bytes as f64 / 1e5).ceil() / 10.0
}
