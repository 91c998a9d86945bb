//! Chat templates, rendered as transformers renders them.

use std::error::Error;
use std::sync::LazyLock;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, Value as TemplateValue, context};
use minijinja_contrib::pycompat::unknown_method_callback;
use regex::Regex;
use serde::Serialize;
use serde_json::{Map, Value};

use super::TextError;
use super::chat_functions::{raise_exception, strftime_now, tojson};
use super::special::token_name;
use crate::pattern::constant;

const NAME: &str = "chat_template";

/// Marks of the part an assistant says, which transformers knows and other engines do not.
static GENERATION: LazyLock<Regex> =
    LazyLock::new(|| constant(r"(\{%[-+]?\s*)(end)?generation(\s*[-+]?%\})"));

/// A compiled chat template and the special tokens it may name.
#[derive(Debug, Clone)]
pub(super) struct ChatTemplate {
    source: String,
    environment: Environment<'static>,
    special_tokens: Map<String, Value>,
}

impl ChatTemplate {
    /// Compiles a template; `config` is `tokenizer_config.json`, for `bos_token` and its like.
    pub(super) fn new(source: String, config: &Map<String, Value>) -> Result<Self, String> {
        let mut environment = Environment::new();
        environment.set_syntax(syntax()?);
        environment.set_unknown_method_callback(unknown_method_callback);
        environment.add_function("raise_exception", raise_exception);
        environment.add_function("strftime_now", strftime_now);
        environment.add_filter("tojson", tojson);
        let known = without_generation_marks(&source);
        environment.add_template_owned(NAME, known).map_err(|error| described(&error))?;
        Ok(Self { source, environment, special_tokens: special_tokens(config) })
    }

    pub(super) fn source(&self) -> &str {
        &self.source
    }

    pub(super) fn render(
        &self,
        messages: &impl Serialize,
        add_generation_prompt: bool,
    ) -> Result<String, TextError> {
        let values = context! {
            messages => TemplateValue::from(Serde(messages)),
            add_generation_prompt,
            tools => (),
            documents => (),
            ..TemplateValue::from(Serde(&self.special_tokens))
        };
        let template = self.environment.get_template(NAME);
        let rendered = template.and_then(|template| template.render(values));
        rendered.map_err(|error| TextError::Chat(described(&error)))
    }
}

/// A block on a line of its own leaves neither the line break nor the indentation.
fn syntax() -> Result<SyntaxConfig, String> {
    let mut builder = SyntaxConfig::builder();
    builder.trim_blocks(true).lstrip_blocks(true);
    builder.build().map_err(|error| described(&error))
}

fn without_generation_marks(source: &str) -> String {
    let mark = |found: &regex::Captures| {
        let block = if found.get(2).is_some() { "endif" } else { "if true" };
        format!("{}{block}{}", &found[1], &found[3])
    };
    GENERATION.replace_all(source, mark).into_owned()
}

fn special_tokens(config: &Map<String, Value>) -> Map<String, Value> {
    let named = config.iter().filter(|(key, _)| key.ends_with("_token"));
    let tokens = named.filter_map(|(key, value)| Some((key.clone(), token_name(value)?.into())));
    tokens.collect()
}

/// The message of an error and of everything that led to it, with the line of the template.
fn described(error: &minijinja::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn render(source: &str, messages: &Value) -> Result<String, TextError> {
        let config =
            json!({"bos_token": "<s>", "eos_token": {"content": "</s>"}, "add_bos_token": true});
        let template = ChatTemplate::new(source.into(), config.as_object().unwrap()).unwrap();
        template.render(messages, true)
    }

    fn turns() -> Value {
        json!([{"role": "system", "content": " Be brief. "}, {"role": "user", "content": "Hi"}])
    }

    #[test]
    fn a_chat_of_two_turns_is_rendered_with_its_generation_prompt() {
        let source = "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + \
            message['content'] + '<|im_end|>' + '\n'}}{% endfor %}\
            {% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";
        let expected = "<|im_start|>system\n Be brief. <|im_end|>\n<|im_start|>user\nHi<|im_end|>\n\
            <|im_start|>assistant\n";
        assert_eq!(render(source, &turns()).unwrap(), expected);
    }

    #[test]
    fn blocks_on_lines_of_their_own_leave_no_white_space() {
        let source = "{{ bos_token }}\n{% for m in messages %}\n    {% if m.role == 'user' %}\n\
            {{ m.content }}{{ eos_token }}\n    {% endif %}\n{% endfor %}\n";
        assert_eq!(render(source, &turns()).unwrap(), "<s>\nHi</s>\n");
    }

    #[test]
    fn methods_slices_and_namespaces_of_python_work() {
        let source = "{%- set ns = namespace(n=0) -%}{%- for m in messages[1:] -%}\
            {%- set ns.n = ns.n + 1 -%}{{ m.content.upper() }}{%- endfor -%}\
            {{ ns.n }}{{ messages[0]['content'].strip().split(' ')[-1] }}\
            {{ messages[::-1][0].role }}{{ undefined_thing }}{% if tools %}x{% endif %}";
        assert_eq!(render(source, &turns()).unwrap(), "HI1brief.user");
    }

    #[test]
    fn generation_marks_are_passed_over() {
        let source = "{% for m in messages %}{%- generation -%}{{ m.role }};{%- endgeneration -%}{% endfor %}";
        assert_eq!(render(source, &turns()).unwrap(), "system;user;");
    }

    #[test]
    fn a_template_may_refuse_a_conversation() {
        let source =
            "{% if messages|length > 1 %}{{ raise_exception('one turn only') }}{% endif %}";
        let error = render(source, &turns()).unwrap_err().to_string();
        assert!(error.contains("one turn only"), "{error}");
    }

    #[test]
    fn a_broken_template_names_its_line() {
        let error = ChatTemplate::new("a\n{% if %}".into(), &Map::new()).unwrap_err();
        assert!(error.contains("chat_template:2"), "{error}");
    }
}
