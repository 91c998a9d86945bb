//! What every run, and every command on a model, begins with: a model, problems and rewards.

use std::path::{Path, PathBuf};

use burn::backend::Autodiff;
use serde_json::{Map, Value};

use super::RunError;
use super::memory::{Sizes, budget, fits, fitting, settled};
use crate::config::{LoraBlock, ModelBlock, RunConfig};
use crate::data::{Dataset, Prompt};
use crate::device::Limits;
use crate::kernel::{self, Kernels};
use crate::model::{
    ADAPTER_CONFIG, Adapter, Base, Decoder, LoadedModel, LoraConfig, ModelConfig, ModelError,
    find_model, is_of_adapter,
};
use crate::monitor::RunPaths;
use crate::reward::Rewards;
use crate::text::Tokenizer;
use crate::train::{
    Checkpointing, Estimate, PreparedProblems, RunSizes, Trainer, model_buffers, run_buffers,
};

/// What a configuration names, opened.
#[derive(Debug)]
pub struct Opened<B: Kernels> {
    /// The model that is to be trained.
    pub model: LoadedModel<Autodiff<B>>,
    /// The shape of its adapter, where that is all that is trained.
    pub lora: Option<LoraConfig>,
    /// The problems, as tokens.
    pub problems: Problems,
    /// The rewards.
    pub rewards: Rewards,
    /// The memory that its run takes.
    pub memory: Estimate,
    /// Whether that is with checkpoints of layers.
    pub checkpointing: Checkpointing,
}

impl<B: Kernels> Opened<B> {
    /// Opens all that a run needs, if a device of these limits can hold it.
    ///
    /// # Errors
    /// A model, problems or rewards that cannot be had; the first tensor that is too large; a precision that
    /// the device lacks.
    pub fn open(config: &RunConfig, device: &B::Device, limits: &Limits) -> Result<Self, RunError> {
        kernel::compute_in::<B>(config.device.compute_dtype, device)?;
        let budget = budget(config, limits);
        check_weights::<B>(config, budget)?;
        let (model, lora) = model(config, device, limits)?;
        let rewards = Rewards::new(&config.rewards)?;
        let problems = Problems::load(config, &model.tokenizer)?;
        // Of two faults the one of the model comes first: no answer mends a prompt beyond its positions.
        let beyond = check_positions(config, &model.config, &problems).err();
        let problems = problems.judged_by(&rewards, config.eval.problems);
        let problems = problems.map_err(|unjudged| beyond.unwrap_or(unjudged))?;
        check_positions(config, &model.config, &problems)?;
        check_sizes(limits, config, &model.config, &problems)?;
        let sizes =
            Sizes { lora: lora.as_ref(), ..Sizes::of(&model.config, &problems, B::IS_HOST) };
        let (settled, memory) = fitting(config.clone(), sizes, budget)?;
        let checkpointing = settled.training.gradient_checkpointing;
        Ok(Self { model, lora, problems, rewards, memory, checkpointing })
    }

    /// A trainer before its first step.
    ///
    /// # Errors
    /// Settings that contradict each other; none in a configuration that was loaded.
    pub fn trainer(self, config: &RunConfig) -> Result<Trainer<B>, RunError> {
        let Self { model: LoadedModel { decoder, tokenizer, .. }, problems, rewards, .. } = self;
        let config = settled_by(config, self.checkpointing);
        trainer(&config, decoder, &tokenizer, problems.train, rewards)
    }
}

/// The configuration with what `gradient_checkpointing: auto` came to.
pub(super) fn settled_by(config: &RunConfig, checkpointing: Checkpointing) -> RunConfig {
    let mut config = config.clone();
    config.training.gradient_checkpointing = checkpointing;
    config
}

/// Has products computed as a configuration says, which then says what `auto` came to.
///
/// # Errors
/// A precision that the device lacks.
pub fn in_its_precision<B: Kernels>(
    mut config: RunConfig,
    device: &B::Device,
) -> Result<RunConfig, RunError> {
    config.device.compute_dtype = kernel::compute_in::<B>(config.device.compute_dtype, device)?;
    Ok(config)
}

pub(super) fn trainer<B: Kernels>(
    config: &RunConfig,
    policy: Decoder<Autodiff<B>>,
    tokenizer: &Tokenizer,
    problems: PreparedProblems,
    rewards: Rewards,
) -> Result<Trainer<B>, RunError> {
    let settings = config.settings(tokenizer.eos_ids())?;
    Ok(Trainer::new(settings, policy, tokenizer.clone(), problems, rewards))
}

