//! Addresses: what is asked for where, where a redirect leads, and who gets the token.

use ureq::http::Uri;

use crate::hub::percent::encoded;
use crate::hub::{HubId, RepoKind};
use crate::quote::shown;

/// The address of what the hub knows of a revision: its commit and its files.
pub(super) fn listing(endpoint: &str, id: &HubId) -> String {
    let (kind, repo, revision) = (plural(id.kind()), id.repo(), encoded(id.revision()));
    format!("{endpoint}/api/{kind}/{repo}/revision/{revision}")
}

/// The address of a file.
pub(super) fn file(endpoint: &str, id: &HubId, revision: &str, file: &str) -> String {
    let (kind, repo, revision) = (prefix(id.kind()), id.repo(), encoded(revision));
    let file: Vec<String> = file.split('/').map(encoded).collect();
    format!("{endpoint}/{kind}{repo}/resolve/{revision}/{}", file.join("/"))
}

/// The page for persons.
pub(super) fn page(endpoint: &str, id: &HubId) -> String {
    format!("{endpoint}/{}{}", prefix(id.kind()), id.repo())
}

/// Where a redirect from `from` leads; none where it leads nowhere that may be asked.
pub(super) fn redirected(from: &str, location: &str) -> Option<String> {
    let origin = origin(from)?;
    let scheme = origin.split_once("://")?.0;
    let to = match location {
        _ if location.contains("://") && !location.starts_with('/') => location.to_owned(),
        _ if location.starts_with("//") => format!("{scheme}:{location}"),
        _ if location.starts_with('/') => format!("{origin}{location}"),
        _ => return None,
    };
    let is_downgrade = scheme == "https" && !to.starts_with("https://");
    let is_web = to.starts_with("https://") || to.starts_with("http://");
    (is_web && !is_downgrade && self::origin(&to).is_some()).then_some(to)
}

/// Whether two addresses are of one server: scheme, host and port.
pub(super) fn is_same_server(a: &str, b: &str) -> bool {
    origin(a).is_some_and(|a| origin(b) == Some(a))
}

/// The host for messages.
pub(super) fn host(address: &str) -> String {
    shown(&origin(address).unwrap_or_else(|| place(address))).into_owned()
}

/// An address for messages. Behind the question mark stand signatures, which are secrets.
pub(super) fn place(address: &str) -> String {
    shown(address.split('?').next().unwrap_or_default()).into_owned()
}

/// What repositories of a kind are called in the hub's programming interface and in the cache.
pub(super) fn plural(kind: RepoKind) -> &'static str {
    match kind {
        RepoKind::Model => "models",
        RepoKind::Dataset => "datasets",
    }
}

/// What stands before their names on the hub's pages.
fn prefix(kind: RepoKind) -> &'static str {
    match kind {
        RepoKind::Model => "",
        RepoKind::Dataset => "datasets/",
    }
}

/// Scheme, host and port.
fn origin(address: &str) -> Option<String> {
    let uri: Uri = address.parse().ok()?;
    let (scheme, host) = (uri.scheme_str()?, uri.host()?.to_ascii_lowercase());
    let usual = if scheme == "https" { 443 } else { 80 };
    match uri.port_u16().filter(|port| *port != usual) {
        Some(port) => Some(format!("{scheme}://{host}:{port}")),
        None => Some(format!("{scheme}://{host}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HUB: &str = "https://hub.example";

    #[test]
    fn addresses_are_those_of_the_hub() {
        let id = HubId::parse("a/b@refs/pr/1").unwrap();
        assert_eq!(listing(HUB, &id), "https://hub.example/api/models/a/b/revision/refs%2Fpr%2F1");
        let at = file(HUB, &id, "v1", "x y/z#.json");
        assert_eq!(at, "https://hub.example/a/b/resolve/v1/x%20y/z%23.json");
        let id = HubId::parse("hf://datasets/a/b").unwrap();
        assert_eq!(listing(HUB, &id), "https://hub.example/api/datasets/a/b/revision/main");
        assert_eq!(file(HUB, &id, "main", "f"), "https://hub.example/datasets/a/b/resolve/main/f");
    }

    #[test]
    fn a_redirect_leads_to_the_web_and_never_from_https_to_http() {
        let to = |location| redirected("https://hub.example/a/b?c", location);
        assert_eq!(to("/x?y").unwrap(), "https://hub.example/x?y");
        assert_eq!(to("//cdn.example/x").unwrap(), "https://cdn.example/x");
        assert_eq!(to("https://cdn.example/x").unwrap(), "https://cdn.example/x");
        assert_eq!(to("/x?from=https://y").unwrap(), "https://hub.example/x?from=https://y");
        for nowhere in ["http://hub.example/x", "file:///etc/passwd", "x", "", "https://"] {
            assert_eq!(to(nowhere), None, "{nowhere}");
        }
    }

    #[test]
    fn a_server_is_scheme_host_and_port() {
        assert!(is_same_server("https://hub.example/x", "https://HUB.example:443/y"));
        for other in ["http://hub.example", "https://hub.example:444", "https://hub.example.evil"] {
            assert!(!is_same_server("https://hub.example", other), "{other}");
        }
        assert!(!is_same_server("nonsense", "nonsense"));
    }

    #[test]
    fn signatures_are_not_shown() {
        assert_eq!(place("https://cdn.example/x?Signature=secret"), "https://cdn.example/x");
        assert_eq!(host("https://cdn.example:8443/x?Signature=secret"), "https://cdn.example:8443");
    }
}
