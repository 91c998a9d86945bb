//! The model card of an export: what it is, what it was trained on and reached, and how to load it.

use std::path::{Path, PathBuf};

use super::export::Form;
use crate::advantage::AdvantageEstimator;
use crate::config::RunConfig;
use crate::files::read_text;
use crate::model::ModelConfig;
use crate::monitor::RunPaths;

/// What is known of a run by its folder.
pub(super) struct Card {
    form: Form,
    folder: PathBuf,
    config: Option<RunConfig>,
    /// The first and the last accuracy on held-out problems.
    accuracy: Option<[f64; 2]>,
}

/// Longest log of evaluations that is read.
const MOST_BYTES: u64 = 64 << 20;

impl Card {
    pub(super) fn of(folder: &Path, form: Form) -> Self {
        let paths = RunPaths::new(folder);
        let config = RunConfig::load(&paths.config(), &[]).ok();
        let log = read_text(&paths.eval(), MOST_BYTES).unwrap_or_default();
        let accuracies: Vec<f64> = log.lines().filter_map(accuracy_of).collect();
        let accuracy = match accuracies[..] {
            [first, .., last] => Some([first, last]),
            _ => None,
        };
        Self { form, folder: folder.into(), config, accuracy }
    }

    /// The model's name.
    pub(super) fn title(&self) -> String {
        let name = self.folder.file_name().map(|name| name.to_string_lossy().into_owned());
        name.unwrap_or_else(|| "model".into())
    }

    /// The text of a `README.md`, with the front matter that the hub reads.
    pub(super) fn text(&self, model: &ModelConfig) -> String {
        let library = if self.form == Form::Peft { "peft" } else { "transformers" };
        let base = self.base();
        let base_line = base.as_ref().map(|base| format!("base_model: {base}\n"));
        let mut text = format!(
            "---\nlibrary_name: {library}\n{}pipeline_tag: text-generation\ntags: [wgrpo, grpo, reinforcement-learning]\n\
             ---\n\n# {}\n\n{} parameters, trained by [wgrpo](https://crates.io/crates/wgrpo)",
            base_line.unwrap_or_default(),
            self.title(),
            model.parameter_count(),
        );
        match &base {
            Some(base) => text.push_str(&format!(" from `{base}`.\n")),
            None => text.push_str(".\n"),
        }
        text.push_str(&self.training());
        text.push_str(&self.loading(base.as_deref()));
        text
    }

    /// The last part of the path of the model that it began as.
    fn base(&self) -> Option<String> {
        let path = self.config.as_ref()?.model.path.as_ref()?;
        path.file_name().map(|name| name.to_string_lossy().into_owned())
    }

    fn training(&self) -> String {
        let Some(config) = &self.config else { return String::new() };
        let mut text = format!(
            "\n## Training\n\n- estimator: {}\n- steps: {}, each of {} prompts × {} completions\n",
            config.adv_estimator.0.name(),
            config.training.max_steps,
            config.training.rollout_batch_size,
            config.training.num_return_sequences_in_group,
        );
        if let Some(lora) = &config.lora {
            text.push_str(&format!(
                "- adapter: LoRA of rank {}, alpha {}\n",
                lora.rank, lora.alpha
            ));
        }
        if let Some([before, after]) = self.accuracy {
            text.push_str(&format!(
                "- accuracy on held-out problems: {:.1} % before, {:.1} % after\n",
                100.0 * before,
                100.0 * after
            ));
        }
        text.push_str("\nThe whole configuration is the run's `config.yaml`.\n");
        text
    }

    fn loading(&self, base: Option<&str>) -> String {
        let code = match self.form {
            Form::Peft => format!(
                "from peft import PeftModel\nfrom transformers import AutoModelForCausalLM, AutoTokenizer\n\n\
                 base = \"{}\"  # the folder or the hub's name of the model\n\
                 model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), \"FOLDER\")\n\
                 tokenizer = AutoTokenizer.from_pretrained(base)\n",
                base.unwrap_or("BASE")
            ),
            _ => "from transformers import AutoModelForCausalLM, AutoTokenizer\n\n\
                  model = AutoModelForCausalLM.from_pretrained(\"FOLDER\")\n\
                  tokenizer = AutoTokenizer.from_pretrained(\"FOLDER\")\n"
                .into(),
        };
        format!("\n## Loading\n\n```python\n{code}```\n")
    }
}

fn accuracy_of(line: &str) -> Option<f64> {
    serde_json::from_str::<serde_json::Value>(line).ok()?["eval/accuracy"].as_f64()
}
