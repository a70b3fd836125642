//! What can be wrong with the database, and the way out.

use thiserror::Error;
use tokio_postgres::error::SqlState;

/// Why the database did not do what it was asked. None quotes the URL, which may hold a password.
#[derive(Debug, Error)]
pub enum Error {
    /// It cannot be reached, or does not take anything just now.
    #[error("PostgreSQL ({place}) is away: {why}")]
    Away {
        /// Its hosts and its name.
        place: String,
        /// In the words of the system or of the database.
        why: String,
    },
    /// It does not let us in, or not to the tables.
    #[error(
        "PostgreSQL ({place}) refuses: {why}. The URL (--state.url-file or KAPSO_EXPORTER_STATE_URL) needs a role that \
         may use the schema kapso_exporter and its tables, and to create it for `kapso-exporter migrate`"
    )]
    Refused {
        /// Its hosts and its name.
        place: String,
        /// In the words of the database.
        why: String,
    },
    /// There are no tables in it, or those of an earlier version.
    #[error(
        "PostgreSQL ({place}) has no tables of this version: let `kapso-exporter migrate` create them, or give \
         --state.migrate"
    )]
    NotMigrated {
        /// Its hosts and its name.
        place: String,
    },
    /// Its tables are of a later version.
    #[error(
        "the tables in PostgreSQL ({place}) were written by a newer version of this program (version {version}, this \
         one knows {known}): use that version"
    )]
    Newer {
        /// Its hosts and its name.
        place: String,
        /// Of the tables.
        version: i32,
        /// The newest one that is known.
        known: i32,
    },
    /// Something is there already that an import would add to.
    #[error(
        "nothing is imported into PostgreSQL ({place}): it knows {name}. An import needs that no replica runs, and that \
         the database knows none of the file's projects"
    )]
    InUse {
        /// Its hosts and its name.
        place: String,
        /// A replica that runs, or an account that is there.
        name: String,
    },
    /// TLS cannot be set up.
    #[error("TLS to PostgreSQL cannot be set up: {0}")]
    Tls(String),
    /// It holds something that no program of ours wrote.
    #[error("PostgreSQL ({place}) holds what cannot be read: {what}")]
    Damaged {
        /// Its hosts and its name.
        place: String,
        /// What.
        what: String,
    },
}

impl Error {
    /// An error of the client library.
    pub(super) fn of(place: &str, error: &tokio_postgres::Error) -> Self {
        let (place, why) = (place.to_owned(), describe(error));
        match error.code() {
            Some(code) if is_refusal(code) => Self::Refused { place, why },
            Some(code) if *code == SqlState::UNDEFINED_TABLE || *code == SqlState::INVALID_SCHEMA_NAME => {
                Self::NotMigrated { place }
            }
            _ => Self::Away { place, why },
        }
    }

    /// Whether it is worth to try again.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Away { .. })
    }
}

fn is_refusal(code: &SqlState) -> bool {
    [
        SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
        SqlState::INVALID_PASSWORD,
        SqlState::INSUFFICIENT_PRIVILEGE,
        SqlState::INVALID_CATALOG_NAME,
    ]
    .contains(code)
}

/// The error and its causes.
fn describe(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(error) => error.message().to_owned(),
        None => crate::http_client::describe(error),
    }
}
