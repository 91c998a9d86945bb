//! What is allowed and not without a price: said once, before the run.

use super::RunConfig;
use crate::kernel::ComputeDtype;
use crate::loss::{Aggregation, PolicyLoss};
use crate::train::MomentStorage;

/// What a draw from one token means for groups.
const ONE_TOKEN: &str = ". With top_k 1 all completions of a prompt are equal, so no group tells a \
                         good one from a bad one";

impl RunConfig {
    /// What a person should know about settings that are allowed and move the result, a sentence each,
    /// for a model of so many tokens.
    pub fn notes(&self, vocabulary: usize) -> Vec<String> {
        let all =
            [self.precision(), self.moments(), self.truncation(vocabulary), self.aggregation()];
        all.into_iter().flatten().collect()
    }

    /// Products that are not those of f32.
    fn precision(&self) -> Option<String> {
        let dtype = self.device.compute_dtype;
        (dtype != ComputeDtype::F32).then(|| {
            format!(
                "device.compute_dtype {dtype} rounds the factors of matrix products to {} of 24 bits: it is \
                 faster, and its numbers are not those of f32",
                dtype.mantissa_bits()
            )
        })
    }

    /// Moments that are rounded.
    fn moments(&self) -> Option<String> {
        let storage = self.training.optimizer.moments;
        (storage != MomentStorage::F32).then(|| {
            format!(
                "optimizer.moments {} keeps AdamW's moments in {:.2} bytes a parameter in place of {}: each is \
                 rounded to 8 bits after every step, so the run is not that of f32",
                storage.name(),
                storage.bytes_per_parameter(),
                MomentStorage::F32.bytes_per_parameter()
            )
        })
    }

    /// A distribution that is cut for sampling and whole in the log-probabilities.
    fn truncation(&self, vocabulary: usize) -> Option<String> {
        let (top_p, top_k) = (self.sampling.top_p, self.sampling.top_k);
        let by_mass = (top_p < 1.0).then(|| format!("sampling.top_p {top_p}"));
        let is_cut = (1..vocabulary).contains(&top_k);
        let by_count = is_cut.then(|| format!("sampling.top_k {top_k}"));
        let keys: Vec<String> = by_mass.into_iter().chain(by_count).collect();
        let equal = if is_cut && top_k == 1 { ONE_TOKEN } else { "" };
        (!keys.is_empty()).then(|| {
            format!(
                "{} cuts the distribution that tokens are drawn from, and log-probabilities are those of \
                 the whole one: the gradient is biased towards the tokens that are kept, and ratios and \
                 KL are not those of what was sampled; top_p: 1 and top_k: 0 have no such bias{equal}",
                keys.join(" with ")
            )
        })
    }

    /// Another aggregation than the loss is defined with.
    fn aggregation(&self) -> Option<String> {
        let objective = self.objective().ok()?;
        let (chosen, defined) =
            (objective.loss_agg_mode, objective.policy_loss.default_aggregation());
        let loss = match &objective.policy_loss {
            PolicyLoss::ClippedSurrogate(_) => "a ratio of whole sequences",
            loss => loss.name(),
        };
        // Losses of tokens are published with one aggregation or the other.
        (chosen != defined && defined != Aggregation::default()).then(|| {
            format!(
                "loss_agg_mode is {}, and {loss} is defined with {}, under which a sequence counts the \
                 same whatever its length",
                chosen.name(),
                defined.name()
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const MINIMAL: &str = "\
model: {alphabet: '0123456789+=', architecture: {hidden_size: 8, intermediate_size: 8, num_hidden_layers: 1, num_attention_heads: 1}}
data: {kind: arithmetic, digits: 1, held_out: 10}
rewards: [{kind: exact}]
";

    fn notes(keys: &str) -> Vec<String> {
        let text = format!("{MINIMAL}{keys}\n");
        RunConfig::parse(Path::new("run.yaml"), &text, &[]).unwrap().notes(50)
    }

    #[test]
    fn products_that_round_are_said_at_the_start() {
        for (dtype, bits) in [("bf16", "to 8 of 24 bits"), ("tf32", "to 11 of 24 bits")] {
            let notes = notes(&format!("device: {{compute_dtype: {dtype}}}"));
            assert!(notes.len() == 1 && notes[0].contains(dtype), "{notes:?}");
            assert!(notes[0].contains(bits), "{notes:?}");
        }
        assert_eq!(notes("device: {compute_dtype: f32}"), Vec::<String>::new());
    }

    #[test]
    fn moments_of_8_bits_are_said_with_the_bytes_that_they_take() {
        let notes = notes("optimizer: {moments: q8}");
        assert!(notes.len() == 1 && notes[0].starts_with("optimizer.moments q8"), "{notes:?}");
        assert!(notes[0].contains("2.03 bytes a parameter in place of 8:"), "{notes:?}");
    }

    #[test]
    fn a_distribution_that_is_cut_is_said_to_bias_the_gradient() {
        for (sampling, named) in [
            ("top_p: 0.7, top_k: 50", "sampling.top_p 0.7 cuts"),
            ("top_k: 49", "sampling.top_k 49 cuts"),
            ("top_p: 0.7, top_k: 5", "sampling.top_p 0.7 with sampling.top_k 5 cuts"),
        ] {
            let notes = notes(&format!("sampling: {{{sampling}}}"));
            assert!(notes.len() == 1 && notes[0].starts_with(named), "{notes:?}");
            assert!(notes[0].contains("biased"), "{notes:?}");
        }
        let equal = "With top_k 1 all completions of a prompt are equal";
        assert!(notes("sampling: {top_k: 1}")[0].contains(equal));
        assert!(!notes("sampling: {top_k: 2}")[0].contains(equal));
        for whole in ["top_p: 1.0, top_k: 0", "top_k: 50", "temperature: 0.7"] {
            assert_eq!(notes(&format!("sampling: {{{whole}}}")), Vec::<String>::new(), "{whole}");
        }
    }

    #[test]
    fn another_aggregation_than_that_of_the_loss_is_said_once() {
        for (keys, named) in [
            ("policy_loss: gspo\nloss_agg_mode: token-mean", "token-mean, and gspo is"),
            ("policy_loss: gmpo\nloss_agg_mode: dr-grpo", "dr-grpo, and gmpo is"),
            ("policy_loss: sapo\nloss_agg_mode: token-mean", "token-mean, and sapo is"),
            (
                "importance_sampling: seq\nloss_agg_mode: token-mean",
                "token-mean, and a ratio of whole sequences is",
            ),
        ] {
            let notes = notes(keys);
            let begin = format!("loss_agg_mode is {named} defined with seq-mean-token-mean");
            assert!(notes.len() == 1 && notes[0].starts_with(&begin), "{keys}: {notes:?}");
        }
        for silent in [
            "policy_loss: gspo",
            "policy_loss: gspo\nloss_agg_mode: seq-mean-token-mean",
            "loss_agg_mode: seq-mean-token-mean",
            "policy_loss: cispo\nloss_agg_mode: seq-mean-token-mean",
        ] {
            assert_eq!(notes(silent), Vec::<String>::new(), "{silent}");
        }
    }
}
