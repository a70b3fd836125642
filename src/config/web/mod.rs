//! What is served where, and to whom: the flags `--web.*`, and the file of `--web.config.file`.
//!
//! The file has the format of the Prometheus exporter-toolkit, `docs/web-configuration.md` of its repository; docs/tls.md
//! says where this exporter differs. What it cannot do is refused by name. The file names further files, of
//! certificates and keys; all are read together, so that what they say is one moment's ([`WebFile::read`]).

mod access;
mod address;
mod file;
mod tls;

use std::path::PathBuf;

pub use self::{
    access::{HttpConfig, RateLimit, Users},
    address::{Listen, ListenAddress},
    file::{Contents, Read, WebFile, parse},
    tls::{CIPHER_SUITES, CURVES, ClientAuth, TlsConfig},
};

/// What is served where.
#[derive(Debug, Clone)]
pub struct WebConfig {
    /// Where connections come from.
    pub listen: Listen,
    /// Path of the metrics.
    pub telemetry_path: String,
    /// The file of `--web.config.file`.
    pub file: Option<PathBuf>,
}
