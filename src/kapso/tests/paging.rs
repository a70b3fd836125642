//! Lists are read to their end, however they are cut into pages.

use super::*;
use crate::model::Extent;

#[tokio::test(start_paused = true)]
async fn cursors_are_passed_back_until_there_is_none() {
    let first = r#"{"data":[{"id":"b"}],"paging":{"cursors":{"after":"x/+="},"next":"x/+="}}"#;
    let last = r#"{"data":[{"id":"a"}],"paging":{"cursors":{"after":"z"},"next":null}}"#;
    let scene = scene(Api::Platform, [Say(200, &[], first), Say(200, &[], last)]);
    assert_eq!(scene.ids().await.unwrap(), ["b", "a"]);
    let base = "http://kapso.invalid/v1/whatsapp/conversations/c/flow_executions?limit=100";
    assert_eq!(scene.urls(), [base.to_owned(), format!("{base}&after=x%2F%2B%3D")]);
}

#[tokio::test(start_paused = true)]
async fn a_cursor_that_does_not_advance_is_an_error() {
    let to = |next: &'static str| Say(200, &[], next);
    let (a, b) = (r#"{"data":[],"paging":{"next":"a"}}"#, r#"{"data":[],"paging":{"next":"b"}}"#);
    for replies in [vec![to(a), to(a)], vec![to(a), to(b), to(a)]] {
        let asked = replies.len();
        let scene = scene(Api::Platform, replies);
        assert_eq!(scene.ids().await.unwrap_err().reason(), Some(Reason::Cursor));
        assert_eq!((scene.urls().len(), scene.reasons()), (asked, vec![Reason::Cursor]));
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_without_an_end_is_given_up() {
    let page = |number: usize| {
        let body = format!(r#"{{"data":[],"paging":{{"next":"{number}"}}}}"#);
        Say(200, &[("x-ratelimit-limit", "4000000000")], Box::leak(body.into_boxed_str()))
    };
    let scene = scene(Api::Platform, (0..20_000).map(page));
    assert_eq!(scene.ids().await.unwrap_err().reason(), Some(Reason::Cursor));
    assert_eq!(scene.urls().len(), 10_000);
}

#[tokio::test(start_paused = true)]
async fn numbered_pages_are_read_to_the_last_one() {
    let page = |body| Say(200, &[], body);
    let scene = scene(
        Api::Legacy,
        [
            page(
                r#"{"data":[{"id":"a1","agent_execution":{"id":"c"}}],"meta":{"page":1,"total_pages":"2"}}"#,
            ),
            page(r#"{"data":[{"id":"a2","agent_execution":{"id":"b"}}],"meta":{"page":2,"total_pages":2}}"#),
        ],
    );
    assert_eq!(scene.ids().await.unwrap(), ["c", "b"]);
    let base = "http://kapso.invalid/v1/whatsapp_conversations/c/agent_executions";
    assert_eq!(scene.urls(), [1, 2].map(|page| format!("{base}?page={page}&per_page=100")));
}

#[tokio::test(start_paused = true)]
async fn a_page_number_that_does_not_advance_is_an_error() {
    let first = r#"{"data":[{"id":"c"}],"meta":{"page":1,"total_pages":9}}"#;
    let scene = scene(Api::Legacy, [Say(200, &[], first), Say(200, &[], first)]);
    assert_eq!(scene.ids().await.unwrap_err().reason(), Some(Reason::Cursor));
}

#[tokio::test(start_paused = true)]
async fn the_platform_may_fall_back_to_numbered_pages_or_to_none() {
    let first = r#"{"data":[{"id":"b"}],"meta":{"page":1,"per_page":20,"total_pages":2,"total_count":2}}"#;
    let scene = scene(Api::Platform, [Say(200, &[], first), Say(200, &[], r#"{"data":[{"id":"a"}]}"#)]);
    assert_eq!(scene.ids().await.unwrap(), ["b", "a"]);
    assert!(scene.urls()[1].ends_with("?page=2&per_page=100"), "{:?}", scene.urls());
}

/// A body with `count` items that begin at `first`, and what follows them.
fn page(first: usize, count: usize, rest: &str) -> Reply {
    let item = |number| format!(r#"{{"id":"e{number}","agent_execution":{{"id":"e{number}"}}}}"#);
    let items: Vec<_> = (first..first + count).map(item).collect();
    let body = format!(r#"{{"data":[{}]{rest}}}"#, items.join(","));
    Say(200, &[], Box::leak(body.into_boxed_str()))
}

/// Reads the list to its end: how many items, and whether the last page says that it is whole.
async fn extent(scene: &Scene) -> (usize, Extent) {
    let mut pager = scene.client.executions(&"c".into());
    let (mut count, mut extent) = (0, Extent::Whole);
    while let Some(page) = pager.next().await.unwrap() {
        count += page.items.len();
        extent = page.flaws.extent;
        assert_eq!(page.is_clean(), extent == Extent::Whole);
    }
    (count, extent)
}

#[tokio::test(start_paused = true)]
async fn without_a_number_of_pages_the_number_of_items_tells() {
    let counted = r#","meta":{"page":"1","total_count":250}"#;
    let sized = r#","meta":{"per_page":20,"total_count":"30"}"#;
    let replies = [
        page(0, 100, counted),
        page(100, 100, r#","meta":{"total_count":250}"#),
        page(200, 50, r#","meta":{"total_count":250}"#),
    ];
    let scene = scene(Api::Legacy, replies);
    assert_eq!(extent(&scene).await, (250, Extent::Whole));
    let scene = self::scene(Api::Legacy, [page(0, 20, sized), page(20, 10, sized)]);
    assert_eq!(extent(&scene).await, (30, Extent::Whole));
}

#[tokio::test(start_paused = true)]
async fn without_any_number_a_page_that_is_not_full_is_the_last() {
    let scene = scene(
        Api::Legacy,
        [page(0, 100, r#","meta":{}"#), page(100, 100, r#","meta":{}"#), page(200, 99, r#","meta":{}"#)],
    );
    assert_eq!(extent(&scene).await, (299, Extent::Whole));
    assert!(scene.urls()[2].ends_with("?page=3&per_page=100"), "{:?}", scene.urls());
}

#[tokio::test(start_paused = true)]
async fn a_page_that_comes_again_under_the_next_number_is_an_error() {
    let scene = scene(Api::Legacy, (0..9).map(|_| page(0, 100, r#","meta":{}"#)));
    assert_eq!(scene.ids().await.unwrap_err().reason(), Some(Reason::Cursor));
    assert_eq!(scene.urls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_full_page_without_a_word_of_others_may_be_cut() {
    for (count, expected) in [(99, Extent::Whole), (100, Extent::Truncated), (250, Extent::Truncated)] {
        let scene = scene(Api::Platform, [page(0, count, "")]);
        assert_eq!(extent(&scene).await, (count, expected));
        let reasons = if expected == Extent::Truncated { vec![Reason::Truncated] } else { vec![] };
        assert_eq!(scene.reasons(), reasons);
    }
    let scene = scene(Api::Platform, [page(0, 100, r#","paging":{"next":null}"#)]);
    assert_eq!(extent(&scene).await, (100, Extent::Whole), "it says that there are no others");
}

#[tokio::test(start_paused = true)]
async fn a_list_that_says_that_there_is_more_and_then_shows_nothing_is_cut() {
    let scene = scene(
        Api::Platform,
        [page(0, 100, r#","paging":{"next":"a"}"#), page(0, 0, r#","paging":{"next":null}"#)],
    );
    assert_eq!(extent(&scene).await, (100, Extent::Truncated));
    assert_eq!(scene.reasons(), [Reason::Truncated]);
}

#[tokio::test(start_paused = true)]
async fn a_list_with_fewer_items_than_it_counts_is_cut() {
    let rest = r#","meta":{"total_pages":2,"total_count":250}"#;
    let scene = scene(
        Api::Legacy,
        [page(0, 100, rest), page(100, 100, r#","meta":{"page":2,"total_pages":2,"total_count":250}"#)],
    );
    assert_eq!(extent(&scene).await, (200, Extent::Truncated));
    assert_eq!(scene.reasons(), [Reason::Truncated], "once");
}

#[tokio::test(start_paused = true)]
async fn what_comes_or_goes_while_a_list_is_read_does_not_cut_it() {
    let more = [
        page(0, 100, r#","paging":{"next":"a"},"meta":{"total_count":150}"#),
        page(100, 50, r#","paging":{},"meta":{"total_count":153}"#),
    ];
    assert_eq!(extent(&scene(Api::Platform, more)).await, (150, Extent::Whole));
    let fewer = [
        page(0, 100, r#","paging":{"next":"a"},"meta":{"total_count":150}"#),
        page(100, 47, r#","paging":{},"meta":{"total_count":147}"#),
    ];
    assert_eq!(extent(&scene(Api::Platform, fewer)).await, (147, Extent::Whole));
}
