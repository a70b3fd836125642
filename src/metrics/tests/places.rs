//! Places in a series budget that is full.

use proptest::{prelude::*, sample::select};

use super::*;

#[test]
fn while_there_is_room_nobody_loses_a_place() {
    let mut world = World::with(3, 10);
    world.list(&["a", "b"]);
    world.run("a");
    world.delete("a");
    world.starts();
    world.wait(40 * DAY);
    world.list(&["b", "c"]);
    assert_eq!(world.starts(), counts([("a", 1), ("b", 0), ("c", 0)]));
}

#[test]
fn a_new_workflow_gets_the_place_of_one_that_is_gone_with_the_oldest_event_first() {
    let mut world = World::with(3, 10);
    for id in ["b", "a", "c"] {
        world.wait(60);
        world.run(id);
    }
    world.list(&["a", "b", "c"]);
    assert_eq!(world.starts(), counts([("a", 1), ("b", 1), ("c", 1)]));
    world.delete("a");
    world.delete("b");
    world.wait(2 * DAY);
    world.list(&["c", "d"]);
    assert_eq!(world.starts(), counts([("a", 1), ("c", 1), ("d", 0)]), "b is not even added to other");
    world.list(&["c", "d", "e"]);
    assert_eq!(world.starts(), counts([("c", 1), ("d", 0), ("e", 0)]));
    assert!(!world.text().contains("workflow_id=\"a\""), "none of its series is left");
}

#[test]
fn nine_hundred_of_a_thousand_that_are_gone_make_room_for_nine_hundred() {
    let ids = |range: std::ops::Range<u32>| range.map(|n| format!("w{n}")).collect::<Vec<_>>();
    let mut world = World::with(1000, 10);
    let list = |world: &mut World, ids: &[String]| {
        world.list(&ids.iter().map(String::as_str).collect::<Vec<_>>());
        world.admit()
    };
    assert_eq!(list(&mut world, &ids(0..1000)), Refused { workflows: 0, steps: 0 });
    for id in ids(0..900) {
        world.delete(&id);
    }
    world.wait(2 * DAY);
    assert_eq!(list(&mut world, &ids(900..1900)), Refused { workflows: 0, steps: 0 });
    assert_eq!(list(&mut world, &ids(900..1902)), Refused { workflows: 2, steps: 0 });
    assert_eq!(world.admit(), Refused { workflows: 0, steps: 0 }, "each is counted once");
    world.run("w1899");
    let starts = world.starts();
    assert_eq!((starts.len(), starts["w1899"], starts["other"]), (1001, 1.0, 0.0));
}

#[test]
fn a_workflow_that_is_gone_keeps_its_place_while_something_of_it_is_current() {
    let mut world = World::with(1, 10);
    world.run("a");
    world.starts();
    world.delete("a");
    let late = world.start("a");
    world.wait(23 * HOUR);
    world.list(&["b"]);
    world.observe(&late, "a", Status::Running, None);
    world.wait(40 * DAY);
    world.list(&["b"]);
    assert_eq!(world.starts(), counts([("a", 2), ("other", 0)]), "an execution is open");
    world.observe(&late, "a", Status::Ended, None);
    world.wait(23 * HOUR);
    assert_eq!(world.starts(), counts([("a", 2), ("other", 0)]), "it ended within the lookback");
}

#[test]
fn a_workflow_that_is_not_listed_for_a_day_is_gone_but_not_if_none_is_listed() {
    let mut world = World::with(1, 10);
    world.list(&["a", "b"]);
    assert_eq!(world.starts(), counts([("a", 0), ("other", 0)]));
    world.wait(3 * DAY);
    assert_eq!(world.starts(), counts([("a", 0), ("other", 0)]), "the list was not read");
    world.list(&["a", "b"]);
    world.wait(DAY);
    world.list(&["b"]);
    assert_eq!(world.starts(), counts([("a", 0), ("other", 0)]));
    world.wait(1);
    world.list(&["b"]);
    assert_eq!(world.starts(), counts([("b", 0), ("other", 0)]), "it leaves other what was counted there");
}

#[test]
fn a_workflow_that_no_list_shows_is_gone_after_thirty_days_without_an_event() {
    let mut world = World::with(1, 10);
    world.run("agent-a");
    world.starts();
    world.wait(30 * DAY);
    world.run("agent-b");
    assert_eq!(world.starts(), counts([("agent-a", 1), ("other", 1)]));
    world.wait(1);
    assert_eq!(world.starts(), counts([("agent-b", 1), ("other", 1)]));
}

