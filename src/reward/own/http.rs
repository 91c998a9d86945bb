//! A web server that scores completions.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::failure::Failure;
use super::keys::{Keys, OnFailure, few, patience};
use super::place::Place;
use super::program::Errors;
use super::web::Web;
use super::{Own, Way};
use crate::reward::{Reward, RewardError, one};

/// Scores by a server, which is posted what [`CommandReward`](super::CommandReward) is given and answers the
/// same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpReward {
    /// Factor in the sum of rewards.
    #[serde(default = "one")]
    pub weight: f64,
    /// Where requests are posted to.
    pub url: String,
    /// What it is called in metrics.
    #[serde(default = "name")]
    pub name: String,
    /// The variable of the environment that holds the key of the server, where it asks for one.
    #[serde(default)]
    pub api_key_env: Option<String>,
    /// The longest that an answer may take.
    #[serde(default = "patience")]
    pub timeout_seconds: f64,
    /// How often a request is tried again.
    #[serde(default = "few")]
    pub retries: usize,
    /// What happens then.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// The score from which on a problem counts as solved; without it this reward does not judge that.
    #[serde(default)]
    pub solved_at: Option<f64>,
}

fn name() -> String {
    "http".to_owned()
}

impl HttpReward {
    /// The reward, its settings checked.
    pub(in crate::reward) fn build(&self) -> Result<Box<dyn Reward>, RewardError> {
        let keys = Keys::checked("http", &self.name, self.timeout_seconds, self.solved_at)?;
        let keys = keys.failing(self.retries, self.on_failure);
        let way = Web::new("http", &self.url, self.api_key_env.as_deref())?;
        let place = Place::new(&keys.name, Arc::new(Errors::default()));
        Ok(Box::new(Own { keys, way, place }))
    }
}

impl Way for Web {
    fn begin(&self) -> Result<(), Failure> {
        self.key().map(|_| ())
    }

    fn ask(&self, request: &[u8], time: Duration) -> Result<Vec<u8>, Failure> {
        self.post(request, time)
    }
}
