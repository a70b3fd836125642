//! A client that is answered from a script, in a time that passes by itself.

use std::{collections::VecDeque, future::Future, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use http::{HeaderMap, StatusCode};
use kapso_exporter::{
    clock::Clock,
    kapso::{Answer, Budget, Client, Endpoint, KapsoClock, Observer, Reason, Settings, Transport},
    model::Api,
};
use parking_lot::Mutex;
use tokio::{runtime::Builder, time::Instant};
use tokio_util::sync::CancellationToken;
use url::Url;

pub const BASE: &str = "http://kapso.invalid/v1";
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// Plays its answers in order; 404 once they are used up.
#[derive(Clone, Default)]
pub struct Script {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    asked: Arc<Mutex<Vec<(Instant, Url)>>>,
}

impl Script {
    /// The moments and the URLs of the requests.
    pub fn asked(&self) -> Vec<(Instant, Url)> {
        self.asked.lock().clone()
    }

    pub fn is_over(&self) -> bool {
        self.answers.lock().is_empty()
    }
}

impl Transport for Script {
    fn get<'a>(&'a self, url: &'a Url) -> BoxFuture<'a, Result<Answer, String>> {
        self.asked.lock().push((Instant::now(), url.clone()));
        let next = self.answers.lock().pop_front();
        Box::pin(async move { Ok(next.unwrap_or_else(|| answer(StatusCode::NOT_FOUND, Vec::new()))) })
    }
}

pub fn answer(status: StatusCode, body: Vec<u8>) -> Answer {
    Answer { status, headers: HeaderMap::new(), body: body.into() }
}

/// Counts what was of no use.
#[derive(Default)]
pub struct Failures(Mutex<u64>);

impl Failures {
    pub fn decode(&self) -> u64 {
        *self.0.lock()
    }
}

impl Observer for Failures {
    fn requested(&self, _: Api, _: Endpoint, _: Option<StatusCode>, _: Duration) {}

    fn failed(&self, _: Api, reason: Reason, count: u64) {
        if reason == Reason::Decode {
            *self.0.lock() += count;
        }
    }
}

/// Everything that a target looks at.
pub struct Scene {
    pub client: Client,
    pub script: Script,
    pub budget: Arc<Budget>,
    pub failures: Arc<Failures>,
}

impl Scene {
    /// A client of `api` with the budget `own`.
    pub fn new(api: Api, own: Option<u32>, answers: impl IntoIterator<Item = Answer>) -> Self {
        let script =
            Script { answers: Arc::new(Mutex::new(answers.into_iter().collect())), ..Script::default() };
        let (budget, failures) = (Arc::new(Budget::new(own)), Arc::new(Failures::default()));
        let settings = Settings {
            api,
            base: Url::parse(BASE).expect("a URL"),
            timeout: TIMEOUT,
            budget: budget.clone(),
            clock: Arc::new(KapsoClock::new(Clock::following_tokio(
                "2026-11-22T10:00:00Z".parse().expect("a time"),
            ))),
            handoff_reasons: Arc::default(),
            observer: failures.clone(),
            shutdown: CancellationToken::new(),
        };
        Self { client: Client::new(settings, script.clone()), script, budget, failures }
    }
}

/// Runs `future` to its end; nobody waits for its waits.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(future)
}
