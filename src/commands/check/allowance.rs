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
    config::ProjectConfig,
    kapso::{Answer, Endpoint, Observer, Reason, Transport},
    model::Api,
    project::{Project, Transports},
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

/// Sends as much as is allowed.
struct Metered<T> {
    inner: T,
    allowance: Allowance,
}

/// The same project, of which no more is asked than is allowed.
pub(super) fn metered(project: &Project, allowance: &Allowance) -> Project {
    let transports = Metered { inner: project.transports.clone(), allowance: allowance.clone() };
    Project { transports: Arc::new(transports), ..project.clone() }
}

impl Transports for Metered<Arc<dyn Transports>> {
    fn open(&self, api: Api, config: &ProjectConfig) -> anyhow::Result<Box<dyn Transport>> {
        Ok(Box::new(Metered { inner: self.inner.open(api, config)?, allowance: self.allowance.clone() }))
    }
}

impl Transport for Metered<Box<dyn Transport>> {
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
