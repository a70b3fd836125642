//! Requests to the exporter: a line with method and target, then a header a line.

use std::{
    io::Read,
    sync::{Arc, LazyLock},
};

use axum::{Router, body::Body};
use flate2::read::GzDecoder;
use http::{HeaderName, HeaderValue, Method, Request, Uri, header};
use http_body_util::BodyExt;
use kapso_exporter::{
    clock::Clock,
    inbox::Inbox,
    metrics::{Bounds, Renderer},
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
    let spoken = request.headers().get_all(header::ACCEPT_ENCODING).iter().any(|value| {
        let value = value.as_bytes().to_ascii_lowercase();
        value.contains(&b'*') || value.windows(4).any(|window| window == b"gzip")
    });
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
    let gzip = head.headers.get(header::CONTENT_ENCODING).is_some();
    assert!(spoken || !gzip);
    if method == Method::GET && path == "/metrics" {
        assert_eq!(plain(&body, gzip), renderer.newest().plain);
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
    let limits = Bounds { max_series: 1_000, max_conversations: 0, handoff_classes: 0 };
    let renderer = Arc::new(Renderer::new(Arc::default(), Arc::default(), limits));
    renderer.publish(renderer.render().expect("an exposition"));
    let pages = Pages {
        renderer: renderer.clone(),
        readiness: Arc::new(Readiness::default()),
        clock: Clock::system(),
        started: tokio::time::Instant::now(),
        telemetry_path: "/metrics".into(),
        reloading: None,
        deliveries: Deliveries::new(Inbox::new().0),
    };
    (router(pages), renderer)
}

fn plain(body: &[u8], gzip: bool) -> Vec<u8> {
    let mut plain = Vec::new();
    if gzip {
        GzDecoder::new(body).read_to_end(&mut plain).expect("gzip");
    } else {
        plain.extend_from_slice(body);
    }
    plain
}
