mod addresses;
mod clock;
mod items;
mod paging;
mod resuming;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderName, StatusCode};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::*;
use crate::clock::Clock;

const NOW: &str = "2026-11-22T10:00:00Z";
const TIMEOUT: Duration = Duration::from_secs(10);

/// What the API answers next.
enum Reply {
    Answer(u16, &'static [(&'static str, &'static str)], &'static str),
    Broken,
    Hang,
    /// A status after so many seconds.
    Late(u64, u16),
}
use Reply::{Answer as Say, Broken, Hang, Late};

/// Plays its replies in order and keeps what was asked, and when.
#[derive(Clone, Default)]
struct Script {
    replies: Arc<Mutex<VecDeque<Reply>>>,
    asked: Arc<Mutex<Vec<(Instant, String)>>>,
}

impl Transport for Script {
    fn get<'a>(&'a self, url: &'a Url) -> BoxFuture<'a, Result<Answer, String>> {
        self.asked.lock().unwrap().push((Instant::now(), url.to_string()));
        let reply = self.replies.lock().unwrap().pop_front().unwrap_or(Say(500, &[], "the script is over"));
        Box::pin(async move {
            match reply {
                Say(status, headers, body) => {
                    let pair = |(name, value): &(&'static str, &str)| {
                        (HeaderName::from_static(name), value.parse().unwrap())
                    };
                    let headers: HeaderMap = headers.iter().map(pair).collect();
                    Ok(Answer { status: StatusCode::from_u16(status).unwrap(), headers, body: body.into() })
                }
                Broken => Err("connection reset".into()),
                Hang => std::future::pending().await,
                Late(seconds, status) => {
                    tokio::time::sleep(Duration::from_secs(seconds)).await;
                    let status = StatusCode::from_u16(status).unwrap();
                    Ok(Answer { status, headers: HeaderMap::new(), body: "".into() })
                }
            }
        })
    }
}

#[derive(Default)]
struct Failures(Mutex<Vec<(Reason, u64)>>, Mutex<Vec<String>>);

impl Observer for Failures {
    fn requested(&self, _: Api, _: Endpoint, _: Option<StatusCode>, _: Duration) {}

    fn failed(&self, _: Api, reason: Reason, count: u64) {
        self.0.lock().unwrap().push((reason, count));
    }

    fn unknown_status(&self, _: Api, status: &str) {
        self.1.lock().unwrap().push(status.into());
    }
}

struct Scene {
    script: Script,
    failures: Arc<Failures>,
    budget: Arc<Budget>,
    shutdown: CancellationToken,
    client: Client,
    begun: Instant,
}

fn scene(api: Api, replies: impl IntoIterator<Item = Reply>) -> Scene {
    scene_at(NOW, api, replies)
}

/// A scene in which our clock shows `now`.
fn scene_at(now: &str, api: Api, replies: impl IntoIterator<Item = Reply>) -> Scene {
    let script = Script { replies: Arc::new(Mutex::new(replies.into_iter().collect())), ..Script::default() };
    let failures = Arc::new(Failures::default());
    let (budget, shutdown) = (Arc::new(Budget::new(None)), CancellationToken::new());
    let settings = Settings {
        api,
        base: Url::parse("http://kapso.invalid/v1/").unwrap(),
        timeout: TIMEOUT,
        budget: budget.clone(),
        clock: Arc::new(KapsoClock::new(Clock::following_tokio(now.parse().unwrap()))),
        handoff_reasons: Arc::default(),
        observer: failures.clone(),
        shutdown: shutdown.clone(),
    };
    let client = Client::new(settings, script.clone());
    Scene { script, failures, budget, shutdown, client, begun: Instant::now() }
}

impl Scene {
    /// Reads the list of executions of conversation `c` to its end; the ids, or why not.
    async fn ids(&self) -> Result<Vec<String>, Error> {
        let mut pager = self.client.executions(&"c".into());
        let mut ids = Vec::new();
        while let Some(page) = pager.next().await? {
            ids.extend(page.items.iter().map(|execution| execution.id.to_string()));
        }
        Ok(ids)
    }

