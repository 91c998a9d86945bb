//! What comes on top of what a run holds, at each of the moments that could be the fullest.

use super::layer::Layer;
use super::{Estimate, MemoryOf};
use crate::advantage::AdvantageEstimator;
use crate::model::PackedCompletions;
use crate::rollout::{Footprint, Generator, Wanted};
use crate::train::buffers::bytes;
use crate::train::sft::JUDGED;

/// Numbers of the logits that are there at a time: a CPU's block, and three of a GPU's.
const LOGITS: [usize; 2] = [8 << 20, 3 * (16 << 20)];

/// Tensors `[n, v]` that the exact KL keeps.
const OF_EXACT_KL: usize = 6;

/// Tokens of a pass that is differentiated.
#[derive(Clone, Copy)]
struct Pass {
    /// Those that go through the layers.
    tokens: usize,
    /// Those that are predicted.
    predicted: usize,
    /// Whether it is one of several, whose gradients are added up.
    is_one_of_several: bool,
}

impl MemoryOf<'_> {
    pub(super) fn phases(&self) -> Vec<Estimate> {
        let update = self.update();
        let mut phases = vec![self.rollouts(), self.evaluation(), update];
        phases.extend(self.run.warm_start.map(|_| self.warm_start()));
        phases
    }

    fn rollouts(&self) -> Estimate {
        let (settings, training) = (self.run.settings, &self.run.settings.training);
        let group = settings.estimator.rollouts_per_prompt(training.num_return_sequences_in_group);
        let (prompts, generator) = (training.rollout_batch_size, &settings.generator);
        self.generation("generation", generator, [prompts, prompts * group])
    }

    fn evaluation(&self) -> Estimate {
        let eval = self.run.eval;
        let judged = if self.run.warm_start.is_some() { JUDGED } else { 0 };
        let prompts = self.run.held_out.max(judged);
        self.generation("evaluation", &eval.generator, [prompts, prompts * eval.samples.max(1)])
    }

    fn generation(
        &self,
        when: &'static str,
        by: &Generator,
        [prompts, rows]: [usize; 2],
    ) -> Estimate {
        if rows == 0 {
            return Estimate { when, parts: Vec::new() };
        }
        let Footprint { slots, rows, prefill_tokens, .. } =
            by.footprint(Wanted { prompts, longest_prompt: self.run.longest_prompt, rows });
        let layer = self.layer();
        let [_, _, kv, _] = layer.widths;
        let cache = bytes(&[2 * kv, self.model.num_hidden_layers, slots]);
        let activations = bytes(&[prefill_tokens, layer.passing()]);
        let logits = bytes(&[2, rows, self.model.vocab_size]);
        let parts = vec![
            ("weights laid out for generation", self.packed()),
            ("the cache of keys and values", cache),
            ("activations", activations.max(logits)),
        ];
        Estimate { when, parts }
    }

    /// A second copy of every matrix that is stored in f32, an adapter's too, where a CPU multiplies by it.
    fn packed(&self) -> u64 {
        let of_adapter = self.adapter.map_or(0, |(lora, _)| lora.parameter_count(self.model));
        let is_f32 = self.adapter.is_none_or(|(_, base)| base.is_f32());
        let of_base = if is_f32 { self.model.parameter_count() } else { 0 };
        if self.is_host { bytes(&[of_adapter + of_base]) } else { 0 }
    }

    fn update(&self) -> Estimate {
        let (settings, run) = (self.run.settings, self.run);
        let training = &settings.training;
        let p = training.rollout_batch_size.div_ceil(training.mini_batches);
        let g = training.num_return_sequences_in_group;
        let response = settings.generator.response_length;
        let own = g * response.saturating_sub(1);
        let all = p * (run.mean_prompt + own) + run.longest_prompt.saturating_sub(run.mean_prompt);
        let row = PackedCompletions::tokens_of(run.longest_prompt, [response].into_iter());
        let tokens = settings.micro_batch_tokens.min(all).max(row);
        let share = (g * response) as f64 / (run.mean_prompt + own).max(1) as f64;
        let predicted = (tokens as f64 * share).min((p * g * response) as f64) as usize;
        self.differentiated(
            "the update",
            Pass { tokens, predicted, is_one_of_several: all > tokens },
        )
    }

    fn warm_start(&self) -> Estimate {
        let size = self.run.warm_start.map_or(0, |settings| settings.batch_size);
        let response = self.run.settings.generator.response_length.min(self.run.mean_answer);
        let row = PackedCompletions::tokens_of(self.run.mean_prompt, [response].into_iter());
        let (tokens, predicted) = (size * row, size * response);
        self.differentiated("the warm start", Pass { tokens, predicted, is_one_of_several: false })
    }

    /// A forward pass and the way back.
    fn differentiated(&self, when: &'static str, pass: Pass) -> Estimate {
        let Pass { tokens, predicted, .. } = pass;
        let (layer, layers) = (self.layer(), self.model.num_hidden_layers);
        let stream = self.model.hidden_size;
        let kept = match self.run.settings.training.gradient_checkpointing.is_on() {
            true => (layers + 1) * stream + layer.kept(),
            false => layers * layer.kept() + stream,
        };
        let hidden = bytes(&[2, predicted, stream]);
        let activations = bytes(&[tokens, kept + layer.going_back()]).saturating_add(hidden);
        let earlier = if pass.is_one_of_several { bytes(&[self.trained()]) } else { 0 };
        // On the way back gradients come as activations go: it is fullest at one of its ends.
        let begin = [earlier, activations, self.head(predicted)];
        let end = [earlier.saturating_add(bytes(&[self.trained()])), 0, self.head_matrices()];
        let [gradients, activations, head] = [begin, end]
            .into_iter()
            .max_by_key(|parts| parts.iter().fold(0, |sum: u64, part| sum.saturating_add(*part)))
            .unwrap_or(begin);
        let parts =
            vec![("gradients", gradients), ("activations", activations), ("the output head", head)];
        Estimate { when, parts }
    }

    /// Blocks of logits, and the head's gradient; whole distributions where a loss looks at them.
    fn head(&self, predicted: usize) -> u64 {
        let vocabulary = self.model.vocab_size;
        let block =
            bytes(&[LOGITS[usize::from(!self.is_host)]]).min(bytes(&[2, predicted, vocabulary]));
        let exact = match self.run.settings.objective.needs_exact_kls() {
            true => bytes(&[OF_EXACT_KL, predicted, vocabulary]),
            false => 0,
        };
        block.saturating_add(self.head_matrices()).saturating_add(exact)
    }

    /// Matrices as large as the head: its gradient, that of the embedding, and their sum where the two are one.
    fn head_matrices(&self) -> u64 {
        let count = match (self.adapter.is_none(), self.model.tie_word_embeddings) {
            (true, true) => 3,
            (true, false) => 1,
            (false, _) => 0,
        };
        bytes(&[count, self.model.vocab_size, self.model.hidden_size])
    }

    fn layer(&self) -> Layer<'_> {
        Layer::new(self.model, self.adapter.map(|(lora, _)| lora))
    }
}
