//! Requests to the exporter: a line with method and target, then a header a line.

use std::{
    io::Read,
    sync::{Arc, LazyLock},
};

use axum::{Router, body::Body};
use flate2::read::GzDecoder;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};
use http_body_util::BodyExt;
use kapso_exporter::{
    clock::Clock,
    inbox::Inbox,
    metrics::{Bounds, Encoding, Format, Renderer},
    web::{Deliveries, Pages, Readiness, router},
};
use tower::ServiceExt;

use super::scripted::run as simulate;

static APP: LazyLock<(Router, Arc<Renderer>)> = LazyLock::new(app);

/// Every request is answered, and the exposition is the same whether it is compressed or not, which it is only
/// where the request speaks of it.
pub fn run(data: &[u8]) {
    let Some(request) = read(data) else { return };
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mentions = |header: HeaderName, words: &[&[u8]]| {
        request.headers().get_all(header).iter().any(|value| {
            let value = value.as_bytes().to_ascii_lowercase();
            words.iter().any(|word| value.windows(word.len()).any(|window| window == *word))
        })
    };
    let takes_compressed = mentions(header::ACCEPT_ENCODING, &[b"*", b"gzip", b"zstd"]);
    let takes_others = mentions(header::ACCEPT, &[b"*", b"openmetrics", b"protobuf"]);
    let (router, renderer) = &*APP;
    let (head, body) = simulate(async move {
        let (head, body) = router.clone().oneshot(request).await.expect("infallible").into_parts();
        (head, body.collect().await.expect("a whole body").to_bytes())
    });
    let known = ["/", "/-/healthy", "/-/ready", "/metrics"].contains(&path.as_str());
    let place = path.strip_prefix("/webhooks/kapso/");
    let is_posted = path == "/-/reload" || place.is_some_and(|name| !name.is_empty() && !name.contains('/'));
    let expected: &[u16] = match method {
        Method::POST if is_posted => &[404],
        _ if is_posted => &[405],
        _ if !known => &[404],
        Method::GET | Method::HEAD if path == "/-/ready" => &[503],
        Method::GET | Method::HEAD => &[200],
        _ => &[405],
    };
    assert!(expected.contains(&head.status.as_u16()), "{method} {path}: {}", head.status);
    if method == Method::GET && path == "/metrics" {
        let encoding = encoding(&head.headers);
        assert!(takes_compressed || encoding == Encoding::Identity);
        let format = format(&head.headers);
        assert!(takes_others || format == Format::Text);
        let newest = renderer.newest();
        let expected = renderer.exposition(&newest, format, Encoding::Identity).expect("an exposition");
        assert_eq!(plain(&body, encoding), expected);
    }
}

fn read(data: &[u8]) -> Option<Request<Body>> {
    let mut lines = data.split(|&byte| byte == b'\n');
    let mut first = lines.next()?.splitn(2, |&byte| byte == b' ');
    let mut request = Request::new(Body::empty());
    *request.method_mut() = Method::from_bytes(first.next()?).ok()?;
    *request.uri_mut() = Uri::try_from(first.next()?).ok()?;
    for line in lines {
        let mut header = line.splitn(2, |&byte| byte == b':');
        let name = HeaderName::from_bytes(header.next()?).ok()?;
        request.headers_mut().append(name, HeaderValue::from_bytes(header.next()?.trim_ascii()).ok()?);
    }
    Some(request)
}

fn app() -> (Router, Arc<Renderer>) {
    let limits = Bounds { max_series: 1_000, ..Bounds::default() };
    let renderer = Arc::new(Renderer::new(Arc::default(), Arc::default(), limits, Clock::system()));
    renderer.publish(renderer.collect());
    let pages = Pages {
        renderer: renderer.clone(),
        readiness: Arc::new(Readiness::default()),
        clock: Clock::system(),
        started: tokio::time::Instant::now(),
        telemetry_path: "/metrics".into(),
        reloading: None,
        deliveries: Deliveries::new(Inbox::new().0),
        replicas: None,
    };
    (router(pages), renderer)
}

fn encoding(headers: &HeaderMap) -> Encoding {
    match headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        None => Encoding::Identity,
        Some(b"gzip") => Encoding::Gzip,
        Some(b"zstd") => Encoding::Zstd,
        Some(other) => panic!("{other:?}"),
    }
}

fn format(headers: &HeaderMap) -> Format {
    let content_type = headers[header::CONTENT_TYPE].to_str().expect("text");
    match content_type.split(';').next() {
        Some("text/plain") => Format::Text,
        Some("application/openmetrics-text") => Format::OpenMetrics,
        Some("application/vnd.google.protobuf") => Format::Protobuf,
        other => panic!("{other:?}"),
    }
}

fn plain(body: &[u8], encoding: Encoding) -> Vec<u8> {
    let mut plain = Vec::new();
    match encoding {
        Encoding::Identity => plain.extend_from_slice(body),
        Encoding::Gzip => drop(GzDecoder::new(body).read_to_end(&mut plain).expect("gzip")),
        Encoding::Zstd => plain = zstd::stream::decode_all(body).expect("zstd"),
    }
    plain
}