    /// Seconds after the beginning at which something was asked.
    fn times(&self) -> Vec<u64> {
        self.script.asked.lock().unwrap().iter().map(|(at, _)| (*at - self.begun).as_secs()).collect()
    }

    fn urls(&self) -> Vec<String> {
        self.script.asked.lock().unwrap().iter().map(|(_, url)| url.clone()).collect()
    }

    fn reasons(&self) -> Vec<Reason> {
        self.failures.0.lock().unwrap().iter().map(|(reason, _)| *reason).collect()
    }
}

const EMPTY: &str = r#"{"data":[]}"#;

#[tokio::test(start_paused = true)]
async fn what_may_pass_is_tried_four_times() {
    let scene = scene(
        Api::Platform,
        [Say(503, &[], ""), Broken, Say(500, &[], ""), Say(200, &[], r#"{"data":[{"id":"e"}]}"#)],
    );
    assert_eq!(scene.ids().await.unwrap(), ["e"]);
    assert_eq!(scene.reasons(), [Reason::Server, Reason::Connection, Reason::Server]);

    let scene = self::scene(Api::Platform, [Broken, Broken, Broken, Broken, Say(200, &[], EMPTY)]);
    assert_eq!(scene.ids().await.unwrap_err().reason(), Some(Reason::Connection));
    assert_eq!(scene.urls().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_final() {
    for (status, reason) in [
        (401, Reason::Unauthorized),
        (403, Reason::Forbidden),
        (404, Reason::NotFound),
        (400, Reason::Client),
        (302, Reason::Client),
    ] {
        let scene = scene(Api::Platform, [Say(status, &[("location", "http://elsewhere")], "<html>")]);
        let error = scene.ids().await.unwrap_err();
        assert_eq!((error.status().unwrap().as_u16(), error.reason()), (status, Some(reason)));
        assert_eq!(scene.urls().len(), 1, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_hung_is_not_tried_again_at_once() {
    let scene = scene(Api::Platform, [Hang, Say(200, &[], EMPTY)]);
    assert_eq!(scene.ids().await.unwrap_err().reason(), Some(Reason::Timeout));
    assert_eq!((scene.urls().len(), scene.begun.elapsed()), (1, TIMEOUT));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_tried_again_once_the_call_has_taken_the_time_of_a_request() {
    let scene = scene(Api::Platform, [Late(8, 503), Late(8, 503), Say(200, &[], EMPTY)]);
    assert_eq!(scene.ids().await.unwrap_err().reason(), Some(Reason::Server));
    assert_eq!(scene.urls().len(), 2);
    assert!(scene.begun.elapsed() < longest_call(TIMEOUT));
}

#[tokio::test(start_paused = true)]
async fn the_wait_for_the_budget_takes_no_attempt_away() {
    let scene = scene(Api::Platform, [Broken, Say(200, &[], EMPTY)]);
    scene.budget.refused(Duration::from_mins(1));
    scene.ids().await.unwrap();
    assert_eq!(scene.urls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn no_call_takes_longer_than_the_longest() {
    let refused = || Say(429, &[("retry-after", "90")], "");
    let scene = scene(Api::Platform, [Late(9, 500), refused(), Late(9, 500)]);
    scene.budget.refused(Duration::from_secs(90));
    scene.ids().await.unwrap_err();
    let taken = scene.begun.elapsed();
    assert!(taken > Duration::from_secs(195) && taken <= longest_call(TIMEOUT), "{taken:?}");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_cannot_be_read_may_be_whole_the_next_time() {
    let cut = r#"{"data":[{"id":"e""#;
    let scene = scene(Api::Platform, [Say(200, &[], cut), Say(200, &[], "<html>"), Say(200, &[], EMPTY)]);
    assert_eq!(scene.ids().await.unwrap(), Vec::<String>::new());
    assert_eq!(scene.reasons(), [Reason::Decode, Reason::Decode]);
}

#[tokio::test(start_paused = true)]
async fn an_error_quotes_nothing_of_the_body() {
    let private = r#"{"data":[],"paging":{"next":{"phone_number":"+15550000001"}}}"#;
    let scene = scene(Api::Platform, std::iter::repeat_with(|| Say(200, &[], private)).take(4));
    let text = scene.ids().await.unwrap_err().to_string();
    assert_eq!(
        text,
        "flow_executions answered with a body that cannot be read: Data error at line 1 column 28"
    );
}

#[tokio::test(start_paused = true)]
async fn a_429_is_waited_for_as_long_as_it_says() {
    for (retry_after, seconds) in [("7", 7), ("Sun, 22 Nov 2026 10:00:45 GMT", 45), ("soon", 60)] {
        let scene = scene(Api::Platform, []);
        let headers: &'static [_] = Box::leak(Box::new([("retry-after", retry_after)]));
        scene.script.replies.lock().unwrap().extend([Say(429, headers, ""), Say(200, &[], EMPTY)]);
        scene.ids().await.unwrap();
        assert_eq!(scene.times(), [0, seconds], "{retry_after}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_date_to_wait_for_is_read_in_kapsos_clock() {
    let headers: &[_] =
        &[("date", "Sun, 22 Nov 2026 12:00:00 GMT"), ("retry-after", "Sun, 22 Nov 2026 12:00:45 GMT")];
    let scene = scene(Api::Platform, [Say(429, headers, ""), Say(200, &[], EMPTY)]);
    scene.ids().await.unwrap();
    // Its clock is two hours ahead, and shows whole seconds.
    assert_eq!(scene.times(), [0, 44]);
}

#[tokio::test(start_paused = true)]
async fn a_429_of_an_hour_fails_at_once_and_nothing_is_asked_before_it_is_over() {
    let scene = scene(Api::Platform, [Say(429, &[("retry-after", "3600")], ""), Say(200, &[], EMPTY)]);
    for _ in 0..3 {
        assert_eq!(scene.ids().await.unwrap_err().reason(), Some(Reason::RateLimited));
    }
    assert_eq!(scene.times(), [0]);
    tokio::time::advance(Duration::from_hours(1)).await;
    scene.ids().await.unwrap();
    assert_eq!(scene.times(), [0, 3600]);
}

#[tokio::test(start_paused = true)]
async fn a_429_for_ever_is_one_of_an_hour() {
    for for_ever in ["18446744073709551615", "Fri, 31 Dec 9999 23:59:59 GMT"] {
        let headers: &'static [_] = Box::leak(Box::new([("retry-after", for_ever)]));
        let scene = scene(Api::Platform, [Say(429, headers, ""), Say(200, &[], EMPTY)]);
        assert_eq!(scene.ids().await.unwrap_err().reason(), Some(Reason::RateLimited));
        tokio::time::advance(Duration::from_hours(1)).await;
        scene.ids().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_every_wait() {
    let scene = scene(Api::Platform, [Say(429, &[("retry-after", "60")], "")]);
    let stop = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        scene.shutdown.cancel();
    };
    let (result, ()) = tokio::join!(scene.ids(), stop);
    assert!(matches!(result, Err(Error::Cancelled)));
    assert_eq!(scene.begun.elapsed(), Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn limit_headers_may_be_absent_or_nonsense() {
    let scene = scene(
        Api::Platform,
        [
            Say(200, &[], EMPTY),
            Say(200, &[("x-ratelimit-limit", "-5"), ("x-ratelimit-remaining", "many")], EMPTY),
            Say(200, &[("x-ratelimit-limit", "0")], EMPTY),
        ],
    );
    for _ in 0..3 {
        scene.ids().await.unwrap();
    }
    let expected = BudgetStatus { per_minute: ASSUMED_LIMIT / 2, limit: None, remaining: None };
    assert_eq!(scene.budget.status(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_reported_limit_sets_the_budget() {
    let headers = &[("x-ratelimit-limit", "500"), ("x-ratelimit-remaining", "432")];
    let scene = scene(Api::Platform, [Say(200, headers, EMPTY)]);
    scene.ids().await.unwrap();
    let expected = BudgetStatus { per_minute: 250, limit: Some(500), remaining: Some(432) };
    assert_eq!(scene.budget.status(), expected);
}
