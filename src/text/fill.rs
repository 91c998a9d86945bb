//! Templates that a person writes over the columns of a row: prompts, and conditions.
//!
//! They are in jinja2's language as chat templates are, on the same machine, which bounds what they take. Unlike
//! there a name that stands for nothing is an error: a misspelt column would leave a hole in every prompt.

use serde_json::{Map, Value};

use super::boundary::with_large_stack;
use super::limits::LONGEST_TEXT;
use super::template::Template;

/// What the machine calls the place of an error, and what a person reads.
const PLACES: (&str, &str) = ("(chat_template:", "(line ");

/// A text with places for names, or a condition on them.
#[derive(Debug)]
pub struct Fill {
    template: Template,
}

impl Fill {
    /// Reads a text with `{{ name }}` and `{% if ... %}`.
    ///
    /// # Errors
    /// What is broken in it.
    pub fn text(source: &str) -> Result<Self, String> {
        if source.len() > LONGEST_TEXT {
            return Err(format!("has {} bytes, and at most {LONGEST_TEXT} are read", source.len()));
        }
        let parsed = with_large_stack(|| Template::parse(source))?;
        let template = parsed.map_err(|error| for_a_person(&error.to_string()))?;
        Ok(Self { template })
    }

    /// Reads a condition, such as `level <= 3 and source == "aime"`.
    ///
    /// # Errors
    /// What is broken in it.
    pub fn condition(source: &str) -> Result<Self, String> {
        if source.contains("%}") || source.trim().is_empty() {
            return Err("is no expression; write one such as: level <= 3".to_owned());
        }
        Self::text(&format!("{{% if ({source}) %}}1{{% endif %}}"))
    }

    /// The text with these names. To be called on a large stack: see [`with_large_stack`].
    ///
    /// # Errors
    /// A name that is not there, a value that is null, or what goes beyond what a template may take.
    pub fn filled(&self, names: &Map<String, Value>) -> Result<String, String> {
        let filled = self.template.render_strictly(names);
        filled.map_err(|error| for_a_person(&error.to_string()))
    }

    /// Whether the condition holds with these names.
    ///
    /// # Errors
    /// As [`Self::filled`].
    pub fn holds(&self, names: &Map<String, Value>) -> Result<bool, String> {
        self.filled(names).map(|text| !text.is_empty())
    }
}

fn for_a_person(message: &str) -> String {
    message.replace(PLACES.0, PLACES.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn names() -> Map<String, Value> {
        let names = json!({"question": "1+{n}?", "level": 3, "hint": null, "of": {"is": ["a"]}});
        names.as_object().unwrap().clone()
    }

    fn filled(source: &str) -> Result<String, String> {
        Fill::text(source)?.filled(&names())
    }

    #[test]
    fn names_and_what_is_in_them_are_filled_in() {
        assert_eq!(filled("Q: {{ question }} ({{ of.is[0] }})").unwrap(), "Q: 1+{n}? (a)");
        assert_eq!(filled("{% if level > 2 %}hard{% endif %}{{ hint or '' }}").unwrap(), "hard");
        assert_eq!(filled("{{ none_such | default('x') }}").unwrap(), "x");
        assert_eq!(filled("{{ 'x' if tag is defined else 'y' }}").unwrap(), "y");
    }

    #[test]
    fn a_name_that_is_not_there_is_an_error_wherever_it_stands() {
        for source in
            ["{{ qestion }}", "{{ qestion | trim }}", "{% for x in qestion %}{% endfor %}"]
        {
            let error = filled(source).unwrap_err();
            assert!(
                error.contains("qestion is undefined") && error.contains("(line 1)"),
                "{error}"
            );
        }
        let error = filled("{{ of.no }}").unwrap_err();
        assert!(error.contains("undefined"), "{error}");
        assert!(filled("a\n{{ hint }}").unwrap_err().contains("is null here"));
        assert!(filled("a\n{{ x").unwrap_err().contains("(line 2)"));
    }

    #[test]
    fn a_condition_holds_or_not_or_is_broken() {
        let holds = |source: &str| Fill::condition(source)?.holds(&names());
        assert_eq!(holds("level <= 3 and 'n' in question"), Ok(true));
        assert_eq!(holds("level > 3"), Ok(false));
        assert_eq!(holds("lvl is defined and lvl > 3"), Ok(false));
        assert!(holds("lvl > 3").unwrap_err().contains("lvl is undefined"));
        assert!(holds("level >").is_err() && holds("").is_err() && holds("1 %}{% if 1").is_err());
    }
}
