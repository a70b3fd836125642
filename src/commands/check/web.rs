//! The web configuration file, as a report shows it.

use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;

use crate::web::Rules;

/// What the file comes to. Holds no key and no password.
#[derive(Debug, Clone, Serialize)]
pub struct WebReport {
    /// The file.
    pub file: String,
    /// Whether it is served over TLS.
    pub tls: bool,
    /// When the first certificate of the chain ends; `null` without TLS.
    pub certificate_expires: Option<Timestamp>,
    /// Whether that is over.
    pub certificate_expired: bool,
    /// `client_auth_type`; `null` without TLS.
    pub client_auth: Option<&'static str>,
    /// Users that have a password; 0 = none is needed.
    pub users: usize,
    /// Whether there is a limit of requests.
    pub rate_limit: bool,
}

impl WebReport {
    pub(in crate::commands) fn of(file: &Path, rules: &Rules, now: Timestamp) -> Self {
        let expires = rules.tls().map(|tls| tls.expires);
        let said = rules.file();
        Self {
            file: file.display().to_string(),
            tls: expires.is_some(),
            certificate_expires: expires,
            certificate_expired: expires.is_some_and(|at| at <= now),
            client_auth: said.tls.as_ref().map(|tls| tls.client_auth.into()),
            users: said.users.len(),
            rate_limit: said.rate_limit.is_some(),
        }
    }

    /// In words.
    pub(super) fn text(&self) -> String {
        let mut parts = Vec::new();
        match self.certificate_expires {
            Some(at) if self.certificate_expired => parts.push(format!("HTTPS, the certificate ENDED {at}")),
            Some(at) => parts.push(format!("HTTPS, the certificate ends {at}")),
            None => parts.push("HTTP, not encrypted".into()),
        }
        parts.extend(self.client_auth.map(str::to_owned));
        parts.push(match self.users {
            0 => "no password".into(),
            1 => "1 user".into(),
            users => format!("{users} users"),
        });
        if self.rate_limit {
            parts.push("a rate limit".into());
        }
        format!("{} ({})", parts.join(", "), self.file)
    }
}
