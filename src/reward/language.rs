//! The text is written in given scripts.

use ::regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Completion, Reward, RewardError, one};
use crate::data::Problem;

/// More scripts are a mistake.
const MOST_SCRIPTS: usize = 32;

/// The share of the letters of a text that belong to given scripts; a text without a letter has 0.
///
/// ```text
/// letters of the scripts / letters of any script
/// ```
/// Letters that belong to no script, such as `ª`, are not counted. What is Latin everywhere, such as
/// the names of variables and of LaTeX commands, counts as Latin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LanguageReward {
    /// Factor in the sum of rewards.
    #[serde(default = "one")]
    pub weight: f64,
    /// A script by its Unicode name, such as `latin`, `cyrillic` or `han`, or several:
    /// `[han, hiragana, katakana]`.
    pub script: Scripts,
}

/// One script or several.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Scripts {
    /// One.
    One(String),
    /// Any of these.
    Several(Vec<String>),
}

/// The reward with its scripts looked up.
pub(super) struct LanguageRule {
    letters: Regex,
    inside: Regex,
}

impl LanguageReward {
    pub(super) fn checked(&self) -> Result<LanguageRule, RewardError> {
        let names = match &self.script {
            Scripts::One(name) => std::slice::from_ref(name),
            Scripts::Several(names) => names,
        };
        if !(1..=MOST_SCRIPTS).contains(&names.len()) {
            let problem = format!("has {} names; give 1 to {MOST_SCRIPTS}", names.len());
            return Err(RewardError::setting("language", "script", problem));
        }
        let classes = names.iter().map(|name| class(name)).collect::<Result<String, _>>()?;
        let letters = r"[\p{L}--[\p{sc=Common}\p{sc=Inherited}]]";
        Ok(LanguageRule {
            letters: compiled(&format!("{letters}+"))?,
            inside: compiled(&format!("[{letters}&&[{classes}]]+"))?,
        })
    }
}

/// The characters of a script, as the `regex` crate names them.
fn class(name: &str) -> Result<String, RewardError> {
    let is_word = name.chars().all(|c| c.is_ascii_alphabetic() || c == '_' || c == ' ');
    let class = format!(r"\p{{scx={name}}}");
    if is_word && !name.is_empty() && Regex::new(&class).is_ok() {
        return Ok(class);
    }
    let problem = format!(
        "has {:?}, which is no script of Unicode; name one such as latin, cyrillic, greek, arabic, \
         hebrew, devanagari, han, hiragana, katakana, hangul or thai",
        crate::quote::shown(name)
    );
    Err(RewardError::setting("language", "script", problem))
}

fn compiled(pattern: &str) -> Result<Regex, RewardError> {
    Regex::new(pattern).map_err(|e| RewardError::setting("language", "script", e.to_string()))
}

impl Reward for LanguageRule {
    fn name(&self) -> &'static str {
        "language"
    }

    fn score(&self, _problem: &Problem, completion: &Completion) -> Option<f64> {
        let count = |of: &Regex| {
            of.find_iter(completion.text).map(|run| run.as_str().chars().count()).sum::<usize>()
        };
        match count(&self.letters) {
            0 => Some(0.0),
            letters => Some(count(&self.inside) as f64 / letters as f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reward::test_support::{completion, problem, reward};

    #[track_caller]
    fn check(script: &str, text: &str, expected: f64) {
        let language: LanguageReward = reward(&format!(r#"{{"script":{script}}}"#));
        let score = language.checked().unwrap().score(&problem(None), &completion(text));
        assert_eq!(score, Some(expected), "{script}: {text}");
    }

    #[test]
    fn the_share_of_letters_is_counted_and_nothing_else() {
        check(r#""latin""#, "The answer is 42.", 1.0);
        check(r#""latin""#, "Größe, naïve, Việt Nam!", 1.0);
        check(r#""cyrillic""#, "Ответ: 42", 1.0);
        check(r#""cyrillic""#, "да no", 0.5);
        check(r#""Greek""#, "αβγ x", 0.75);
        check(r#""han""#, "答案是四十二。", 1.0);
        check(r#""latin""#, "答案是四十二。", 0.0);
        check(r#""arabic""#, "الجواب ٤٢", 1.0);
        check(r#""devanagari""#, "उत्तर ४२ है", 1.0);
        check(r#""hangul""#, "정답은 42", 1.0);
    }

    #[test]
    fn several_scripts_are_one_language() {
        check(r#"["han","hiragana","katakana"]"#, "答えはナイロビーです。", 1.0);
        check(r#"["hiragana"]"#, "答え", 0.5);
    }

    #[test]
    fn a_text_without_letters_is_in_no_language() {
        for text in ["", "42", "🙂 + 1 = ?"] {
            check(r#""latin""#, text, 0.0);
        }
    }

    #[test]
    fn a_name_that_is_no_script_is_refused() {
        for script in [r#""english""#, r#""""#, r#"[]"#, r#""latin}a{""#, r#"["latin","x"]"#] {
            let language: LanguageReward = reward(&format!(r#"{{"script":{script}}}"#));
            let error = language.checked().err().unwrap().to_string();
            assert!(error.contains("language.script"), "{error}");
        }
    }

    #[test]
    fn a_megabyte_ends_soon() {
        let start = std::time::Instant::now();
        for text in ["a1".repeat(500_000), "字".repeat(330_000), "aя".repeat(330_000)] {
            reward::<LanguageReward>(r#"{"script":"latin"}"#)
                .checked()
                .unwrap()
                .score(&problem(None), &completion(&text));
        }
        assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
    }
}
