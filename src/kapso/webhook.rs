//! Project webhooks, version 2: whether a delivery is Kapso's, and what it tells.
//!
//! `X-Webhook-Signature` is the HMAC-SHA256 of the body's bytes in lower-case hexadecimal, with the webhook's secret.
//! The body is an object, or a batch: an array of objects, alone or under `data` or `events`. Every field may be missing,
//! null or odd. The reason of a handoff becomes its class here, and no other text is read.

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::wire;
use crate::model::{Delivery, HandoffReason, HandoffSource, ReasonRule, ToldOutcome, WebhookEvent};

/// Why a delivery is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refusal {
    /// It is not signed with one of the secrets.
    #[error("the signature is missing or wrong")]
    Unauthorized,
    /// Its body is no event and no batch of events.
    #[error("the body is not JSON as Kapso sends it")]
    Malformed,
}

/// An event of a delivery, or of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Which event it is.
    pub event: WebhookEvent,
    /// What it tells of an execution; `None` where that is nothing, as in a test delivery.
    pub delivery: Option<Delivery>,
}

/// The headers of a delivery.
#[derive(Debug, Clone, Copy, Default)]
pub struct Headers<'a> {
    /// `X-Webhook-Event`
    pub event: Option<&'a str>,
    /// `X-Webhook-Signature`
    pub signature: Option<&'a str>,
    /// `X-Idempotency-Key`
    pub key: Option<&'a str>,
}

impl Headers<'_> {
    /// The event that it claims to be.
    #[must_use]
    pub fn claimed(&self) -> WebhookEvent {
        self.event.map_or(WebhookEvent::Other, WebhookEvent::named)
    }
}

/// The events of a body that is signed with one of these secrets. Reasons are put into the classes of `rules`.
///
/// # Errors
/// If it is not signed so, or not JSON as Kapso sends it.
pub fn open(
    secrets: &[SecretString],
    headers: Headers<'_>,
    body: &[u8],
    rules: &[ReasonRule],
) -> Result<Vec<Told>, Refusal> {
    verify(secrets, headers.signature, body)?;
    events(headers, body, rules).map_err(|_| Refusal::Malformed)
}

/// Takes the same time for every wrong signature.
fn verify(secrets: &[SecretString], signature: Option<&str>, body: &[u8]) -> Result<(), Refusal> {
    let mut given = [0; 32];
    let signature = signature.ok_or(Refusal::Unauthorized)?;
    hex::decode_to_slice(signature, &mut given).map_err(|_| Refusal::Unauthorized)?;
    let signs = |secret: &SecretString| {
        Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes())
            .is_ok_and(|mac| mac.chain_update(body).verify_slice(&given).is_ok())
    };
    // All are tried, whichever fits.
    if secrets.iter().filter(|secret| signs(secret)).count() > 0 {
        Ok(())
    } else {
        Err(Refusal::Unauthorized)
    }
}

fn events(headers: Headers<'_>, body: &[u8], rules: &[ReasonRule]) -> Result<Vec<Told>, serde_json::Error> {
    let items = items(body)?;
    let event = |(number, item): (usize, &RawValue)| {
        let wire: WireEvent = serde_json::from_str(item.get())?;
        Ok(wire.told(headers, number, rules))
    };
    items.into_iter().enumerate().map(event).collect()
}

/// The objects of a body.
fn items(body: &[u8]) -> Result<Vec<&RawValue>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Batch<'a> {
        #[serde(borrow, default)]
        data: Option<&'a RawValue>,
        #[serde(borrow, default)]
        events: Option<&'a RawValue>,
    }
    let is_list = |value: &RawValue| value.get().starts_with('[');
    let whole: &RawValue = serde_json::from_slice(body)?;
    if is_list(whole) {
        return serde_json::from_str(whole.get());
    }
    let batch: Batch = serde_json::from_str(whole.get())?;
    match batch.data.or(batch.events).filter(|list| is_list(list)) {
        Some(list) => serde_json::from_str(list.get()),
        None => Ok(vec![whole]),
    }
}

