//! Completions that the configured model writes now.

use burn::module::AutodiffModule;

use super::test::Judged;
use crate::cli::{fetch, output};
use crate::config::RunConfig;
use crate::device::{self, Limits, OnDevice};
use crate::kernel::Kernels;
use crate::model::LoadedModel;
use crate::reward::{Item, Rewards};
use crate::rollout::{Noise, Prompt, Purpose, RolloutGroup};
use crate::run::{Opened, Stop};
use crate::text::Tokenizer;
use crate::train::{PreparedProblems, evaluation_buffers, scorable};

/// Samples for the first training problems that a reward can judge, and scores what came.
///
/// # Errors
/// A model or data that cannot be had or does not fit the device.
pub(super) fn judged(
    mut config: RunConfig,
    problems: usize,
    samples: usize,
) -> anyhow::Result<Vec<Judged>> {
    fetch::fetch_all(&mut config, &Stop::default())?;
    let device = device::find(&config.device.name)?;
    device.compute_on_this_thread();
    device.run(Sampling { config, problems, samples, limits: device.limits() })?
}

struct Sampling {
    config: RunConfig,
    problems: usize,
    samples: usize,
    limits: Limits,
}

impl OnDevice for Sampling {
    type Output = anyhow::Result<Vec<Judged>>;

    fn run<B: Kernels>(self, device: B::Device) -> anyhow::Result<Vec<Judged>> {
        let Self { config, problems: count, samples, limits } = self;
        let Opened { model, problems, rewards, .. } = Opened::<B>::open(&config, &device, &limits)?;
        problems.notes().iter().for_each(|text| output::note(text));
        let LoadedModel { decoder, tokenizer, config: shape } = model;
        let problems = problems.train.first(count);
        let options = config.eval_options(tokenizer.eos_ids());
        let longest = problems.longest_prompt();
        limits.check(&evaluation_buffers(&shape, &options, problems.len(), longest))?;
        let prompts: Vec<Prompt> =
            (0..problems.len()).map(|index| problems.prompt(index, samples)).collect();
        let noise = Noise::new(options.seed, Purpose::Evaluation, 0);
        let policy = decoder.valid().for_inference();
        let groups = options.generator.generate(&policy, &prompts, noise)?;
        scored(&rewards, &problems, &tokenizer, &groups, config.response_length)
    }
}

fn scored(
    rewards: &Rewards,
    problems: &PreparedProblems,
    tokenizer: &Tokenizer,
    groups: &[RolloutGroup],
    response_length: usize,
) -> anyhow::Result<Vec<Judged>> {
    let completions = groups.iter().flat_map(|group| {
        let problem = problems.problem(group.prompt.problem as usize);
        group.completions.iter().map(move |completion| (problem, completion))
    });
    let said: Vec<_> = completions
        .map(|(problem, completion)| (problem, completion, tokenizer.decode(&completion.ids)))
        .collect();
    let items: Vec<Item> = said
        .iter()
        .map(|(problem, completion, text)| {
            let completion = scorable(text, completion, response_length);
            Item { problem, completion }
        })
        .collect();
    let scores = rewards.score_batch(&items)?;
    let judged = items.iter().zip(scores).map(|(item, score)| Judged {
        text: item.completion.text.to_owned(),
        extracted: rewards.extracted(item.problem, item.completion.text),
        score,
    });
    Ok(judged.collect())
}
