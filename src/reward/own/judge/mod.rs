//! A judging model behind an OpenAI-compatible server.

mod cache;
mod score;
mod template;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::failure::Failure;
use super::keys::{Keys, OnFailure, few, patience};
use super::patiently;
use super::place::Place;
use super::program::Errors;
use super::web::Web;
use crate::reward::{Asks, Item, Reward, RewardError, one};
use cache::Cache;
use score::Scale;
use template::Template;

/// Scores by a model that is asked about each completion, over any server that speaks OpenAI's
/// `/v1/chat/completions`.
///
/// The score is the number under `score` of a JSON object in the reply, or else the last number of the
/// reply, taken into the scale:
///
/// ```text
/// (score - low) / (high - low)
/// ```
/// The same question is asked once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JudgeReward {
    /// Factor in the sum of rewards.
    #[serde(default = "one")]
    pub weight: f64,
    /// Where questions are posted to, such as `http://127.0.0.1:8000/v1/chat/completions`.
    pub url: String,
    /// The model that is to judge, as the server calls it.
    pub model: String,
    /// The question: a minijinja template over `prompt`, `completion`, `answer` and the columns.
    pub prompt: String,
    /// What the judge is told before, if anything.
    #[serde(default)]
    pub system: Option<String>,
    /// The lowest and the highest score that the question allows.
    #[serde(default = "zero_to_ten")]
    pub scale: [f64; 2],
    /// What it is called in metrics.
    #[serde(default = "name")]
    pub name: String,
    /// The variable of the environment that holds the key of the server, where it asks for one.
    #[serde(default)]
    pub api_key_env: Option<String>,
    /// How many questions are asked at once.
    #[serde(default = "eight")]
    pub concurrency: usize,
    /// What else stands in a request, such as `max_tokens`; the temperature is 0 unless it is here.
    #[serde(default)]
    pub parameters: Map<String, Value>,
    /// The longest that an answer may take.
    #[serde(default = "patience")]
    pub timeout_seconds: f64,
    /// How often a question is tried again.
    #[serde(default = "few")]
    pub retries: usize,
    /// What happens then.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// The score, from 0 to 1, from which on a problem counts as solved; without it this reward does not judge
    /// that.
    #[serde(default)]
    pub solved_at: Option<f64>,
}

fn zero_to_ten() -> [f64; 2] {
    [0.0, 10.0]
}

fn name() -> String {
    "judge".to_owned()
}

fn eight() -> usize {
    8
}

/// A judge, ready to be asked.
struct Judge {
    keys: Keys,
    web: Web,
    template: Template,
    scale: Scale,
    /// What all requests have in common.
    body: Map<String, Value>,
    system: Option<Value>,
    concurrency: usize,
    cache: Cache,
    place: Place,
}

impl JudgeReward {
    /// The reward, its settings checked.
    pub(in crate::reward) fn build(&self) -> Result<Box<dyn Reward>, RewardError> {
        let keys = Keys::checked("judge", &self.name, self.timeout_seconds, self.solved_at)?;
        let keys = keys.failing(self.retries, self.on_failure);
        let Some(scale) = Scale::new(self.scale) else {
            let problem = format!("is {:?}; write the lowest score, then a higher one", self.scale);
            return Err(RewardError::setting("judge", "scale", problem));
        };
        if self.concurrency == 0 {
            let problem = "is 0; it must be at least 1";
            return Err(RewardError::setting("judge", "concurrency", problem));
        }
        let template = Template::new(&self.prompt)
            .map_err(|problem| RewardError::setting("judge", "prompt", problem))?;
        let mut body = Map::new();
        body.insert("model".into(), json!(self.model));
        body.insert("temperature".into(), json!(0));
        body.extend(self.parameters.clone());
        let place = Place::new(&keys.name, Arc::new(Errors::default()));
        Ok(Box::new(Judge {
            keys,
            web: Web::new("judge", &self.url, self.api_key_env.as_deref())?,
            template,
            scale,
            body,
            system: self.system.as_ref().map(|text| json!({"role": "system", "content": text})),
            concurrency: self.concurrency,
            cache: Cache::default(),
            place,
        }))
    }
}

impl Judge {
    /// The request about a completion.
    fn request(&self, item: &Item) -> Result<Vec<u8>, Failure> {
        let question = json!({"role": "user", "content": self.template.fill(item)?});
        let messages: Vec<Value> = self.system.iter().cloned().chain([question]).collect();
        let mut body = self.body.clone();
        body.insert("messages".into(), messages.into());
        serde_json::to_vec(&body).map_err(|error| Failure::Template(error.to_string()))
    }

    fn ask(&self, request: &[u8]) -> Result<f64, Failure> {
        if let Some(score) = self.cache.get(request) {
            return Ok(score);
        }
        let score = patiently(self.keys.retries, || {
            let answer = self.web.post(request, self.keys.timeout)?;
            self.scale.read(&score::reply(&answer)?)
        })?;
        self.cache.put(request, score);
        Ok(score)
    }

    fn judge(&self, item: &Item) -> Result<f64, RewardError> {
        let request = self.request(item).map_err(|failure| self.place.report(failure, None))?;
        self.ask(&request).map_err(|failure| self.place.report(failure, Some(&request)))
    }
}

impl Reward for Judge {
    fn name(&self) -> &str {
        &self.keys.name
    }

    fn score_batch(&self, items: &[Item]) -> Result<Vec<Option<f64>>, RewardError> {
        let scores = Mutex::new(vec![None; items.len()]);
        let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
        let first: Mutex<Option<RewardError>> = Mutex::default();
        let work = || {
            while let Some((at, item)) = following(&next, items) {
                if failed.load(Ordering::SeqCst) {
                    return;
                }
                match self.judge(item) {
                    Ok(score) => {
                        scores.lock().unwrap_or_else(PoisonError::into_inner)[at] = Some(score);
                    }
                    Err(error) => {
                        failed.store(true, Ordering::SeqCst);
                        let mut first = first.lock().unwrap_or_else(PoisonError::into_inner);
                        first.get_or_insert(error);
                    }
                }
            }
        };
        // Waiting for a server takes no core; these threads see text alone.
        thread::scope(|scope| {
            for _ in 0..self.concurrency.min(items.len()) {
                scope.spawn(work);
            }
        });
        match first.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error),
            None => Ok(scores.into_inner().unwrap_or_else(PoisonError::into_inner)),
        }
    }

    fn full_score(&self) -> Option<f64> {
        self.keys.solved_at
    }

    fn start(&self) -> Result<(), RewardError> {
        self.web.key().map(|_| ()).map_err(|failure| self.place.report(failure, None))
    }

    fn keep_in(&self, folder: &Path, name: &str) {
        self.place.keep_in(folder, name);
    }

    fn asks(&self) -> Asks {
        Asks::ByGroup
    }

    fn drops_groups(&self) -> bool {
        self.keys.on_failure == OnFailure::Drop
    }
}

fn following<'a>(next: &AtomicUsize, items: &'a [Item<'a>]) -> Option<(usize, &'a Item<'a>)> {
    let at = next.fetch_add(1, Ordering::SeqCst);
    items.get(at).map(|item| (at, item))
}
