//! Which database: `postgres://…`, with the parameters of libpq that concern TLS.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret, SecretString};
use tokio_postgres::{
    Config,
    config::{Host, SslMode},
};

/// How long to try to connect.
const CONNECT: Duration = Duration::from_secs(5);
/// A server that does not take what was sent for so long is gone.
const UNACKNOWLEDGED: Duration = Duration::from_secs(10);

/// What is wrong with a URL. Quotes nothing of it.
const EXPECTED: &str =
    "expected postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full, the parts percent-encoded";

/// A database, and how it is reached.
#[derive(Clone)]
pub struct DatabaseUrl {
    config: Config,
    /// Whether TLS is spoken, and with whom.
    pub tls: TlsSettings,
}

/// Whom the program trusts to be the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Anybody: the connection is encrypted, and no more.
    Anybody,
    /// Whoever has a certificate of an authority that is trusted.
    Authority,
    /// Whoever has one for the host's name.
    Host,
}

/// The parameters of libpq about TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSettings {
    /// `sslmode`
    pub trust: Trust,
    /// `sslrootcert`; `None` = those of the system.
    pub roots: Option<PathBuf>,
    /// `sslcert` and `sslkey`.
    pub client: Option<(PathBuf, PathBuf)>,
}

impl DatabaseUrl {
    /// That of a URL.
    ///
    /// # Errors
    /// What is allowed; quotes nothing of the URL, which may hold a password.
    pub fn parse(url: &SecretString) -> Result<Self, String> {
        let url = url.expose_secret().trim();
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(EXPECTED.into());
        }
        let (address, query) = url.split_once('?').unwrap_or((url, ""));
        let mut parameters = Parameters::default();
        let rest: Vec<_> = query.split('&').filter(|pair| !parameters.takes(pair)).collect();
        let (mode, tls) = parameters.tls()?;
        let rest = rest.join("&");
        let mut config: Config = format!("{address}?{rest}").parse().map_err(|_| EXPECTED.to_owned())?;
        if config.get_hosts().is_empty() || config.get_dbname().is_none() || config.get_user().is_none() {
            return Err(EXPECTED.into());
        }
        config.ssl_mode(mode).connect_timeout(CONNECT).keepalives_idle(UNACKNOWLEDGED);
        config.tcp_user_timeout(UNACKNOWLEDGED).application_name("kapso-exporter");
        Ok(Self { config, tls })
    }

    /// For the client library.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }
}

/// Its hosts and its name.
impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ports = self.config.get_ports();
        for (number, host) in self.config.get_hosts().iter().enumerate() {
            let separator = if number == 0 { "" } else { "," };
            match host {
                Host::Tcp(name) => write!(f, "{separator}{name}")?,
                Host::Unix(folder) => write!(f, "{separator}{}", folder.display())?,
            }
            let port = ports.get(number).or(ports.first());
            write!(f, ":{}", port.unwrap_or(&5432))?;
        }
        write!(f, "/{}", self.config.get_dbname().unwrap_or_default())
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a URL says about TLS.
#[derive(Default)]
struct Parameters {
    mode: Option<String>,
    roots: Option<String>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

impl Parameters {
    /// Takes a parameter that is about TLS.
    fn takes(&mut self, pair: &str) -> bool {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = percent_decode_str(value).decode_utf8_lossy().into_owned();
        match name {
            "sslmode" => self.mode = Some(value),
            "sslrootcert" => self.roots = Some(value),
            "sslcert" => self.certificate = Some(value.into()),
            "sslkey" => self.key = Some(value.into()),
            _ => return pair.is_empty(),
        }
        true
    }

    /// As libpq understands them.
    fn tls(self) -> Result<(SslMode, TlsSettings), String> {
        let has_roots = self.roots.as_ref().is_some_and(|roots| roots != "system");
        let (mode, trust) = match self.mode.as_deref().unwrap_or("prefer") {
            "disable" => (SslMode::Disable, Trust::Anybody),
            // Both encrypt if the server wants to, and verify nothing.
            "allow" | "prefer" => (SslMode::Prefer, Trust::Anybody),
            "require" if has_roots => (SslMode::Require, Trust::Authority),
            "require" => (SslMode::Require, Trust::Anybody),
            "verify-ca" => (SslMode::Require, Trust::Authority),
            "verify-full" => (SslMode::Require, Trust::Host),
            _ => {
                return Err(
                    "expected sslmode=disable, allow, prefer, require, verify-ca or verify-full".into()
                );
            }
        };
        let client = match (self.certificate, self.key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => return Err("sslcert and sslkey go together".into()),
        };
        let roots = self.roots.filter(|_| has_roots).map(|roots| Path::new(&roots).to_owned());
        Ok((mode, TlsSettings { trust, roots, client }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str) -> Result<DatabaseUrl, String> {
        DatabaseUrl::parse(&url.into())
    }

    #[test]
    fn hosts_and_name_are_shown_and_nothing_secret() {
        let shown = |url: &str| target(url).unwrap().to_string();
        assert_eq!(shown("postgres://me:secret@db.example/kapso"), "db.example:5432/kapso");
        let two =
            "postgresql://me:secret@a:5433,b:5434/kapso?target_session_attrs=read-write&sslmode=require";
        assert_eq!(shown(two), "a:5433,b:5434/kapso");
        assert_eq!(format!("{:?}", target(two).unwrap()), "a:5433,b:5434/kapso");
    }

    #[test]
    fn what_is_no_such_url_is_refused_without_quoting_it() {
        let wrong = [
            "mysql://me:secret@db/kapso",
            "postgres://me:secret@db",
            "postgres://db/kapso",
            "postgres://me:secret@db:port/kapso",
            "postgres://me:secret@db/kapso?sslmode=secret",
            "postgres://me:secret@db/kapso?sslcert=secret",
            "secret",
        ];
        for url in wrong {
            let error = target(url).unwrap_err();
            assert!(error.contains("expected") || error.contains("go together"), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn modes_are_understood_as_libpq_does() {
        let trust = |query: &str| target(&format!("postgres://me@db/kapso?{query}")).unwrap().tls;
        assert_eq!(trust("").trust, Trust::Anybody);
        assert_eq!(trust("sslmode=require").trust, Trust::Anybody);
        assert_eq!(trust("sslmode=require&sslrootcert=/ca.pem").trust, Trust::Authority);
        assert_eq!(trust("sslmode=verify-ca").trust, Trust::Authority);
        let full = trust("sslmode=verify-full&sslrootcert=%2Fca.pem");
        assert_eq!((full.trust, full.roots), (Trust::Host, Some("/ca.pem".into())));
        assert_eq!(trust("sslmode=verify-full&sslrootcert=system").roots, None);
    }
}
