use super::*;
use crate::RELEASED;

#[tokio::test(start_paused = true)]
async fn the_time_is_told_in_the_clock_of_the_api() {
    let scene = scene(Api::Platform, [Say(200, &[("date", "Sun, 22 Nov 2026 10:05:00 GMT")], EMPTY)]);
    scene.ids().await.unwrap();
    assert_eq!(scene.client.clock().now().to_string(), "2026-11-22T10:05:00.5Z");
}

#[tokio::test(start_paused = true)]
async fn the_clock_of_the_api_is_known_once_an_answer_has_a_date() {
    let date = &[("date", "Sun, 22 Nov 2026 10:05:00 GMT")];
    let scene = scene(Api::Platform, [Say(200, &[], EMPTY), Say(200, date, EMPTY)]);
    scene.ids().await.unwrap();
    assert!(!scene.client.clock().is_known());
    scene.ids().await.unwrap();
    assert!(scene.client.clock().is_known());
}

#[tokio::test(start_paused = true)]
async fn after_a_step_an_answer_is_claimed_to_be_no_newer_than_it_is() {
    let early = || Say(200, &[("date", "Sun, 22 Nov 2026 09:00:00 GMT")], EMPTY);
    let right = || Say(200, &[("date", "Sun, 22 Nov 2026 10:00:00 GMT")], EMPTY);
    let scene = scene(Api::Platform, [early(), right(), right(), right()]);
    for _ in 0..3 {
        scene.ids().await.unwrap();
    }
    assert_eq!(scene.client.clock().now().to_string(), NOW);
    let page = scene.client.executions(&"c".into()).next().await.unwrap().unwrap();
    assert_eq!(page.as_of.to_string(), "2026-11-22T09:00:00.5Z");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_older_than_this_program_is_not_plausible_until_kapso_tells_the_time() {
    let date = &[("date", "Sun, 22 Nov 2026 10:05:00 GMT")];
    let scene =
        scene_at("1970-01-01T00:00:09Z", Api::Platform, [Say(200, &[], EMPTY), Say(200, date, EMPTY)]);
    scene.ids().await.unwrap();
    let error = scene.client.clock().require_plausible().unwrap_err();
    assert_eq!(
        error.to_string(),
        "this machine's clock shows 1970-01-01, and Kapso's answers carry no Date header: what is new cannot be \
         told from what is old"
    );
    assert_eq!((error.reason(), error.is_transient()), (Some(Reason::Clock), false));
    assert!(!scene.client.clock().is_plausible());
    scene.ids().await.unwrap();
    assert!(scene.client.clock().is_plausible() && scene.client.clock().require_plausible().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_clock_is_plausible_from_the_day_of_the_release_on() {
    for (day, plausible) in [(RELEASED.yesterday().unwrap(), false), (RELEASED, true)] {
        let scene = scene_at(&format!("{day}T00:00:00Z"), Api::Platform, []);
        assert_eq!(scene.client.clock().is_plausible(), plausible, "{day}");
    }
}

#[test]
fn the_day_of_the_release_is_that_of_the_changelog() {
    let heading = format!("## [{}] - {RELEASED}\n", env!("CARGO_PKG_VERSION"));
    assert!(include_str!("../../../CHANGELOG.md").contains(&heading), "{heading}");
}

/// When Kapso was asked until its clock was settled, with answers that carry `dates`.
async fn asked_until_settled(ours: &str, dates: &[&'static [(&'static str, &'static str)]]) -> Vec<u64> {
    let scene = scene_at(ours, Api::Platform, dates.iter().map(|date| Say(200, date, EMPTY)));
    scene.ids().await.unwrap();
    scene.client.settle_clock().await;
    scene.times()
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_agrees_with_ours_or_is_better_than_ours_is_waited_for_no_time_at_all() {
    let date: &[_] = &[("date", "Sun, 22 Nov 2026 10:00:20 GMT")];
    for ours in [NOW, "2026-11-22T10:00:49Z", "1970-01-01T00:00:09Z"] {
        assert_eq!(asked_until_settled(ours, &[date]).await, [0], "{ours}");
    }
    assert_eq!(asked_until_settled(NOW, &[&[]]).await, [0]);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_contradicts_ours_is_asked_for_until_two_answers_agree_with_ours() {
    let wrong: &[_] = &[("date", "Sun, 22 Nov 2026 10:05:00 GMT")];
    let right: [&[_]; 2] =
        [&[("date", "Sun, 22 Nov 2026 10:00:10 GMT")], &[("date", "Sun, 22 Nov 2026 10:00:15 GMT")]];
    assert_eq!(asked_until_settled(NOW, &[wrong, wrong, right[0], right[1]]).await, [0, 5, 10, 15]);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_contradicts_ours_is_waited_for_two_minutes_at_most() {
    let wrong: &[_] = &[("date", "Sun, 22 Nov 2026 10:05:00 GMT")];
    let times = asked_until_settled(NOW, &[wrong]).await;
    assert!((120..140).contains(times.last().unwrap()), "{times:?}");
}