/// The problems of a run, as tokens.
#[derive(Debug, Clone)]
pub struct Problems {
    /// Those to train on.
    pub train: PreparedProblems,
    /// Those to evaluate on; none where the data has none.
    pub held_out: Option<PreparedProblems>,
    /// What to know about the way of their prompts to the model, a sentence each.
    prompt_notes: Vec<String>,
}

impl Problems {
    /// Loads the data.
    ///
    /// # Errors
    /// Data that cannot be read, a prompt that cannot be tokenised, or none that is short enough.
    pub fn load(config: &RunConfig, tokenizer: &Tokenizer) -> Result<Self, RunError> {
        let arguments = config.data.chat_template_args();
        let tokenizer = &tokenizer.clone().with_chat_arguments(&arguments);
        let Dataset { train, held_out, notes } = config.data.load(config.training.seed)?;
        let prepared =
            |part, problems| PreparedProblems::new(part, problems, tokenizer, config.prompt_length);
        let train = prepared("training", train)?;
        let held_out = match held_out.is_empty() {
            true => None,
            false => Some(prepared("held-out", held_out)?),
        };
        let mut prompt_notes = prompt_notes(tokenizer, [Some(&train), held_out.as_ref()]);
        prompt_notes.extend(unread_arguments(tokenizer, &arguments));
        prompt_notes.extend(notes);
        Ok(Self { train, held_out, prompt_notes })
    }

    /// Those that any reward can judge, and of the held-out ones the first `most`, all where it is 0.
    ///
    /// # Errors
    /// None that any reward can judge.
    pub fn judged_by(self, rewards: &Rewards, most: usize) -> Result<Self, RunError> {
        let train = self.train.judged_by(rewards)?;
        let held_out = self.held_out.map(|problems| problems.judged_by(rewards)).transpose()?;
        Ok(Self { train, held_out, ..self }.with_at_most(most))
    }

    /// Those with the first `most` held-out ones, or all where it is 0.
    pub(super) fn with_at_most(self, most: usize) -> Self {
        let held_out = self.held_out.map(|problems| match most {
            0 => problems,
            count => problems.first(count),
        });
        Self { held_out, ..self }
    }

    /// What to know about prompts, and about problems that rewards cannot judge, a sentence each.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = self.train.notes().to_vec();
        notes.extend(self.held_out_notes());
        notes
    }

    /// The same of the held-out problems alone.
    pub fn held_out_notes(&self) -> Vec<String> {
        let held_out = self.held_out.iter().flat_map(PreparedProblems::notes);
        held_out.chain(&self.prompt_notes).cloned().collect()
    }

    /// Whether some prompt of the training part is plain text, which no chat template is used for.
    pub(super) fn are_plain(&self) -> bool {
        is_plain(&self.train)
    }

    /// Problems left out because their prompt is too long.
    pub fn left_out(&self) -> usize {
        self.train.left_out() + self.held_out.as_ref().map_or(0, PreparedProblems::left_out)
    }

    /// Tokens of the longest prompt.
    pub fn longest_prompt(&self) -> usize {
        let held_out = self.held_out.as_ref().map_or(0, PreparedProblems::longest_prompt);
        self.train.longest_prompt().max(held_out)
    }
}

/// Plain text to a model that was trained on its template, and tokens that no prompt may have.
fn prompt_notes(tokenizer: &Tokenizer, parts: [Option<&PreparedProblems>; 2]) -> Vec<String> {
    let mut notes: Vec<String> = tokenizer.tokens_without_row().into_iter().collect();
    if tokenizer.has_chat_template() && parts.into_iter().flatten().any(is_plain) {
        notes.push(PLAIN_PROMPTS.into());
    }
    notes
}

fn is_plain(problems: &PreparedProblems) -> bool {
    (0..problems.len()).any(|at| matches!(problems.problem(at).prompt, Prompt::Text(_)))
}

const PLAIN_PROMPTS: &str = "prompts are plain text, so the model's chat template is not used; to \
    use it, give conversations ([{\"role\": \"user\", \"content\": ...}] in place of text), or set \
    data.chat: true or data.system";

/// Names that the chat template is given and does not read.
fn unread_arguments(tokenizer: &Tokenizer, arguments: &Map<String, Value>) -> Option<String> {
    let source = tokenizer.chat_template().unwrap_or_default();
    let unread: Vec<&str> =
        arguments.keys().map(String::as_str).filter(|name| !source.contains(name)).collect();
    (!unread.is_empty()).then(|| {
        format!(
            "data.chat_template_args: the model's chat template does not read {}",
            unread.join(", ")
        )
    })
}

