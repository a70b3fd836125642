//! A receiver of remote write that remembers what it was sent, and answers as it is told.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt::Write,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    response::{IntoResponse, Response},
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    service::TowerToHyperService,
};
use kapso_exporter::remote_write::message::{Exemplar, Histogram, MetricType, TimeSeries, WriteRequest};
use prost::Message;
use reqwest::{
    StatusCode, Version,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::support::Exposition;

/// A request.
pub struct Received {
    pub at: Instant,
    /// Scheme and host too, where it was sent to a proxy.
    pub uri: String,
    pub version: Version,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// The name that the client asked for by TLS.
    pub server_name: Option<String>,
}

type Labels = BTreeMap<String, String>;

#[derive(Default)]
struct Remembered {
    requests: Vec<Received>,
    answers: VecDeque<Response>,
}

#[derive(Clone)]
struct Server {
    remembered: Arc<Mutex<Remembered>>,
    server_name: Option<String>,
}

/// It takes everything, unless it is told otherwise.
pub struct Receiver {
    /// Of its endpoint.
    pub url: String,
    remembered: Arc<Mutex<Remembered>>,
    _running: DropGuard,
}

impl Receiver {
    pub async fn start() -> Self {
        Self::listen("http", None).await
    }

    pub async fn start_tls(config: Arc<rustls::ServerConfig>) -> Self {
        Self::listen("https", Some(config.into())).await
    }

    async fn listen(scheme: &str, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("{scheme}://{}/api/v1/write", listener.local_addr().unwrap());
        let (remembered, shutdown) = (Arc::default(), CancellationToken::new());
        let server = Server { remembered: Arc::clone(&remembered), server_name: None };
        let serving = serve(listener, tls, server);
        tokio::spawn(shutdown.clone().run_until_cancelled_owned(serving));
        Self { url, remembered, _running: shutdown.drop_guard() }
    }

    /// The next request is answered so; those after it by what is said next.
    pub fn answer(&self, status: u16, headers: &[(&str, &str)], text: &str) {
        let mut answer = (StatusCode::from_u16(status).unwrap(), text.to_owned()).into_response();
        for (name, value) in headers {
            let name: HeaderName = name.parse().unwrap();
            answer.headers_mut().insert(name, HeaderValue::from_str(value).unwrap());
        }
        self.remembered.lock().unwrap().answers.push_back(answer);
    }

    pub fn count(&self) -> usize {
        self.remembered.lock().unwrap().requests.len()
    }

    /// What it received since it was asked for the last time.
    pub fn received(&self) -> Vec<Received> {
        std::mem::take(&mut self.remembered.lock().unwrap().requests)
    }
}

async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, server: Server) {
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, mut server) = (tls.clone(), server.clone());
        tokio::spawn(async move {
            let http = hyper::server::conn::http1::Builder::new();
            let Some(tls) = tls else {
                let service = TowerToHyperService::new(router(server));
                return http.serve_connection(TokioIo::new(stream), service).await.ok();
            };
            let stream = tls.accept(stream).await.ok()?;
            let connection = stream.get_ref().1;
            server.server_name = connection.server_name().map(Into::into);
            let is_http2 = connection.alpn_protocol() == Some(b"h2");
            let (stream, service) = (TokioIo::new(stream), TowerToHyperService::new(router(server)));
            if is_http2 {
                let http = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                return http.serve_connection(stream, service).await.ok();
            }
            http.serve_connection(stream, service).await.ok()
        });
    }
}

fn router(server: Server) -> Router {
    Router::new().fallback(take).with_state(server)
}

async fn take(State(server): State<Server>, request: axum::extract::Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 64 << 20).await.unwrap();
    let (at, uri, server_name) = (Instant::now(), parts.uri.to_string(), server.server_name);
    let answer = {
        let mut remembered = server.remembered.lock().unwrap();
        remembered.requests.push(Received {
            at,
            uri,
            version: parts.version,
            headers: parts.headers,
            body,
            server_name,
        });
        remembered.answers.pop_front()
    };
    match answer {
        // Told to say nothing.
        Some(answer) if answer.status() == StatusCode::IM_A_TEAPOT => {
            tokio::time::sleep(Duration::from_mins(1)).await;
            answer
        }
        Some(answer) => answer,
        None => StatusCode::NO_CONTENT.into_response(),
    }
}

impl Received {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn message(&self) -> WriteRequest {
        let plain = snap::raw::Decoder::new().decompress_vec(&self.body).unwrap();
        WriteRequest::decode(plain.as_slice()).unwrap()
    }
}

/// All that was received, put together.
pub struct Content {
    /// As the text format would have it: bounds too.
    pub exposition: Exposition,
    pub timestamps: Vec<i64>,
    /// By name and labels.
    pub exemplars: Vec<(String, Labels, Exemplar)>,
    /// By name and labels.
    pub histograms: Vec<(String, Labels, Histogram)>,
}

impl Content {
    /// Panics on whatever the protocol does not allow.
    pub fn of(received: &[Received]) -> Self {
        let (exposition, timestamps) = (Exposition::default(), Vec::new());
        let mut content = Self { exposition, timestamps, exemplars: Vec::new(), histograms: Vec::new() };
        let (mut lines, mut heads) = (BTreeMap::<String, String>::new(), BTreeMap::new());
        for request in received {
            let message = request.message();
            for family in message.metadata {
                let kind = MetricType::try_from(family.r#type).unwrap();
                let head =
                    format!("# HELP {0} {1}\n# TYPE {0} {kind:?}\n", family.metric_family_name, family.help);
                assert!(heads.insert(family.metric_family_name, head).is_none(), "a family twice");
            }
            for series in message.timeseries {
                content.add(&series, &mut lines);
            }
        }
        let mut text = String::new();
        for (name, head) in &heads {
            text += head;
            for ending in ["", "_bucket", "_sum", "_count"] {
                text += &lines.remove(&format!("{name}{ending}")).unwrap_or_default();
            }
        }
        assert!(lines.is_empty(), "without metadata: {:?}", lines.keys());
        content.exposition = Exposition::parse(&text);
        content
    }

    fn add(&mut self, series: &TimeSeries, lines: &mut BTreeMap<String, String>) {
        assert!(series.labels.is_sorted_by(|a, b| a.name < b.name), "{series:?}");
        assert!(series.labels.iter().all(|label| !label.value.is_empty()), "{series:?}");
        let mut labels: Labels =
            series.labels.iter().map(|label| (label.name.clone(), label.value.clone())).collect();
        let name = labels.remove("__name__").unwrap();
        for sample in &series.samples {
            let shown = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect::<Vec<_>>();
            let line = format!("{name}{{{}}} {}\n", shown.join(","), sample.value);
            write!(lines.entry(name.clone()).or_default(), "{line}").unwrap();
            self.timestamps.push(sample.timestamp);
        }
        for exemplar in &series.exemplars {
            self.exemplars.push((name.clone(), labels.clone(), exemplar.clone()));
        }
        for histogram in &series.histograms {
            self.timestamps.push(histogram.timestamp);
            self.histograms.push((name.clone(), labels.clone(), histogram.clone()));
        }
    }
}
