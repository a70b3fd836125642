//! Everything behind the lock: the world, and how requests to it are answered.

use std::time::Duration;

use http::{StatusCode, Uri};
use jiff::{SignedDuration, Timestamp};

use super::{
    Api,
    answer::Answer,
    edits::Edits,
    endpoint::Endpoint,
    faults::FaultPlan,
    legacy,
    limit::Limit,
    misbehaviour::{Asked, Conduct},
    platform,
    query::Params,
    random::hash,
    record::{Record, RequestRecord},
    scenario::Scenario,
    webhooks::Outbox,
    world::World,
};

/// The simulated service.
pub struct State {
    pub world: World,
    pub outbox: Outbox,
    pub edits: Edits,
    pub key: String,
    /// So many more are accepted: the key, a hyphen, and a number from 1 on.
    pub further_keys: u32,
    pub legacy: bool,
    pub latency: Duration,
    /// The most items of a page.
    pub largest_page: usize,
    /// What the `Date` header is ahead of the world's time.
    pub date_offset: SignedDuration,
    pub limit: Limit,
    pub faults: FaultPlan,
    pub conduct: Conduct,
    pub record: Record,
}

/// A request to one of the APIs.
pub struct Call<'a> {
    pub api: Api,
    /// Whether it is a GET; the APIs have nothing else here.
    pub reads: bool,
    /// The path within the API.
    pub path: &'a str,
    pub uri: &'a Uri,
    /// The value of `X-API-Key`.
    pub key: Option<&'a [u8]>,
}

impl State {
    /// The service of `scenario` at `now`.
    pub fn new(scenario: Scenario, now: Timestamp) -> Self {
        Self {
            world: World::new(&scenario, now),
            outbox: Outbox::new(scenario.seed),
            edits: Edits::default(),
            key: scenario.key,
            further_keys: scenario.further_keys,
            legacy: scenario.legacy,
            latency: scenario.latency,
            largest_page: scenario.largest_page.max(1),
            date_offset: SignedDuration::ZERO,
            limit: Limit::new(scenario.rate_limit, scenario.rate_limit_headers),
            faults: FaultPlan::new(scenario.faults, scenario.seed),
            conduct: Conduct::new(now),
            record: Record::default(),
        }
    }

    /// Brings the world up to `now`, and queues what a webhook is to be told of it.
    pub fn catch_up(&mut self, now: Timestamp) {
        self.world.advance(now);
        self.outbox.catch_up(&mut self.world, now);
    }

