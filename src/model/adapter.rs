//! An adapter as PEFT keeps it: `adapter_config.json` and `adapter_model.safetensors`.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use burn::tensor::backend::Backend;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::lora::{LoraConfig, TARGETS, is_of_adapter};
use super::{Decoder, ModelConfig, ModelError, TensorFile, WeightStorage};
use crate::files::{read_text, write_atomically};
use crate::quote::shown;

/// The file that makes a folder an adapter's.
pub const ADAPTER_CONFIG: &str = "adapter_config.json";
const ADAPTER_FILE: &str = "adapter_model.safetensors";

/// The files of an adapter.
pub const ADAPTER_FILES: [&str; 2] = [ADAPTER_CONFIG, ADAPTER_FILE];

/// What PEFT puts before the names of a model's modules.
const PREFIX: &str = "base_model.model.";

/// Longest `adapter_config.json` that is read.
const MOST_BYTES: u64 = 1 << 20;

/// An adapter's folder, checked, its tensors yet to be read.
#[derive(Debug)]
pub struct Adapter {
    folder: PathBuf,
    /// Its shape; nothing is left out of its inputs, whatever it was trained with.
    pub lora: LoraConfig,
    /// The model that it belongs to, as its file says: a folder or a name on the hub.
    pub base: Option<String>,
    file: TensorFile,
}

/// The keys of `adapter_config.json` that matter; others describe training or are at their defaults.
#[derive(Deserialize)]
struct PeftConfig {
    peft_type: String,
    base_model_name_or_path: Option<String>,
    r: usize,
    lora_alpha: f64,
    #[serde(default)]
    use_rslora: bool,
    #[serde(default)]
    use_dora: bool,
    #[serde(default)]
    fan_in_fan_out: bool,
    #[serde(default)]
    lora_bias: bool,
    bias: Option<String>,
    modules_to_save: Option<Vec<String>>,
    trainable_token_indices: Option<Value>,
    target_parameters: Option<Vec<String>>,
    layer_replication: Option<Value>,
    alora_invocation_tokens: Option<Value>,
    rank_pattern: Option<Map<String, Value>>,
    alpha_pattern: Option<Map<String, Value>>,
}

impl PeftConfig {
    /// The first thing that would change what is computed and that the decoder does not do.
    fn unsupported(&self) -> Option<String> {
        let has_some = |pattern: &Option<Map<String, Value>>| {
            pattern.as_ref().is_some_and(|pattern| !pattern.is_empty())
        };
        let names_some = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|l| !l.is_empty());
        let other_bias = self.bias.as_deref().is_some_and(|bias| bias != "none");
        let found = [
            (self.peft_type != "LORA", format!("peft_type {:?}", shown(&self.peft_type))),
            (self.use_dora, "use_dora true".into()),
            (self.fan_in_fan_out, "fan_in_fan_out true".into()),
            (self.lora_bias, "lora_bias true".into()),
            (other_bias, "a bias other than none".into()),
            (names_some(&self.modules_to_save), "modules_to_save".into()),
            (names_some(&self.target_parameters), "target_parameters".into()),
            (self.trainable_token_indices.is_some(), "trainable_token_indices".into()),
            (self.layer_replication.is_some(), "layer_replication".into()),
            (self.alora_invocation_tokens.is_some(), "alora_invocation_tokens".into()),
            (has_some(&self.rank_pattern), "rank_pattern".into()),
            (has_some(&self.alpha_pattern), "alpha_pattern".into()),
        ];
        found.into_iter().find_map(|(is_there, what)| is_there.then_some(what))
    }
}

impl Adapter {
    /// Opens an adapter's folder.
    ///
    /// # Errors
    /// A file that is missing or broken, a feature that the decoder lacks, tensors of other modules than those of a
    /// layer's matrices.
    pub fn open(folder: &Path) -> Result<Self, ModelError> {
        let refused = |problem: String| ModelError::Adapter { folder: folder.into(), problem };
        let text = read_text(&folder.join(ADAPTER_CONFIG), MOST_BYTES)
            .map_err(|error| refused(format!("{ADAPTER_CONFIG} cannot be read: {error}")))?;
        let config: PeftConfig = serde_json::from_str(&text)
            .map_err(|error| refused(format!("{ADAPTER_CONFIG}: {}", shown(&error.to_string()))))?;
        if let Some(feature) = config.unsupported() {
            return Err(refused(format!(
                "{ADAPTER_CONFIG} has {feature}, which is not supported; merge the adapter into its model in PEFT \
                 (merge_and_unload) and take that"
            )));
        }
        let file = TensorFile::open(&folder.join(ADAPTER_FILE))?;
        let lora = LoraConfig {
            rank: config.r,
            alpha: config.lora_alpha,
            targets: targets_of(&file).map_err(refused)?,
            rslora: config.use_rslora,
            dropout: 0.0,
        };
        if let Some((key, problem)) = lora.fault() {
            return Err(refused(format!("{ADAPTER_CONFIG}: its {key} {problem}")));
        }
        Ok(Self { folder: folder.into(), lora, base: config.base_model_name_or_path, file })
    }