#[derive(Deserialize)]
struct WireEvent {
    #[serde(default, deserialize_with = "wire::lenient")]
    event: Option<String>,
    /// Odd text is as no time.
    #[serde(default, deserialize_with = "lenient_time")]
    occurred_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "lenient_id")]
    workflow_id: Option<String>,
    #[serde(default, deserialize_with = "lenient_id")]
    workflow_execution_id: Option<String>,
    #[serde(default, deserialize_with = "lenient_id")]
    whatsapp_conversation_id: Option<String>,
    #[serde(default, deserialize_with = "wire::lenient")]
    handoff: Option<WireHandoff>,
}

#[derive(Deserialize, Default)]
struct WireHandoff {
    #[serde(default, deserialize_with = "wire::lenient")]
    reason: Option<String>,
    #[serde(default, deserialize_with = "wire::lenient")]
    source: Option<String>,
}

impl WireEvent {
    fn told(self, headers: Headers<'_>, number: usize, rules: &[ReasonRule]) -> Told {
        let event = self.event.as_deref().map_or_else(|| headers.claimed(), WebhookEvent::named);
        let outcome = match event {
            WebhookEvent::Handoff => Some(self.handoff.unwrap_or_default().outcome(rules)),
            WebhookEvent::Failed => Some(ToldOutcome::Failed),
            WebhookEvent::Other => None,
        };
        let delivery = outcome.zip(self.workflow_execution_id).map(|(outcome, id)| Delivery {
            execution: id.as_str().into(),
            workflow: self.workflow_id.as_deref().map(Into::into),
            conversation: self.whatsapp_conversation_id.as_deref().map(Into::into),
            outcome,
            at: self.occurred_at,
            key: headers.key.map(|key| hash(key, number)),
        });
        Told { event, delivery }
    }
}

impl WireHandoff {
    fn outcome(&self, rules: &[ReasonRule]) -> ToldOutcome {
        let source = match self.source.as_deref() {
            Some("agent_tool") => HandoffSource::AgentTool,
            Some("action_step") => HandoffSource::ActionStep,
            _ => HandoffSource::Unknown,
        };
        ToldOutcome::HandedOff { source, reason: HandoffReason::of(self.reason.as_deref(), rules) }
    }
}

fn lenient_time<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    #[derive(Deserialize)]
    struct Time(#[serde(deserialize_with = "wire::time")] Option<Timestamp>);
    Ok(wire::lenient::<_, Time>(deserializer)?.and_then(|Time(time)| time))
}

fn lenient_id<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    struct Id(#[serde(deserialize_with = "wire::optional_id")] Option<String>);
    Ok(wire::lenient::<_, Id>(deserializer)?.and_then(|Id(id)| id))
}

