//! The simulation over HTTP: both APIs and the control paths on one server.

use std::{future::pending, time::Duration};

use axum::{Router, extract::Request, response::Response};
use http::{HeaderValue, Method, header};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{
    Api, Simulator,
    answer::{Answer, Date, Ending},
    control,
    state::Call,
    times,
    webhooks::deliver,
};

const PLATFORM: &str = "/platform/v1/";
const LEGACY: &str = "/api/v1/";
const CONTROL: &str = "/_simulator/";
/// For how long connections may finish what they are at after the shutdown was asked for.
const GRACE: Duration = Duration::from_secs(1);

/// A simulator and the server's end.
#[derive(Clone)]
struct Face {
    simulator: Simulator,
    closing: CancellationToken,
}

/// Both APIs and the control paths; answers that never come end with `closing`.
pub fn router(simulator: Simulator, closing: CancellationToken) -> Router {
    let face = Face { simulator, closing };
    Router::new().fallback(move |request: Request| {
        let face = face.clone();
        async move { face.respond(request).await }
    })
}

/// Serves until `shutdown`, and a moment longer for what is under way.
pub async fn serve(
    simulator: Simulator,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    let router = router(simulator.clone(), shutdown.clone());
    let server = axum::serve(listener, router).with_graceful_shutdown(shutdown.clone().cancelled_owned());
    let overtime = async {
        shutdown.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    let sending = async {
        match deliver(simulator, shutdown.clone()).await {
            // The server may have more to do.
            Ok(()) => pending().await,
            Err(error) => Err(std::io::Error::other(error)),
        }
    };
    tokio::select! {
        outcome = server => outcome,
        () = overtime => Ok(()),
        outcome = sending => outcome,
    }
}

impl Face {
    async fn respond(&self, request: Request) -> Response {
        let controls = request.uri().path().starts_with(CONTROL);
        let answer = if controls {
            control::answer(&self.simulator, request).await
        } else {
            self.answer_as_api(request).await
        };
        let date = self.date(answer.date);
        let mut response = answer.into_response();
        if let Some(date) = date {
            response.headers_mut().insert(header::DATE, date);
        }
        response
    }

    fn date(&self, date: Date) -> Option<HeaderValue> {
        match date {
            Date::Now => {
                let now =
                    self.simulator.with(|state, now| now.saturating_add(state.date_offset).unwrap_or(now));
                HeaderValue::try_from(times::http_date(now)).ok()
            }
            Date::Odd => Some(HeaderValue::from_static("just now")),
            Date::Missing => None,
        }
    }

    async fn answer_as_api(&self, request: Request) -> Answer {
        let (answer, latency) = self.ask(&request);
        let latency = latency + answer.delay;
        drop(request);
        if !latency.is_zero() {
            self.closing.run_until_cancelled(tokio::time::sleep(latency)).await;
        }
        if answer.ending == Ending::Never {
            self.closing.run_until_cancelled(pending::<()>()).await;
        }
        answer
    }

    fn ask(&self, request: &Request) -> (Answer, Duration) {
        let uri = request.uri();
        let prefixes = [(Api::Platform, PLATFORM), (Api::Legacy, LEGACY)];
        let mut inside =
            prefixes.iter().filter_map(|&(api, prefix)| Some((api, uri.path().strip_prefix(prefix)?)));
        let Some((api, path)) = inside.next() else {
            return (Answer::error(http::StatusCode::NOT_FOUND, "Not found"), Duration::ZERO);
        };
        let key = request.headers().get("x-api-key").map(HeaderValue::as_bytes);
        let call = Call { api, reads: request.method() == Method::GET, path, uri, key };
        self.simulator.with(|state, now| (state.answer(&call, now), state.latency))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::{SocketAddr, TcpStream},
    };

    use jiff::SignedDuration;

    use super::*;
    use crate::{
        clock::Clock,
        simulator::{
            DEFAULT_KEY, Fault, Faults, Scenario,
            testing::{get, noon, simulator},
        },
    };

    const LONG: Duration = Duration::from_secs(10);
    const SHORT: Duration = Duration::from_millis(300);
    const PATH: &str = "/platform/v1/whatsapp/conversations?limit=100";

    /// Everything that is sent until the connection ends, or for as long as `patience` lasts.
    fn read_from(address: SocketAddr, patience: Duration) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(patience)).unwrap();
        let head = format!(
            "GET {PATH} HTTP/1.1\r\nHost: x\r\nX-API-Key: {DEFAULT_KEY}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8(answer).unwrap()
    }

    async fn exchange(simulator: &Simulator, patience: Duration) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let server = tokio::spawn(simulator.clone().serve(listener, shutdown.clone()));
        let answer = tokio::task::spawn_blocking(move || read_from(address, patience)).await.unwrap();
        shutdown.cancel();
        tokio::time::timeout(Duration::from_secs(5), server).await.unwrap().unwrap().unwrap();
        answer
    }

    fn with_fault(fault: Fault) -> Simulator {
        let faults = Faults { one_in: 1, kinds: vec![fault] };
        Simulator::new(Scenario { faults, ..Scenario::quiet(1) }, Clock::system())
    }

    #[tokio::test]
    async fn a_listener_and_the_router_in_process_answer_the_same() {
        let simulator = Simulator::new(Scenario::quiet(1), Clock::system());
        let answer = exchange(&simulator, LONG).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(body, get(&simulator, PATH).await.body);
    }

    #[tokio::test]
    async fn a_cut_body_promises_more_than_it_sends() {
        let answer = exchange(&with_fault(Fault::CutBody), LONG).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        let length: usize = length.parse().unwrap();
        assert_eq!(body.len(), length / 2);
    }

    #[tokio::test]
    async fn a_reset_and_a_hanging_request_send_nothing_at_all() {
        assert_eq!(exchange(&with_fault(Fault::Reset), LONG).await, "");
        assert_eq!(exchange(&with_fault(Fault::Hang), SHORT).await, "");
    }

    #[tokio::test(start_paused = true)]
    async fn every_answer_carries_the_date_of_the_simulated_clock() {
        let simulator = simulator(Scenario { latency: Duration::from_secs(2), ..Scenario::quiet(1) });
        assert_eq!(get(&simulator, PATH).await.header("date"), "Mon, 02 Nov 2026 12:00:02 GMT");
        assert_eq!(get(&simulator, "/nowhere").await.header("date"), "Mon, 02 Nov 2026 12:00:02 GMT");
        assert_eq!(simulator.requests()[0].at, noon());
        simulator.set_date_offset(SignedDuration::from_secs(-60));
        assert_eq!(get(&simulator, PATH).await.header("date"), "Mon, 02 Nov 2026 11:59:04 GMT");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_may_be_slow_or_have_odd_headers_or_none() {
        let simulator = simulator(Scenario { rate_limit: Some(100), ..Scenario::quiet(1) });
        let under = async |fault| {
            simulator.set_faults(Faults { one_in: 1, kinds: vec![fault] });
            get(&simulator, PATH).await
        };
        let begun = tokio::time::Instant::now();
        assert_eq!(under(Fault::OddDate).await.header("date"), "just now");
        let bare = under(Fault::NoHeaders).await;
        assert_eq!((bare.status, bare.header("date"), bare.header("x-ratelimit-limit")), (200, "", ""));
        assert_eq!(begun.elapsed(), Duration::ZERO);
        assert_eq!(under(Fault::Slow).await.status, 200);
        assert!((1..=5_000).contains(&begun.elapsed().as_millis()));
    }
}
