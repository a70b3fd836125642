//! One delivery: its bytes, its signature, and its headers.

use std::{fmt::Write as _, time::Duration};

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;

use super::incident::{Place, WebhookEvent};
use crate::simulator::random::{mix, uuid};

/// What a delivery is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Incidents of the world.
    Incident(WebhookEvent),
    /// Somebody tries the webhook out.
    Test(WebhookEvent),
    /// An event that has nothing to do with executions.
    Unknown(&'static str),
}

impl Kind {
    /// The event's name, as in the header.
    pub fn event(self) -> &'static str {
        match self {
            Self::Incident(event) | Self::Test(event) => event.name(),
            Self::Unknown(name) => name,
        }
    }
}

/// Whether a delivery has come through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It was never tried.
    Untried,
    /// It was tried so many times in vain.
    Refused(usize),
    /// It came through, and is only repeated.
    Answered,
}

/// One body on its way: an incident, several in a batch, or something else.
#[derive(Debug)]
pub struct Delivery {
    pub kind: Kind,
    /// The incidents in it, none where it is about something else.
    pub places: Vec<Place>,
    pub standing: Standing,
    /// The pauses before each time that it is sent once more, the next one last.
    pub repeats: Vec<Duration>,
    /// The same at every attempt.
    key: String,
    body: Vec<u8>,
    /// How many bodies are in it, where it is a batch.
    batch: Option<usize>,
}

/// One attempt at a delivery: a POST.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// By this its answer is told, see [`Simulator::answered`](super::Simulator::answered).
    pub id: u64,
    /// All headers of Kapso's own.
    pub headers: Vec<(&'static str, String)>,
    /// What is signed, byte by byte.
    pub body: Vec<u8>,
}

impl Attempt {
    /// A header's value, empty where there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value)
    }
}

impl Delivery {
    /// Delivery number `serial`.
    pub fn new(seed: u64, serial: u64, kind: Kind, body: &Value) -> Self {
        Self {
            kind,
            places: Vec::new(),
            standing: Standing::Untried,
            repeats: Vec::new(),
            key: uuid(seed, "delivery", usize::try_from(serial).unwrap_or(usize::MAX)),
            body: written(seed ^ serial, body),
            batch: None,
        }
    }

    /// The same as a batch of `size`.
    pub fn of_batch(self, size: usize) -> Self {
        Self { batch: Some(size), ..self }
    }

    /// How many bodies are in it.
    pub fn size(&self) -> u64 {
        self.batch.and_then(|size| u64::try_from(size).ok()).unwrap_or(1)
    }

    /// An attempt at it.
    pub fn attempt(&self, id: u64, secret: &str) -> Attempt {
        let mut headers = vec![
            ("Content-Type", "application/json".to_owned()),
            ("X-Webhook-Event", self.kind.event().to_owned()),
            ("X-Webhook-Signature", signature(secret, &self.body)),
            ("X-Idempotency-Key", self.key.clone()),
            ("X-Webhook-Payload-Version", "v2".to_owned()),
        ];
        if let Some(size) = self.batch {
            headers.push(("X-Webhook-Batch", "true".to_owned()));
            headers.push(("X-Batch-Size", size.to_string()));
        }
        Attempt { id, headers, body: self.body.clone() }
    }
}

/// The body's bytes. Some are spread over lines: whoever signs what he read instead of what came finds out.
fn written(variety: u64, body: &Value) -> Vec<u8> {
    if mix(variety).is_multiple_of(3) { format!("{body:#}\n") } else { body.to_string() }.into_bytes()
}

/// The HMAC-SHA256 of `body` in lower-case hexadecimal digits.
pub fn signature(secret: &str, body: &[u8]) -> String {
    // A key of any length will do, so that there is no error.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return String::new();
    };
    mac.update(body);
    mac.finalize().into_bytes().iter().fold(String::new(), |mut digits, byte| {
        // A string takes all that is written to it.
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_what_openssl_computes() {
        // printf '{"event":"workflow.execution.handoff"}' | openssl dgst -sha256 -hmac 'webhook-secret'
        assert_eq!(
            signature("webhook-secret", br#"{"event":"workflow.execution.handoff"}"#),
            "afca7dba3bb83e080767eda24b2a5c2e9e41960fb651d055895b51a0a95d1766"
        );
        // RFC 4231, test case 2.
        assert_eq!(
            signature("Jefe", b"what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn bodies_are_written_in_more_than_one_way() {
        let body = serde_json::json!({"a": 1});
        let ways: std::collections::BTreeSet<_> = (0..20).map(|variety| written(variety, &body)).collect();
        assert_eq!(ways.len(), 2);
        assert!(ways.iter().all(|way| serde_json::from_slice::<Value>(way).unwrap() == body));
    }
}
