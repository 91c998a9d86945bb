//! Chat templates, rendered as transformers renders them.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};

use super::TextError;
use super::boundary::with_large_stack;
use super::limits::{LONGEST_TEMPLATE, LONGEST_TEXT, megabytes};
use super::special::token_name;
use super::template::Template;
use crate::quote::passage;

/// A compiled chat template and the special tokens it may name.
#[derive(Debug, Clone)]
pub(super) struct ChatTemplate {
    source: String,
    template: Arc<Template>,
    special_tokens: Map<String, Value>,
    /// What a person gives it to know beside the messages.
    arguments: Map<String, Value>,
}

impl ChatTemplate {
    /// Compiles a template; `config` is `tokenizer_config.json`, for `bos_token` and its like.
    pub(super) fn new(source: String, config: &Map<String, Value>) -> Result<Self, String> {
        if source.len() > LONGEST_TEMPLATE {
            let (has, most) = (megabytes(source.len()), megabytes(LONGEST_TEMPLATE));
            return Err(format!("the chat template has {has} MB, and at most {most} MB are read"));
        }
        let template = with_large_stack(|| Template::parse(&source))?;
        let template =
            Arc::new(template.map_err(|error| format!("the chat template is broken: {error}"))?);
        let (special_tokens, arguments) = (special_tokens(config), Map::new());
        Ok(Self { source, template, special_tokens, arguments })
    }

    /// The same template, which is given these names too.
    pub(super) fn with_arguments(self, arguments: Map<String, Value>) -> Self {
        Self { arguments, ..self }
    }

    pub(super) fn source(&self) -> &str {
        &self.source
    }

    pub(super) fn render(
        &self,
        messages: &impl Serialize,
        add_generation_prompt: bool,
    ) -> Result<String, TextError> {
        let failed = |problem: String| TextError::Chat(passage(&problem).into());
        let messages = serde_json::to_value(messages).map_err(|error| failed(error.to_string()))?;
        let bytes = text_bytes(&messages);
        if bytes > LONGEST_TEXT {
            return Err(TextError::TooLong { bytes, limit: LONGEST_TEXT });
        }
        let mut names = self.special_tokens.clone();
        names.extend(self.arguments.clone());
        names.insert("messages".into(), messages);
        names.insert("add_generation_prompt".into(), add_generation_prompt.into());
        names.insert("tools".into(), Value::Null);
        names.insert("documents".into(), Value::Null);
        let rendered = with_large_stack(|| self.template.render(&names)).map_err(failed)?;
        rendered.map_err(|error| failed(error.to_string()))
    }
}

/// What a rendered conversation is up to the end of its last message, which is to be continued, as transformers'
/// `continue_final_message` has it: white space that the template takes off is not put back.
pub(super) fn up_to(rendered: &str, last: &str) -> Option<String> {
    let at = rendered.rfind(last.trim())?;
    let whole = rendered[at..].starts_with(last.trim_start());
    let length = if whole { last.trim_start().len() } else { last.trim().len() };
    Some(rendered[..at + length].to_owned())
}

/// The length of all texts in a value, and a byte for everything else.
fn text_bytes(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(text_bytes).sum::<usize>() + 1,
        Value::Object(pairs) => {
            pairs.iter().map(|(key, value)| key.len() + text_bytes(value)).sum::<usize>() + 1
        }
        _ => 1,
    }
}

fn special_tokens(config: &Map<String, Value>) -> Map<String, Value> {
    let named = config.iter().filter(|(key, _)| key.ends_with("_token"));
    let tokens = named.filter_map(|(key, value)| Some((key.clone(), token_name(value)?.into())));
    tokens.collect()
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
    fn a_template_is_given_the_names_of_a_person_and_no_others_of_ours_are_changed() {
        let source = "{% if enable_thinking is defined and not enable_thinking %}no {% endif %}{{ messages|length }}";
        let template = ChatTemplate::new(source.into(), &Map::new()).unwrap();
        assert_eq!(template.render(&turns(), true).unwrap(), "2");
        let arguments = json!({"enable_thinking": false, "messages": "none"});
        let template = template.with_arguments(arguments.as_object().unwrap().clone());
        assert_eq!(template.render(&turns(), true).unwrap(), "no 2");
    }

    #[test]
    fn a_message_that_is_continued_ends_the_text() {
        // As `render_jinja_template(..., continue_final_message=True)` of transformers 5.24 cuts.
        let cut = |rendered, last| up_to(rendered, last);
        let plain = "<|user|>So <|end|><|assistant|>So <|end|>\n";
        assert_eq!(cut(plain, "So ").unwrap(), "<|user|>So <|end|><|assistant|>So ");
        let trimmed = "<|user|>1+1=<|end|><|assistant|>So<|end|>\n";
        assert_eq!(cut(trimmed, " So \n").unwrap(), "<|user|>1+1=<|end|><|assistant|>So");
        let before = "<|user|>1+1=<|end|><|assistant|> So<|end|>\n";
        assert_eq!(cut(before, " So").unwrap(), "<|user|>1+1=<|end|><|assistant|> So");
        assert_eq!(cut("<|user|>1+1=", "So"), None);
    }

    #[test]
    fn a_broken_template_names_its_line() {
        let error = ChatTemplate::new("a\n{% if %}".into(), &Map::new()).unwrap_err();
        assert!(error.contains("chat_template:2"), "{error}");
    }
}
