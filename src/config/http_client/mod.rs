//! How an HTTP client connects and who it is: a file in the format of Prometheus' HTTP client configuration, as
//! `promtool --http.config.file` takes it (`config/http_config.go` of `github.com/prometheus/common`).
//!
//! docs/remote-write.md says where this program differs. What it cannot do is refused by name.

mod authentication;
mod headers;
mod proxy;
mod tls;

use std::path::{Path, PathBuf};

use http::{HeaderName, HeaderValue};
use secrecy::SecretString;

pub use self::{proxy::ProxyConfig, tls::TlsClientConfig};
use super::{
    content::Files,
    parse::switch,
    text::text_of,
    yaml::{Mapping, Problem, Problems, Value, Walk, tree_of},
};

const KEYS: [&str; 11] = [
    "basic_auth",
    "authorization",
    "bearer_token",
    "bearer_token_file",
    "tls_config",
    "http_headers",
    "proxy_url",
    "no_proxy",
    "proxy_from_environment",
    "follow_redirects",
    "enable_http2",
];
/// Keys of the format, or of Prometheus' `remote_write`, that are not taken.
const REFUSED: [(&str, &str); 7] = [
    ("oauth2", "OAuth 2.0 is not supported; use basic_auth or authorization"),
    ("sigv4", "signatures of AWS are not supported; use basic_auth or authorization, or a proxy that signs"),
    ("azuread", "Azure AD is not supported; use basic_auth or authorization"),
    ("google_iam", "Google IAM is not supported; use basic_auth or authorization"),
    (
        "proxy_connect_header",
        "headers for the proxy are not supported; proxy_url may hold a user and a password",
    ),
    ("headers", "these are given as http_headers: {NAME: {values: [VALUE]}}"),
    ("url", "the URL is that of --remote-write"),
];
/// The largest file, in bytes.
const LARGEST: u64 = 1 << 20;

/// What the file says.
#[derive(Debug, Clone)]
pub struct HttpClientConfig {
    /// The value of the header `Authorization`.
    pub authorization: Option<HeaderValue>,
    /// Further headers of every request.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// All secrets in it, as they are sent: no message may hold one.
    pub secrets: Vec<SecretString>,
    /// For `https`.
    pub tls: TlsClientConfig,
    /// The way to the server.
    pub proxy: ProxyConfig,
    /// Whether redirects are followed.
    pub follow_redirects: bool,
    /// Whether HTTP/2 is offered, over TLS.
    pub http2: bool,
}

impl HttpClientConfig {
    /// Reads a file, and those that it names. Blocks.
    ///
    /// # Errors
    /// All that is wrong, in the order of the file's lines.
    pub fn read(path: &Path) -> Result<Self, Problems> {
        let mut files = Beside(path.parent().unwrap_or(Path::new(".")).into());
        let text = text_of(path, LARGEST).map_err(|message| vec![Problem::of_file(message)]);
        let said = text.and_then(|text| Self::parse(&text, &mut files));
        said.map_err(|problems| Problems { file: path.into(), problems })
    }

    /// Reads the text of a file; `files` reads those that it names.
    ///
    /// # Errors
    /// All that is wrong with it, in the order of its lines.
    pub fn parse(text: &str, files: &mut dyn Files) -> Result<Self, Vec<Problem>> {
        let root = tree_of(text).map_err(|problem| vec![problem])?;
        let mut walk = Walk::default();
        // An empty file asks for nothing.
        let file = match root.value {
            Value::Null => None,
            _ => walk.mapping_without(&root, "", &KEYS, &REFUSED),
        };
        let said = Self::of(&mut walk, file.unwrap_or(Mapping::EMPTY), files);
        walk.done().map(|()| said)
    }

    fn of(walk: &mut Walk, file: Mapping<'_>, files: &mut dyn Files) -> Self {
        let mut secrets = Vec::new();
        let authorization = authentication::header(walk, file, files, &mut secrets);
        let headers = headers::headers(walk, file.get("http_headers"), files, &mut secrets);
        let tls = tls::tls(walk, file.get("tls_config"), files);
        let proxy = proxy::proxy(walk, file, &mut secrets);
        if let (Some(_), Some(node)) = (&tls.server_name, file.given("tls_config"))
            && !matches!(proxy, ProxyConfig::None)
        {
            walk.problem(node.place, "tls_config.server_name", "it cannot be used by way of a proxy");
        }
        let mut given = |key| {
            let node = file.given(key)?;
            walk.value(node, key, switch)
        };
        let (follow_redirects, http2) = (given("follow_redirects"), given("enable_http2"));
        Self {
            authorization,
            headers,
            secrets,
            tls,
            proxy,
            follow_redirects: follow_redirects.unwrap_or(true),
            http2: http2.unwrap_or(true),
        }
    }
}

/// Files in the folder of the configuration file.
struct Beside(PathBuf);

impl Files for Beside {
    fn read(&mut self, path: &Path) -> Result<(PathBuf, SecretString), String> {
        let path = self.0.join(path);
        let text = text_of(&path, LARGEST)?;
        Ok((path, text.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "hunter2";

    struct NoFiles;

    impl Files for NoFiles {
        fn read(&mut self, path: &Path) -> Result<(PathBuf, SecretString), String> {
            Ok((path.into(), SECRET.into()))
        }
    }

    #[test]
    fn a_file_that_is_cut_off_is_read_or_refused_and_no_secret_is_told() {
        let text = format!(
            "basic_auth: {{username: a, password: {SECRET}}}\nhttp_headers:\n  X-Key: {{secrets: [{SECRET}], \
             files: [b]}}\ntls_config:\n  ca: {SECRET}\n  cert: {SECRET}\n  key: {SECRET}\n\
             proxy_url: http://a:{SECRET}@b\nfollow_redirects: false\n"
        );
        let whole = HttpClientConfig::parse(&text, &mut NoFiles).unwrap();
        assert!(whole.authorization.is_some() && whole.headers.len() == 2 && !whole.follow_redirects);
        assert!(!format!("{whole:?}").contains(SECRET), "{whole:?}");
        for end in 0..text.len() {
            let problems = HttpClientConfig::parse(&text[..end], &mut NoFiles).err().unwrap_or_default();
            assert!(problems.iter().all(|problem| !problem.message.contains("hunt")), "{end}: {problems:?}");
        }
    }
}
