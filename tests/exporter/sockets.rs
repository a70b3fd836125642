//! Sockets in the file system and of systemd, and what systemd is told.

use std::{
    os::{fd::OwnedFd, unix::net::UnixDatagram},
    process::Stdio,
    time::Duration,
};

use reqwest::Client;
use tokio::process::{Child, Command};

use crate::support::{Exporter, run_to_end, wait_for};

#[tokio::test]
async fn it_listens_on_a_socket_in_the_file_system_and_removes_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("exporter.sock");
    let flag = format!("--web.listen-address=unix:{}", path.display());
    let exporter = Exporter::start(&["--demo", &flag], &[]).await;
    let client = Client::builder().unix_socket(path.clone()).build().unwrap();
    let answer = client.get("http://localhost/-/healthy").send().await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "healthy\n");
    assert_eq!(exporter.get("/-/healthy").await.0, 200, "in TCP as well");
    let taken = run_to_end(&["--demo", &flag], &[]).await;
    let expected = format!("cannot listen on unix:{} (--web.listen-address)", path.display());
    assert!(taken.code == Some(1) && taken.stderr.contains(&expected), "{taken:?}");
    exporter.signal("TERM").await;
    assert_eq!(exporter.end(Duration::from_secs(5)).await, Some(0));
    assert!(!path.exists());
}

/// The program with a socket as systemd hands it over: as the third file, with its number in the environment.
fn activated(socket: OwnedFd) -> Child {
    let script = "exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\" --demo --web.systemd-socket";
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script, env!("CARGO_BIN_EXE_kapso-exporter")]).env_clear();
    command.stdin(socket).stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap()
}

#[tokio::test]
async fn it_takes_the_sockets_that_systemd_hands_over() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/-/healthy", listener.local_addr().unwrap());
    // Who connects before it runs waits for it.
    let asked = tokio::spawn(async move { reqwest::get(url).await.unwrap().text().await.unwrap() });
    let _exporter = activated(listener.into());
    assert_eq!(asked.await.unwrap(), "healthy\n");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("exporter.sock");
    let mut exporter = activated(std::os::unix::net::UnixListener::bind(&path).unwrap().into());
    let client = Client::builder().unix_socket(path.clone()).build().unwrap();
    wait_for("an answer", async || client.get("http://localhost/-/healthy").send().await.is_ok()).await;
    exporter.kill().await.unwrap();
    assert!(path.exists(), "it is systemd's");
}

#[tokio::test]
async fn sockets_that_are_none_are_refused() {
    let none = run_to_end(&["--demo", "--web.systemd-socket"], &[]).await;
    assert!(none.code == Some(1) && none.stderr.contains("systemd has handed over no socket"), "{none:?}");
    let datagrams = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let ended = activated(datagrams.into()).wait_with_output().await.unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(said.contains("socket 1 of systemd is not one for streams (ListenStream=)"), "{said}");
}

#[tokio::test]
async fn systemd_is_told_that_it_is_ready_goes_on_and_stops() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_nonblocking(true).unwrap();
    let heard = |text: &str| {
        let mut buffer = [0; 100];
        std::iter::from_fn(|| socket.recv(&mut buffer).ok().map(|length| buffer[..length].to_vec()))
            .any(|message| message == format!("{text}\n").as_bytes())
    };
    let environment = [("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "20000000")];
    let exporter = Exporter::start(&["--demo"], &environment).await;
    wait_for("READY", async || heard("READY=1")).await;
    assert_eq!(exporter.get("/metrics").await.0, 200);
    for _ in 0..3 {
        wait_for("WATCHDOG", async || heard("WATCHDOG=1")).await;
    }
    exporter.signal("TERM").await;
    wait_for("STOPPING", async || heard("STOPPING=1")).await;
    assert_eq!(exporter.end(Duration::from_secs(5)).await, Some(0));
}
