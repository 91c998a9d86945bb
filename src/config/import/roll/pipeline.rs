//! Which pipeline a file is: ROLL has several, and only the one for rewards by rules has a counterpart.

use serde_json::Value;

use super::table::is_known;
use crate::quote::shown;

/// Keys that only another pipeline has.
const KEYS: &[(&str, &[&str])] = &[
    (DPO, &["chosen_key", "rejected_key", "beta", "label_smoothing", "ipo", "train_batch_size"]),
    (SFT, &["sft_train", "prompt_key", "query_key", "response_key", "system_key"]),
    (
        DISTILLATION,
        &[
            "student",
            "teacher",
            "student_pretrain",
            "teacher_pretrain",
            "student_train",
            "student_infer",
            "question_key",
            "answer_key",
            "logits_topk",
            "logits_transfer_backend",
            "distill_loss_weight",
            "distill_on_prompt",
            "kd_objective",
            "kd_temperature",
            "teacher_temperature",
            "adaptive_kl_alpha",
            "skew_lambda",
            "opsd_mode",
        ],
    ),
    (AGENTIC, &["custom_envs", "train_env_manager", "val_env_manager"]),
];

const DPO: &str = "a DPO pipeline";
const SFT: &str = "an SFT pipeline";
const DISTILLATION: &str = "a distillation pipeline";
const AGENTIC: &str = "an agentic pipeline";

/// How a word in the name of a class begins, where it is of another pipeline.
const CLASSES: &[(&str, &str)] = &[
    ("dpo", DPO),
    ("sft", SFT),
    ("distill", DISTILLATION),
    ("agentic", AGENTIC),
    ("vlm", "a pipeline of images and text"),
    ("diffusion", "a diffusion pipeline"),
];

/// Lets only a pipeline of rewards by rules through.
///
/// # Errors
/// A file that is another, or none, and what it is.
pub(super) fn check(file: &Value) -> Result<(), String> {
    let keys = match file {
        Value::Object(keys) if !keys.is_empty() => keys,
        Value::Object(_) | Value::Null => {
            return Err("the file is empty; give a pipeline of ROLL".into());
        }
        _ => return Err("this is no block of keys, as a pipeline of ROLL is".into()),
    };
    if let Some((kind, sign)) = other(file) {
        return Err(format!(
            "this is {kind} (it has `{}`), and only ROLL's RLVR pipelines have a counterpart here",
            shown(&sign)
        ));
    }
    if keys.keys().any(|key| is_known(key)) {
        return Ok(());
    }
    Err("none of its keys is one of a pipeline of ROLL".into())
}

/// What a pipeline is, and what tells so, where nothing here is like it.
fn other(file: &Value) -> Option<(&'static str, String)> {
    by_class(file).or_else(|| {
        let keys = KEYS.iter().flat_map(|(kind, keys)| keys.iter().map(move |key| (kind, key)));
        let (kind, key) = keys.into_iter().find(|(_, key)| file.get(key).is_some())?;
        Some((*kind, (*key).to_owned()))
    })
}

/// The same by the names of its classes. A pipeline's own has to be of RLVR; a worker may be anybody's.
fn by_class(file: &Value) -> Option<(&'static str, String)> {
    let class = |path: &str| Some(file.pointer(path)?.as_str()?.to_lowercase());
    let is_in = |name: &str, part| name.split(['.', '_']).any(|word| word.starts_with(part));
    let kind = |name: &str| CLASSES.iter().find(|(part, _)| is_in(name, part)).map(|of| of.1);
    if let Some(name) = class("/pipeline_cls") {
        let is_rlvr = name.contains("rlvr");
        let kind = kind(&name).or((!is_rlvr).then_some("a pipeline of another kind"))?;
        return Some((kind, format!("pipeline_cls: {name}")));
    }
    let name = class("/actor_train/worker_cls")?;
    Some((kind(&name)?, format!("actor_train.worker_cls: {name}")))
}
