//! Where the hub and its cache are, and who asks: the same variables that the Python tools read.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::HubError;

/// The hub, where no other is named.
const HUB: &str = "https://huggingface.co";

/// How the hub is asked, and where files are kept.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Scheme, host and port of the hub, without a slash at the end.
    pub endpoint: String,
    /// The cache, a folder that is shared with the Python tools.
    pub cache: PathBuf,
    /// Who asks; without one, only what is public is given.
    pub token: Option<Token>,
    /// Asks nothing of the network.
    pub is_offline: bool,
    /// Certificates of authorities, in PEM, that are trusted in place of the usual ones.
    pub authorities: Option<PathBuf>,
    /// How long the hub may be silent.
    pub patience: Duration,
    /// How often a request that failed in passing is tried again.
    pub retries: u32,
    /// How long to wait before that, doubled each time.
    pub pause: Duration,
    #[cfg(feature = "hub")]
    pub(super) proxy: Option<ureq::Proxy>,
}

/// A secret of the person who asks, which is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Settings {
    /// Those of a hub and a cache; no token, no proxy.
    pub fn new(endpoint: &str, cache: &Path) -> Self {
        Self {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            cache: cache.into(),
            token: None,
            is_offline: false,
            authorities: None,
            patience: Duration::from_secs(10),
            retries: 4,
            pause: Duration::from_millis(500),
            #[cfg(feature = "hub")]
            proxy: None,
        }
    }

    /// Those that the environment asks for.
    ///
    /// ```text
    /// HF_ENDPOINT                                        the hub
    /// HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME, HOME        the cache
    /// HF_TOKEN, HF_TOKEN_PATH, HF_HUB_DISABLE_IMPLICIT_TOKEN    the token, or the file that has it
    /// HF_HUB_OFFLINE, TRANSFORMERS_OFFLINE               no network
    /// HF_HUB_DOWNLOAD_TIMEOUT                            seconds of silence that are borne
    /// SSL_CERT_FILE, REQUESTS_CA_BUNDLE                  other authorities
    /// HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY       a proxy
    /// ```
    ///
    /// # Errors
    /// No folder for the cache, a token or an address that can be none.
    pub fn from_environment() -> Result<Self, HubError> {
        Ok(Self {
            #[cfg(feature = "hub")]
            proxy: ureq::Proxy::try_from_env(),
            ..Self::from_variables(&|name| std::env::var(name).ok())?
        })
    }

    fn from_variables(variable: Variables) -> Result<Self, HubError> {
        let first = |names: &[&str]| names.iter().find_map(|name| set(variable, name));
        let home = hub_home(variable);
        let endpoint = endpoint(set(variable, "HF_ENDPOINT"))?;
        let cache =
            first(&["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"]).map(|path| expand(variable, &path));
        let cache = cache.or_else(|| Some(home.clone()?.join("hub"))).ok_or_else(|| {
            let problem = "neither it nor HOME says where files that are downloaded go".into();
            HubError::Setting { name: "HF_HOME", problem }
        })?;
        let seconds = set(variable, "HF_HUB_DOWNLOAD_TIMEOUT").and_then(|text| text.parse().ok());
        let defaults = Self::new(&endpoint, &cache);
        Ok(Self {
            token: token(variable, home.as_deref())?,
            is_offline: first(&["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"]).is_some_and(is_yes),
            authorities: first(&["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"]).map(PathBuf::from),
            patience: seconds.map_or(defaults.patience, Duration::from_secs),
            ..defaults
        })
    }
}

impl Token {
    /// A token; none where the text cannot be one.
    pub fn new(text: &str) -> Option<Self> {
        let is_token = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        is_token.then(|| Self(text.to_owned()))
    }

