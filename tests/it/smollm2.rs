//! A real checkpoint, where one is at hand: `WGRPO_SMOLLM2=FOLDER cargo test`.
//!
//! The expected values are what transformers 5 printed for SmolLM2-135M-Instruct (weights out of a
//! 4-bit file, so a little off the published ones) on the same machine that made the folder.

use std::path::PathBuf;

use wgrpo::data::Message;
use wgrpo::model::{LoadedModel, Packed};
use wgrpo::rollout::{Generator, Noise, Prompt, Purpose, Sampling};

use crate::support::{Cpu, skipped};

const PROMPT_IDS: [u32; 40] = [
    1, 9690, 198, 2683, 359, 253, 5356, 5646, 11173, 3365, 3511, 308, 34519, 28, 7018, 411, 407,
    19712, 8182, 2, 198, 1, 4093, 198, 1780, 314, 216, 33, 34, 1232, 216, 35, 32, 47, 2, 198, 1,
    520, 9531, 198,
];
const LAST_LOGITS: [f32; 5] = [16.1497, 16.9881, 19.1975, 14.7674, 13.7285];
const GREEDY: &str =
    "12 + 30 = 32\n\nThis is a classic example of arithmetic operations being added together.";

fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("WGRPO_SMOLLM2").map(PathBuf::from);
    if folder.is_none() {
        skipped("set WGRPO_SMOLLM2 to a SmolLM2-135M-Instruct folder to run this test");
    }
    folder
}

#[test]
fn a_real_checkpoint_gives_the_ids_logits_and_text_that_transformers_gives() {
    let Some(folder) = folder() else { return };
    let model = LoadedModel::<Cpu>::open(&folder, &Default::default()).unwrap();
    let messages = [Message::new("user", "What is 12 + 30?")];
    let text = model.tokenizer.render_chat(&messages, true).unwrap();
    let ids = model.tokenizer.encode(&text, false).unwrap();
    assert_eq!(ids, PROMPT_IDS);

    let hidden = model.decoder.forward(&Packed::sequences(&[&ids]));
    let last = hidden.narrow(0, ids.len() - 1, 1);
    let logits: Vec<f32> = model.decoder.logits(&last).into_data().iter().collect();
    for (ours, theirs) in logits.iter().zip(LAST_LOGITS) {
        assert!((ours - theirs).abs() < 1e-3, "{ours} against {theirs}");
    }

    let generator = Generator {
        sampling: Sampling::greedy(),
        response_length: 24,
        eos_ids: model.tokenizer.eos_ids().to_vec(),
        cache_tokens: 1024,
        rows_at_once: Generator::ROWS_AT_ONCE,
        tokens_a_readback: None,
    };
    let prompt = Prompt { problem: 0, ids: ids.into(), samples: 1 };
    let noise = Noise::new(0, Purpose::Reading, 0);
    let groups = generator.generate(&model.decoder, &[prompt], noise).unwrap();
    assert_eq!(model.tokenizer.decode(&groups[0].completions[0].ids), GREEDY);
}
