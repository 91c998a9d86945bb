//! How completions are judged, as a person names it: by a rule, or by a function of a Python file.

use std::fs;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::Context;

/// What may be given.
pub(super) const CHOICES: &str =
    "math, number, exact, contains, choice, or a Python file with a reward function";

/// A reward to begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Judge {
    /// A rule without keys that must be given.
    Rule(Rule),
    /// A function of a Python file; the only one in it where none is named.
    Python { path: PathBuf, function: Option<String> },
}

/// A rule of this program's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// The completion's answer equals the data's, as mathematics has it.
    Math,
    /// It is the number that the data has.
    Number,
    /// The whole completion is the answer.
    Exact,
    /// The completion has the answer in it, as whole words.
    Contains,
    /// It is the letter of a choice.
    Choice,
}

impl Rule {
    /// All of them.
    pub(super) const ALL: [Self; 5] =
        [Self::Math, Self::Number, Self::Exact, Self::Contains, Self::Choice];

    /// Its kind in a configuration.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Math => "math",
            Self::Number => "number",
            Self::Exact => "exact",
            Self::Contains => "contains",
            Self::Choice => "choice",
        }
    }
}

impl FromStr for Judge {
    type Err = String;

    /// The name of a rule, `FILE.py`, or `FILE.py:FUNCTION`.
    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Some(rule) = Rule::ALL.into_iter().find(|rule| rule.name() == text) {
            return Ok(Self::Rule(rule));
        }
        let (file, function) = match text.rsplit_once(".py:") {
            Some((file, function)) => (format!("{file}.py"), Some(function.to_owned())),
            None => (text.to_owned(), None),
        };
        match file.ends_with(".py") {
            true => Ok(Self::Python { path: file.into(), function }),
            false => Err(format!("`{text}` is none of: {CHOICES}")),
        }
    }
}

impl Judge {
    /// With the function that is meant.
    ///
    /// # Errors
    /// A file that cannot be read, or in which no function or more than one may be meant.
    pub(super) fn with_function(self) -> anyhow::Result<Self> {
        let Self::Python { path, function: None } = self else { return Ok(self) };
        let shown = path.display().to_string();
        let text = fs::read_to_string(&path).with_context(|| {
            format!("{shown} cannot be read; `wgrpo rewards init {shown}` writes one to begin with")
        })?;
        let found = functions(&text);
        match &found[..] {
            [only] => Ok(Self::Python { path, function: Some(only.clone()) }),
            [] => anyhow::bail!("{shown} has no function; `wgrpo rewards init` writes an example"),
            several => anyhow::bail!(
                "{shown} has several functions; name one: --reward {shown}:{}",
                several.join(&format!(", or {shown}:"))
            ),
        }
    }
}

/// Functions of a Python file that others may call.
fn functions(text: &str) -> Vec<String> {
    let named = text.lines().filter_map(|line| {
        let rest = line.strip_prefix("async ").unwrap_or(line).strip_prefix("def ")?;
        let name = rest.split_once('(')?.0.trim();
        (!name.starts_with('_')).then(|| name.to_owned())
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reward_is_a_rule_or_a_function_of_a_python_file() {
        assert_eq!("choice".parse(), Ok(Judge::Rule(Rule::Choice)));
        let python = |path: &str, function: Option<&str>| {
            Ok(Judge::Python { path: path.into(), function: function.map(str::to_owned) })
        };
        assert_eq!("rewards.py".parse(), python("rewards.py", None));
        assert_eq!(r"C:\a.py:right".parse(), python(r"C:\a.py", Some("right")));
        assert!("best".parse::<Judge>().unwrap_err().contains("none of: math, "));
    }

    #[test]
    fn the_only_function_of_a_file_is_meant_and_several_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rewards.py");
        let found = |text: &str| {
            fs::write(&path, text).unwrap();
            path.display().to_string().parse::<Judge>().unwrap().with_function()
        };
        let only =
            found("import json\ndef _help(a):\n  def inner(): pass\nasync def right(a): 1\n");
        assert!(matches!(only, Ok(Judge::Python { function: Some(name), .. }) if name == "right"));
        let several = found("def a(x): 1\ndef b(x): 2\n").unwrap_err().to_string();
        assert!(several.contains(":a, or ") && several.ends_with(":b"), "{several}");
        assert!(found("x = 1").unwrap_err().to_string().contains("has no function"));
    }
}
