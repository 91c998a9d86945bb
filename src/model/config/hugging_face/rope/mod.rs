//! The rotary positions of a `config.json`: base and scaling as transformers 4 and 5 write them, and what is
//! not supported.

#[cfg(test)]
mod tests;

use serde::Deserialize;
use serde_json::{Value, json};

use super::Refusal;
use crate::model::config::{Family, ModelConfig, RopeScaling};
use crate::quote::shown;

const KINDS: &str = "rotary positions are over whole heads, and plain (rope_type \"default\") or scaled by \"linear\", \"dynamic\" or \"llama3\"";
const GIVE: &str = "give it as the model was published";
const ONE: &str = "the two mean the same: keep the one that the model was trained with";

/// The keys of `config.json` about rotary positions, at its top level.
#[derive(Default, Deserialize)]
pub(super) struct RopeKeys {
    rope_theta: Option<f64>,
    rope_local_base_freq: Option<f64>,
    partial_rotary_factor: Option<f64>,
    max_position_embeddings: Option<usize>,
    original_max_position_embeddings: Option<usize>,
    rope_parameters: Option<Rope>,
    rope_scaling: Option<Rope>,
}

/// `rope_parameters` of transformers 5, `rope_scaling` of transformers 4.
#[derive(Deserialize)]
struct Rope {
    rope_type: Option<String>,
    // What rope_type was called before; files of some years have both.
    r#type: Option<String>,
    rope_theta: Option<f64>,
    partial_rotary_factor: Option<f64>,
    factor: Option<f64>,
    low_freq_factor: Option<f64>,
    high_freq_factor: Option<f64>,
    original_max_position_embeddings: Option<usize>,
    // One set of parameters per kind of layer, as models with two kinds of attention have it.
    full_attention: Option<Box<Rope>>,
    sliding_attention: Option<Box<Rope>>,
}

impl RopeKeys {
    /// The keys of layers with full attention, and the base of those with a window, where the two differ.
    ///
    /// # Errors
    /// Two bases, one set of parameters for both, or a scaling in layers with a window.
    pub(super) fn by_kind_of_layer(mut self) -> Result<(Self, Option<f64>), Refusal> {
        let Some(block) = self.rope_parameters.take() else {
            let local = self.rope_local_base_freq;
            return Ok((self, local));
        };
        if block.full_attention.is_none() && block.sliding_attention.is_none() {
            return Err((
                "rope_parameters for all layers".into(),
                "give full_attention and sliding_attention in it",
            ));
        }
        self.rope_parameters = block.full_attention.map(|rope| *rope);
        let local = block.sliding_attention.map(|rope| *rope);
        let local = Self {
            rope_theta: self.rope_local_base_freq,
            rope_parameters: local,
            ..Self::default()
        };
        let (base, scaling) = (local.theta()?, local.scaling()?);
        match scaling {
            None => Ok((self, base)),
            Some(_) => Err((
                "a rope_type of layers with a window".into(),
                "only those without one are scaled",
            )),
        }
    }

    /// The base of the frequencies, wherever it stands, if anywhere.
    ///
    /// # Errors
    /// Two bases: transformers 4 takes the one at the top level, transformers 5 the one in the block.
    pub(super) fn theta(&self) -> Result<Option<f64>, Refusal> {
        let Some((key, theta)) = self.thetas().next() else { return Ok(None) };
        match self.thetas().find(|(_, other)| *other != theta) {
            None => Ok(Some(theta)),
            Some((other_key, other)) => {
                Err((format!("{key} {theta} beside {other_key} {other}"), ONE))
            }
        }
    }

    /// What becomes of the frequencies.
    ///
    /// # Errors
    /// The first thing that the decoder cannot do, that is not whole, or that means two things at once.
    pub(super) fn scaling(&self) -> Result<Option<RopeScaling>, Refusal> {
        if let Some(factor) = self.partial_rotary_factor.filter(|factor| *factor != 1.0) {
            return Err((format!("partial_rotary_factor {factor}"), KINDS));
        }
        let read = self.blocks().map(|(key, rope)| Ok((key, rope, rope.scaling(key, self)?)));
        let read: Vec<_> = read.collect::<Result<_, Refusal>>()?;
        match read.as_slice() {
            [(key, one, scaling), (other_key, other, other_scaling)]
                if scaling != other_scaling =>
            {
                let kinds =
                    [one, other].map(|rope| shown(rope.kind("").map_or("default", |k| k.1)));
                let [kind, other] = kinds;
                Err((format!("{key} {kind:?} beside another {other_key} {other:?}"), ONE))
            }
            read => Ok(read.first().and_then(|(.., scaling)| *scaling)),
        }
    }

