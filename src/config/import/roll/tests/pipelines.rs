//! Files that are another pipeline, or none.

use std::path::Path;

use super::{fate, import, refusal};
use crate::config::{Fate, import_roll};

#[test]
fn other_pipelines_are_told_by_their_class_and_by_the_least_of_their_keys() {
    for (text, name) in [
        ("pipeline_cls: roll.pipeline.distill.distill_pipeline.DistillPipeline\n", "distillation"),
        ("pipeline_cls: roll.pipeline.agentic.agentic_pipeline.AgenticPipeline\n", "agentic"),
        ("pipeline_cls: roll.pipeline.dpo.dpo_pipeline.DPOPipeline\n", "DPO"),
        ("pipeline_cls: roll.pipeline.sft.sft_pipeline.SFTPipeline\n", "SFT"),
        ("pipeline_cls: roll.pipeline.rlvr.rlvr_vlm_pipeline.RLVRVLMPipeline\n", "images"),
        ("pipeline_cls: mine.Pipeline\n", "another kind"),
        ("p: roll.pipeline.dpo.dpo_pipeline.DPOPipeline\npipeline_cls: ${p}\n", "DPO"),
        ("actor_train: {worker_cls: roll.pipeline.dpo.actor_worker.ActorWorker}\n", "DPO"),
        ("beta: 0.1\nlabel_smoothing: 0.1\n", "DPO"),
        ("label_smoothing: 0.0\n", "DPO"),
        ("ipo: false\n", "DPO"),
        ("prompt_key: instruction\nresponse_key: output\n", "SFT"),
        ("kd_temperature: 1\nquestion_key: question\n", "distillation"),
        ("student_train: {}\n", "distillation"),
    ] {
        let error = refusal(&format!("pretrain: m\n{text}"));
        assert!(error.contains(name) && error.contains("RLVR"), "{text}: {error}");
    }
}

#[test]
fn a_pipeline_of_rewards_by_rules_may_say_its_class() {
    let (imported, _) = import("pipeline_cls: roll.pipeline.rlvr.rlvr_pipeline.RLVRPipeline\n");
    assert!(matches!(fate(&imported, "pipeline_cls"), Fate::Harmless(_)));
    let (imported, _) = import("pipeline_cls: my_endpoints.MyRLVRPipeline\n");
    assert!(matches!(fate(&imported, "pipeline_cls"), Fate::Changes(_)));
    let worker = "actor_train: {worker_cls: endpoints.RLVRWorker}\n";
    assert!(import_roll(Path::new("roll.yaml"), worker).is_ok());
}

#[test]
fn what_is_no_pipeline_at_all_is_refused() {
    for text in ["", "\n\n", "# a comment\n", "---\n", "{}", "~", "null\n"] {
        assert!(refusal(text).contains("empty"), "{text:?}: {}", refusal(text));
    }
    for text in ["[1,2]", "7", "text", "- seed: 1\n"] {
        assert!(refusal(text).contains("no block of keys"), "{text:?}: {}", refusal(text));
    }
    assert!(refusal("foo: 1\nbar: {seed: 2}\n").contains("none of its keys"));
    assert!(refusal("seed: [1\n").starts_with("roll.yaml:"));
}