#[test]
fn the_counters_of_other_neither_fall_nor_jump_when_somebody_comes_or_goes() {
    let mut world = World::with(1, 10);
    for id in ["a", "b", "c", "c"] {
        world.run(id);
    }
    assert_eq!(world.starts(), counts([("a", 1), ("other", 3)]));
    world.delete("a");
    world.wait(2 * DAY);
    world.run("b");
    assert_eq!(world.starts(), counts([("b", 2), ("other", 4)]), "what b has counted stays in other");
    world.run("b");
    world.run("c");
    assert_eq!(world.starts(), counts([("b", 3), ("other", 5)]));
    world.run("a");
    assert_eq!(
        world.starts(),
        counts([("b", 3), ("other", 6)]),
        "a is heard of again: it counts from now on"
    );
    let sums = world.values("kapso_execution_duration_seconds_count", "workflow_id");
    assert_eq!(sums, counts([("b", 3), ("other", 6)]));
    assert_eq!(world.values("kapso_executions", "workflow_id"), counts([("b", 2), ("other", 2)]));
}

#[test]
fn what_is_past_when_it_is_first_seen_is_counted_under_other() {
    let mut world = World::with(1, 10);
    world.list(&["a"]);
    world.starts();
    world.run("agent");
    world.wait(40 * DAY);
    world.list(&["a"]);
    assert_eq!(world.starts(), counts([("a", 0), ("other", 1)]));
}

#[test]
fn a_restart_gives_places_to_those_that_are_not_gone() {
    let mut world = World::with(2, 10);
    for id in ["a", "b", "c"] {
        world.wait(1);
        world.run(id);
    }
    world.list(&["a", "b", "c"]);
    world.starts();
    world.delete("a");
    world.delete("b");
    world.wait(2 * DAY);
    world.run("c");
    let before = world.starts();
    assert_eq!(before, counts([("b", 1), ("c", 2), ("other", 2)]));
    assert_eq!(world.values("kapso_executions", "workflow_id")["other"], 0.0, "nobody shares it any more");
    world.restart();
    assert_eq!(world.starts(), counts([("b", 1), ("c", 2)]), "what is gone is not added to other");
}

#[test]
fn a_step_without_executions_gives_its_place_to_one_that_has_some() {
    let mut world = World::with(5, 2);
    let mut executions = Vec::new();
    for _ in 0..3 {
        executions.push(world.start("w"));
    }
    let steps = |world: &mut World| world.values("kapso_open_executions_at_step", "step");
    let stand = |world: &mut World, execution: usize, step| {
        world.wait(60);
        world.observe(&executions[execution], "w", Status::Waiting, Some(step));
        steps(world)
    };
    stand(&mut world, 0, "one");
    assert_eq!(stand(&mut world, 1, "two"), counts([("one", 1), ("two", 1)]));
    assert_eq!(stand(&mut world, 2, "three"), counts([("one", 1), ("two", 1), ("other", 1)]));
    assert_eq!(world.admit().steps, 0, "it was counted as refused");
    assert_eq!(stand(&mut world, 0, "two"), counts([("three", 1), ("two", 2)]), "one is empty");
    assert_eq!(
        stand(&mut world, 2, "two"),
        counts([("three", 0), ("two", 3)]),
        "nobody else wants the place"
    );
}

const IDS: &[&str] = &["a", "b", "c", "d", "e", "other"];

#[derive(Debug, Clone)]
enum Event {
    Run(&'static str),
    Delete(&'static str),
    List(&'static str),
    Wait(i64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => select(IDS).prop_map(Event::Run),
        2 => select(IDS).prop_map(Event::Delete),
        1 => select(IDS).prop_map(Event::List),
        2 => (0..2 * DAY).prop_map(Event::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    /// Whatever happens, a counter that goes on grows by no more than what happened.
    #[test]
    fn no_counter_falls_or_grows_by_more_than_what_was_counted(
        most in 0_usize..4,
        events in prop::collection::vec(event(), 1..40),
    ) {
        let mut world = World::with(most, 10);
        let mut before = world.starts();
        for event in events {
            world.wait(1);
            match event {
                Event::Run(id) => world.run(id),
                Event::Delete(id) => world.delete(id),
                Event::List(id) => world.list(&[id]),
                Event::Wait(seconds) => world.wait(seconds),
            }
            let counted = f64::from(u8::from(matches!(event, Event::Run(_))));
            let after = world.starts();
            prop_assert!(after.keys().filter(|id| *id != "other").count() <= most);
            let growth: Vec<_> = after.iter().filter_map(|(id, now)| Some(now - before.get(id)?)).collect();
            let is_right = growth.iter().all(|growth| *growth >= 0.0) && growth.iter().sum::<f64>() <= counted;
            prop_assert!(is_right, "{event:?}: {before:?} became {after:?}");
            prop_assert!(!before.contains_key("other") || after.contains_key("other"));
            before = after;
        }
    }
}
