//! What to say of a request that got no answer.

use std::io::{self, ErrorKind};

use ureq::{Error, Timeout};

use crate::hub::HubError;
use crate::quote::shown;

const NO_NETWORK: &str = "check the network, and HTTPS_PROXY where a proxy is needed; on a machine without a network, \
                          name a folder with the files, or copy the cache of a machine that has them";
const NO_TRUST: &str = "if a proxy with an authority of its own is on the way, name the file of its certificate with \
                        SSL_CERT_FILE; check the clock of this machine, too";

/// What kept `host` from answering.
pub(super) fn of(host: &str, error: Error) -> HubError {
    let problem = problem(&error);
    let unreachable =
        |problem, mend| HubError::Unreachable { host: host.to_owned(), problem, mend };
    match error {
        Error::Rustls(_) | Error::Tls(_) => unreachable(problem, NO_TRUST),
        Error::Io(error) if is_of_tls(&error) => unreachable(problem, NO_TRUST),
        Error::Io(error) if is_break(error.kind()) => {
            HubError::Broken { host: host.to_owned(), problem }
        }
        Error::Protocol(_)
        | Error::Timeout(Timeout::RecvResponse | Timeout::PerRead | Timeout::Global) => {
            HubError::Broken { host: host.to_owned(), problem }
        }
        _ => unreachable(problem, NO_NETWORK),
    }
}

/// What broke a transfer.
pub(super) fn text(error: &io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    inner.map_or_else(|| shown(&error.to_string()).into_owned(), problem)
}

fn problem(error: &Error) -> String {
    match error {
        Error::Timeout(Timeout::Global) => "it takes too long".into(),
        Error::Timeout(_) => "it is silent".into(),
        Error::HostNotFound => "no host of that name is known".into(),
        Error::Io(error) if error.kind() == ErrorKind::UnexpectedEof => "it hung up".into(),
        Error::Io(error) => shown(&error.to_string()).into_owned(),
        Error::Protocol(_) => "its answer is not that of a web server".into(),
        other => shown(&other.to_string()).into_owned(),
    }
}

/// Whether there was a connection, which then broke.
fn is_break(kind: ErrorKind) -> bool {
    use ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(kind, BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}

fn is_of_tls(error: &io::Error) -> bool {
    error.kind() == ErrorKind::InvalidData
}
