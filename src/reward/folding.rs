//! When two texts are the same to a reader: however their characters are put together, and, where a
//! setting says so, whatever their case and accents.

use unicode_normalization::UnicodeNormalization;

/// What makes no difference between two texts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Ignoring {
    pub(super) case: bool,
    pub(super) accents: bool,
}

impl Ignoring {
    /// A text of which two are equal exactly if what is ignored is their only difference; `é` is
    /// the same as one character and as two.
    pub(super) fn fold(self, text: &str) -> String {
        let bare = match self.accents {
            true => text.nfd().filter(|c| !is_accent(*c)).nfc().collect(),
            false => text.nfc().collect::<String>(),
        };
        match self.case {
            true => without_case(&bare).nfc().collect(),
            false => bare,
        }
    }

    /// The same for texts in which any white space is one space, as where a line was broken.
    pub(super) fn fold_spaces(self, text: &str) -> String {
        let words: Vec<&str> = text.split_whitespace().collect();
        self.fold(&words.join(" "))
    }
}

/// Each character by itself, so that a word is the same wherever it stands: `ß` is `ss`, `ς` is `σ`.
fn without_case(text: &str) -> String {
    text.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}

/// Marks over and under letters of Latin, Greek and Cyrillic, and the vowel points of Arabic and Hebrew,
/// which a writer may leave out. Vowels of Indian scripts and the marks of Japanese are not among them.
fn is_accent(c: char) -> bool {
    matches!(c,
        '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}'
        | '\u{fe20}'..='\u{fe2f}' | '\u{64b}'..='\u{65f}' | '\u{670}' | '\u{591}'..='\u{5bd}'
        | '\u{5bf}' | '\u{5c1}'..='\u{5c2}' | '\u{5c4}'..='\u{5c5}' | '\u{5c7}')
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Ignoring = Ignoring { case: false, accents: false };
    const CASE: Ignoring = Ignoring { case: true, accents: false };
    const ACCENTS: Ignoring = Ignoring { case: false, accents: true };

    #[test]
    fn a_letter_is_the_same_as_one_character_and_as_two() {
        assert_eq!(NOTHING.fold("caf\u{e9}"), NOTHING.fold("cafe\u{301}"));
        assert_ne!(NOTHING.fold("café"), NOTHING.fold("cafe"));
        assert_ne!(NOTHING.fold("Café"), NOTHING.fold("café"));
        // A power is not the digit below it.
        assert_ne!(NOTHING.fold("x²"), NOTHING.fold("x2"));
    }

    #[test]
    fn case_is_ignored_in_every_script_that_has_one() {
        for (one, other) in [
            ("Äpfel", "äPFEL"),
            ("Straße", "STRASSE"),
            ("ΟΔΟΣ", "οδος"),
            ("Москва", "МОСКВА"),
            ("ǅ", "ǆ"),
            ("ﬁn", "FIN"),
        ] {
            assert_eq!(CASE.fold(one), CASE.fold(other), "{one}");
        }
        assert_ne!(CASE.fold("résumé"), CASE.fold("resume"));
    }

    #[test]
    fn accents_are_ignored_and_letters_of_other_scripts_are_kept() {
        for (one, other) in
            [("São Paulo", "Sao Paulo"), ("Việt Nam", "Viet Nam"), ("Αθήνα", "Αθηνα")]
        {
            assert_eq!(ACCENTS.fold(one), ACCENTS.fold(other), "{one}");
        }
        // Without their marks these would be other words.
        for (one, other) in [("が", "か"), ("कि", "क"), ("ña", "nb")] {
            assert_ne!(ACCENTS.fold(one), ACCENTS.fold(other), "{one}");
        }
    }

    #[test]
    fn a_line_break_is_a_space() {
        assert_eq!(NOTHING.fold_spaces(" New\n  York\u{a0}City "), "New York City");
    }

    #[test]
    fn a_megabyte_of_marks_ends_soon() {
        let start = std::time::Instant::now();
        let both = Ignoring { case: true, accents: true };
        for text in ["\u{301}\u{316}".repeat(250_000), "ﷺ".repeat(330_000), "ΐ".repeat(500_000)]
        {
            both.fold_spaces(&text);
        }
        assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
    }
}
