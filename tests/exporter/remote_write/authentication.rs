//! Who the client is, and which way it takes: what of the file of `--remote-write.config.file` a receiver sees.

use kapso_exporter::simulator::DEFAULT_KEY;

use super::{
    AMPLE, business, push,
    receiver::{Received, Receiver},
};
use crate::support::{Finished, Folder, Kapso, run_to_end};

/// What arrives from a client with this file.
async fn received(receiver: &Receiver, folder: &Folder, text: &str) -> Received {
    let kapso = Kapso::start(business()).await;
    folder.write("http.yml", text);
    let flag = format!("--remote-write.config.file={}", folder.path("http.yml").display());
    let Finished { code, stderr, .. } = push(&kapso, receiver, &[&flag]).await;
    assert_eq!(code, Some(0), "{text}: {stderr}");
    let mut requests = receiver.received();
    assert_eq!(requests.len(), 1, "{text}");
    requests.remove(0)
}

#[tokio::test]
async fn a_receiver_is_told_who_it_is_in_each_way_that_the_file_has() {
    let (receiver, folder) = (Receiver::start().await, Folder::new());
    folder.write("name", "prometheus\n");
    folder.write("password", "  hunter2\n");
    folder.write("token", "a-token\n");
    let basic = "Basic cHJvbWV0aGV1czpodW50ZXIy";
    for (text, expected) in [
        ("", None),
        ("basic_auth: {username: prometheus, password: hunter2}", Some(basic)),
        ("basic_auth: {username_file: name, password_file: password}", Some(basic)),
        ("basic_auth: {username: prometheus}", Some("Basic cHJvbWV0aGV1czo=")),
        ("authorization: {credentials: a-token}", Some("Bearer a-token")),
        ("authorization: {type: ' Token ', credentials_file: token}", Some("Token a-token")),
        ("bearer_token: a-token", Some("Bearer a-token")),
        ("bearer_token_file: token", Some("Bearer a-token")),
    ] {
        let request = received(&receiver, &folder, text).await;
        assert_eq!(request.header("authorization"), expected, "{text}");
    }
}

#[tokio::test]
async fn headers_have_values_secrets_and_what_files_hold() {
    let (receiver, folder) = (Receiver::start().await, Folder::new());
    folder.write("key", "from-a-file\n");
    let text = "http_headers:\n  X-Scope-OrgID: {values: [acme]}\n  X-Key: {values: [one, two], secrets: [three], \
                files: [key]}\n";
    let request = received(&receiver, &folder, text).await;
    assert_eq!(request.header("x-scope-orgid"), Some("acme"));
    let all: Vec<_> = request.headers.get_all("x-key").iter().map(|value| value.to_str().unwrap()).collect();
    assert_eq!(all, ["one", "two", "three", "from-a-file"]);
}

#[tokio::test]
async fn a_proxy_is_used_as_the_file_says() {
    let (receiver, proxy, folder) = (Receiver::start().await, Receiver::start().await, Folder::new());
    let address = proxy.url.strip_prefix("http://").unwrap().strip_suffix("/api/v1/write").unwrap();
    let through = format!("proxy_url: http://user:hunter2@{address}\n");
    let kapso = Kapso::start(business()).await;
    folder.write("http.yml", &through);
    let flag = format!("--remote-write.config.file={}", folder.path("http.yml").display());
    let Finished { code, stderr, .. } = push(&kapso, &receiver, &[&flag]).await;
    assert_eq!(code, Some(0), "{stderr}");
    let [request] = &proxy.received()[..] else { panic!("one request") };
    assert_eq!(
        (&request.uri, request.header("proxy-authorization")),
        (&receiver.url, Some("Basic dXNlcjpodW50ZXIy"))
    );
    assert_eq!(receiver.count(), 0);
    received(&receiver, &folder, &format!("{through}no_proxy: 127.0.0.1\n")).await;
    assert_eq!(proxy.count(), 0);
}

#[tokio::test]
async fn the_proxy_of_the_environment_is_used_without_a_file_and_where_the_file_says_so() {
    let (kapso, proxy, folder) = (Kapso::start(business()).await, Receiver::start().await, Folder::new());
    let address = proxy.url.strip_suffix("/api/v1/write").unwrap();
    folder.write("http.yml", "proxy_from_environment: true\n");
    let file = format!("--remote-write.config.file={}", folder.path("http.yml").display());
    let flags = kapso.flags();
    let url = "http://receiver.invalid/api/v1/write";
    let push = ["once", &flags[0], &flags[1], AMPLE, "--remote-write", url];
    for more in [&[][..], &[file.as_str()]] {
        let env = [("KAPSO_API_KEY", DEFAULT_KEY), ("HTTP_PROXY", address)];
        let Finished { code, stderr, .. } = run_to_end(&[&push, more].concat(), &env).await;
        assert_eq!(code, Some(0), "{stderr}");
        assert_eq!(proxy.received()[0].uri, url);
    }
}

#[tokio::test]
async fn redirects_are_not_followed_where_the_file_says_so() {
    let (kapso, receiver, folder) = (Kapso::start(business()).await, Receiver::start().await, Folder::new());
    receiver.answer(308, &[("location", "/elsewhere")], "");
    folder.write("http.yml", "follow_redirects: false\n");
    let flag = format!("--remote-write.config.file={}", folder.path("http.yml").display());
    let Finished { code, stderr, .. } = push(&kapso, &receiver, &[&flag]).await;
    assert!(code == Some(1) && stderr.contains("308 Permanent Redirect"), "{stderr}");
    assert_eq!(receiver.count(), 1);
}

#[tokio::test]
async fn no_secret_is_told_even_if_a_receiver_quotes_it() {
    let (kapso, receiver, folder) = (Kapso::start(business()).await, Receiver::start().await, Folder::new());
    for text in [
        "basic_auth: {username: prometheus, password: hunter2}",
        "authorization: {credentials: hunter2}",
        "http_headers: {X-Key: {secrets: [hunter2]}}",
    ] {
        receiver.answer(401, &[], "who is Basic cHJvbWV0aGV1czpodW50ZXIy or hunter2?");
        folder.write("http.yml", text);
        let flag = format!("--remote-write.config.file={}", folder.path("http.yml").display());
        let Finished { code, stderr, .. } = push(&kapso, &receiver, &[&flag, "--log.level=debug"]).await;
        assert!(code == Some(1) && stderr.contains("401 Unauthorized: who is Basic"), "{stderr}");
        assert!(!stderr.contains("hunter2"), "{stderr}");
        assert!(
            !text.starts_with("basic") || stderr.contains("who is Basic <secret> or <secret>?"),
            "{stderr}"
        );
    }
}