    /// What is sent with a request.
    #[cfg(feature = "hub")]
    pub(super) fn bearer(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

fn set(variable: Variables, name: &str) -> Option<String> {
    variable(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn is_yes(text: String) -> bool {
    ["1", "ON", "YES", "TRUE"].contains(&text.to_ascii_uppercase().as_str())
}

fn endpoint(named: Option<String>) -> Result<String, HubError> {
    let endpoint = named.unwrap_or_else(|| HUB.into());
    let host = ["https://", "http://"].into_iter().find_map(|scheme| endpoint.strip_prefix(scheme));
    let is_address = |host: &str| !host.is_empty() && !host.contains(['@', '?', '#', ' ']);
    match host {
        Some(host) if is_address(host) => Ok(endpoint),
        _ => {
            let problem = "needs the form https://HOST, without a name or a password in it".into();
            Err(HubError::Setting { name: "HF_ENDPOINT", problem })
        }
    }
}

/// The folder of all that the hub's tools keep.
fn hub_home(variable: Variables) -> Option<PathBuf> {
    let named = set(variable, "HF_HOME").map(|path| expand(variable, &path));
    let cache = || set(variable, "XDG_CACHE_HOME").map(PathBuf::from);
    let own = || Some(person_home(variable)?.join(".cache"));
    named.or_else(|| Some(cache().or_else(own)?.join("huggingface")))
}

fn person_home(variable: Variables) -> Option<PathBuf> {
    set(variable, "HOME").or_else(|| set(variable, "USERPROFILE")).map(PathBuf::from)
}

/// A path that may begin with `~/`, as the Python tools take it.
fn expand(variable: Variables, path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), person_home(variable)) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => path.into(),
    }
}

/// The token of the environment, or else of the file that `hf auth login` writes.
fn token(variable: Variables, home: Option<&Path>) -> Result<Option<Token>, HubError> {
    if set(variable, "HF_HUB_DISABLE_IMPLICIT_TOKEN").is_some_and(is_yes) {
        return Ok(None);
    }
    let named =
        ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"].into_iter().find_map(|name| set(variable, name));
    let path = set(variable, "HF_TOKEN_PATH").map(|path| expand(variable, &path));
    let kept = || fs::read_to_string(path.or_else(|| Some(home?.join("token")))?).ok();
    let text = named.or_else(kept).map(|text| text.trim().to_owned());
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    Token::new(&text).map(Some).ok_or_else(|| {
        let problem = "has blanks or characters in it that no token has; copy it again".into();
        HubError::Setting { name: "HF_TOKEN", problem }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(variables: &[(&str, &str)]) -> Result<Settings, HubError> {
        Settings::from_variables(&|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_cache_is_where_the_python_tools_have_it() {
        for (variables, cache) in [
            (vec![("HOME", "/h")], "/h/.cache/huggingface/hub"),
            (vec![("HOME", "/h"), ("XDG_CACHE_HOME", "/x")], "/x/huggingface/hub"),
            (vec![("HOME", "/h"), ("HF_HOME", "/f"), ("XDG_CACHE_HOME", "/x")], "/f/hub"),
            (vec![("HOME", "/h"), ("HF_HOME", "~/f")], "/h/f/hub"),
            (vec![("HF_HUB_CACHE", "/c"), ("HF_HOME", "/f")], "/c"),
            (vec![("HOME", "/h"), ("HF_HOME", "")], "/h/.cache/huggingface/hub"),
        ] {
            assert_eq!(settings(&variables).unwrap().cache, Path::new(cache), "{variables:?}");
        }
        let message = settings(&[]).unwrap_err().to_string();
        assert!(message.starts_with("HF_HOME"), "{message}");
    }

    #[test]
    #[cfg(feature = "hub")]
    fn the_token_is_read_from_the_environment_or_its_file_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().to_str().unwrap();
        let bearer = |variables: &[(&str, &str)]| {
            settings(variables).unwrap().token.map(|token| token.bearer())
        };
        assert_eq!(bearer(&[("HF_HOME", home)]), None);
        fs::write(folder.path().join("token"), "hf_file\n").unwrap();
        assert_eq!(bearer(&[("HF_HOME", home)]).unwrap(), "Bearer hf_file");
        assert_eq!(bearer(&[("HF_HOME", home), ("HF_TOKEN", " hf_a ")]).unwrap(), "Bearer hf_a");
        let silent = ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1");
        assert_eq!(bearer(&[("HF_HOME", home), silent]), None);
        let known = settings(&[("HF_HOME", home)]).unwrap();
        assert!(!format!("{known:?}").contains("hf_file"));
        let broken = settings(&[("HF_HOME", home), ("HF_TOKEN", "hf_secret\nx: y")]).unwrap_err();
        assert!(!format!("{broken} {broken:?}").contains("hf_secret"));
    }

    #[test]
    fn offline_is_what_the_python_tools_take_for_yes() {
        let offline =
            |value| settings(&[("HOME", "/h"), ("HF_HUB_OFFLINE", value)]).unwrap().is_offline;
        assert!(["1", "true", "YES", "on"].into_iter().all(offline));
        assert!(!["0", "false", "", "2"].into_iter().any(offline));
    }

    #[test]
    fn an_endpoint_is_an_address_of_the_web_without_a_password() {
        let endpoint =
            |value| Some(settings(&[("HOME", "/h"), ("HF_ENDPOINT", value)]).ok()?.endpoint);
        assert_eq!(endpoint("https://mirror.example/").unwrap(), "https://mirror.example");
        assert_eq!(endpoint("").unwrap(), "https://huggingface.co");
        for wrong in ["mirror.example", "ftp://x", "https://", "https://me:secret@host"] {
            assert_eq!(endpoint(wrong), None, "{wrong}");
        }
    }
}
