//! The factors of a decoder, as its passes apply them.
//!
//! A family may multiply what each block gives by a factor m before it joins the residual stream. The stream is
//! kept divided by m instead, so that a block costs no further operation:
//!
//! ```text
//! x + m·y  =  m · (x/m + y)          norm(x; γ, ε)  =  norm(x/m; γ, ε/m²)
//! ```

use super::{Family, ModelConfig};

impl ModelConfig {
    /// What embeddings are multiplied by on their way into the residual stream.
    pub(in crate::model) fn embedding_scale(&self) -> f64 {
        let by_width = match self.model_type {
            Family::Gemma3Text => (self.hidden_size as f64).sqrt(),
            _ => 1.0,
        };
        self.embedding_multiplier.unwrap_or(by_width) / self.stream_unit()
    }

    /// What norms of the residual stream add to the mean square.
    pub(in crate::model) fn stream_epsilon(&self) -> f64 {
        self.rms_norm_eps / (self.stream_unit() * self.stream_unit())
    }

    /// What hidden states are multiplied by after the final norm, so that logits are linear in them.
    pub(in crate::model) fn hidden_scale(&self) -> f64 {
        1.0 / self.logits_scaling.unwrap_or(1.0)
    }

    fn stream_unit(&self) -> f64 {
        self.residual_multiplier.unwrap_or(1.0)
    }
}
