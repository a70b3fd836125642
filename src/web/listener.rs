//! Sockets: those that the exporter opens, in TCP or the file system, and those that systemd hands over.

use std::{
    fmt, fs, io,
    net::{IpAddr, SocketAddr},
    os::unix::fs::FileTypeExt,
    path::{Path, PathBuf},
};

use listenfd::ListenFd;
use rustix::net::{RecvFlags, recv};
use tokio::{
    io::Interest,
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
};
use tokio_util::either::Either;

use crate::config::web::ListenAddress;

/// A connection.
pub(super) type Stream = Either<TcpStream, UnixStream>;

/// A socket that connections come from.
#[derive(Debug)]
pub enum Listener {
    /// In TCP.
    Tcp(TcpListener),
    /// In the file system.
    Unix(UnixListener, Option<SocketFile>),
}

/// Who is at the other end of a connection; none = over a unix socket nobody has an address.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(Option<SocketAddr>);

/// A file that is removed when it is not used any more.
#[derive(Debug)]
pub struct SocketFile(PathBuf);

impl Listener {
    /// Opens a socket. One in the file system takes the place of one that nobody listens at.
    ///
    /// # Errors
    /// If the address cannot be resolved, is taken or not ours.
    pub async fn bind(address: &ListenAddress) -> io::Result<Self> {
        match address {
            ListenAddress::Tcp(address) => bind(address).await.map(Self::Tcp),
            ListenAddress::Unix(path) => {
                let listener = match UnixListener::bind(path) {
                    Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_left_over(path).await => {
                        fs::remove_file(path)?;
                        UnixListener::bind(path)
                    }
                    bound => bound,
                };
                Ok(Self::Unix(listener?, Some(SocketFile(path.clone()))))
            }
        }
    }

    /// All that systemd hands over, by `LISTEN_FDS`.
    ///
    /// # Errors
    /// If there are none, or one is no socket that listens for streams.
    pub fn from_systemd() -> io::Result<Vec<Self>> {
        let mut handed_over = ListenFd::from_env();
        let all = (0..handed_over.len()).map(|number| Self::handed_over(&mut handed_over, number));
        let all: Vec<_> = all.collect::<io::Result<_>>()?;
        if all.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "systemd has handed over no socket"));
        }
        Ok(all)
    }

    fn handed_over(all: &mut ListenFd, number: usize) -> io::Result<Self> {
        if let Ok(Some(listener)) = all.take_tcp_listener(number) {
            listener.set_nonblocking(true)?;
            return TcpListener::from_std(listener).map(Self::Tcp);
        }
        if let Ok(Some(listener)) = all.take_unix_listener(number) {
            listener.set_nonblocking(true)?;
            return UnixListener::from_std(listener).map(|listener| Self::Unix(listener, None));
        }
        let message = format!("socket {} of systemd is not one for streams (ListenStream=)", number + 1);
        Err(io::Error::new(io::ErrorKind::InvalidInput, message))
    }

    /// Its address in TCP; `None` if it is in the file system.
    #[must_use]
    pub fn tcp_address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Unix(..) => None,
        }
    }

    pub(super) async fn accept(&self) -> io::Result<(Stream, Peer)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                stream.set_nodelay(true).ok();
                Ok((Either::Left(stream), Peer(Some(peer))))
            }
            Self::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                Ok((Either::Right(stream), Peer(None)))
            }
        }
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(listener) => match listener.local_addr() {
                Ok(address) => write!(f, "{address}"),
                Err(error) => write!(f, "{error}"),
            },
            Self::Unix(listener, _) => {
                let address = listener.local_addr().ok();
                let path = address.as_ref().and_then(|address| address.as_pathname());
                write!(f, "unix:{}", path.unwrap_or(Path::new("")).display())
            }
        }
    }
}

impl Peer {
    pub const fn ip(self) -> Option<IpAddr> {
        match self.0 {
            Some(address) => Some(address.ip()),
            None => None,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => write!(f, "{address}"),
            None => f.write_str("unix"),
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        fs::remove_file(&self.0).ok();
    }
}

/// Binds `address`, such as `:10110`, `127.0.0.1:0` or `localhost:10110`. Without a host it is every address
/// of the machine, IPv6 and IPv4.
///
/// # Errors
/// If the address cannot be resolved, is taken or not ours.
pub async fn bind(address: &str) -> io::Result<TcpListener> {
    let Some(port) = address.strip_prefix(':') else {
        return TcpListener::bind(address).await;
    };
    match TcpListener::bind(format!("[::]:{port}")).await {
        Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
            // A machine without IPv6.
            TcpListener::bind(format!("0.0.0.0:{port}")).await
        }
        bound => bound,
    }
}

/// Whether it is a socket of a program that has ended.
async fn is_left_over(path: &Path) -> bool {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket());
    let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    is_socket && UnixStream::connect(path).await.is_err_and(refused)
}

/// The first byte that comes in, which stays to be read; `None` if the other side says nothing more.
pub(super) async fn first_byte(stream: &Stream) -> io::Result<Option<u8>> {
    let mut byte = [0];
    let read = match stream {
        Either::Left(stream) => stream.peek(&mut byte).await?,
        Either::Right(stream) => {
            let peek = || Ok(recv(stream, &mut byte[..], RecvFlags::PEEK)?.0);
            stream.async_io(Interest::READABLE, peek).await?
        }
    };
    Ok((read > 0).then_some(byte[0]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_that_was_left_over_is_taken_over_and_one_in_use_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("exporter.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let address = ListenAddress::Unix(path.clone());
        let listener = Listener::bind(&address).await.unwrap();
        assert_eq!(Listener::bind(&address).await.unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(listener);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_file_that_is_no_socket_stays() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let address = ListenAddress::Unix(file.path().into());
        assert_eq!(Listener::bind(&address).await.unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert!(file.path().exists());
    }
}