    fn thetas(&self) -> impl Iterator<Item = (String, f64)> {
        let theta =
            |(key, rope): (&str, &Rope)| Some((format!("{key}.rope_theta"), rope.rope_theta?));
        let top = self.rope_theta.map(|theta| ("rope_theta".to_owned(), theta));
        self.blocks().filter_map(theta).chain(top)
    }

    fn blocks(&self) -> impl Iterator<Item = (&'static str, &Rope)> {
        let keys =
            [("rope_parameters", &self.rope_parameters), ("rope_scaling", &self.rope_scaling)];
        keys.into_iter().filter_map(|(key, rope)| Some((key, rope.as_ref()?)))
    }
}

impl Rope {
    fn scaling(&self, key: &str, keys: &RopeKeys) -> Result<Option<RopeScaling>, Refusal> {
        self.check_type(key)?;
        let Some((name, kind)) = self.kind(key) else { return self.without_type(key) };
        let named = || format!("{name} {:?}", shown(kind));
        let needed = |value: Option<f64>, part: &str| {
            value.ok_or_else(|| (format!("{} without {part}", named()), GIVE))
        };
        let factor = || needed(self.factor, "factor");
        Ok(Some(match kind {
            "default" => return Ok(None),
            "linear" => RopeScaling::Linear { factor: factor()? },
            "dynamic" => RopeScaling::Dynamic { factor: factor()? },
            "llama3" => RopeScaling::Llama3 {
                factor: factor()?,
                low_freq_factor: needed(self.low_freq_factor, "low_freq_factor")?,
                high_freq_factor: needed(self.high_freq_factor, "high_freq_factor")?,
                original_max_position_embeddings: self.original_length(key, keys)?,
            },
            _ => return Err((named(), KINDS)),
        }))
    }

    /// The kind of rope with the key that says it.
    fn kind(&self, key: &str) -> Option<(String, &str)> {
        [("rope_type", &self.rope_type), ("type", &self.r#type)]
            .into_iter()
            .find_map(|(name, kind)| Some((format!("{key}.{name}"), kind.as_deref()?)))
    }

    /// What no kind of rope changes.
    fn check_type(&self, key: &str) -> Result<(), Refusal> {
        if let (Some(new), Some(old)) = (&self.rope_type, &self.r#type)
            && new != old
        {
            let both =
                format!("{key}.rope_type {:?} beside {key}.type {:?}", shown(new), shown(old));
            return Err((both, ONE));
        }
        if let Some(factor) = self.partial_rotary_factor.filter(|factor| *factor != 1.0) {
            return Err((format!("{key}.partial_rotary_factor {factor}"), KINDS));
        }
        match self.full_attention.is_some() || self.sliding_attention.is_some() {
            true => Err((format!("{key} by kind of layer"), KINDS)),
            false => Ok(()),
        }
    }

    fn without_type(&self, key: &str) -> Result<Option<RopeScaling>, Refusal> {
        match self.factor {
            None => Ok(None),
            Some(factor) => Err((format!("{key}.factor {factor} without a rope_type"), KINDS)),
        }
    }

    /// transformers 5 takes the one at the top level, transformers 4 the one in the block.
    fn original_length(&self, key: &str, keys: &RopeKeys) -> Result<usize, Refusal> {
        const NAME: &str = "original_max_position_embeddings";
        match (self.original_max_position_embeddings, keys.original_max_position_embeddings) {
            (Some(inner), Some(top)) if inner != top => {
                Err((format!("{key}.{NAME} {inner} beside {NAME} {top}"), ONE))
            }
            (inner, top) => inner
                .or(top)
                .or(keys.max_position_embeddings)
                .ok_or_else(|| (format!("{key} without {NAME}"), GIVE)),
        }
    }
}

/// Writes base and scaling where transformers 4 and 5 look for them.
pub(super) fn write(config: &ModelConfig, json: &mut Value) {
    let scaling = match &config.rope_scaling {
        None => json!({"rope_type": "default"}),
        Some(scaling) => json!(scaling),
    };
    json["rope_theta"] = json!(config.rope_theta);
    json["rope_parameters"] = scaling.clone();
    json["rope_parameters"]["rope_theta"] = json!(config.rope_theta);
    if config.rope_scaling.is_some() {
        json["rope_scaling"] = scaling;
    }
    if config.model_type == Family::Gemma3Text {
        let local = config.rope_local_base_freq();
        json["rope_local_base_freq"] = json!(local);
        json["rope_parameters"] = json!({
            "full_attention": json["rope_parameters"],
            "sliding_attention": {"rope_type": "default", "rope_theta": local},
        });
    }
}
