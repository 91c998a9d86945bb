//! Why somebody outside of this program gave no scores.

use thiserror::Error;

/// One failed request, said so that the sentence may follow `reward NAME:`.
#[derive(Debug, Clone, PartialEq, Error)]
pub(super) enum Failure {
    #[error("cannot start {program}: {reason}; check `command`, and the PATH for its first word")]
    Start { program: String, reason: String },
    #[error("{0}; mend what it says")]
    Setting(String),
    #[error("no answer within {seconds} s; raise timeout_seconds, or look why it takes so long")]
    TimedOut { seconds: f64 },
    #[error(
        "the program ended ({status}) without an answer; it must answer each line and end only where its \
         standard input does"
    )]
    Died { status: String },
    #[error(
        "\"{shown}\" is not an answer ({problem}); answer a request with one line {{\"rewards\": [1.0, null, ...]}} and \
         print everything else to standard error"
    )]
    Garbage { shown: String, problem: String },
    #[error(
        "it wrote \"{shown}\" before it was asked; print one line for each request, and everything else to standard \
         error"
    )]
    Unasked { shown: String },
    #[error("an answer of more than {bytes} bytes; answer with the rewards alone")]
    Long { bytes: usize },
    #[error(
        "one completion and its columns are more than {} MiB of JSON; remove columns that no reward reads", super::request::MOST_BYTES >> 20
    )]
    Large,
    #[error("it reports: {0}")]
    Reported(String),
    #[error(
        "{given} rewards for {asked} completions; give one for each, null where it does not apply"
    )]
    Count { given: usize, asked: usize },
    #[error(
        "a reward that is no finite number (NaN or Infinity); give null where it does not apply"
    )]
    NotFinite,
    #[error("{url} cannot be reached ({reason}); check url, and that the server runs")]
    Unreachable { url: String, reason: String },
    #[error("{url} answers with status {status}: \"{shown}\"; {}", mend(*status))]
    Status { url: String, status: u16, shown: String },
    #[error(
        "no score can be read from the reply \"{shown}\"; ask for one number as the last thing, as in \"Score: 7\""
    )]
    NoScore { shown: String },
    #[error("the prompt cannot be filled: {0}; name columns that all problems have")]
    Template(String),
}

impl Failure {
    /// Whether a second try may end otherwise.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Start { .. } | Self::Setting(_) | Self::Large | Self::Template(_) => false,
            Self::Status { status, .. } => *status >= 500 || matches!(status, 408 | 425 | 429),
            _ => true,
        }
    }
}

fn mend(status: u16) -> &'static str {
    match status {
        401 | 403 => "name the variable that holds the key in api_key_env",
        404 | 405 => "check the path of url",
        429 => "lower concurrency, or raise retries",
        _ => "look into the log of the server",
    }
}
