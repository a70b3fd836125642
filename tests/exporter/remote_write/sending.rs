//! How requests are sent: their form, how often, and until when.

use std::{collections::BTreeSet, time::Duration};

use kapso_exporter::{
    remote_write::{MOST_SERIES, message::TimeSeries},
    simulator::{DEFAULT_KEY, Scenario},
};

use super::{
    AMPLE, business, push,
    receiver::{Received, Receiver},
};
use crate::support::{Finished, Kapso, interrupt, run_to_end};

#[tokio::test]
async fn a_request_is_as_the_protocol_wants_it_and_nothing_is_written_to_stdout() {
    let (kapso, receiver) = (Kapso::start(business()).await, Receiver::start().await);
    let Finished { code, stdout, stderr } = push(&kapso, &receiver, &[]).await;
    assert_eq!((code, stdout.as_str()), (Some(0), ""), "{stderr}");
    let [request] = &receiver.received()[..] else { panic!("one request") };
    assert_eq!(request.uri, "/api/v1/write");
    for (header, value) in [
        ("content-encoding", "snappy"),
        ("content-type", "application/x-protobuf"),
        ("x-prometheus-remote-write-version", "0.1.0"),
        ("user-agent", concat!("kapso-exporter/", env!("CARGO_PKG_VERSION"))),
    ] {
        assert_eq!(request.header(header), Some(value), "{header}");
    }
    assert!(request.headers.get("authorization").is_none());
}

#[tokio::test]
async fn what_may_pass_is_tried_again_when_the_receiver_says() {
    let (kapso, receiver) = (Kapso::start(business()).await, Receiver::start().await);
    receiver.answer(503, &[], "starting");
    receiver.answer(429, &[("retry-after", "2")], "slow down");
    let Finished { code, stderr, .. } = push(&kapso, &receiver, &[]).await;
    assert_eq!(code, Some(0), "{stderr}");
    let [first, second, third] = &receiver.received()[..] else { panic!("three requests") };
    assert!(first.body == second.body && second.body == third.body);
    assert!(third.at - second.at >= Duration::from_secs(2), "{:?}", third.at - second.at);
}

