//! Asking the hub: requests, redirects, and the token, which nobody else gets to see.

use std::fs;
use std::io::{self, Read};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use ureq::http::{HeaderMap, Response};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body};

use super::address::{host, is_same_server, place, redirected};
use super::failure;
use crate::hub::{HubError, Settings};

/// Most redirects that are followed one after another.
const MOST_REDIRECTS: usize = 8;
/// How many times the silence that is borne a short answer may take.
const MOST_SILENCES: u32 = 4;
/// How a request says who sends it.
const NAME: &str = concat!("wgrpo/", env!("CARGO_PKG_VERSION"));

/// What asks the hub.
pub(super) struct Client {
    agent: Agent,
    settings: Settings,
}

/// The beginning of an answer; the body is still to come.
pub(super) struct Answer {
    /// The address that answered, after redirects.
    pub(super) address: String,
    response: Response<Body>,
}

/// How often something is tried again.
pub(super) struct Tries {
    left: u32,
    pause: Duration,
}

/// What kind of request it is.
#[derive(Clone, Copy)]
enum Ask {
    Head,
    /// An answer that is short.
    Short,
    /// The content from a byte on, however long it takes.
    Content(u64),
}

impl Client {
    pub(super) fn new(settings: &Settings) -> Result<Self, HubError> {
        let patience = Some(settings.patience);
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(settings.proxy.clone())
            .user_agent(NAME)
            // Lengths are those of the files themselves.
            .accept_encoding("identity")
            .tls_config(TlsConfig::builder().root_certs(authorities(settings)?).build())
            .timeout_resolve(patience)
            .timeout_connect(patience)
            .timeout_recv_response(patience)
            .timeout_per_read(patience);
        Ok(Self { agent: Agent::new_with_config(config.build()), settings: settings.clone() })
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Asks for the headers of a file. A redirect is an answer too: the hub's own headers stand there.
    pub(super) fn head(&self, address: &str) -> Result<Answer, HubError> {
        self.send(Ask::Head, address)
    }

    /// Asks for a short answer.
    pub(super) fn short(&self, address: &str) -> Result<Answer, HubError> {
        self.get(Ask::Short, address)
    }

    /// Asks for the content from a byte on, wherever the hub keeps it.
    pub(super) fn content(&self, address: &str, from: u64) -> Result<Answer, HubError> {
        self.get(Ask::Content(from), address)
    }

    fn get(&self, ask: Ask, address: &str) -> Result<Answer, HubError> {
        let mut answer = self.send(ask, address)?;
        for _ in 0..MOST_REDIRECTS {
            match answer.redirect()? {
                Some(next) => answer = self.send(ask, &next)?,
                None => return Ok(answer),
            }
        }
        Err(HubError::answer(place(address), "leads from one redirect to the next"))
    }

    /// Does what may fail in passing again, with longer and longer pauses.
    pub(super) fn patiently<T>(
        &self,
        mut attempt: impl FnMut() -> Result<T, HubError>,
    ) -> Result<T, HubError> {
        let mut tries = self.tries();
        loop {
            match attempt() {
                Err(error) if error.is_passing() && tries.again() => {}
                done => return done,
            }
        }
    }

    /// As many tries as the settings allow.
    pub(super) fn tries(&self) -> Tries {
        Tries { left: self.settings.retries, pause: self.settings.pause }
    }

    fn send(&self, ask: Ask, address: &str) -> Result<Answer, HubError> {
        let mut request = match ask {
            Ask::Head => self.agent.head(address),
            Ask::Short | Ask::Content(_) => self.agent.get(address),
        };
        if let Ask::Content(from @ 1..) = ask {
            request = request.header("range", format!("bytes={from}-"));
        }
        if let Some(token) = &self.settings.token
            && is_same_server(address, &self.settings.endpoint)
        {
            request = request.header("authorization", token.bearer());
        }
        // Nobody sees the progress of what is short, so that it must end by itself.
        let is_short = !matches!(ask, Ask::Content(_));
        let limit = is_short.then(|| self.settings.patience * MOST_SILENCES);
        let request = request.config().timeout_global(limit).build();
        let response = request.call().map_err(|error| failure::of(&self.host(address), error))?;
        Ok(Answer { address: address.to_owned(), response })
    }

    /// The host for messages, with the proxy that may have been asked in its place.
    fn host(&self, address: &str) -> String {
        match &self.settings.proxy {
            Some(proxy) => {
                format!("{} (by the proxy {}:{})", host(address), proxy.host(), proxy.port())
            }
            None => host(address),
        }
    }
}

impl Tries {
    /// Waits, longer each time, unless there were too many tries.
    pub(super) fn again(&mut self) -> bool {
        let is_left = self.left > 0;
        if is_left {
            thread::sleep(self.pause);
            self.left -= 1;
            self.pause *= 2;
        }
        is_left
    }
}

impl Answer {
    pub(super) fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// A header that is text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers().get(name)?.to_str().ok()
    }

    /// Where it leads, if it is a redirect.
    pub(super) fn redirect(&self) -> Result<Option<String>, HubError> {
        if !matches!(self.status(), 301 | 302 | 303 | 307 | 308) {
            return Ok(None);
        }
        let to = self.header("location").and_then(|to| redirected(&self.address, to));
        let lost = || HubError::answer(place(&self.address), "redirects to no address of the web");
        to.map(Some).ok_or_else(lost)
    }

    pub(super) fn into_reader(self) -> impl Read {
        self.response.into_body().into_reader()
    }

    /// The whole body, if it is not longer than `most` bytes.
    pub(super) fn into_bytes(self, most: u64) -> Result<Vec<u8>, HubError> {
        let (place, host) = (place(&self.address), host(&self.address));
        let mut bytes = Vec::new();
        let read = self.into_reader().take(most + 1).read_to_end(&mut bytes);
        let broken = |error: io::Error| HubError::Broken { host, problem: failure::text(&error) };
        match read.map_err(broken)? as u64 {
            length if length > most => {
                Err(HubError::answer(place, format!("answers more than {most} bytes")))
            }
            _ => Ok(bytes),
        }
    }
}

/// The authorities that are trusted: those of the Mozilla foundation, or those of the file that is named.
fn authorities(settings: &Settings) -> Result<RootCerts, HubError> {
    let Some(path) = &settings.authorities else { return Ok(RootCerts::WebPki) };
    let wrong = |problem: String| HubError::Setting {
        name: "SSL_CERT_FILE",
        problem: format!(
            "names {}, which {problem}; name a file of certificates in PEM",
            path.display()
        ),
    };
    let pem = fs::read(path).map_err(|error| wrong(format!("cannot be read ({error})")))?;
    let certificates = parse_pem(&pem).filter_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        _ => None,
    });
    let certificates: Vec<_> = certificates.collect();
    if certificates.is_empty() {
        return Err(wrong("has no certificate in it".into()));
    }
    Ok(RootCerts::Specific(Arc::new(certificates)))
}
