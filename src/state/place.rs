//! Where state is kept, for messages.

use std::{
    fmt,
    path::{Path, PathBuf},
};

/// Where state is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In this file.
    File(PathBuf),
    /// In this database: its hosts and its name, and nothing secret.
    Database(String),
}

impl Place {
    /// The place itself, in short.
    pub(super) const fn noun(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
            Self::Database(_) => "database",
        }
    }

    /// What does not answer where it hangs.
    pub(super) const fn behind(&self) -> &'static str {
        match self {
            Self::File(_) => "disk",
            Self::Database(_) => "database",
        }
    }

    /// What names it.
    pub(super) const fn flag(&self) -> &'static str {
        match self {
            Self::File(_) => "--state.path",
            Self::Database(_) => "--state.url-file or KAPSO_EXPORTER_STATE_URL",
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "the state file {}", path.display()),
            Self::Database(name) => write!(f, "the state in PostgreSQL ({name})"),
        }
    }
}

impl From<&Path> for Place {
    fn from(path: &Path) -> Self {
        Self::File(path.to_owned())
    }
}
