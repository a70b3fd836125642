//! `proxy_url`, `no_proxy` and `proxy_from_environment`: the way to the server.

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::config::{
    parse::switch,
    yaml::{Mapping, Walk},
};

/// The way to the server.
#[derive(Debug, Clone, Default)]
pub enum ProxyConfig {
    /// Without a proxy.
    #[default]
    None,
    /// As the environment says: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`.
    Environment,
    /// By way of this proxy.
    Url {
        /// Its URL, which may hold a user and a password.
        url: SecretString,
        /// Servers to which it does not lead, separated by commas.
        except: Option<String>,
    },
}

/// The way to the server, and the secrets in it.
pub(super) fn proxy(walk: &mut Walk, file: Mapping<'_>, secrets: &mut Vec<SecretString>) -> ProxyConfig {
    let url = file.given("proxy_url").and_then(|node| walk.hidden(node, "proxy_url", url));
    let from_environment = file.given("proxy_from_environment").map(|node| {
        let is_on = walk.value(node, "proxy_from_environment", switch);
        (node.place, is_on.unwrap_or_default())
    });
    let except = file.given("no_proxy").and_then(|node| Some((node.place, walk.scalar(node, "no_proxy")?)));
    if let Some((place, true)) = from_environment {
        for other in ["proxy_url", "no_proxy"].into_iter().filter(|key| file.given(key).is_some()) {
            walk.problem(
                place,
                "proxy_from_environment",
                format!("{other} is given as well; only one of the two can be"),
            );
        }
        return ProxyConfig::Environment;
    }
    if let Some((place, _)) = except.filter(|_| file.given("proxy_url").is_none()) {
        walk.problem(place, "no_proxy", "proxy_url is missing");
    }
    let Some(url) = url else { return ProxyConfig::None };
    secrets.extend(url.password().map(|password| password.to_owned().into()));
    ProxyConfig::Url { url: String::from(url).into(), except: except.map(|(_, names)| names.into()) }
}

/// A URL that may hold a user and a password.
fn url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.ok_or_else(|| "expected the http or https URL of a proxy, such as http://proxy:3128".into())
}

impl ProxyConfig {
    /// The URL of the proxy, if there is one.
    #[must_use]
    pub fn url(&self) -> Option<&str> {
        match self {
            Self::Url { url, .. } => Some(url.expose_secret()),
            Self::None | Self::Environment => None,
        }
    }
}
