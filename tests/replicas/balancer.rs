//! A load balancer before the replicas: each connection goes to the next one that takes it.

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::{CancellationToken, DropGuard};

/// One that runs until it is dropped.
pub struct Balancer {
    port: u16,
    _running: DropGuard,
}

impl Balancer {
    /// Starts one before these addresses.
    pub async fn start(targets: &[&str]) -> Self {
        let targets = targets.iter().map(ToString::to_string).collect();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let running = CancellationToken::new();
        tokio::spawn(running.clone().run_until_cancelled_owned(serve(listener, targets)));
        Self { port, _running: running.drop_guard() }
    }

    /// The URL of this path.
    pub fn at(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

async fn serve(listener: TcpListener, targets: Vec<String>) {
    for number in 0.. {
        let Ok((client, _)) = listener.accept().await else { return };
        let mut targets = targets.clone();
        let first = number % targets.len();
        targets.rotate_left(first);
        tokio::spawn(pass(client, targets));
    }
}

async fn pass(mut client: TcpStream, targets: Vec<String>) {
    for target in targets {
        if let Ok(mut server) = TcpStream::connect(&target).await {
            copy_bidirectional(&mut client, &mut server).await.ok();
            return;
        }
    }
}
