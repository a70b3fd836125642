//! A TCP proxy before the database that can be slow, lose touch, or be cut off.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Part of what writes accounts.
const WRITE: &[u8] = b"INSERT INTO kapso_exporter.account_row";

/// What the proxy does with what passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Hands everything on, after a delay towards the server and one back.
    Up { there: Duration, back: Duration },
    /// Hands nothing on, and closes nothing: what was sent arrives once the link is up again, as after a partition
    /// of a network.
    Silent,
    /// The same for connections over which accounts are written; nothing is wrong with the others.
    SilentForWrites,
    /// Closes all connections and refuses new ones.
    Cut,
}

impl Link {
    /// Without any delay.
    pub const WELL: Self = Self::Up { there: Duration::ZERO, back: Duration::ZERO };

    /// With this delay in each direction.
    pub fn slow(delay: Duration) -> Self {
        Self::Up { there: delay, back: delay }
    }
}

/// A proxy on a port of its own, until it is dropped.
pub struct Proxy {
    port: u16,
    link: watch::Sender<Link>,
    _running: DropGuard,
}

impl Proxy {
    /// Starts one before whatever is on this port of loopback.
    pub async fn start(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (link, running) = (watch::Sender::new(Link::WELL), CancellationToken::new());
        let serve = serve(listener, to, link.subscribe());
        tokio::spawn(running.clone().run_until_cancelled_owned(serve));
        Self { port, link, _running: running.drop_guard() }
    }

    /// Its TCP port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on the link is like this.
    pub fn set(&self, link: Link) {
        self.link.send_replace(link);
    }

    /// From now on nothing is wrong with it.
    pub fn heal(&self) {
        self.set(Link::WELL);
    }
}

async fn serve(listener: TcpListener, to: u16, mut link: watch::Receiver<Link>) {
    let address = listener.local_addr().unwrap();
    let mut listener = Some(listener);
    // Dropped with all connections.
    let mut connections = JoinSet::new();
    loop {
        if *link.borrow_and_update() == Link::Cut {
            listener = None;
            connections.shutdown().await;
            if link.changed().await.is_err() {
                return;
            }
            continue;
        }
        let listening = match listener.take() {
            Some(listening) => listening,
            None => bind(address).await,
        };
        tokio::select! {
            accepted = listening.accept() => {
                if let Ok((client, _)) = accepted {
                    connections.spawn(pass(client, to, link.clone()));
                }
            }
            changed = link.changed() => if changed.is_err() { return },
            Some(_) = connections.join_next() => {}
        }
        listener = Some(listening);
    }
}

/// Listens there again.
async fn bind(address: SocketAddr) -> TcpListener {
    TcpListener::bind(address).await.expect("the proxy's port is free again")
}

/// Hands a connection's bytes on in both directions until one side closes.
async fn pass(client: TcpStream, to: u16, mut link: watch::Receiver<Link>) {
    // A partition lets no connection through either.
    if link.wait_for(|link| *link != Link::Silent).await.is_err() {
        return;
    }
    let Ok(server) = TcpStream::connect(("127.0.0.1", to)).await else { return };
    for stream in [&client, &server] {
        stream.set_nodelay(true).ok();
    }
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let writes = AtomicBool::new(false);
    let there = Passage { link: link.clone(), writes: &writes, delay: |link| delay(link).0 };
    let back = Passage { link, writes: &writes, delay: |link| delay(link).1 };
    tokio::select! {
        () = carry(from_client, to_server, there) => {}
        () = carry(from_server, to_client, back) => {}
    }
}

/// One direction of a connection.
struct Passage<'a> {
    link: watch::Receiver<Link>,
    /// Whether accounts were written over the connection.
    writes: &'a AtomicBool,
    delay: fn(Link) -> Duration,
}

impl Passage<'_> {
    fn note(&self, piece: &[u8]) {
        if piece.windows(WRITE.len()).any(|part| part == WRITE) {
            self.writes.store(true, Ordering::Relaxed);
        }
    }

    fn is_silent(&self, link: Link) -> bool {
        link == Link::Silent || (link == Link::SilentForWrites && self.writes.load(Ordering::Relaxed))
    }
}

