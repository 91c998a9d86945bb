//! A text as a whole word inside another.

/// Whether `word` stands in `text` and is not part of a longer word or number there.
pub(super) fn contains_word(text: &str, word: &str) -> bool {
    !word.is_empty()
        && occurrences(text.as_bytes(), word.as_bytes())
            .any(|at| starts_here(text, word, at) && ends_here(text, word, at + word.len()))
}

/// Where `word` stands in `text`, overlapping or not, in time proportional to both together
/// (Knuth, Morris and Pratt).
fn occurrences<'a>(text: &'a [u8], word: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    let borders = borders(word);
    let mut matched = 0;
    text.iter().enumerate().filter_map(move |(at, byte)| {
        matched = extended(word, &borders, matched, *byte);
        (matched == word.len()).then(|| at + 1 - word.len())
    })
}

/// How much of `word` ends at a byte, if `matched` of it ended before.
fn extended(word: &[u8], borders: &[usize], mut matched: usize, byte: u8) -> usize {
    while matched > 0 && word.get(matched) != Some(&byte) {
        matched = borders[matched - 1];
    }
    matched + usize::from(word.get(matched) == Some(&byte))
}

/// For each prefix the length of the longest shorter prefix that it ends with.
fn borders(word: &[u8]) -> Vec<usize> {
    let mut borders = Vec::with_capacity(word.len());
    let mut matched = 0;
    for (at, byte) in word.iter().enumerate() {
        if at > 0 {
            matched = extended(word, &borders, matched, *byte);
        }
        borders.push(matched);
    }
    borders
}

/// Whether a word begins at `at`.
fn starts_here(text: &str, word: &str, at: usize) -> bool {
    let Some(first) = word.chars().next() else { return false };
    let mut before = text[..at].chars().rev();
    let (next, beyond) = (before.next(), before.next());
    if first.is_numeric() && continues_number(next, beyond) {
        return false;
    }
    // A minus in front of a number is its sign, unless something stands before it: 3-5, well-5.
    let is_sign = matches!(next, Some('-' | '−')) && !beyond.is_some_and(char::is_alphanumeric);
    if first.is_numeric() && is_sign {
        return false;
    }
    !is_wordy(first) || is_without_spaces(first) || !joins(next, beyond)
}

/// Whether a word ends at `end`.
fn ends_here(text: &str, word: &str, end: usize) -> bool {
    let Some(last) = word.chars().next_back() else { return false };
    let mut after = text[end..].chars();
    let (next, beyond) = (after.next(), after.next());
    // A mark belongs to the letter before it.
    if next.is_some_and(is_mark) || last.is_numeric() && continues_number(next, beyond) {
        return false;
    }
    let takes_endings = is_without_spaces(last) || is_hangul(last);
    !is_wordy(last) || takes_endings || !joins(next, beyond)
}

/// Whether a number goes on over a neighbour: 3.5, 1,234, 1/2.
fn continues_number(next: Option<char>, beyond: Option<char>) -> bool {
    matches!(next, Some('.' | ',' | '/' | ':' | '٫' | '٬')) && beyond.is_some_and(char::is_numeric)
}

/// Whether a neighbour belongs to the same word; an underscore does between letters, and not as emphasis.
fn joins(next: Option<char>, beyond: Option<char>) -> bool {
    match next {
        Some('_') => beyond.is_some_and(is_wordy),
        Some(c) => is_wordy(c),
        None => false,
    }
}

fn is_wordy(c: char) -> bool {
    c.is_alphanumeric() || is_mark(c)
}

/// Marks that no precomposed character holds, and vowels of Indian scripts that are no letters.
fn is_mark(c: char) -> bool {
    unicode_normalization::char::is_combining_mark(c)
}

/// Letters of scripts that write one word after another without a space.
fn is_without_spaces(c: char) -> bool {
    matches!(c,
        '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
        | '\u{3005}'..='\u{3007}' | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// Korean writes the endings of a word onto it.
fn is_hangul(c: char) -> bool {
    matches!(c, '\u{1100}'..='\u{11ff}' | '\u{ac00}'..='\u{d7af}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_occurrence_is_found_overlapping_ones_too() {
        let found = |text: &str, word: &str| {
            occurrences(text.as_bytes(), word.as_bytes()).collect::<Vec<usize>>()
        };
        assert_eq!(found("aaaa", "aa"), [0, 1, 2]);
        assert_eq!(found("abababa", "aba"), [0, 2, 4]);
        assert_eq!(found("aabaabaaab", "aabaaab"), [3]);
        assert!(found("abc", "d").is_empty());
        assert!(contains_word("xa a a", "a a"));
    }

    #[test]
    fn a_number_is_whole() {
        for text in ["5", "It is 5.", "5, then", "(5)", "x=5", "3 - 5 or", "$5", "5%", "page-5"] {
            assert!(contains_word(text, "5"), "{text}");
        }
        for text in ["15", "55", "3.5", "5.2", "5,000", "1,005", "-5", "= −5", "5/2", "1/5", "5x"]
        {
            assert!(!contains_word(text, "5"), "{text}");
        }
        assert!(contains_word("about -5 degrees", "-5"));
    }

    #[test]
    fn an_answer_that_ends_in_a_sign_ends_there() {
        assert!(contains_word("Use C++.", "C++"));
        assert!(contains_word("It is C#, I think", "C#"));
        assert!(!contains_word("ABC++", "C++"));
        assert!(contains_word("so 50%.", "50%"));
    }

    #[test]
    fn scripts_without_spaces_and_endings_of_korean_are_known() {
        for (text, word) in [
            ("肯尼亚的首都是内罗毕。", "内罗毕"),
            ("ケニアの首都はナイロビです", "ナイロビ"),
            ("เมืองหลวงคือไนโรบีครับ", "ไนโรบี"),
            ("케냐의 수도는 나이로비입니다.", "나이로비"),
            ("Столица — Найроби.", "Найроби"),
            ("عاصمة كينيا هي نيروبي.", "نيروبي"),
            ("राजधानी नैरोबी है", "नैरोबी"),
        ] {
            assert!(contains_word(text, word), "{word} in {text}");
        }
        for (text, word) in
            [("Найробийский", "Найроби"), ("동나이로비", "나이로비"), ("नैरोबीवासी", "नैरोबी")]
        {
            assert!(!contains_word(text, word), "{word} in {text}");
        }
    }

    #[test]
    fn periodic_texts_of_a_megabyte_end_soon() {
        let start = std::time::Instant::now();
        let text = "ab ".repeat(350_000);
        assert!(!contains_word(&text, &format!("{}a", "ab ".repeat(5_000))));
        assert!(!contains_word(&"a".repeat(1_000_000), &"a".repeat(100_000)));
        assert!(start.elapsed().as_secs() < 2, "{:?}", start.elapsed());
    }
}