/// Opens a model that a run saved or that somebody published, if a device of these limits can hold
/// it.
///
/// # Errors
/// A folder that is none of these, or a run's that has saved no model yet; tensors that are too large.
pub fn saved_model<B: Kernels>(
    folder: &Path,
    device: &B::Device,
    limits: &Limits,
) -> Result<LoadedModel<B>, RunError> {
    match find_model(folder) {
        Err(_) if let Some(adapter) = find_adapter(folder) => {
            adapted(&adapter, base_of_run(folder), device, limits)
        }
        Err(_) if RunPaths::new(folder).holds_run() => {
            Err(RunError::NoModelYet { folder: folder.into() })
        }
        found => open_folder(&found.map_err(ModelError::from)?, device, limits),
    }
}

/// Loads or makes the model that a configuration names.
fn model<B: Kernels>(
    config: &RunConfig,
    device: &B::Device,
    limits: &Limits,
) -> Result<(LoadedModel<Autodiff<B>>, Option<LoraConfig>), RunError> {
    if let (Some(folder), Some(lora)) = (&config.model.path, &config.lora) {
        let (model, shape) = to_adapt(folder, lora, config.training.seed, device, limits)?;
        return Ok((model, Some(shape)));
    }
    let whole = match &config.model {
        ModelBlock { path: Some(folder), .. } => open_folder(folder, device, limits),
        ModelBlock { alphabet: Some(alphabet), architecture: Some(architecture), .. } => {
            fresh_model(alphabet, architecture, config.training.seed, device, limits)
        }
        _ => Err(RunError::NoModel),
    };
    Ok((whole?, None))
}

/// A model that stays as it is, with the adapter that is trained, and the adapter's shape.
fn to_adapt<B: Kernels>(
    folder: &Path,
    lora: &LoraBlock,
    seed: u64,
    device: &B::Device,
    limits: &Limits,
) -> Result<(LoadedModel<Autodiff<B>>, LoraConfig), RunError> {
    check_folder(folder, limits)?;
    let merged = lora.merged().map(Adapter::open).transpose()?;
    let LoadedModel { config, decoder, tokenizer } =
        LoadedModel::open_frozen(folder, lora.base, merged.as_ref(), device)?;
    let (decoder, shape) = match lora.continued() {
        Some(folder) => {
            let mut adapter = Adapter::open(folder)?;
            adapter.lora.dropout = lora.dropout;
            let adapted = adapter.on(decoder, &config)?;
            (adapted.freeze(|name| !is_of_adapter(name)), adapter.lora)
        }
        None => (decoder.with_fresh_adapter(&lora.shape(), seed)?, lora.shape()),
    };
    Ok((LoadedModel { config, decoder, tokenizer }, shape))
}

/// The folder of an adapter: `path` itself, or the one that a run has saved in it.
pub(super) fn find_adapter(path: &Path) -> Option<PathBuf> {
    let of_run = RunPaths::new(path).adapter();
    [path.to_owned(), of_run].into_iter().find(|folder| folder.join(ADAPTER_CONFIG).exists())
}

/// How a run stored the model that its adapter belongs to.
pub(super) fn base_of_run(folder: &Path) -> Base {
    let config = RunConfig::load(&RunPaths::new(folder).config(), &[]).ok();
    config.and_then(|config| config.lora).map_or(Base::Auto, |lora| lora.base)
}

/// The model that an adapter belongs to, with it.
pub(super) fn adapted<B: Kernels>(
    folder: &Path,
    base: Base,
    device: &B::Device,
    limits: &Limits,
) -> Result<LoadedModel<B>, RunError> {
    let adapter = Adapter::open(folder)?;
    let Some(of) = adapter.base.as_deref().map(Path::new) else {
        return Err(RunError::NoBase { folder: folder.into() });
    };
    check_folder(of, limits)?;
    let model = LoadedModel::open_frozen(of, base, None, device)?;
    Ok(LoadedModel { decoder: adapter.on(model.decoder, &model.config)?, ..model })
}

/// A new model's configuration, and its tokenizer.
pub(super) fn fresh_config(
    alphabet: &str,
    architecture: &ModelConfig,
) -> Result<(ModelConfig, Tokenizer), RunError> {
    let tokenizer = Tokenizer::characters(alphabet)?;
    let config = architecture.clone().for_tokenizer(
        tokenizer.vocab_size().max(architecture.vocab_size),
        tokenizer.bos_id(),
        tokenizer.eos_ids().to_vec(),
        Some(tokenizer.pad_id()),
    );
    config.validate().map_err(ModelError::from)?;
    Ok((config, tokenizer))
}

