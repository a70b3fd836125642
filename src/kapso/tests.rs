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
}
use Reply::{Answer as Say, Broken, Hang};

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
            }
        })
    }
}

#[derive(Default)]
struct Failures(Mutex<Vec<(Reason, u64)>>);

impl Observer for Failures {
    fn requested(&self, _: Api, _: Endpoint, _: Option<StatusCode>, _: Duration) {}

    fn failed(&self, _: Api, reason: Reason, count: u64) {
        self.0.lock().unwrap().push((reason, count));
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
    let script = Script { replies: Arc::new(Mutex::new(replies.into_iter().collect())), ..Script::default() };
    let failures = Arc::new(Failures::default());
    let (budget, shutdown) = (Arc::new(Budget::new(None)), CancellationToken::new());
    let settings = Settings {
        api,
        base: Url::parse("http://kapso.invalid/v1/").unwrap(),
        timeout: TIMEOUT,
        budget: budget.clone(),
        clock: Clock::following_tokio(NOW.parse().unwrap()),
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
    let scene =
        scene(Api::Platform, [Say(503, &[], ""), Broken, Hang, Say(200, &[], r#"{"data":[{"id":"e"}]}"#)]);
    assert_eq!(scene.ids().await.unwrap(), ["e"]);
    assert_eq!(scene.reasons(), [Reason::Server, Reason::Connection, Reason::Timeout]);

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
async fn cursors_are_passed_back_until_there_is_none() {
    let first = r#"{"data":[{"id":"b"}],"paging":{"cursors":{"after":"x/+="},"next":"x/+="}}"#;
    let last = r#"{"data":[{"id":"a"}],"paging":{"cursors":{"after":"z"},"next":null}}"#;
    let scene = scene(Api::Platform, [Say(200, &[], first), Say(200, &[], last)]);
    assert_eq!(scene.ids().await.unwrap(), ["b", "a"]);
    let base = "http://kapso.invalid/v1/whatsapp/conversations/c/flow_executions?limit=100";
    assert_eq!(scene.urls(), [base.to_owned(), format!("{base}&after=x%2F%2B%3D")]);
}

#[tokio::test(start_paused = true)]
async fn a_cursor_that_does_not_advance_is_an_error() {
    let to = |next: &'static str| Say(200, &[], next);
    let (a, b) = (r#"{"data":[],"paging":{"next":"a"}}"#, r#"{"data":[],"paging":{"next":"b"}}"#);
    for replies in [vec![to(a), to(a)], vec![to(a), to(b), to(a)]] {
        let asked = replies.len();
        let scene = scene(Api::Platform, replies);
        assert_eq!(scene.ids().await.unwrap_err().reason(), Some(Reason::Cursor));
        assert_eq!((scene.urls().len(), scene.reasons()), (asked, vec![Reason::Cursor]));
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_without_an_end_is_given_up() {
    let page = |number: usize| {
        let body = format!(r#"{{"data":[],"paging":{{"next":"{number}"}}}}"#);
        Say(200, &[("x-ratelimit-limit", "4000000000")], Box::leak(body.into_boxed_str()))
    };
    let scene = scene(Api::Platform, (0..20_000).map(page));
    assert_eq!(scene.ids().await.unwrap_err().reason(), Some(Reason::Cursor));
    assert_eq!(scene.urls().len(), 10_000);
}

#[tokio::test(start_paused = true)]
async fn numbered_pages_are_read_to_the_last_one() {
    let page = |body| Say(200, &[], body);
    let scene = scene(
        Api::Legacy,
        [
            page(r#"{"data":[{"id":"c"}],"meta":{"page":1,"total_pages":"2"}}"#),
            page(r#"{"data":[{"id":"b"}],"meta":{"page":2,"total_pages":2}}"#),
        ],
    );
    assert_eq!(scene.ids().await.unwrap(), ["c", "b"]);
    let base = "http://kapso.invalid/v1/whatsapp_conversations/c/agent_executions";
    assert_eq!(scene.urls(), [1, 2].map(|page| format!("{base}?page={page}&per_page=100")));
}

#[tokio::test(start_paused = true)]
async fn a_page_number_that_does_not_advance_is_an_error() {
    let first = r#"{"data":[{"id":"c"}],"meta":{"page":1,"total_pages":9}}"#;
    let scene = scene(Api::Legacy, [Say(200, &[], first), Say(200, &[], first)]);
    assert_eq!(scene.ids().await.unwrap_err().reason(), Some(Reason::Cursor));
}

#[tokio::test(start_paused = true)]
async fn the_platform_may_fall_back_to_numbered_pages_or_to_none() {
    let first = r#"{"data":[{"id":"b"}],"meta":{"page":1,"per_page":20,"total_pages":2,"total_count":2}}"#;
    let scene = scene(Api::Platform, [Say(200, &[], first), Say(200, &[], r#"{"data":[{"id":"a"}]}"#)]);
    assert_eq!(scene.ids().await.unwrap(), ["b", "a"]);
    assert!(scene.urls()[1].ends_with("?page=2&per_page=100"), "{:?}", scene.urls());
}

#[tokio::test(start_paused = true)]
async fn a_bad_item_is_counted_and_the_others_are_kept() {
    let body = r#"{"data":[{"id":"b"},{"no":"id"},7,{"id":"a","started_at":"never"},{"id":"c"}]}"#;
    let scene = scene(Api::Platform, [Say(200, &[], body)]);
    assert_eq!(scene.ids().await.unwrap(), ["b", "c"]);
    assert_eq!(*scene.failures.0.lock().unwrap(), [(Reason::Decode, 3)]);
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

#[tokio::test(start_paused = true)]
async fn the_time_is_told_in_the_clock_of_the_api() {
    let scene = scene(Api::Platform, [Say(200, &[("date", "Sun, 22 Nov 2026 10:05:00 GMT")], EMPTY)]);
    scene.ids().await.unwrap();
    assert_eq!(scene.client.kapso_now().to_string(), "2026-11-22T10:05:00.5Z");
}
