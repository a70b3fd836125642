//! What is published of the web configuration file and of requests that were refused.

use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use parking_lot::Mutex;
use strum::{EnumCount, IntoStaticStr, VariantArray};

/// Kept up to date by the server.
#[derive(Debug, Default)]
pub struct WebMetrics {
    file: Mutex<Option<WebFile>>,
    refused: [AtomicU64; RequestRefusal::COUNT],
}

/// Why a request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumCount, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum RequestRefusal {
    /// `rate_limit` of the web configuration file.
    RateLimit,
    /// Too many passwords waited to be verified.
    TooManyPasswords,
    /// It was not the user's, or there is no such user.
    WrongPassword,
}

/// The figures of a web configuration file.
#[derive(Debug, Clone, Copy)]
pub struct WebFile {
    /// When the first certificate of the chain that is served ends; `None` without TLS.
    pub certificate_expires: Option<Timestamp>,
    /// When the file that is in force was read.
    pub loaded: Timestamp,
    /// Whether the last change was taken over.
    pub successful: bool,
}

/// Both at one moment.
#[derive(Debug, Clone)]
pub struct WebFigures {
    /// The file.
    pub file: WebFile,
    /// Requests that were refused, by reason.
    pub refused: [(&'static str, u64); RequestRefusal::COUNT],
}

impl WebMetrics {
    /// Takes note that a file was taken over, at this moment of our clock.
    pub fn loaded(&self, certificate_expires: Option<Timestamp>, at: Timestamp) {
        *self.file.lock() = Some(WebFile { certificate_expires, loaded: at, successful: true });
    }

    /// Takes note that a change of the file was refused.
    pub fn change_refused(&self) {
        if let Some(file) = &mut *self.file.lock() {
            file.successful = false;
        }
    }

    /// Takes note that a request was refused.
    pub fn request_refused(&self, why: RequestRefusal) {
        self.refused[why as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// The figures now; `None` without a web configuration file.
    #[must_use]
    pub fn now(&self) -> Option<WebFigures> {
        let file = (*self.file.lock())?;
        let mut refused = [("", 0); RequestRefusal::COUNT];
        for ((&why, count), figure) in RequestRefusal::VARIANTS.iter().zip(&self.refused).zip(&mut refused) {
            *figure = (why.into(), count.load(Ordering::Relaxed));
        }
        Some(WebFigures { file, refused })
    }
}
