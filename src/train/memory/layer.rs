//! What a layer takes for a token, in numbers of 32 bits.

use crate::model::{Gate, LoraConfig, ModelConfig};

/// The widths of a layer's activations, and which of its matrices are differentiated.
pub(super) struct Layer<'a> {
    model: &'a ModelConfig,
    lora: Option<&'a LoraConfig>,
    /// Of the residual stream, of all queries, of all keys, and of the feed-forward part.
    pub(super) widths: [usize; 4],
}

impl<'a> Layer<'a> {
    pub(super) fn new(model: &'a ModelConfig, lora: Option<&'a LoraConfig>) -> Self {
        let (q, kv) = (model.num_attention_heads, model.num_key_value_heads());
        let [q, kv] = [q, kv].map(|heads| heads * model.head_dim());
        Self { model, lora, widths: [model.hidden_size, q, kv, model.intermediate_size] }
    }

    /// What is kept of a token for the way back.
    pub(super) fn kept(&self) -> usize {
        let [d, q, kv, inner] = self.widths;
        let qk_norms = if self.model.qk_norm_widths().is_some() { q + kv } else { 0 };
        let of_outputs = if self.model.norms_outputs() { 2 * d } else { 0 };
        let attention = q + 2 * kv + q + self.model.num_attention_heads;
        let gate = match self.model.gate() {
            Gate::Silu => 2 * inner,
            // Written in operations of Burn, each of which keeps its own.
            Gate::GeluTanh => 8 * inner,
        };
        // The stream before each of the two blocks.
        2 * d
            + of_outputs
            + qk_norms
            + attention
            + gate
            + self.inputs_of_matrices()
            + self.of_adapters()
    }

    /// Inputs of matrices, which their gradients need; queries' outputs are among those of attention.
    fn inputs_of_matrices(&self) -> usize {
        let [d, _, _, inner] = self.widths;
        let are_trained = |names: &[&str]| {
            self.lora.is_none_or(|lora| names.iter().any(|name| lora.adapts(name)))
        };
        let inputs = [
            (["q_proj", "k_proj", "v_proj"].as_slice(), d),
            (&["gate_proj", "up_proj"], d),
            (&["down_proj"], inner),
        ];
        inputs.into_iter().filter(|(names, _)| are_trained(names)).map(|(_, width)| width).sum()
    }

    /// What adapters keep: the result of A, and the input with some of it left out.
    fn of_adapters(&self) -> usize {
        let Some(lora) = self.lora else { return 0 };
        let [d, q, _, inner] = self.widths;
        let input = |name: &str| match name {
            "o_proj" => q,
            "down_proj" => inner,
            _ => d,
        };
        let dropped = |name: &String| if lora.dropout > 0.0 { input(name) } else { 0 };
        lora.targets.iter().map(|name| lora.rank + dropped(name)).sum()
    }

    /// What one layer takes at once where nothing is kept.
    pub(super) fn passing(&self) -> usize {
        let [d, q, kv, inner] = self.widths;
        3 * d + (2 * q + 2 * kv).max(3 * inner)
    }

    /// What the way back through a layer takes beside what was kept: gradients of its activations.
    pub(super) fn going_back(&self) -> usize {
        let [d, q, kv, inner] = self.widths;
        2 * d + (2 * q + 2 * kv).max(3 * inner)
    }
}
