//! What can go wrong while asking Kapso, by what can be done about it.

use std::time::Duration;

use http::StatusCode;
use jiff::civil::Date;
use strum::IntoStaticStr;

use super::Endpoint;

/// Why a request, or an item of its answer, was of no use; the `reason` label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Reason {
    /// A 3xx or 4xx that is none of the others.
    #[strum(serialize = "client_error")]
    Client,
    /// Neither our clock nor Kapso's tells the time.
    Clock,
    /// No connection, or one that broke.
    Connection,
    /// A cursor or page that did not advance, or a cursor that has expired.
    Cursor,
    /// A body, or an item in it, that is not what the API documents.
    Decode,
    /// Many open executions are no longer shown, all at once.
    Disappeared,
    /// 403.
    Forbidden,
    /// 404 or 410.
    NotFound,
    /// 429.
    RateLimited,
    /// 5xx.
    #[strum(serialize = "server_error")]
    Server,
    /// A time in an item that cannot be; the item is kept without it.
    Time,
    /// No whole answer within the deadline.
    Timeout,
    /// A list that ends before all of its items, or may do so.
    Truncated,
    /// An id that cannot be put into a path: nothing is asked.
    Unaddressable,
    /// 401.
    Unauthorized,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 15] = [
        Self::Client,
        Self::Clock,
        Self::Connection,
        Self::Cursor,
        Self::Decode,
        Self::Disappeared,
        Self::Forbidden,
        Self::NotFound,
        Self::RateLimited,
        Self::Server,
        Self::Time,
        Self::Timeout,
        Self::Truncated,
        Self::Unaddressable,
        Self::Unauthorized,
    ];

    /// The label value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// A failure to learn something from Kapso. Its text holds no key, no body and no personal data.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An answer other than 2xx.
    #[error("{endpoint} answered {status}")]
    Status {
        /// What was asked.
        endpoint: Endpoint,
        /// The answer's status.
        status: StatusCode,
        /// `Retry-After`, where the answer had one.
        retry_after: Option<Duration>,
    },
    /// No whole answer within the deadline.
    #[error("{endpoint} did not answer within {}", humantime::format_duration(*.after))]
    Timeout {
        /// What was asked.
        endpoint: Endpoint,
        /// The deadline.
        after: Duration,
    },
    /// No connection, or one that broke before the answer was whole.
    #[error("{endpoint}: {message}")]
    Connection {
        /// What was asked.
        endpoint: Endpoint,
        /// What the network said.
        message: String,
    },
    /// A 2xx whose body is not what the API documents.
    #[error("{endpoint} answered with a body that cannot be read: {message}")]
    Decode {
        /// What was asked.
        endpoint: Endpoint,
        /// What is wrong, as a kind and a place; never a piece of the body.
        message: String,
    },
    /// A page that points back at itself or at an earlier one, or a list without an end.
    #[error("{endpoint} answered with a cursor that does not advance")]
    Cursor {
        /// What was asked.
        endpoint: Endpoint,
    },
    /// Every answer was fine, but half of the open executions are no longer in the lists.
    #[error("at least half of the open executions have disappeared from the lists at once")]
    Disappeared,
    /// A cursor that is no longer good.
    #[error("{endpoint} no longer knows the cursor that it gave")]
    CursorExpired {
        /// What was asked.
        endpoint: Endpoint,
    },
    /// An id that cannot be put into a path as it is: another path would be asked. It is not told, since it may be
    /// anything.
    #[error("{endpoint} cannot be asked: an id does not fit into its path")]
    Unaddressable {
        /// What was to be asked.
        endpoint: Endpoint,
    },
    /// Nobody tells the time.
    #[error(
        "this machine's clock shows {today}, and Kapso's answers carry no Date header: what is new cannot be told \
         from what is old"
    )]
    Clock {
        /// What our clock shows.
        today: Date,
    },
    /// The exporter is stopping.
    #[error("stopped while waiting for Kapso")]
    Cancelled,
}

impl Error {
    /// The answer's status, where there was an answer.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Status { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// How long the API asked to be left alone.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// The reason to count it under; `None` for a stop, which is no error.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        Some(match self {
            Self::Status { status, .. } => match status.as_u16() {
                401 => Reason::Unauthorized,
                403 => Reason::Forbidden,
                404 | 410 => Reason::NotFound,
                429 => Reason::RateLimited,
                500.. => Reason::Server,
                _ => Reason::Client,
            },
            Self::Timeout { .. } => Reason::Timeout,
            Self::Connection { .. } => Reason::Connection,
            Self::Decode { .. } => Reason::Decode,
            Self::Disappeared => Reason::Disappeared,
            Self::Cursor { .. } | Self::CursorExpired { .. } => Reason::Cursor,
            Self::Unaddressable { .. } => Reason::Unaddressable,
            Self::Clock { .. } => Reason::Clock,
            Self::Cancelled => return None,
        })
    }

    /// Whether the same request may succeed in a moment.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(
            self.reason(),
            Some(
                Reason::Server | Reason::Timeout | Reason::Connection | Reason::Decode | Reason::RateLimited
            )
        )
    }
}