/// Towards the server, and back.
fn delay(link: Link) -> (Duration, Duration) {
    match link {
        Link::Up { there, back } => (there, back),
        Link::Silent | Link::SilentForWrites | Link::Cut => (Duration::ZERO, Duration::ZERO),
    }
}

/// Hands on what is read, each piece after the delay that there was when it was read, in order.
async fn carry(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    passage: Passage<'_>,
) {
    let (pieces, mut read) = mpsc::channel::<(Instant, Vec<u8>)>(64);
    let mut state = passage.link.clone();
    let passage = &passage;
    let reading = async move {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            passage.note(&buffer[..length]);
            let due = Instant::now() + (passage.delay)(*passage.link.borrow());
            if pieces.send((due, buffer[..length].to_vec())).await.is_err() {
                return;
            }
        }
    };
    let writing = async move {
        while let Some((due, piece)) = read.recv().await {
            sleep_until(due).await;
            if state.wait_for(|link| !passage.is_silent(*link)).await.is_err()
                || to.write_all(&piece).await.is_err()
            {
                return;
            }
        }
    };
    // What was read before the end is still handed on.
    tokio::join!(reading, writing);
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// A server that sends back what it gets.
    async fn echo() -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    tokio::io::copy(&mut from, &mut to).await.ok();
                });
            }
        });
        port
    }

    async fn call(stream: &mut TcpStream, at_most: Duration) -> Option<Duration> {
        let begun = Instant::now();
        stream.write_all(b"x").await.ok()?;
        let answer = tokio::time::timeout(at_most, stream.read_u8()).await.ok()?;
        answer.ok().map(|_| begun.elapsed())
    }

    const SOON: Duration = Duration::from_millis(300);
    /// However busy the machine is.
    const LATE: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn a_slow_link_delays_each_direction_by_its_own_time() {
        let proxy = Proxy::start(echo().await).await;
        let mut stream = TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap();
        assert!(call(&mut stream, LATE).await.is_some());
        proxy.set(Link::Up { there: Duration::from_millis(200), back: Duration::from_millis(100) });
        let took = call(&mut stream, LATE).await.unwrap();
        assert!(took >= Duration::from_millis(300), "{took:?}");
    }

    #[tokio::test]
    async fn a_silent_link_keeps_what_was_sent_until_it_is_healed() {
        let proxy = Proxy::start(echo().await).await;
        let mut stream = TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap();
        call(&mut stream, LATE).await.unwrap();
        proxy.set(Link::Silent);
        assert_eq!(call(&mut stream, SOON).await, None);
        let mut other = TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap();
        assert_eq!(call(&mut other, SOON).await, None, "a new connection fares no better");
        proxy.heal();
        let late = tokio::time::timeout(LATE, stream.read_u8()).await;
        assert_eq!(late.expect("it arrives").unwrap(), b'x');
    }

    #[tokio::test]
    async fn a_link_that_is_silent_for_writes_hands_on_everything_else() {
        let proxy = Proxy::start(echo().await).await;
        proxy.set(Link::SilentForWrites);
        let mut reader = TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap();
        assert!(call(&mut reader, LATE).await.is_some());
        let mut writer = TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap();
        writer.write_all(WRITE).await.unwrap();
        assert_eq!(call(&mut writer, SOON).await, None);
        proxy.heal();
        let late = tokio::time::timeout(LATE, writer.read_u8()).await;
        assert_eq!(late.expect("it arrives").unwrap(), WRITE[0]);
    }

    #[tokio::test]
    async fn a_cut_link_closes_connections_and_refuses_new_ones_until_it_is_healed() {
        let proxy = Proxy::start(echo().await).await;
        let mut stream = TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap();
        call(&mut stream, LATE).await.unwrap();
        proxy.set(Link::Cut);
        assert!(tokio::time::timeout(LATE, stream.read_u8()).await.expect("it ends").is_err());
        assert!(TcpStream::connect(("127.0.0.1", proxy.port())).await.is_err());
        proxy.heal();
        tokio::time::sleep(Duration::from_millis(50)).await;
        let mut stream = TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap();
        assert!(call(&mut stream, LATE).await.is_some());
    }
}
