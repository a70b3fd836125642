//! A bound on the requests of a check, beneath everything that asks or asks again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;
use http::StatusCode;
use url::Url;

use crate::{
    kapso::{Answer, Endpoint, Observer, Reason, Transport},
    model::Api,
};

/// How many requests may be sent. Clones share it.
#[derive(Clone)]
pub(super) struct Allowance {
    allowed: u32,
    sent: Arc<AtomicU32>,
}

impl Allowance {
    pub fn new(allowed: u32) -> Self {
        Self { allowed, sent: Arc::default() }
    }

    /// How many were sent.
    pub fn sent(&self) -> u32 {
        self.sent.load(Ordering::Relaxed)
    }

    /// How many may still be.
    pub fn left(&self) -> u32 {
        self.allowed.saturating_sub(self.sent())
    }

    fn take(&self) -> bool {
        let one_more = |sent| (sent < self.allowed).then_some(sent + 1);
        self.sent.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    }
}

/// A [`Transport`] that sends as much as is allowed.
pub(super) struct Metered<T> {
    pub inner: T,
    pub allowance: Allowance,
}

impl<T: Transport> Transport for Metered<T> {
    fn get<'a>(&'a self, url: &'a Url) -> BoxFuture<'a, Result<Answer, String>> {
        if self.allowance.take() {
            return self.inner.get(url);
        }
        Box::pin(async { Err("it failed too often for a check, which sends few requests".into()) })
    }
}

/// A check publishes nothing about its requests.
pub(super) struct Unobserved;

impl Observer for Unobserved {
    fn requested(&self, _: Api, _: Endpoint, _: Option<StatusCode>, _: Duration) {}

    fn failed(&self, _: Api, _: Reason, _: u64) {}
}
