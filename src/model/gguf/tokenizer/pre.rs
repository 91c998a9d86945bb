//! How a byte-level tokenizer cuts a text before it merges: what `tokenizer.ggml.pre` names, and the parts of a
//! `tokenizer.json` that do it.

use serde_json::{Value, json};

use crate::model::gguf::{GgufError, GgufFile};
use crate::quote::shown;

/// The key of the name.
pub(in crate::model::gguf) const PRE: &str = "tokenizer.ggml.pre";

/// The rule of Llama 3 (and of OpenAI's cl100k): numbers by three digits.
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// The rule of Qwen2: each digit by itself.
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// The rule of Mistral's Tekken: words begin with capitals.
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// The rule of GPT-2.
const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)";
/// What llama.cpp does to a text where its converter did not know the tokenizer: one rule after another.
const DEFAULT: [&str; 4] = [r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", r"[0-9][0-9][0-9]"];

/// A way to cut texts.
#[derive(Debug)]
pub(in crate::model::gguf) struct Pre {
    /// llama.cpp's names for it; the first is written.
    pub names: &'static [&'static str],
    rule: Rule,
    /// Whether the model's tokenizer puts text into Unicode's composed form, of which GGUF says nothing.
    composes: bool,
    /// Whether a word that is a token is not merged from its letters.
    pub ignores_merges: bool,
    /// Whether llama.cpp begins texts with BOS where the file does not say.
    pub adds_bos: bool,
}

#[derive(Debug)]
enum Rule {
    /// GPT-2's, within the byte-level part.
    Gpt2,
    /// Each digit by itself, then GPT-2's.
    DigitsGpt2,
    /// Patterns, one after another.
    Patterns(&'static [&'static str]),
}

const fn pre(names: &'static [&'static str], rule: Rule) -> Pre {
    Pre { names, rule, composes: false, ignores_merges: false, adds_bos: false }
}

/// The pre-tokenizers that are read and written; names as in `src/llama-vocab.cpp` of llama.cpp.
static ALL: [Pre; 8] = [
    pre(&["smollm", "starcoder", "refact", "codeshell"], Rule::DigitsGpt2),
    pre(&["gpt-2"], Rule::Gpt2),
    Pre {
        ignores_merges: true,
        adds_bos: true,
        ..pre(&["llama-bpe", "llama3", "llama-v3"], Rule::Patterns(&[LLAMA3]))
    },
    // Llama 3's vocabulary without BOS: Smaug and SmolLM3.
    Pre { ignores_merges: true, ..pre(&["smaug-bpe"], Rule::Patterns(&[LLAMA3])) },
    // OLMo 2 and Granite 4.
    pre(&["dbrx"], Rule::Patterns(&[LLAMA3])),
    Pre { composes: true, ..pre(&["qwen2", "deepseek-r1-qwen"], Rule::Patterns(&[QWEN2])) },
    Pre { ignores_merges: true, adds_bos: true, ..pre(&["tekken"], Rule::Patterns(&[TEKKEN])) },
    pre(&["default"], Rule::Patterns(&DEFAULT)),
];

/// The pre-tokenizer of a file.
pub(super) fn read(file: &GgufFile) -> Result<&'static Pre, GgufError> {
    let Some(name) = file.text(PRE)? else {
        let mend = "it was converted before May 2024: convert the model again";
        return Err(file.unsupported(format!("no {PRE}"), mend));
    };
    let found = ALL.iter().find(|pre| pre.names.contains(&name));
    found.ok_or_else(|| {
        let known = names().join(", ");
        let mend = format!("{known} are read: take the Hugging Face folder");
        file.unsupported(format!("{PRE} {:?}", shown(name)), mend)
    })
}

/// The pre-tokenizer of a `tokenizer.json`, where llama.cpp has a name for it.
pub(in crate::model::gguf) fn recognise(tokenizer: &Value) -> Option<&'static Pre> {
    let stages = stages(&tokenizer["pre_tokenizer"]);
    let ignores = tokenizer["model"]["ignore_merges"].as_bool().unwrap_or(false);
    let same = |pre: &&Pre| pre.ignores_merges == ignores && stages == self::stages(&pre.json());
    ALL.iter().find(same)
}

/// All names, for messages.
pub(in crate::model::gguf) fn names() -> Vec<&'static str> {
    ALL.iter().flat_map(|pre| pre.names.iter().copied()).collect()
}

impl Pre {
    /// The normalizer of a `tokenizer.json`.
    pub fn normalizer(&self) -> Value {
        if self.composes { json!({"type": "NFC"}) } else { Value::Null }
    }

    /// The pre-tokenizer of a `tokenizer.json`.
    pub fn json(&self) -> Value {
        match self.rule {
            Rule::Gpt2 => bytes(true),
            Rule::DigitsGpt2 => {
                sequence(vec![json!({"type": "Digits", "individual_digits": true}), bytes(true)])
            }
            Rule::Patterns(patterns) => sequence(
                patterns.iter().map(|pattern| split(pattern)).chain([bytes(false)]).collect(),
            ),
        }
    }
}

fn sequence(parts: Vec<Value>) -> Value {
    json!({"type": "Sequence", "pretokenizers": parts})
}

fn split(pattern: &str) -> Value {
    json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false})
}

fn bytes(cuts: bool) -> Value {
    json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": cuts})
}

/// What a pre-tokenizer does, however it is written down; nothing for what is not known.
fn stages(part: &Value) -> Option<Vec<String>> {
    let flag = |key: &str, by_default: bool| part[key].as_bool().unwrap_or(by_default);
    let stage = match part["type"].as_str()? {
        "Sequence" => {
            let inner = part["pretokenizers"].as_array()?.iter().map(stages);
            return inner.collect::<Option<Vec<_>>>().map(|stages| stages.concat());
        }
        "Digits" if flag("individual_digits", false) => "digits".into(),
        "ByteLevel" if flag("add_prefix_space", true) => return None,
        "ByteLevel" if flag("use_regex", true) => "bytes by GPT-2's rule".into(),
        "ByteLevel" => "bytes".into(),
        // Where a rule fits everything, to keep what fits is to cut there.
        "Split" => match (part["behavior"].as_str()?, flag("invert", false)) {
            ("Isolated", _) | ("Removed", true) => part["pattern"]["Regex"].as_str()?.into(),
            _ => return None,
        },
        _ => return None,
    };
    Some(vec![stage])
}