    /// Checks that the adapter is one of a model like this: each matrix of a target in each layer has its two.
    ///
    /// # Errors
    /// The first tensor that is missing or misshapen; one that the model has no place for.
    pub fn check(&self, model: &ModelConfig) -> Result<(), ModelError> {
        let mut expected = BTreeSet::new();
        for (module, [output, input]) in self.lora.matrices(model) {
            for (factor, shape) in
                [("lora_A", [self.lora.rank, input]), ("lora_B", [output, self.lora.rank])]
            {
                let name = format!("{PREFIX}{module}.{factor}.weight");
                self.file.check(&name, &shape)?;
                expected.insert(name);
            }
        }
        match self.file.names().find(|name| !expected.contains(*name)) {
            None => Ok(()),
            Some(name) => Err(ModelError::Adapter {
                folder: self.folder.clone(),
                problem: format!(
                    "{ADAPTER_FILE} has {}, which the model has no place for; take the model that the adapter was \
                     trained on",
                    shown(name)
                ),
            }),
        }
    }

    /// The model's decoder with this adapter.
    ///
    /// # Errors
    /// Those of [`Adapter::check`]; values that are no numbers.
    pub fn on<B: Backend>(
        &self,
        decoder: Decoder<B>,
        model: &ModelConfig,
    ) -> Result<Decoder<B>, ModelError> {
        self.check(model)?;
        decoder.adapted(&self.lora, &mut |name, shape| self.get(name, shape))
    }

    /// Values of one of its matrices under the decoder's name.
    fn get(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
        Ok(self.file.get_finite(&peft_name(name), shape)?)
    }

    /// The adapter as something to add to the weights of its model.
    ///
    /// # Errors
    /// Values that are no numbers.
    pub fn merged(&self, model: &ModelConfig) -> Result<Merged, ModelError> {
        self.check(model)?;
        let mut parts = BTreeMap::new();
        for (module, [output, input]) in self.lora.matrices(model) {
            let a = self.get(&format!("{module}.lora_a.weight"), &[self.lora.rank, input])?;
            let b = self.get(&format!("{module}.lora_b.weight"), &[output, self.lora.rank])?;
            parts.insert(module, (a, b));
        }
        Ok(Merged { parts, rank: self.lora.rank, scale: self.lora.scale() as f32 })
    }
}

impl<B: Backend> Decoder<B> {
    /// Writes the adapter as PEFT does, for a base that is found at `base`, in numbers of a type.
    ///
    /// # Errors
    /// A file that cannot be written, or a device that failed.
    pub fn save_adapter(
        &self,
        folder: &Path,
        lora: &LoraConfig,
        dtype: WeightStorage,
        base: &str,
    ) -> Result<(), ModelError> {
        let failed = |path: PathBuf| move |source| ModelError::Write { path, source };
        std::fs::create_dir_all(folder).map_err(failed(folder.into()))?;
        self.save_renamed(&folder.join(ADAPTER_FILE), is_of_adapter, peft_name, dtype)?;
        let path = folder.join(ADAPTER_CONFIG);
        let text = format!("{:#}\n", peft_config(lora, base));
        write_atomically(&path, text.as_bytes()).map_err(failed(path.clone()))
    }
}

/// What an adapter adds to the matrices of a model, by module.
#[derive(Debug)]
pub struct Merged {
    parts: BTreeMap<String, (Vec<f32>, Vec<f32>)>,
    rank: usize,
    scale: f32,
}

impl Merged {
    /// Adds its part to some rows of a module's matrix.
    pub(super) fn add_to(&self, module: &str, range: Range<usize>, rows: &mut [f32]) {
        let Some((a, b)) = self.parts.get(module) else { return };
        let input = a.len() / self.rank;
        for (row, out) in range.zip(rows.chunks_exact_mut(input)) {
            let factors = &b[row * self.rank..(row + 1) * self.rank];
            for (factor, a) in factors.iter().zip(a.chunks_exact(input)) {
                let factor = factor * self.scale;
                out.iter_mut().zip(a).for_each(|(out, a)| *out += factor * a);
            }
        }
    }
}

/// The matrices that a file has an adapter of, in the order of a layer.
fn targets_of(file: &TensorFile) -> Result<Vec<String>, String> {
    let mut found = BTreeSet::new();
    for name in file.names() {
        let module = name
            .strip_prefix(PREFIX)
            .and_then(|rest| {
                rest.strip_suffix(".lora_A.weight").or(rest.strip_suffix(".lora_B.weight"))
            })
            .and_then(|module| module.rsplit('.').next());
        match TARGETS.iter().find(|target| Some(**target) == module) {
            Some(target) => found.insert(*target),
            None => {
                return Err(format!(
                    "{ADAPTER_FILE} has {}, and adapters are read of {} only",
                    shown(name),
                    TARGETS.join(", ")
                ));
            }
        };
    }
    Ok(TARGETS.into_iter().filter(|target| found.contains(target)).map(str::to_owned).collect())
}

fn peft_name(name: &str) -> String {
    let name = name.replace(".lora_a.", ".lora_A.").replace(".lora_b.", ".lora_B.");
    format!("{PREFIX}{name}")
}

fn peft_config(lora: &LoraConfig, base: &str) -> Value {
    json!({
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": lora.rank,
        "lora_alpha": lora.alpha,
        "lora_dropout": lora.dropout,
        "use_rslora": lora.rslora,
        "target_modules": lora.targets,
        "bias": "none",
        "fan_in_fan_out": false,
        "inference_mode": true,
        "init_lora_weights": true,
        "modules_to_save": null,
    })
}
