//! Where connections come from.

use std::{fmt, path::PathBuf};

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// Sockets that the exporter opens.
    Addresses(Vec<ListenAddress>),
    /// Sockets that systemd has opened.
    Systemd,
}

/// An address to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddress {
    /// `[HOST]:PORT`; without a host it is every address of the machine.
    Tcp(String),
    /// `unix:/path`: a socket in the file system.
    Unix(PathBuf),
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => f.write_str(address),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
