//! Deliveries over HTTP, and the control paths.

use std::sync::Arc;

use axum::{Router, body::to_bytes, extract::Request};
use http::StatusCode;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    clock::Clock,
    simulator::testing::{Reply, request},
};

type Seen = Arc<Mutex<Vec<(http::HeaderMap, Vec<u8>)>>>;

/// A receiver that refuses the first request and takes the others; its URL.
async fn receiver(seen: &Seen) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let seen = seen.clone();
    let router = Router::new().fallback(move |request: Request| async move {
        let headers = request.headers().clone();
        let body = to_bytes(request.into_body(), usize::MAX).await.unwrap();
        let mut seen = seen.lock();
        seen.push((headers, body.to_vec()));
        if seen.len() == 1 { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }
    });
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

async fn until(what: impl Fn() -> bool) {
    for _ in 0..400 {
        if what() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("it takes too long");
}

#[tokio::test]
async fn what_is_due_is_posted_and_its_answer_counts() {
    let simulator = Simulator::new(Scenario::quiet(1), Clock::system());
    let shutdown = CancellationToken::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = tokio::spawn(simulator.clone().serve(listener, shutdown.clone()));
    simulator.set_webhook(Some(webhook(prompt())));
    hand_off(&simulator);
    let seen = Seen::default();
    simulator.set_webhook_url(receiver(&seen).await);
    until(|| seen.lock().len() == 1).await;
    hand_off(&simulator);
    until(|| simulator.delivery_tally().events[HANDOFF].answered == 1).await;
    let (headers, body) = seen.lock()[1].clone();
    assert_eq!(headers["x-webhook-event"], HANDOFF);
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers["x-webhook-signature"], signature(SECRET, &body).as_str());
    let again = simulator.next_delivery().unwrap().duration_since(simulator.now());
    assert!((1..=10).contains(&again.as_secs()), "{again}");
    shutdown.cancel();
    tokio::time::timeout(Duration::from_secs(5), server).await.unwrap().unwrap().unwrap();
}

async fn control(simulator: &Simulator, method: &str, path: &str, body: &str) -> Reply {
    request(simulator, method, &format!("/_simulator/{path}"), None, body).await
}

#[tokio::test(start_paused = true)]
async fn a_webhook_is_set_looked_at_and_taken_away() {
    let simulator = simulator(Scenario::quiet(1));
    assert_eq!(control(&simulator, "GET", "webhook", "").await.body["status"], "absent");
    let wish = r#"{"url": "http://127.0.0.1:9/hook", "secret": "s", "latency": [0, 0.5], "lost": 1}"#;
    let reply = control(&simulator, "PUT", "webhook", wish).await;
    assert_eq!((reply.status, &reply.body["status"]), (200, &json!("active")));
    let id = hand_off(&simulator);
    let shown = control(&simulator, "GET", "webhook", "").await.body;
    assert_eq!(shown["url"], "http://127.0.0.1:9/hook");
    assert_eq!(shown["events"][HANDOFF]["lost"], 1);
    let incidents = control(&simulator, "GET", "incidents", "").await.body;
    assert_eq!(incidents[0]["execution_id"], id);
    assert_eq!(incidents[0]["event"], "handoff");
    assert_eq!(control(&simulator, "DELETE", "webhook", "").await.body["status"], "absent");
    let wish = r#"{"secret": "s", "tests": 1, "latency": [0, 0]}"#;
    assert_eq!(control(&simulator, "POST", "webhook", wish).await.body["url"], Value::Null);
    hand_off(&simulator);
    for attempt in simulator.take_deliveries() {
        simulator.answered(attempt.id, Answer::Ok);
    }
    let shown = control(&simulator, "GET", "webhook", "").await.body;
    assert_eq!((&shown["attempts"], &shown["events"]["test"]["answered"]), (&json!(2), &json!(1)));
    assert_eq!(shown["handoffs_by_reason"][0].as_array().unwrap().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_webhook_that_cannot_be_is_refused() {
    let simulator = simulator(Scenario::quiet(1));
    for (body, said) in [
        ("{}", "missing field `secret`"),
        (r#"{"secret": "s", "url": "nowhere"}"#, "relative URL"),
        (r#"{"secret": "s", "lost": 2}"#, "lost must be between 0 and 1"),
        (r#"{"secret": "s", "latency": [3, 1]}"#, "latency must be [min, max]"),
        (r#"{"secret": "s", "batch": 0}"#, "batch must be at least 1"),
        (r#"{"secret": "s", "speed": 1}"#, "unknown field `speed`"),
    ] {
        let reply = control(&simulator, "PUT", "webhook", body).await;
        assert_eq!(reply.status, 400, "{body}");
        let error = reply.body["error"].as_str().unwrap_or_default();
        assert!(error.contains(said), "{error}");
    }
}