/// The events of a batch share a key, and have a place in it each.
fn hash(key: &str, number: usize) -> u64 {
    let digest = Sha256::new().chain_update(key).chain_update(number.to_le_bytes()).finalize();
    u64::from_le_bytes(std::array::from_fn(|byte| digest[byte]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf '{"event":"workflow.execution.failed"}' | openssl dgst -sha256 -hmac s3cret`
    const BODY: &str = r#"{"event":"workflow.execution.failed"}"#;
    const SIGNATURE: &str = "539fdd10c71128d30d2f5b5a543e5c248d82b7d8338ab11a1fffc48fd443e405";

    fn secrets(all: &[&str]) -> Vec<SecretString> {
        all.iter().map(|&secret| secret.into()).collect()
    }

    fn told(body: &str) -> Vec<Told> {
        let rules = [ReasonRule::new("billing", "(?i)invoice").unwrap()];
        events(Headers { key: Some("k"), ..Headers::default() }, body.as_bytes(), &rules).unwrap()
    }

    #[test]
    fn a_signature_of_openssl_is_good_with_any_of_the_secrets_and_no_other_is() {
        let check = |all: &[&str], signature| verify(&secrets(all), signature, BODY.as_bytes());
        assert_eq!(check(&["s3cret"], Some(SIGNATURE)), Ok(()));
        assert_eq!(check(&["new", "s3cret"], Some(SIGNATURE)), Ok(()));
        let other = SIGNATURE.replace(SIGNATURE.split_at(1).0, "x");
        for signature in [None, Some(""), Some("é"), Some(&SIGNATURE[..62]), Some(&*other)] {
            assert_eq!(check(&["s3cret"], signature), Err(Refusal::Unauthorized), "{signature:?}");
        }
        assert_eq!(check(&["S3cret"], Some(SIGNATURE)), Err(Refusal::Unauthorized));
        assert_eq!(check(&[], Some(SIGNATURE)), Err(Refusal::Unauthorized));
    }

    #[test]
    fn a_handoff_is_read_and_of_its_reason_the_class_alone() {
        let body = r#"{"event":"workflow.execution.handoff","occurred_at":"2025-12-05T17:20:00.25Z","project_id":"p",
            "workflow_id":"w","workflow_execution_id":"e","status":"handoff","tracking_id":null,"channel":"whatsapp",
            "whatsapp_conversation_id":"c","handoff":{"reason":"Invoice of Ana","source":"agent_tool"},"new":[1]}"#;
        let [Told { event: WebhookEvent::Handoff, delivery: Some(delivery) }] = &told(body)[..] else {
            panic!("a handoff")
        };
        assert_eq!(delivery.execution, "e".into());
        assert_eq!(
            (delivery.workflow.clone(), delivery.conversation.clone()),
            (Some("w".into()), Some("c".into()))
        );
        assert_eq!(delivery.at, Some("2025-12-05T17:20:00.25Z".parse().unwrap()));
        let reason = HandoffReason::Class("billing".into());
        assert_eq!(delivery.outcome, ToldOutcome::HandedOff { source: HandoffSource::AgentTool, reason });
        assert!(!format!("{delivery:?}").contains("Ana"));
    }

    #[test]
    fn whatever_is_null_missing_or_odd_tells_less_and_is_no_error() {
        let none = ["{}", r#"{"event":null}"#, r#"{"event":7,"workflow_execution_id":"e"}"#];
        for body in none {
            assert_eq!(told(body), [Told { event: WebhookEvent::Other, delivery: None }], "{body}");
        }
        let test =
            r#"{"event":"workflow.execution.failed","occurred_at":"soon","workflow_execution_id":null}"#;
        assert_eq!(told(test), [Told { event: WebhookEvent::Failed, delivery: None }]);
        let odd = r#"{"event":"workflow.execution.handoff","workflow_execution_id":12,"workflow_id":{},"handoff":"?"}"#;
        let delivery = told(odd)[0].delivery.clone().unwrap();
        assert_eq!((delivery.execution, delivery.workflow, delivery.at), ("12".into(), None, None));
        let outcome = ToldOutcome::HandedOff { source: HandoffSource::Unknown, reason: HandoffReason::None };
        assert_eq!(delivery.outcome, outcome);
    }

    #[test]
    fn a_batch_is_a_list_in_any_of_three_places_and_each_event_has_a_key_of_its_own() {
        let events = r#"[{"event":"workflow.execution.failed","workflow_execution_id":"a"},
            {"event":"workflow.execution.failed","workflow_execution_id":"b"}]"#;
        for body in [
            events.into(),
            format!(r#"{{"batch":true,"data":{events}}}"#),
            format!(r#"{{"events":{events}}}"#),
        ] {
            let all = told(&body);
            let of = |number: usize| all[number].delivery.clone().unwrap();
            assert_eq!((all.len(), of(0).execution, of(1).execution), (2, "a".into(), "b".into()), "{body}");
            assert_ne!(of(0).key, of(1).key);
        }
    }

    #[test]
    fn what_is_no_event_is_malformed() {
        for body in ["", "{", "7", "null", "\"x\"", "[7]", r#"{"data":[1]}"#, "\u{feff}{}"] {
            let read = events(Headers::default(), body.as_bytes(), &[]);
            assert!(read.is_err(), "{body}");
        }
    }
}