#[tokio::test]
async fn a_refusal_is_final_and_told_by_the_start_of_its_text() {
    let (kapso, receiver) = (Kapso::start(business()).await, Receiver::start().await);
    for (status, headers, text, told) in [
        (
            400,
            &[][..],
            "out of order sample\nfor kapso_up",
            "400 Bad Request: out of order sample for kapso_up",
        ),
        (404, &[], "", "404 Not Found"),
        (503, &[("retry-after", "3600")], "down for an hour", "503 Service Unavailable: down for an hour"),
        (301, &[("location", "/other")], "moved", "301 Moved Permanently: a redirect that is not followed"),
        (
            307,
            &[("location", "http://localhost:1/")],
            "",
            "307 Temporary Redirect: a redirect that is not followed",
        ),
    ] {
        receiver.answer(status, headers, text);
        let Finished { code, stdout, stderr } = push(&kapso, &receiver, &[]).await;
        let expected = format!(
            "error: remote write to {}: request 1 of 1: the receiver answered {told}\n",
            receiver.url
        );
        assert!(code == Some(1) && stdout.is_empty() && stderr.ends_with(&expected), "{stderr}");
        assert_eq!(receiver.received().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_redirect_within_the_host_is_followed_with_all_that_was_sent() {
    let (kapso, receiver) = (Kapso::start(business()).await, Receiver::start().await);
    receiver.answer(308, &[("location", "/elsewhere")], "");
    let Finished { code, stderr, .. } = push(&kapso, &receiver, &[]).await;
    assert_eq!(code, Some(0), "{stderr}");
    let [first, second] = &receiver.received()[..] else { panic!("two requests") };
    assert_eq!((second.uri.as_str(), &second.body), ("/elsewhere", &first.body));
}

#[tokio::test]
async fn a_large_project_takes_several_requests_in_order_and_the_first_refusal_ends_it() {
    let workflows = (1..=60).map(|number| format!("Workflow {number}")).collect();
    let kapso = Kapso::start(Scenario { workflows, history: 600, ..business() }).await;
    let receiver = Receiver::start().await;
    let Finished { code, stderr, .. } = push(&kapso, &receiver, &[]).await;
    assert_eq!(code, Some(0), "{stderr}");
    let requests: Vec<Vec<TimeSeries>> =
        receiver.received().iter().map(|request| request.message().timeseries).collect();
    let sizes: Vec<_> = requests.iter().map(Vec::len).collect();
    let (last, full) = sizes.split_last().unwrap();
    assert!(full.len() > 1 && full.iter().all(|size| *size == MOST_SERIES), "{sizes:?}");
    let all: BTreeSet<_> = requests.iter().flatten().map(|series| series.labels.clone()).collect();
    assert_eq!(all.len(), full.len() * MOST_SERIES + last, "no series twice");

    receiver.answer(204, &[], "");
    receiver.answer(400, &[], "enough");
    let Finished { code, stderr, .. } = push(&kapso, &receiver, &[]).await;
    let told = format!("request 2 of {}: the receiver answered 400 Bad Request: enough\n", sizes.len());
    assert!(code == Some(1) && stderr.ends_with(&told), "{stderr}");
    assert_eq!(receiver.received().len(), 2);
}

#[tokio::test]
async fn an_incomplete_sweep_is_sent_and_told_beside_a_refusal() {
    let (kapso, receiver) = (Kapso::start(business()).await, Receiver::start().await);
    let url = format!("--remote-write={}", receiver.url);
    let args = ["--scrape.source=workflows", url.as_str()];
    let Finished { code, stderr, .. } = kapso.run_with_key("wrong-key", "once", &args).await;
    let incomplete = "error: the sweep was incomplete: workflows: workflows answered 401 Unauthorized\n";
    assert!(code == Some(1) && stderr.ends_with(incomplete), "{stderr}");
    let is_down = |request: &Received| {
        let series = request.message().timeseries;
        series.iter().any(|series| {
            series.labels.iter().any(|label| label.value == "kapso_up") && series.samples[0].value == 0.0
        })
    };
    assert!(receiver.received().iter().any(is_down));

    receiver.answer(400, &[], "no");
    let Finished { code, stderr, .. } = kapso.run_with_key("wrong-key", "once", &args).await;
    let both =
        "400 Bad Request: no; the sweep was incomplete: workflows: workflows answered 401 Unauthorized\n";
    assert!(code == Some(1) && stderr.ends_with(both), "{stderr}");
}

#[tokio::test]
async fn a_signal_ends_it_while_the_receiver_says_nothing_and_while_it_waits() {
    let (kapso, receiver) = (Kapso::start(business()).await, Receiver::start().await);
    let (url, flags) = (format!("--remote-write={}", receiver.url), kapso.flags());
    let ample = "--scrape.requests-per-minute=100000";
    let args = ["once", &flags[0], &flags[1], &url, ample, "--log.level=error"];
    for (status, headers) in [(418, &[][..]), (503, &[("retry-after", "50")])] {
        receiver.received();
        receiver.answer(status, headers, "");
        let begun = tokio::time::Instant::now();
        let sent = async || receiver.count() > 0;
        let Finished { code, stderr, .. } = interrupt(&args, &[("KAPSO_API_KEY", DEFAULT_KEY)], sent).await;
        let told = format!("error: interrupted before everything was sent to {}\n", receiver.url);
        assert_eq!((code, stderr), (Some(1), told));
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn a_receiver_that_is_not_there_is_told_without_the_query_of_its_url() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/write", listener.local_addr().unwrap());
    drop(listener);
    let kapso = Kapso::start(business()).await;
    let flag = format!("--remote-write={url}?token=hunter2");
    let Finished { code, stderr, .. } = kapso.run("once", &[AMPLE, &flag]).await;
    assert!(
        code == Some(1) && stderr.contains(&format!("remote write to {url}: request 1 of 1: ")),
        "{stderr}"
    );
    assert!(stderr.contains("Connection refused") && !stderr.contains("hunter2"), "{stderr}");
}

#[tokio::test]
async fn what_is_wrong_on_the_command_line_is_told_before_kapso_is_asked() {
    let kapso = Kapso::start(business()).await;
    let url = "--remote-write=http://127.0.0.1:1/write";
    for (args, told) in [
        (
            &["--remote-write=hunter2"][..],
            "invalid value for '--remote-write <URL>': expected an http or https URL",
        ),
        (
            &["--remote-write=http://hunter2:hunter2@a/"],
            "stand in the file of --remote-write.config.file, as basic_auth",
        ),
        (
            &[url, "--remote-write.label=api=x"],
            "--remote-write.label: api is a label of the exporter's own series",
        ),
        (&[url, "--remote-write.label=a=x,a=y"], "--remote-write.label: a is given twice"),
        (&[url, "--remote-write.label=1=x"], "expected NAME=VALUE"),
        (&["--remote-write.label=a=b"], "required arguments were not provided"),
        (&[url, "--remote-write.config.file=/nowhere"], "/nowhere: cannot read it: No such file"),
    ] {
        let Finished { code, stdout, stderr } = kapso.run("once", args).await;
        assert!(code == Some(2) && stdout.is_empty() && stderr.contains(told), "{args:?}: {stderr}");
        assert!(!stderr.contains("hunter2"), "{stderr}");
    }
    assert_eq!(kapso.simulator.requests().len(), 0);
    let end = run_to_end(&["--demo", url], &[]).await;
    assert!(end.code == Some(2) && end.stderr.contains("unexpected argument '--remote-write'"), "{end:?}");
}
