//! What the headers of answers may do to the request budget and to the clock. A line is an answer: status, limit,
//! remaining, Retry-After and Date, separated by semicolons. The first byte chooses whether the budget is given.

use std::time::Duration;

use http::{HeaderName, HeaderValue, StatusCode};
use kapso_exporter::{
    kapso::{ASSUMED_LIMIT, Answer},
    model::Api,
};
use tokio::time::Instant;

use super::scripted::{Scene, answer, run as simulate};

const MAX_ANSWERS: usize = 64;
const OWN: u32 = 60;
/// The longest pause, whatever an answer asks for.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);
/// The longest wait for one answer: that for a pause, a window of the budget, its spread, a backoff.
const LONGEST_WAIT: Duration = Duration::from_secs(90 + 61 + 60 + 5);

/// The budget is never nothing and never above what it may be, no wait is longer than documented.
pub fn run(data: &[u8]) {
    let Some((&selector, lines)) = data.split_first() else { return };
    let own = (selector % 2 == 0).then_some(OWN);
    let lines = lines.split(|&byte| byte == b'\n').take(MAX_ANSWERS);
    simulate(async move {
        let scene = Scene::new(Api::Platform, own, lines.filter_map(read));
        let mut unanswered = 0;
        while !scene.script.is_over() && unanswered < 3 {
            let (begun, before) = (Instant::now(), scene.script.asked().len());
            let _ = scene.client.conversations(None).next().await;
            check(&scene, own, begun, before);
            if scene.script.asked().len() == before {
                unanswered += 1;
                tokio::time::sleep(scene.budget.paused_for()).await;
            }
        }
    });
}

fn read(line: &[u8]) -> Option<Answer> {
    let mut fields = line.split(|&byte| byte == b';');
    let status = StatusCode::from_bytes(fields.next()?).ok()?;
    let mut answer = answer(status, br#"{"data":[]}"#.to_vec());
    let names = ["x-ratelimit-limit", "x-ratelimit-remaining", "retry-after", "date"];
    for (name, value) in names.into_iter().zip(fields).filter(|(_, value)| !value.is_empty()) {
        answer.headers.insert(HeaderName::from_static(name), HeaderValue::from_bytes(value).ok()?);
    }
    Some(answer)
}

fn check(scene: &Scene, own: Option<u32>, begun: Instant, before: usize) {
    let status = scene.budget.status();
    let most = own.unwrap_or_else(|| status.limit.unwrap_or(ASSUMED_LIMIT) / 2).max(1);
    assert!((1..=most).contains(&status.per_minute), "{status:?}");
    assert!(scene.budget.paused_for() <= LONGEST_PAUSE, "{:?}", scene.budget.paused_for());
    let mut last = begun;
    for (at, _) in &scene.script.asked()[before..] {
        assert!(*at - last <= LONGEST_WAIT, "waited for {:?}", *at - last);
        last = *at;
    }
    assert!(last.elapsed() <= LONGEST_WAIT);
    let _ = scene.client.clock().now();
}
