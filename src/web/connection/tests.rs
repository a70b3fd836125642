use axum::routing::get;
use tokio::{
    io::{DuplexStream, duplex},
    time::Instant,
};

use super::*;
use crate::web::access::Rules;

const LARGE: usize = 1 << 20;

fn served() -> Arc<Served> {
    let access = Access::new(Rules::default(), Arc::default()).unwrap();
    let pages = Router::new().route("/", get(|| async { vec![b'x'; LARGE] }));
    let pages = pages.route("/small", get(|| async { "small" }));
    Arc::new(Served { access: Arc::new(access), pages })
}

/// The client's end of a connection to a server with one large page.
fn connected() -> DuplexStream {
    let (near, far) = duplex(1 << 10);
    let near = WriteDeadline::new(near, WRITE_TIMEOUT);
    tokio::spawn(http1(near, None, served(), CancellationToken::new()));
    far
}

/// Writes a piece again and again; how long the server put up with it.
async fn endured(mut far: DuplexStream, piece: &[u8], pause: Duration) -> Duration {
    let begun = Instant::now();
    while far.write_all(piece).await.is_ok() && begun.elapsed() < Duration::from_hours(1) {
        sleep(pause).await;
    }
    begun.elapsed()
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed() {
    let (mut far, begun) = (connected(), Instant::now());
    assert_eq!(far.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(begun.elapsed(), HEAD_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn a_head_that_trickles_is_given_up() {
    let second = Duration::from_secs(1);
    let endured = endured(connected(), b"X", second).await;
    assert!(endured <= HEAD_TIMEOUT + second, "{endured:?}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_read_byte_by_byte_is_given_up() {
    let (mut far, begun) = (connected(), Instant::now());
    far.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let (mut read, mut byte) = (0, [0]);
    while far.read(&mut byte).await.unwrap() > 0 {
        read += 1;
        sleep(Duration::from_millis(20)).await;
    }
    assert!(read < LARGE / 100 && begun.elapsed() < WRITE_TIMEOUT * 2, "{read} in {:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_endless_body_is_not_read() {
    let mut far = connected();
    far.write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999999\r\n\r\n").await.unwrap();
    let endured = endured(far, &[b'x'; 1 << 10], Duration::from_millis(1)).await;
    assert!(endured < Duration::from_secs(1), "{endured:?}");
}

/// How long an HTTP/2 connection is kept whose client sends these bytes and nothing more.
async fn kept(sent: &[u8]) -> Duration {
    let (near, mut far) = duplex(1 << 10);
    tokio::spawn(http2(near, None, served(), CancellationToken::new(), HTTP2_LIFE));
    let begun = Instant::now();
    far.write_all(sent).await.unwrap();
    while far.read(&mut [0; 1 << 10]).await.is_ok_and(|read| read > 0) {}
    begun.elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_silent_http2_client_is_given_up() {
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    assert!(kept(b"").await <= HTTP2_LIFE + WRITE_TIMEOUT);
    assert!(kept(preface).await <= HTTP2_LIFE + WRITE_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn an_http2_client_that_takes_no_answer_is_cut_off() {
    let no_window = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\0\0";
    // GET / of x by https, in HPACK's static table but for the name of the host.
    let request = b"\0\0\x06\x01\x05\0\0\0\x01\x82\x84\x87\x41\x01x";
    let kept = kept(&[&no_window[..], request].concat()).await;
    assert!(kept >= HTTP2_LIFE && kept <= HTTP2_LIFE + WRITE_TIMEOUT, "{kept:?}");
}

#[tokio::test]
async fn no_request_fails_because_a_connection_was_ended() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/small", listener.local_addr().unwrap());
    let served = served();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let life = Duration::from_millis(20);
            tokio::spawn(http2(stream, None, served.clone(), CancellationToken::new(), life));
        }
    });
    let client = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    let clients = (0..4).map(async |_| {
        for _ in 0..5000 {
            let answer = client.get(&url).send().await.unwrap_or_else(|error| panic!("{error:?}"));
            assert_eq!(answer.text().await.unwrap(), "small");
        }
    });
    futures_util::future::join_all(clients).await;
}
