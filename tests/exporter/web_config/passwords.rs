//! `basic_auth_users`.

use std::fmt::Write;

use kapso_exporter::simulator::Scenario;
use reqwest::{Client, Method, StatusCode};

use super::{TLS, https, served};
use crate::support::{Exporter, Folder, Kapso};

fn users() -> String {
    let mut text = String::from("basic_auth_users:\n");
    // The costs of web_config_users.good.yml, but for the dearest, which takes 16 s.
    for (name, password, cost) in
        [("alice", "alice123", 12), ("carol", "carol123", 10), ("dave", "dave123", 10)]
    {
        writeln!(text, "  {name}: {}", bcrypt::hash(password, cost).unwrap()).unwrap();
    }
    text
}

async fn status(exporter: &Exporter, user: &str, password: &str) -> u16 {
    let request = Client::new().get(format!("{}/metrics", exporter.url)).basic_auth(user, Some(password));
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_user_gets_in_with_its_password_and_nobody_else_does() {
    // web_config_users_noTLS.good.yml
    let exporter = served(&Folder::new(), &users()).await;
    let refused = reqwest::get(format!("{}/metrics", exporter.url)).await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(refused.headers()["www-authenticate"], "Basic realm=\"kapso-exporter\", charset=\"UTF-8\"");
    for (user, password, expected) in [
        ("dave", "dave123", 200),
        ("carol", "carol123", 200),
        ("dave", "bad", 401),
        ("dave", "carol123", 401),
        ("nonexistent", "nonexistent", 401),
        // What the toolkit compares with where there is no such user.
        ("fakeuser", "fakepassword", 401),
    ] {
        for _again in 0..2 {
            assert_eq!(status(&exporter, user, password).await, expected, "{user}:{password}");
        }
    }
}

#[tokio::test]
async fn passwords_go_with_tls() {
    let folder = Folder::new();
    // web_config_users.good.yml
    let exporter = served(&folder, &format!("{TLS}{}", users())).await;
    let ask = async |password: Option<&str>| {
        let request = folder.client().get(https(&exporter, "/metrics"));
        let request = if password.is_some() { request.basic_auth("dave", password) } else { request };
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!((ask(None).await, ask(Some("bad")).await, ask(Some("dave123")).await), (401, 401, 200));
}

#[tokio::test]
async fn many_at_once_get_the_verdict_of_the_first() {
    let exporter = served(&Folder::new(), &users()).await;
    assert_eq!(status(&exporter, "alice", "alice123").await, 200);
    assert_eq!(status(&exporter, "alice", "alice1234").await, 401);
    let right = (0..150).map(|_| status(&exporter, "alice", "alice123"));
    let wrong = (0..150).map(|_| status(&exporter, "alice", "alice1234"));
    let (right, wrong) =
        tokio::join!(futures_util::future::join_all(right), futures_util::future::join_all(wrong));
    assert!(right.iter().all(|status| *status == 200) && wrong.iter().all(|status| *status == 401));
}

/// CVE-2022-46146: names, hashes and passwords that run into each other.
#[tokio::test]
async fn a_verdict_is_about_one_user_and_one_password() {
    let hash = bcrypt::hash("alice123", 4).unwrap();
    let exporter = served(&Folder::new(), &format!("basic_auth_users:\n  alice: {hash}\n")).await;
    assert_eq!(status(&exporter, "alice", "alice123").await, 200);
    assert_eq!(status(&exporter, "alic", "ealice123").await, 401);
    assert_eq!(status(&exporter, &format!("alice{hash}"), "fakepassword").await, 401);
    assert_eq!(status(&exporter, "alice", &format!("{hash}fakepassword")).await, 401);
    assert_eq!(status(&exporter, "alice", &hash).await, 401);
}

#[tokio::test]
async fn every_path_needs_a_password_but_those_of_probes_and_deliveries() {
    let kapso = Kapso::start(Scenario::quiet(1)).await;
    let folder = Folder::new();
    let exporter = kapso.watched(&[&folder.flag(&users())]).await;
    let ask = async |method: Method, path: &str| {
        let request = Client::new().request(method, format!("{}{path}", exporter.url));
        request.send().await.unwrap().status().as_u16()
    };
    for path in
        ["/", "/metrics", "/api/v1/status", "/api/v1/openapi.json", "/projects/default", "/status.css", "/a"]
    {
        assert_eq!(ask(Method::GET, path).await, 401, "{path}");
    }
    for (method, path) in [
        (Method::POST, "/-/reload"),
        (Method::GET, "/-/healthy/"),
        (Method::GET, "//-/healthy"),
        (Method::GET, "/webhooks"),
        (Method::GET, "/-/ready%2f..%2f..%2fmetrics"),
    ] {
        assert_eq!(ask(method, path).await, 401, "{path}");
    }
    assert_eq!(ask(Method::GET, "/-/healthy").await, 200);
    assert!([200, 503].contains(&ask(Method::GET, "/-/ready").await));
    assert_eq!(ask(Method::POST, "/webhooks/kapso/default").await, 404, "there is no webhook");
}