    /// The APIs that are there.
    pub fn apis(&self) -> &'static [Api] {
        if self.legacy { &Api::ALL } else { &[Api::Platform] }
    }

    /// Answers `call`, and records it.
    pub fn answer(&mut self, call: &Call<'_>, now: Timestamp) -> Answer {
        let endpoint = if call.reads { Endpoint::of(call.api, call.path) } else { Endpoint::Unknown };
        let fault = self.faults.next();
        let cut_to = fault.and_then(|fault| self.faults.cut_to(fault));
        let regular = self.regular(&endpoint, call, now, cut_to);
        let answer = match fault {
            Some(fault) => self.faults.spoil(fault, regular, now),
            None => regular,
        };
        self.record.push(RequestRecord {
            at: now,
            api: call.api,
            endpoint: endpoint.name(),
            path: call.uri.path().to_owned(),
            query: call.uri.query().unwrap_or_default().to_owned(),
            status: answer.recorded_status(),
            fault: fault.map(super::faults::Fault::name),
        });
        answer
    }

    /// The key itself, and as many others as there are further keys.
    fn accepts(&self, key: &[u8]) -> bool {
        let Some(rest) = key.strip_prefix(self.key.as_bytes()) else { return false };
        let number = || std::str::from_utf8(rest.strip_prefix(b"-")?).ok()?.parse::<u32>().ok();
        rest.is_empty() || number().is_some_and(|number| (1..=self.further_keys).contains(&number))
    }

    fn regular(
        &mut self,
        endpoint: &Endpoint,
        call: &Call<'_>,
        now: Timestamp,
        cut_to: Option<usize>,
    ) -> Answer {
        let variety = hash(&[call.uri.path()]);
        let absent = call.api == Api::Legacy && !self.legacy;
        if absent || matches!(endpoint, Endpoint::Unknown) {
            return Answer::some_error(StatusCode::NOT_FOUND, "Not found", variety);
        }
        if !call.key.is_some_and(|key| self.accepts(key)) {
            return Answer::some_error(StatusCode::UNAUTHORIZED, "Invalid API key", variety % 2);
        }
        let usage = self.conduct.told(self.limit.take(now));
        let answer = if usage.allowed {
            self.show(endpoint, call, now, cut_to).unwrap_or_else(|refusal| refusal)
        } else {
            Answer::rate_limited(60)
        };
        answer.with_usage(usage)
    }

    fn show(
        &mut self,
        endpoint: &Endpoint,
        call: &Call<'_>,
        now: Timestamp,
        cut_to: Option<usize>,
    ) -> Result<Answer, Answer> {
        let params = &Params::of(call.uri)?.showing(self.largest_page, cut_to);
        let asked = Asked { endpoint, path: call.path, params, now };
        if let Some(answer) = self.conduct.instead(asked, &self.world) {
            return Ok(answer);
        }
        let view = &self.conduct.view(asked, &self.world, &self.edits);
        let answer = match endpoint {
            Endpoint::Conversations => platform::conversations(view, params),
            Endpoint::FlowExecutions(id) => platform::flow_executions(view, params, id),
            Endpoint::Workflows => platform::workflows(view, params),
            Endpoint::WorkflowExecutions(id) => platform::workflow_executions(view, params, id),
            Endpoint::Execution(id) => platform::execution(view, id),
            Endpoint::PhoneNumbers => platform::phone_numbers(params),
            Endpoint::LegacyConversations => legacy::conversations(view, params),
            Endpoint::AgentExecutions(id) => legacy::agent_executions(view, params, id),
            Endpoint::Unknown => Ok(Answer::error(StatusCode::NOT_FOUND, "Not found")),
        }?;
        Ok(self.conduct.alter(asked, answer))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::simulator::{
        DEFAULT_KEY, Fault, Faults,
        testing::{get, noon, request, simulator},
    };

    const WORKFLOWS: &str = "/platform/v1/workflows";
    const LEGACY: &str = "/api/v1/whatsapp_conversations";

    #[tokio::test(start_paused = true)]
    async fn a_wrong_key_is_refused_on_both_apis() {
        let simulator = simulator(Scenario::quiet(1));
        for path in [WORKFLOWS, LEGACY] {
            assert_eq!(request(&simulator, "GET", path, None, "").await.status, 401);
            assert_eq!(request(&simulator, "GET", path, Some("other"), "").await.status, 401);
            assert_eq!(get(&simulator, path).await.status, 200);
        }
        simulator.set_key("other");
        assert_eq!(get(&simulator, WORKFLOWS).await.status, 401);
        assert_eq!(request(&simulator, "GET", WORKFLOWS, Some("other"), "").await.status, 200);
    }

    #[tokio::test(start_paused = true)]
    async fn unknown_paths_and_the_absent_legacy_api_answer_404() {
        let simulator = simulator(Scenario::quiet(1));
        for path in ["/platform/v1/executions", "/platform/v1/workflows/", "/api/v2/workflows", "/"] {
            assert_eq!(get(&simulator, path).await.status, 404, "{path}");
        }
        assert_eq!(request(&simulator, "DELETE", WORKFLOWS, Some(DEFAULT_KEY), "").await.status, 404);
        simulator.set_legacy(false);
        assert_eq!(get(&simulator, LEGACY).await.status, 404);
        assert_eq!(request(&simulator, "GET", LEGACY, None, "").await.status, 404);
    }

    #[tokio::test(start_paused = true)]
    async fn the_rate_limit_holds_for_a_minute_of_the_clock_and_for_both_apis() {
        let simulator = simulator(Scenario { rate_limit: Some(3), ..Scenario::quiet(1) });
        tokio::time::sleep(Duration::from_secs(50)).await;
        for (path, remaining) in [(WORKFLOWS, "2"), (LEGACY, "1"), (WORKFLOWS, "0")] {
            let reply = get(&simulator, path).await;
            assert_eq!(reply.status, 200);
            assert_eq!(reply.header("x-ratelimit-limit"), "3");
            assert_eq!(reply.header("x-ratelimit-remaining"), remaining);
        }
        let refused = get(&simulator, LEGACY).await;
        assert_eq!((refused.status, refused.header("retry-after")), (429, "60"));
        assert_eq!(refused.body["error"], "Rate limit exceeded");
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(get(&simulator, LEGACY).await.status, 200);
        simulator.set_rate_limit(None);
        assert_eq!(get(&simulator, LEGACY).await.header("x-ratelimit-limit"), "");
    }

    #[tokio::test(start_paused = true)]
    async fn exactly_one_request_in_so_many_fails_and_the_world_stays_the_same() {
        let harmless = [Fault::Hang, Fault::Slow, Fault::NoHeaders, Fault::OddDate];
        let kinds: Vec<Fault> = Fault::ALL.into_iter().filter(|fault| !harmless.contains(fault)).collect();
        let scenario = Scenario { history: 50, ..Scenario::quiet(1) };
        let spoilt = simulator(Scenario { faults: Faults { one_in: 3, kinds }, ..scenario.clone() });
        let whole = simulator(scenario);
        let path = "/platform/v1/workflows/flow_1/executions?limit=10";
        let expected = get(&whole, path).await.body;
        let mut failed = 0;
        for _ in 0..42 {
            failed += usize::from(get(&spoilt, path).await.body != expected);
        }
        assert_eq!(failed, 14, "every one of the kinds alters the body");
        assert_eq!(spoilt.requests().iter().filter(|request| request.fault.is_some()).count(), 14);
        let day = Duration::from_hours(24);
        assert_eq!(spoilt.tally(noon(), day), whole.tally(noon(), day));
    }

    #[tokio::test(start_paused = true)]
    async fn a_hanging_request_is_recorded_and_never_answered() {
        let faults = Faults { one_in: 1, kinds: vec![Fault::Hang] };
        let simulator = simulator(Scenario { faults, ..Scenario::quiet(1) });
        let hour = Duration::from_hours(1);
        assert!(tokio::time::timeout(hour, get(&simulator, WORKFLOWS)).await.is_err());
        let record = simulator.requests().remove(0);
        assert_eq!((record.status, record.fault, record.endpoint), (0, Some("hang"), "workflows"));
    }

    #[tokio::test(start_paused = true)]
    async fn the_busiest_minute_is_any_sixty_seconds() {
        let simulator = simulator(Scenario::quiet(1));
        for (wait, requests) in [(50, 3), (20, 2), (41, 1)] {
            tokio::time::sleep(Duration::from_secs(wait)).await;
            for _ in 0..requests {
                get(&simulator, &format!("{WORKFLOWS}?status=active")).await;
            }
        }
        assert_eq!(simulator.busiest_minute(), 5);
        let last = simulator.requests().pop().unwrap();
        assert_eq!((last.path.as_str(), last.query.as_str(), last.status), (WORKFLOWS, "status=active", 200));
    }
}
