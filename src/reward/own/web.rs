//! Posting JSON to a server.

use std::io::Read;
use std::time::Duration;

use ureq::Agent;

use super::failure::Failure;
use super::reply::MOST_BYTES;
use crate::quote::shown;
use crate::reward::RewardError;

/// How a request says who sends it.
const NAME: &str = concat!("wgrpo/", env!("CARGO_PKG_VERSION"));

/// A server and the name of the variable that holds its key.
pub(super) struct Web {
    agent: Agent,
    url: String,
    key_name: Option<String>,
}

impl Web {
    /// For rewards of `kind`; nothing is asked yet.
    pub(super) fn new(kind: &str, url: &str, key_name: Option<&str>) -> Result<Self, RewardError> {
        let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
        let host = rest.and_then(|rest| rest.split(['/', '?', '#']).next()).unwrap_or_default();
        let problem = match rest {
            _ if host.contains('@') => {
                "has a name or a key in it; name the variable that holds the key in api_key_env"
            }
            Some(_) if !host.is_empty() && !url.contains(char::is_whitespace) => "",
            _ => "is no address of the web; write it as http://host:port/path",
        };
        if !problem.is_empty() {
            return Err(RewardError::setting(kind, "url", problem));
        }
        let config = Agent::config_builder().http_status_as_error(false).user_agent(NAME).build();
        let key_name = key_name.map(str::to_owned);
        Ok(Self { agent: Agent::new_with_config(config), url: url.to_owned(), key_name })
    }

    /// The key, read anew so that it stands in no field that a message may show.
    pub(super) fn key(&self) -> Result<Option<String>, Failure> {
        let Some(name) = &self.key_name else { return Ok(None) };
        let found = std::env::var(name).ok().filter(|key| !key.trim().is_empty());
        let missing = || {
            let name = shown(name);
            Failure::Setting(format!(
                "api_key_env names {name}, which is not set in the environment"
            ))
        };
        found.map(|key| Some(key.trim().to_owned())).ok_or_else(missing)
    }

    /// The body of the answer to a body of JSON.
    pub(super) fn post(&self, body: &[u8], time: Duration) -> Result<Vec<u8>, Failure> {
        let mut request = self.agent.post(&self.url).header("content-type", "application/json");
        if let Some(key) = self.key()? {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let request = request.config().timeout_global(Some(time)).build();
        let failed = |error: ureq::Error| self.failed(&error, time);
        let response = request.send(body).map_err(failed)?;
        let status = response.status();
        let mut bytes = Vec::new();
        let mut reader = response.into_body().into_reader().take(MOST_BYTES as u64 + 1);
        reader.read_to_end(&mut bytes).map_err(|error| failed(ureq::Error::from(error)))?;
        match bytes.len() {
            _ if !status.is_success() => Err(Failure::Status {
                url: shown(&self.url).into_owned(),
                status: status.as_u16(),
                shown: shown(&String::from_utf8_lossy(&bytes)).into_owned(),
            }),
            length if length > MOST_BYTES => Err(Failure::Long { bytes: MOST_BYTES }),
            _ => Ok(bytes),
        }
    }

    fn failed(&self, error: &ureq::Error, time: Duration) -> Failure {
        match error {
            ureq::Error::Timeout(_) => Failure::TimedOut { seconds: time.as_secs_f64() },
            other => Failure::Unreachable {
                url: shown(&self.url).into_owned(),
                reason: shown(&other.to_string()).into_owned(),
            },
        }
    }
}
