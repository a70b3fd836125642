//! What can be wrong with the state that is kept, and the way out.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use redb::{CommitError, DatabaseError, StorageError, TableError, TransactionError};
use thiserror::Error;
use tokio::task::JoinError;

use super::{BaseUrl, Place, postgres};
use crate::account::Damaged;

/// Why state cannot be read or written. Every one names the file and what to do.
#[derive(Debug, Error)]
pub enum Error {
    /// Another process has it open.
    #[error(
        "the state file {} is in use by another process: stop the other exporter, or give this one a file of its own \
         with --state.path", .0.display()
    )]
    Locked(PathBuf),
    /// It is of a later version.
    #[error(
        "{place} was written by a newer version of this program (format {format}, this one knows {known}): use that \
         version, or another {} with {}", place.noun(), place.flag()
    )]
    Newer {
        /// Which one.
        place: Place,
        /// Its format.
        format: u64,
        /// The newest format that is known.
        known: u64,
    },
    /// It was kept from another API.
    #[error(
        "{place} was kept from {found}, and the exporter is to ask {expected}: give the URL that belongs to the {}, or \
         another {0} with {}", place.noun(), place.flag()
    )]
    OtherUrl {
        /// Which one.
        place: Place,
        /// What it tells.
        found: BaseUrl,
        /// What was given.
        expected: BaseUrl,
    },
    /// It is of another project.
    #[error(
        "{place} belongs to another project: {base_url} lists nothing for this API key that the {} knows. Use the key \
         of the {0}'s project, or another {0} with {}", place.noun(), place.flag()
    )]
    OtherProject {
        /// Which one.
        place: Place,
        /// Who said so.
        base_url: BaseUrl,
    },
    /// An account that is kept in memory alone was counted from another API.
    #[error(
        "what was counted so far is from {found}, and the exporter is to ask {expected}: give the project another name, \
         or start the exporter anew"
    )]
    Moved {
        /// Where it was counted.
        found: BaseUrl,
        /// What was given.
        expected: BaseUrl,
    },
    /// A new key is one of another project than what is kept in memory.
    #[error(
        "the new API key belongs to another project: {base_url} lists nothing for it that was counted so far. Put the \
         right key back, or give the other project a name of its own"
    )]
    OtherKey {
        /// Who said so.
        base_url: BaseUrl,
    },
    /// It is none of ours.
    #[error(
        "{} is not a state file of this program, and is left as it is: name another file with --state.path",
        .0.display()
    )]
    Foreign(PathBuf),
    /// It is ours, and something happened to it.
    #[error(
        "{place} is damaged ({what}), and is left as it is: put a backup in its place, or move it away and start \
         counting afresh"
    )]
    Damaged {
        /// Which one.
        place: Place,
        /// What was found.
        what: String,
    },
    /// Somebody else wrote to it meanwhile.
    #[error(
        "the state file {} was replaced while this program was running, and is left as it is: give every exporter a \
         file of its own", .0.display()
    )]
    Replaced(PathBuf),
    /// A disk that hangs, or is very slow.
    #[error(
        "the {} has not answered for {} while {place} was written ({})",
        place.behind(), seconds(*.waited), place.flag()
    )]
    Silent {
        /// Which one.
        place: Place,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The database that replicas share did not do what it was asked.
    #[error(transparent)]
    Database(#[from] postgres::Error),
    /// The disk, or the rights.
    #[error("cannot {action} {place}: {source} ({})", place.flag())]
    Io {
        /// `read` or `write`.
        action: &'static str,
        /// Which one.
        place: Place,
        /// The system's own words.
        source: std::io::Error,
    },
}

/// An error of the database, which knows neither the file nor what it is for.
pub(super) struct Cause(redb::Error);

impl Cause {
    /// As an error of this module.
    pub fn at(self, path: &Path, action: &'static str) -> Error {
        match self.0 {
            redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => {
                Error::Locked(path.to_owned())
            }
            redb::Error::Io(source) => io(action, path.into(), source),
            other => Error::Damaged { place: path.into(), what: other.to_string() },
        }
    }
}

fn io(action: &'static str, place: Place, source: std::io::Error) -> Error {
    use std::io::ErrorKind::{InvalidData, UnexpectedEof};
    match source.kind() {
        InvalidData | UnexpectedEof => Error::Damaged { place, what: source.to_string() },
        _ => Error::Io { action, place, source },
    }
}

fn seconds(waited: Duration) -> humantime::FormattedDuration {
    humantime::format_duration(Duration::from_secs(waited.as_secs()))
}

impl Error {
    /// Whether it is worth to try again.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Database(error) => error.is_temporary(),
            Self::Silent { .. } => true,
            _ => false,
        }
    }

    /// The thread that wrote has panicked.
    pub(super) fn panicked(place: Place, panicked: JoinError) -> Self {
        io("write", place, panicked.into())
    }

    pub(super) fn damaged(place: Place, what: Damaged) -> Self {
        Self::Damaged { place, what: what.to_string() }
    }
}

macro_rules! cause {
    ($($error:ty),*) => {$(
        impl From<$error> for Cause {
            fn from(error: $error) -> Self {
                Self(error.into())
            }
        }
    )*};
}

cause!(CommitError, DatabaseError, StorageError, TableError, TransactionError);
