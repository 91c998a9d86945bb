//! The rotary positions of a `config.json`: where the base stands, and which scalings are not supported.

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::quote::shown;

/// What is not supported, and what to do instead.
type Refusal = (String, &'static str);

const PLAIN: &str = "only plain rotary positions over whole heads (rope_type \"default\") are";

/// The keys of `config.json` about rotary positions, at its top level.
#[derive(Deserialize)]
pub(super) struct RopeKeys {
    rope_theta: Option<f64>,
    partial_rotary_factor: Option<f64>,
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
    // One set of parameters per kind of layer, as models with two kinds of attention have it.
    full_attention: Option<IgnoredAny>,
    sliding_attention: Option<IgnoredAny>,
}

impl RopeKeys {
    /// The base of the frequencies, wherever it stands.
    pub(super) fn theta(&self) -> Option<f64> {
        self.thetas().next().map(|(_, theta)| theta)
    }

    /// The first thing that the decoder cannot do, or that means two things at once.
    pub(super) fn unsupported(&self) -> Option<Refusal> {
        let scaling = self.blocks().find_map(|(key, rope)| rope.unsupported(key));
        let partial = self.partial_rotary_factor.filter(|factor| *factor != 1.0);
        let partial = partial.map(|factor| (format!("partial_rotary_factor {factor}"), PLAIN));
        scaling.or(partial).or_else(|| self.two_thetas())
    }

    /// transformers 4 takes the one at the top level, transformers 5 the one in the block.
    fn two_thetas(&self) -> Option<Refusal> {
        let (key, theta) = self.thetas().next()?;
        let (other_key, other) = self.thetas().find(|(_, other)| *other != theta)?;
        let both = format!("{key} {theta} beside {other_key} {other}");
        Some((both, "keep the one that the model was trained with"))
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
    fn unsupported(&self, key: &str) -> Option<Refusal> {
        if let (Some(new), Some(old)) = (&self.rope_type, &self.r#type)
            && new != old
        {
            let both =
                format!("{key}.rope_type {:?} beside {key}.type {:?}", shown(new), shown(old));
            return Some((both, "the two mean the same: keep the one that holds"));
        }
        let kind = [("rope_type", &self.rope_type), ("type", &self.r#type)]
            .into_iter()
            .find_map(|(name, kind)| Some((name, kind.as_deref()?)))
            .filter(|(_, kind)| *kind != "default");
        let partial = self.partial_rotary_factor.filter(|factor| *factor != 1.0);
        let by_layer = self.full_attention.is_some() || self.sliding_attention.is_some();
        let feature = (kind.map(|(name, kind)| format!("{key}.{name} {:?}", shown(kind))))
            .or(partial.map(|factor| format!("{key}.partial_rotary_factor {factor}")))
            .or(by_layer.then(|| format!("{key} by kind of layer")));
        feature.map(|feature| (feature, PLAIN))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn keys(json: Value) -> RopeKeys {
        serde_json::from_str(&json.to_string()).unwrap()
    }

    fn refusal(json: Value) -> String {
        keys(json).unsupported().unwrap().0
    }

    #[test]
    fn type_and_rope_type_are_one_thing_where_they_agree() {
        let both =
            |new: Value, old: Value| json!({"rope_scaling": {"rope_type": new, "type": old}});
        assert!(keys(both("default".into(), "default".into())).unsupported().is_none());
        assert!(keys(both(Value::Null, "default".into())).unsupported().is_none());
        assert_eq!(refusal(both("yarn".into(), "yarn".into())), r#"rope_scaling.rope_type "yarn""#);
        assert_eq!(refusal(both(Value::Null, "yarn".into())), r#"rope_scaling.type "yarn""#);
    }

    #[test]
    fn type_and_rope_type_that_differ_are_both_named() {
        let json = json!({"rope_scaling": {"rope_type": "default", "type": "mrope"}});
        assert_eq!(
            refusal(json),
            r#"rope_scaling.rope_type "default" beside rope_scaling.type "mrope""#
        );
    }

    #[test]
    fn scalings_are_refused_by_the_name_they_have_in_the_file() {
        // The rope_scaling of Llama-3.2-1B.
        let llama3 = json!({"rope_theta": 5e5, "rope_scaling": {"factor": 32.0,
            "high_freq_factor": 4.0, "low_freq_factor": 1.0,
            "original_max_position_embeddings": 8192, "rope_type": "llama3"}});
        assert_eq!(refusal(llama3), r#"rope_scaling.rope_type "llama3""#);
        for kind in ["linear", "dynamic", "longrope", "su", "mrope"] {
            let json = json!({"rope_scaling": {"type": kind, "factor": 2.0}});
            assert_eq!(refusal(json), format!("rope_scaling.type {kind:?}"));
        }
    }

    #[test]
    fn two_bases_that_differ_are_both_named() {
        let block = |key: &str| json!({"rope_theta": 1e4, key: {"rope_theta": 5e5}});
        for key in ["rope_parameters", "rope_scaling"] {
            let said = format!("{key}.rope_theta 500000 beside rope_theta 10000");
            assert_eq!(refusal(block(key)), said);
        }
        let same = keys(json!({"rope_theta": 5e5, "rope_scaling": {"rope_theta": 5e5}}));
        assert!(same.unsupported().is_none() && same.theta() == Some(5e5));
    }
}
