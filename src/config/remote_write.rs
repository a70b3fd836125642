//! Where the metrics are sent: the flags `--remote-write` and `--remote-write.*`.

use std::path::PathBuf;

use url::Url;

/// Where they are sent, and as whose.
#[derive(Debug, Clone)]
pub struct RemoteWriteConfig {
    /// The receiver; without user and password.
    pub url: Url,
    /// Labels of every series, in the order in which they were given.
    pub labels: Vec<(String, String)>,
    /// The file of `--remote-write.config.file`.
    pub file: Option<PathBuf>,
}