/// A new model over characters.
fn fresh_model<B: Kernels>(
    alphabet: &str,
    architecture: &ModelConfig,
    seed: u64,
    device: &B::Device,
    limits: &Limits,
) -> Result<LoadedModel<B>, RunError> {
    let (config, tokenizer) = fresh_config(alphabet, architecture)?;
    limits.check(&model_buffers(&config))?;
    let decoder = Decoder::initialise(&config, seed, device)?;
    Ok(LoadedModel { config, decoder, tokenizer })
}

fn open_folder<B: Kernels>(
    folder: &Path,
    device: &B::Device,
    limits: &Limits,
) -> Result<LoadedModel<B>, RunError> {
    check_folder(folder, limits)?;
    Ok(LoadedModel::open(folder, device)?)
}

/// Refuses a model whose tensors a device of these limits could not hold.
fn check_folder(folder: &Path, limits: &Limits) -> Result<(), RunError> {
    let config = ModelConfig::from_folder(folder).map_err(ModelError::from)?;
    Ok(limits.check(&model_buffers(&config))?)
}

/// Refuses a model that is too large with the shortest prompts there could be, before it is loaded or made. What is
/// told to change is enough for the longest, too.
fn check_weights<B: Kernels>(config: &RunConfig, budget: Option<u64>) -> Result<(), RunError> {
    let model = model_config(config)?;
    let adapter = adapter_shape(config)?;
    let least = Sizes { lora: adapter.as_ref(), ..Sizes::least(&model, B::IS_HOST) };
    // What to change is searched for once, with the longest prompts.
    if fits(&settled(config.clone(), least, budget)?.1, budget) {
        return Ok(());
    }
    let most = Sizes { lora: adapter.as_ref(), ..Sizes::most(&model, config, B::IS_HOST) };
    fitting(config.clone(), most, budget).map(|_| ())
}

/// What the model of a configuration is, without its weights.
pub(super) fn model_config(config: &RunConfig) -> Result<ModelConfig, RunError> {
    match &config.model {
        ModelBlock { path: Some(folder), .. } => {
            let folder = find_model(folder).map_err(ModelError::from)?;
            Ok(ModelConfig::from_folder(&folder).map_err(ModelError::from)?)
        }
        ModelBlock { alphabet: Some(alphabet), architecture: Some(architecture), .. } => {
            Ok(fresh_config(alphabet, architecture)?.0)
        }
        _ => Err(RunError::NoModel),
    }
}

/// The shape of an adapter that is trained further.
pub(super) fn adapter_shape(config: &RunConfig) -> Result<Option<LoraConfig>, RunError> {
    let Some((lora, folder)) = config.lora.as_ref().and_then(|l| Some((l, l.continued()?))) else {
        return Ok(None);
    };
    let shape = Adapter::open(folder)?.lora;
    Ok(Some(LoraConfig { dropout: lora.dropout, ..shape }))
}

/// Refuses a run whose tensors a device of these limits could not hold.
fn check_sizes(
    limits: &Limits,
    config: &RunConfig,
    model: &ModelConfig,
    problems: &Problems,
) -> Result<(), RunError> {
    let (settings, eval) =
        (config.settings(&model.eos_token_id)?, config.eval_options(&model.eos_token_id));
    let run = RunSizes {
        settings: &settings,
        eval: &eval,
        warm_start: config.warm_start.as_ref(),
        held_out: problems.held_out.as_ref().map_or(0, PreparedProblems::len),
        longest_prompt: problems.longest_prompt(),
        mean_prompt: problems.train.mean_prompt(),
        mean_answer: problems.train.mean_answer(),
    };
    Ok(limits.check(&run_buffers(model, run))?)
}

/// Refuses prompts and completions that are longer together than the model has positions.
fn check_positions(
    config: &RunConfig,
    model: &ModelConfig,
    problems: &Problems,
) -> Result<(), RunError> {
    let settings = config.settings(&model.eos_token_id)?;
    let eval = config.eval_options(&model.eos_token_id);
    let response = settings.generator.response_length.max(eval.generator.response_length);
    let keys = ["prompt_length", "response_length"];
    let longest = problems.longest_prompt();
    Ok(model.check_positions(longest, response, keys).map_err(ModelError::from)?)
}
