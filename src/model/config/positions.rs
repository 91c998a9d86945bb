//! How long the rows of a model may be: its positions, and the window of layers that have one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ModelConfig, ModelConfigError};

/// What the tokens of a layer attend to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LayerType {
    /// All that came before.
    FullAttention,
    /// The last `sliding_window` tokens.
    SlidingAttention,
}

impl ModelConfig {
    /// Checks that the longest prompt and completion (in tokens) fit the positions that the model is
    /// meant for and the window of its layers. `keys` are the settings that bound the two, and what to
    /// lower where they do not fit.
    ///
    /// # Errors
    /// [`ModelConfigError::TooManyPositions`] with the numbers and the key to lower.
    pub fn check_positions(
        &self,
        prompt: usize,
        response: usize,
        keys: [&'static str; 2],
    ) -> Result<(), ModelConfigError> {
        let (bound, most) = self.longest_row();
        if prompt.saturating_add(response) <= most {
            return Ok(());
        }
        let [prompt_key, response_key] = keys;
        let left = |other: usize| most.checked_sub(other).filter(|left| *left > 0);
        let mend = match (left(prompt), left(response)) {
            (Some(response), _) => format!("lower {response_key} to {response} or less"),
            (None, Some(prompt)) => format!("lower {prompt_key} to {prompt} or less"),
            (None, None) => format!("lower {prompt_key} and {response_key}"),
        };
        Err(ModelConfigError::TooManyPositions { prompt, response, bound, most, mend })
    }

    /// The key that bounds the length of rows, and the most tokens that a row may have.
    fn longest_row(&self) -> (&'static str, usize) {
        let positions = ("max_position_embeddings", self.max_position_embeddings);
        // Inside the window a layer sees all that came before, as all layers do here.
        let window = self.window().map(|window| ("sliding_window", window));
        window.into_iter().chain([positions]).min_by_key(|(_, most)| *most).unwrap_or(positions)
    }

    /// Whether a layer has the window.
    pub(super) fn layer_slides(&self, layer: usize) -> bool {
        let listed =
            |types: &Vec<LayerType>| types.get(layer) == Some(&LayerType::SlidingAttention);
        self.sliding_window.is_some() && self.layer_types.as_ref().is_none_or(listed)
    }

    /// The window of the layers that have one, if there are any.
    fn window(&self) -> Option<usize> {
        let slides = |types: &Vec<LayerType>| types.contains(&LayerType::SlidingAttention);
        self.sliding_window.filter(|_| self.layer_types.as_ref().is_none_or(slides))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(keys: &str) -> ModelConfig {
        let text = r#"{"vocab_size": 64, "hidden_size": 128, "intermediate_size": 352,
            "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 16"#;
        serde_json::from_str(&format!("{text}, {keys}}}")).unwrap()
    }

    fn check(model: &ModelConfig, prompt: usize, response: usize) -> Result<(), String> {
        let checked = model.check_positions(prompt, response, ["prompt_length", "response_length"]);
        checked.map_err(|error| error.to_string())
    }

    #[test]
    fn positions_beyond_the_models_are_refused_with_the_key_to_lower() {
        let model = model(r#""model_type": "llama""#);
        let message = |prompt, response| check(&model, prompt, response).unwrap_err();
        assert!(check(&model, 10, 6).is_ok() && check(&model, 0, 16).is_ok());
        let told = message(10, 7);
        for part in ["10 tokens", "7 more", "17", "max_position_embeddings is 16"] {
            assert!(told.contains(part), "{told} lacks {part}");
        }
        assert!(told.ends_with("lower response_length to 6 or less"), "{told}");
        assert!(message(16, 4).ends_with("lower prompt_length to 12 or less"));
        assert!(message(20, 20).ends_with("lower prompt_length and response_length"));
        assert!(message(usize::MAX, 1).contains("lower prompt_length to 15"));
    }

    #[test]
    fn a_row_stays_inside_the_window_of_the_layers_that_have_one() {
        let everywhere = model(r#""model_type": "mistral", "sliding_window": 8"#);
        assert!(check(&everywhere, 5, 3).is_ok());
        let told = check(&everywhere, 5, 4).unwrap_err();
        assert!(told.contains("the model's sliding_window is 8;"), "{told}");
        assert!(told.ends_with("lower response_length to 3 or less"), "{told}");
        let wide = model(r#""model_type": "mistral", "sliding_window": 4096"#);
        assert!(check(&wide, 10, 7).unwrap_err().contains("max_position_embeddings is 16"));
        let one = r#""model_type": "qwen3", "sliding_window": 8, "layer_types": "#;
        let types = |second| model(&format!(r#"{one}["full_attention", "{second}_attention"]"#));
        assert!(check(&types("sliding"), 5, 4).is_err() && check(&types("full"), 5, 4).is_ok());
    }
}
