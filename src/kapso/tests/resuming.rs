//! Cursors expire while a list is read. The reading goes on.

use super::*;

/// The cursor is refused.
fn expired() -> Reply {
    Say(400, &[], r#"{"error":"invalid cursor"}"#)
}

/// A page of items with these times (seconds of 10 o'clock), and a cursor to the next page unless it is empty.
fn page(seconds: &[u32], next: &str) -> Reply {
    let item = |s: &u32| {
        let at = format!("2026-11-22T09:00:{s:02}Z");
        format!(r#"{{"id":"i{s}","started_at":"{at}","last_active_at":"{at}"}}"#)
    };
    let items: Vec<_> = seconds.iter().map(item).collect();
    let next = if next.is_empty() { "null".into() } else { format!("\"{next}\"") };
    let body = format!(r#"{{"data":[{}],"paging":{{"next":{next}}}}}"#, items.join(","));
    Say(200, &[], Box::leak(body.into_boxed_str()))
}

/// Reads on to the end; the ids, or why not.
async fn ids(mut pager: Pager<'_, Execution>) -> Result<Vec<String>, Error> {
    let mut ids = Vec::new();
    while let Some(page) = pager.next().await? {
        ids.extend(page.items.iter().map(|item| item.id.to_string()));
    }
    Ok(ids)
}

fn of_workflow(scene: &Scene) -> Pager<'_, Execution> {
    let which = ExecutionFilter::Started { since: NOW.parse().unwrap(), until: Some(NOW.parse().unwrap()) };
    scene.client.workflow_executions(&"w".into(), which)
}

/// What was asked for: names and values but the page's size.
fn asked(scene: &Scene) -> Vec<Vec<(String, String)>> {
    let query = |url: &String| {
        let pairs: Vec<_> = Url::parse(url).unwrap().query_pairs().into_owned().collect();
        pairs.into_iter().filter(|(name, _)| name != "limit").collect()
    };
    scene.urls().iter().map(query).collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

#[tokio::test(start_paused = true)]
async fn executions_of_a_workflow_are_read_on_from_the_last_start() {
    let replies = [page(&[50, 40], "a"), expired(), page(&[40, 30], "b"), page(&[20], "")];
    let scene = scene(Api::Platform, replies);
    assert_eq!(ids(of_workflow(&scene)).await.unwrap(), ["i50", "i40", "i40", "i30", "i20"]);
    // What is ordered may be more precise than what is shown: a second is added.
    let (since, bound) = (("created_after", NOW), ("created_before", "2026-11-22T09:00:41Z"));
    let until = ("created_before", NOW);
    assert_eq!(
        asked(&scene),
        [
            pairs(&[since, until]),
            pairs(&[since, until, ("after", "a")]),
            pairs(&[since, bound]),
            pairs(&[since, bound, ("after", "b")]),
        ]
    );
    assert_eq!(scene.reasons(), [Reason::Cursor], "it is counted");
}

#[tokio::test(start_paused = true)]
async fn conversations_are_read_on_from_the_last_activity() {
    let scene = scene(Api::Platform, [page(&[50, 40], "a"), expired(), page(&[40, 30], "")]);
    let mut pager = scene.client.conversations(None);
    while pager.next().await.unwrap().is_some() {}
    assert_eq!(asked(&scene)[2], pairs(&[("last_active_before", "2026-11-22T09:00:41Z")]));
}

#[tokio::test(start_paused = true)]
async fn a_place_that_was_kept_is_read_on_from_its_last_item() {
    let scene = scene(Api::Platform, [page(&[50, 40], "a"), expired(), page(&[40, 30], "")]);
    let mut pager = of_workflow(&scene);
    pager.next().await.unwrap();
    let token = pager.place().unwrap();
    drop(pager);
    assert_eq!(ids(of_workflow(&scene).from(token)).await.unwrap(), ["i40", "i30"]);
}

#[tokio::test(start_paused = true)]
async fn cursors_may_expire_again_and_again_while_the_reading_goes_on() {
    let scene = scene(
        Api::Platform,
        [
            page(&[50], "a"),
            expired(),
            page(&[40], "b"),
            expired(),
            page(&[30], "c"),
            expired(),
            page(&[20], ""),
        ],
    );
    assert_eq!(ids(of_workflow(&scene)).await.unwrap(), ["i50", "i40", "i30", "i20"]);
}

#[tokio::test(start_paused = true)]
async fn a_reading_that_does_not_go_on_is_an_error() {
    for resumed in [page(&[40], "b"), page(&[50, 45], "b"), page(&[], "b")] {
        let scene = scene(Api::Platform, [page(&[50, 40], "a"), expired(), resumed]);
        let error = ids(of_workflow(&scene)).await.unwrap_err();
        assert!(matches!(error, Error::Cursor { .. }), "{error}");
        assert_eq!(scene.urls().len(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn executions_of_a_conversation_begin_again_once() {
    let begin = || page(&[50, 40], "a");
    let scene = scene(Api::Platform, [begin(), expired(), begin(), page(&[30], "")]);
    assert_eq!(scene.ids().await.unwrap(), ["i50", "i40", "i50", "i40", "i30"]);

    let scene = self::scene(Api::Platform, [begin(), expired(), begin(), expired(), begin()]);
    let error = scene.ids().await.unwrap_err();
    assert!(matches!(error, Error::CursorExpired { endpoint: Endpoint::FlowExecutions }), "{error}");
    assert_eq!((scene.urls().len(), error.reason(), error.is_transient()), (4, Some(Reason::Cursor), false));
}

#[tokio::test(start_paused = true)]
async fn a_list_whose_items_are_not_in_order_begins_again() {
    let begin = || page(&[40, 50], "a");
    let scene = scene(Api::Platform, [begin(), expired(), begin(), page(&[30], "")]);
    assert_eq!(ids(of_workflow(&scene)).await.unwrap(), ["i40", "i50", "i40", "i50", "i30"]);
}

#[tokio::test(start_paused = true)]
async fn a_first_page_that_is_refused_has_no_cursor_to_blame() {
    let scene = scene(Api::Platform, [expired()]);
    assert_eq!(scene.ids().await.unwrap_err().reason(), Some(Reason::Client));
    assert_eq!(scene.urls().len(), 1);
}
