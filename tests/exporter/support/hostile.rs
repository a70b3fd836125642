//! A server in Kapso's place, or a proxy before it, that answers with whatever may betray what it was told.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::{CancellationToken, DropGuard};

/// From a request's head to an answer, byte for byte.
type Answer = dyn Fn(usize, &str) -> String + Send + Sync;

/// A server on a port of its own, until it is dropped.
pub struct Hostile {
    pub port: u16,
    requests: Arc<AtomicUsize>,
    _running: DropGuard,
}

impl Hostile {
    /// Answers request number so-and-so as `answer` says, and closes the connection.
    pub async fn start(answer: impl Fn(usize, &str) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (requests, running) = (Arc::new(AtomicUsize::new(0)), CancellationToken::new());
        let serve = serve(listener, requests.clone(), Arc::new(answer));
        tokio::spawn(running.clone().run_until_cancelled_owned(serve));
        Self { port, requests, _running: running.drop_guard() }
    }

    /// How many connections there were.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

async fn serve(listener: TcpListener, requests: Arc<AtomicUsize>, answer: Arc<Answer>) {
    while let Ok((stream, _)) = listener.accept().await {
        let number = requests.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(respond(stream, number, answer.clone()));
    }
}

async fn respond(mut stream: TcpStream, number: usize, answer: Arc<Answer>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && stream.read_buf(&mut head).await.is_ok_and(|read| read > 0) {}
    let answer = answer(number, &String::from_utf8_lossy(&head));
    let _ = stream.write_all(answer.as_bytes()).await;
}

/// An answer with this status and body, and these headers on top, each with its line end.
pub fn http(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n{body}")
}
