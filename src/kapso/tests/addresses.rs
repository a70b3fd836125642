//! An id is data: the path that it names is asked, or none.

use super::*;

/// What the server would see: the segments of the path, decoded.
fn segments(url: &str) -> Vec<String> {
    let url = Url::parse(url).unwrap();
    let decoded = |segment| percent_encoding::percent_decode_str(segment).decode_utf8().unwrap().into_owned();
    url.path_segments().unwrap().map(decoded).collect()
}

#[tokio::test(start_paused = true)]
async fn an_id_is_one_segment_of_the_path_whatever_it_holds() {
    let long = "x".repeat(2000);
    for id in [
        "%2e%2e",
        "%2F",
        "a/b",
        "a?b#c",
        "a\\b",
        "../..",
        "...",
        "\0",
        " ",
        "día 😀",
        "a;b=c",
        "..%2f",
        "a\tb",
        "a\nb",
        "\r",
        "\t..",
        ".\t.",
        &long,
    ] {
        let scene = scene(Api::Platform, [Say(200, &[], EMPTY)]);
        scene.client.executions(&id.into()).next().await.unwrap();
        let urls = scene.urls();
        assert_eq!(
            segments(&urls[0]),
            ["v1", "whatsapp", "conversations", id, "flow_executions"],
            "{}",
            urls[0]
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_id_that_would_name_another_path_is_not_asked_for() {
    let long = "é".repeat(2000);
    for id in [".", "..", "", &long] {
        for api in [Api::Platform, Api::Legacy] {
            let scene = scene(api, [Say(200, &[], EMPTY)]);
            let mut pager = scene.client.executions(&id.into());
            let error = pager.next().await.unwrap_err();
            assert_eq!(
                (error.reason(), error.is_transient()),
                (Some(Reason::Unaddressable), false),
                "{id:?}"
            );
            assert_eq!(scene.urls(), [""; 0]);
            assert_eq!(scene.reasons(), [Reason::Unaddressable], "it is counted");
            assert_eq!(pager.place(), None);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_asked_for_costs_no_budget() {
    let scene = scene(Api::Platform, std::iter::repeat_with(|| Say(200, &[], EMPTY)).take(6));
    for _ in 0..100 {
        scene.client.workflow_execution(&"..".into()).await.unwrap_err();
    }
    for _ in 0..6 {
        scene.ids().await.unwrap();
    }
    assert_eq!(scene.times(), [0; 6], "what may go at once");
}

#[tokio::test(start_paused = true)]
async fn an_unaddressable_id_is_not_told() {
    let scene = scene(Api::Platform, []);
    let error = scene
        .client
        .workflow_executions(
            &"15550000001".repeat(1000).as_str().into(),
            ExecutionFilter::In { status: Status::Failed, started: None },
        )
        .next()
        .await;
    let text = "workflow_executions cannot be asked: an id does not fit into its path";
    assert_eq!(error.unwrap_err().to_string(), text);
}
