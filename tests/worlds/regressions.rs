//! Worlds that failed once, as small as they could be made.

use kapso_exporter::simulator::{Breakage, Fault::*, Ids, Subject, Untruth};

use crate::{
    run::judge,
    world::{Deliveries, End, Move, Phase, Restart, Walks, World},
    wrong::Wrong,
};

/// One workflow's worth of nothing.
fn still() -> World {
    World {
        seed: 0,
        agents: false,
        walks: Walks::Conversations,
        conversations: 1,
        history: 0,
        open_history: 0,
        busy_conversation: 0,
        silent_percent: 0,
        starts: 0,
        failures_percent: 0,
        handoffs_percent: 0,
        changes: 0,
        page: 100,
        visible_after: 0,
        rate_limit: None,
        limit_headers: true,
        interval: 60,
        lookback: 1440,
        skew: 0,
        schedule: vec![undisturbed(1)],
        deletion: false,
        ids: Ids::Plain,
        webhook: None,
    }
}

/// Deliveries that come at once, each of them once.
const PUNCTUAL: Deliveries = Deliveries {
    latency: 0,
    lost_percent: 0,
    repeated_percent: 0,
    disorder_percent: 0,
    tests_percent: 0,
    unknown_percent: 0,
    batch: None,
};

fn undisturbed(intervals: u64) -> Phase {
    Phase {
        intervals,
        latency: 0,
        date: 0,
        one_in: 0,
        faults: Vec::new(),
        wrongs: Vec::new(),
        step: 0,
        moves: Vec::new(),
        end: End::Nothing,
    }
}

/// Nothing but deliveries told of an execution while all lists failed, and none was taken before the first list.
#[test]
fn a_handoff_that_is_told_while_no_list_can_be_read_counts() {
    let broken = Wrong::Broken { one_in: 1, breakage: Breakage::ServerError };
    let told = Phase { wrongs: vec![broken], moves: vec![Move::PassThrough], ..undisturbed(3) };
    let world = World {
        seed: 284_094,
        open_history: 1,
        limit_headers: false,
        schedule: vec![told],
        webhook: Some(PUNCTUAL),
        ..still()
    };
    judge(&world).unwrap();
}

/// What was told before Kapso's clock was beyond doubt was refused, until Kapso gave it up.
#[test]
fn a_handoff_that_is_told_while_clocks_contradict_each_other_counts() {
    let told = Phase {
        date: -139_501,
        one_in: 7,
        faults: vec![RepeatedItem, OddDate, OddRefusal],
        moves: vec![Move::PassThrough],
        ..undisturbed(3)
    };
    let world = World {
        seed: 946_033,
        open_history: 1,
        limit_headers: false,
        interval: 30,
        skew: 29_001,
        schedule: vec![told],
        webhook: Some(PUNCTUAL),
        ..still()
    };
    judge(&world).unwrap();
}

/// An execution that could not be found for three minutes was taken for that of a test delivery.
#[test]
fn a_handoff_that_is_told_of_an_execution_that_cannot_be_found_for_minutes_counts() {
    let about = vec![Subject::FlowExecutions, Subject::Execution];
    let lie = Wrong::Lie { about, untruth: Untruth::NotFound, one_in: 1 };
    let told = Phase { wrongs: vec![lie], moves: vec![Move::HandOff, Move::PassThrough], ..undisturbed(3) };
    let world = World {
        seed: 337_942,
        conversations: 2,
        history: 1,
        starts: 2,
        handoffs_percent: 18,
        changes: 1,
        limit_headers: false,
        schedule: vec![told],
        webhook: Some(PUNCTUAL),
        ..still()
    };
    judge(&world).unwrap();
}

/// What was told before a restart.
#[test]
fn a_failure_that_is_told_before_a_restart_counts() {
    let world = World {
        seed: 146_158,
        conversations: 3,
        open_history: 1,
        limit_headers: false,
        interval: 30,
        skew: -390_276,
        schedule: vec![
            Phase { moves: vec![Move::Fail], ..undisturbed(1) },
            Phase { end: End::Restart(Restart::Keeping), ..undisturbed(1) },
            Phase { date: -422_276, ..undisturbed(3) },
        ],
        webhook: Some(PUNCTUAL),
        ..still()
    };
    judge(&world).unwrap();
}

/// A date in `Retry-After` was compared with the exporter's own clock: the exporter paused for an hour and more.
#[test]
fn a_clock_that_is_slow_makes_no_long_pause_of_a_date_to_wait_for() {
    let refusals = Phase { one_in: 3, faults: vec![OddRefusal], ..undisturbed(8) };
    let world = World {
        seed: 933_685,
        conversations: 3,
        starts: 5,
        interval: 30,
        skew: -7_200_000,
        schedule: vec![refusals],
        ..still()
    };
    judge(&world).unwrap();
}

/// While the exporter learned Kapso's clock, the second page of a list seemed older than the first one: what it
/// showed was taken as gone, and forgotten for good if it had been quiet for the lookback.
#[test]
fn what_is_on_a_later_page_stays_while_the_clock_is_being_learned() {
    let first = [ServerError, OddItem, ShortPage, RepeatedItem, OtherOrder, NoHeaders, OddDate, OddRefusal];
    let then = [
        ServerError,
        HtmlError,
        CutBody,
        Hang,
        OddItem,
        RateLimited,
        Reset,
        NotJson,
        ShortPage,
        RepeatedItem,
        NoHeaders,
        OddDate,
    ];
    let world = World {
        seed: 169_135,
        history: 10,
        open_history: 2,
        starts: 2,
        failures_percent: 71,
        handoffs_percent: 76,
        changes: 5,
        page: 4,
        visible_after: 58,
        skew: -1_887,
        schedule: vec![
            Phase { one_in: 8, faults: first.to_vec(), ..undisturbed(5) },
            Phase { latency: 229, date: 566, ..undisturbed(8) },
            Phase { latency: 305, one_in: 9, faults: then.to_vec(), ..undisturbed(4) },
            undisturbed(9),
        ],
        ..still()
    };
    judge(&world).unwrap();
}

/// A list was read down to the first page that ended with a known execution; one that had become visible since,
/// with an earlier start, was behind it.
#[test]
fn an_execution_that_becomes_visible_behind_a_known_one_is_found() {
    let world = World {
        seed: 835_315,
        conversations: 4,
        open_history: 1,
        starts: 7,
        handoffs_percent: 20,
        changes: 5,
        page: 1,
        visible_after: 31,
        limit_headers: false,
        ..still()
    };
    judge(&world).unwrap();
}

/// An item of a workflow's history that could not be read was never asked for again.
#[test]
fn a_spoilt_item_of_the_history_is_read_again() {
    let spoilt = Phase {
        one_in: 4,
        faults: vec![ServerError, HtmlError, OddItem, RateLimited, Reset],
        ..undisturbed(5)
    };
    let world = World {
        seed: 171_937,
        agents: true,
        walks: Walks::Workflows,
        conversations: 6,
        history: 4,
        starts: 6,
        failures_percent: 52,
        handoffs_percent: 97,
        changes: 4,
        page: 5,
        interval: 30,
        lookback: 5,
        skew: -711_782,
        schedule: vec![spoilt, undisturbed(7)],
        ..still()
    };
    judge(&world).unwrap();
}

/// Two sources wait for one small budget: one had every turn, the other none for hours.
#[test]
fn sources_that_share_a_small_budget_take_turns() {
    let world = World {
        seed: 945_811,
        agents: true,
        conversations: 1,
        open_history: 2,
        starts: 17,
        changes: 1,
        page: 1,
        rate_limit: Some(120),
        limit_headers: false,
        interval: 30,
        schedule: vec![undisturbed(3)],
        ..still()
    };
    judge(&world).unwrap();
}

/// The first answer did not tell Kapso's clock: watching seemed to have begun 25 minutes before it did.
#[test]
fn watching_begins_when_the_clock_is_known() {
    let world = World {
        seed: 466_383,
        agents: true,
        conversations: 5,
        history: 6,
        open_history: 2,
        starts: 1,
        handoffs_percent: 9,
        page: 1,
        interval: 30,
        skew: -1_517_007,
        schedule: vec![Phase { one_in: 5, faults: vec![NoHeaders], ..undisturbed(1) }],
        ..still()
    };
    judge(&world).unwrap();
}

fn empty(about: Subject) -> Wrong {
    Wrong::Lie { about: vec![about], untruth: Untruth::Empty, one_in: 1 }
}

/// An execution of before the watch ended while lists showed nothing. Once they did, it seemed to be one that had been
/// counted and forgotten, since a younger one had been.
#[test]
fn history_that_was_hidden_while_it_ended_is_counted_when_it_is_shown() {
    let hidden = Phase {
        wrongs: vec![empty(Subject::WorkflowExecutions)],
        moves: vec![Move::End],
        end: End::OddStatusOver,
        ..undisturbed(2)
    };
    let world = World {
        seed: 173_414,
        walks: Walks::Workflows,
        conversations: 2,
        open_history: 1,
        interval: 30,
        lookback: 5,
        schedule: vec![hidden],
        ..still()
    };
    judge(&world).unwrap();
}

/// The history of a workflow was read while every second answer showed nothing, and never again.
#[test]
fn a_history_that_seemed_to_be_empty_is_read_again() {
    let lies = Wrong::Lie { about: vec![Subject::WorkflowExecutions], untruth: Untruth::Empty, one_in: 2 };
    let world = World {
        seed: 500_879,
        walks: Walks::Workflows,
        conversations: 2,
        history: 3,
        open_history: 2,
        interval: 30,
        schedule: vec![Phase { wrongs: vec![lies], ..undisturbed(2) }],
        ..still()
    };
    judge(&world).unwrap();
}

/// An execution became visible behind a page of known ones, at which every reading of a long list stopped.
#[test]
fn what_becomes_visible_deep_in_a_long_list_is_found() {
    let world = World {
        seed: 100_998,
        conversations: 3,
        history: 4,
        open_history: 1,
        busy_conversation: 7,
        starts: 3,
        handoffs_percent: 67,
        changes: 2,
        page: 1,
        schedule: vec![Phase { wrongs: vec![Wrong::Hidden { percent: 100 }], ..undisturbed(1) }],
        ..still()
    };
    judge(&world).unwrap();
}

/// An execution that had ended before the watch was resumed and handed off: its workflow always had others open, and
/// so was never looked at as a whole.
#[test]
fn an_execution_that_is_resumed_in_a_busy_workflow_is_found() {
    let world = World {
        seed: 247_353,
        walks: Walks::Workflows,
        conversations: 2,
        history: 1,
        open_history: 2,
        interval: 30,
        schedule: vec![undisturbed(1), Phase { end: End::Resume, ..undisturbed(1) }],
        ..still()
    };
    judge(&world).unwrap();
}

/// One conversation whose list has a page for each execution; what is over is shown for five minutes.
fn shown_for_five_minutes(schedule: Vec<Phase>) -> World {
    World {
        seed: 980_552,
        history: 5,
        open_history: 1,
        silent_percent: 12,
        starts: 3,
        changes: 1,
        page: 1,
        interval: 30,
        lookback: 5,
        schedule,
        ..still()
    }
}

/// An execution of before the watch ended while every second page of its list was empty. When it was shown, it seemed to
/// have been counted and forgotten, since a younger one had been.
#[test]
fn what_ended_deep_in_a_list_that_hid_its_end_is_counted() {
    let lies = Wrong::Lie { about: vec![Subject::FlowExecutions], untruth: Untruth::Empty, one_in: 2 };
    let hidden = Phase {
        faults: vec![OddDate],
        wrongs: vec![lies],
        moves: vec![Move::End, Move::End],
        ..undisturbed(3)
    };
    let world = shown_for_five_minutes(vec![hidden, Phase { end: End::OddStatus, ..undisturbed(1) }]);
    judge(&world).unwrap();
}

/// A list was empty at first. What it held was older than the watch, and seemed to be known.
#[test]
fn history_that_ended_while_a_conversations_list_was_empty_is_counted() {
    let hidden = Phase {
        wrongs: vec![empty(Subject::FlowExecutions)],
        moves: vec![Move::End, Move::End],
        end: End::OddStatus,
        ..undisturbed(3)
    };
    judge(&shown_for_five_minutes(vec![hidden])).unwrap();
}

/// An execution that had ended before the watch was resumed and handed off. The source that was added by a restart took
/// it for one that had been counted and forgotten.
#[test]
fn a_source_that_is_added_knows_that_nothing_of_before_the_watch_was_counted() {
    let moved = Phase {
        moves: vec![Move::HandOff],
        end: End::Restart(Restart::Switching(Walks::Both)),
        ..undisturbed(1)
    };
    let world = World {
        seed: 466_536,
        conversations: 3,
        history: 1,
        interval: 30,
        schedule: vec![Phase { end: End::Resume, ..undisturbed(1) }, moved],
        ..still()
    };
    judge(&world).unwrap();
}

/// A workflow whose only open execution is asked for by itself was never looked at as a whole.
#[test]
fn an_execution_that_is_resumed_in_a_workflow_whose_open_one_is_asked_for_by_itself_is_found() {
    let world = World {
        seed: 247_353,
        walks: Walks::Workflows,
        conversations: 2,
        history: 6,
        open_history: 1,
        interval: 30,
        lookback: 1440,
        schedule: vec![
            Phase { moves: vec![Move::HandOff], ..undisturbed(1) },
            Phase { end: End::Resume, ..undisturbed(1) },
        ],
        ..still()
    };
    judge(&world).unwrap();
}

/// A page in the midst of a workflow's history was empty, and seemed to be its end.
#[test]
fn a_history_that_seemed_to_end_with_an_empty_page_is_read_again() {
    let lies = Wrong::Lie { about: vec![Subject::WorkflowExecutions], untruth: Untruth::Empty, one_in: 3 };
    let absent = Wrong::Lie { about: vec![Subject::Workflows], untruth: Untruth::NotFound, one_in: 1 };
    let first = Phase {
        one_in: 5,
        faults: vec![ServerError, RateLimited],
        wrongs: vec![absent],
        end: End::Restart(Restart::Switching(Walks::Workflows)),
        ..undisturbed(1)
    };
    let world = World {
        seed: 700_431,
        walks: Walks::Both,
        history: 7,
        open_history: 3,
        handoffs_percent: 37,
        page: 1,
        limit_headers: false,
        schedule: vec![first, Phase { latency: 1, wrongs: vec![lies], ..undisturbed(2) }],
        ..still()
    };
    judge(&world).unwrap();
}

fn not_found(subject: Subject) -> Wrong {
    Wrong::Lie { about: vec![subject], untruth: Untruth::NotFound, one_in: 1 }
}

/// Kapso hardly answered while its clock was wrong: nothing contradicted that for two minutes, and it was believed.
#[test]
fn a_clock_that_is_wrong_at_the_start_is_not_believed_because_kapso_hardly_answers() {
    let refused = Phase {
        date: -2_306_501,
        one_in: 6,
        faults: vec![OddRefusal],
        wrongs: vec![not_found(Subject::Execution)],
        ..undisturbed(3)
    };
    let world = World {
        seed: 593_490,
        agents: true,
        conversations: 6,
        history: 6,
        open_history: 1,
        starts: 1,
        handoffs_percent: 47,
        limit_headers: false,
        interval: 30,
        lookback: 1440,
        schedule: vec![
            refused,
            Phase { wrongs: vec![not_found(Subject::LegacyConversations)], ..undisturbed(3) },
        ],
        ..still()
    };
    judge(&world).unwrap();
    let failing = Phase {
        date: -4_583_501,
        one_in: 4,
        faults: vec![ServerError, CutBody, Hang, RepeatedItem, OddRefusal],
        wrongs: vec![not_found(Subject::AgentExecutions)],
        end: End::Resume,
        ..undisturbed(3)
    };
    let world = World {
        seed: 829_129,
        conversations: 3,
        history: 1,
        handoffs_percent: 2,
        limit_headers: false,
        interval: 30,
        schedule: vec![failing],
        ..still()
    };
    judge(&world).unwrap();
}

/// Nothing was counted before the sources changed: an open execution of before the watch was not forgotten.
#[test]
fn an_execution_that_no_source_has_shown_was_not_handed_off_before() {
    let switching = |intervals, one_in| Phase {
        one_in,
        faults: vec![OddRefusal],
        end: End::Restart(Restart::Switching(Walks::Workflows)),
        ..undisturbed(intervals)
    };
    let handing_off =
        |intervals| Phase { moves: vec![Move::HandOff, Move::HandOff], ..undisturbed(intervals) };
    let world = World {
        seed: 898_091,
        agents: true,
        conversations: 5,
        history: 4,
        open_history: 2,
        limit_headers: false,
        interval: 30,
        lookback: 1440,
        schedule: vec![switching(4, 4), handing_off(3)],
        ..still()
    };
    judge(&world).unwrap();
    let without_activity = Wrong::WithoutActivity { percent: 100 };
    let world = World {
        seed: 906_179,
        history: 3,
        open_history: 3,
        busy_conversation: 1,
        starts: 1,
        limit_headers: false,
        interval: 30,
        lookback: 1440,
        schedule: vec![
            Phase { wrongs: vec![without_activity], end: End::OddStatusOver, ..undisturbed(1) },
            switching(1, 0),
            handing_off(1),
        ],
        ..still()
    };
    judge(&world).unwrap();
}

/// What other lists had shown was forgotten because a workflow's list was read, before its history was.
#[test]
fn what_other_lists_counted_is_not_counted_again() {
    let ending = Phase { moves: vec![Move::End], ..undisturbed(1) };
    let world = World {
        seed: 592_670,
        conversations: 5,
        history: 1,
        open_history: 1,
        limit_headers: false,
        lookback: 5,
        schedule: vec![
            ending,
            Phase { end: End::Restart(Restart::Switching(Walks::Workflows)), ..undisturbed(5) },
        ],
        ..still()
    };
    judge(&world).unwrap();
}

/// A list that was empty for a while was taken for all that had started since the oldest open execution: what had ended
/// just as the exporter started was never looked for again.
#[test]
fn one_empty_list_is_not_all_that_started_before_the_watch() {
    let world = World {
        seed: 386_092,
        walks: Walks::Workflows,
        conversations: 2,
        history: 4,
        open_history: 3,
        starts: 1,
        limit_headers: false,
        lookback: 5,
        schedule: vec![
            Phase {
                one_in: 5,
                faults: vec![CutBody, RepeatedItem, OtherOrder],
                moves: vec![Move::End],
                end: End::Resume,
                ..undisturbed(1)
            },
            Phase {
                faults: vec![OddRefusal],
                wrongs: vec![Wrong::Broken { one_in: 1, breakage: Breakage::ServerError }],
                ..undisturbed(2)
            },
            Phase {
                faults: vec![NoHeaders],
                wrongs: vec![Wrong::Lie {
                    about: vec![Subject::WorkflowExecutions],
                    untruth: Untruth::Empty,
                    one_in: 1,
                }],
                ..undisturbed(1)
            },
        ],
        ..still()
    };
    judge(&world).unwrap();
}

/// The configuration changes while the exporter runs.
#[test]
fn other_sources_without_a_restart_lose_nothing_and_count_nothing_twice() {
    let then = |walks| Phase { end: End::Reconfigure(walks), ..undisturbed(6) };
    let world = World {
        seed: 7,
        conversations: 5,
        history: 6,
        open_history: 3,
        starts: 20,
        handoffs_percent: 50,
        schedule: vec![then(Walks::Workflows), then(Walks::Both), then(Walks::Conversations), undisturbed(6)],
        ..still()
    };
    judge(&world).unwrap();
}

/// An empty list was taken for all that had started, since a list by status had shown something newer: what had started
/// and ended before the first list was never looked for again.
#[test]
fn an_empty_list_is_not_believed_for_what_another_list_shows() {
    let world = World {
        seed: 882_715,
        walks: Walks::Workflows,
        conversations: 2,
        busy_conversation: 4,
        starts: 20,
        handoffs_percent: 68,
        rate_limit: Some(120),
        limit_headers: false,
        interval: 30,
        schedule: vec![
            Phase {
                date: -32_000,
                one_in: 6,
                faults: vec![OddRefusal],
                moves: vec![Move::End],
                end: End::Restart(Restart::Keeping),
                ..undisturbed(7)
            },
            Phase {
                faults: vec![ServerError],
                wrongs: vec![Wrong::Lie {
                    about: vec![Subject::WorkflowExecutions],
                    untruth: Untruth::Empty,
                    one_in: 2,
                }],
                ..undisturbed(1)
            },
            Phase { faults: vec![OddRefusal], end: End::Restart(Restart::Keeping), ..undisturbed(2) },
        ],
        ..still()
    };
    judge(&world).unwrap();
}

/// A history of which an item could not be read, twice in a row, was taken for read: what had ended in the meantime was
/// never looked for again.
#[test]
fn a_history_that_is_spoilt_twice_is_read_again() {
    let spoilt = Phase { one_in: 3, faults: vec![OddItem], moves: vec![Move::End], ..undisturbed(4) };
    let world = World {
        seed: 148_697,
        walks: Walks::Workflows,
        conversations: 2,
        open_history: 1,
        busy_conversation: 11,
        handoffs_percent: 67,
        page: 3,
        limit_headers: false,
        skew: 30_001,
        schedule: vec![spoilt],
        ..still()
    };
    judge(&world).unwrap();
    let refusing = Phase { one_in: 4, faults: vec![OddRefusal], moves: vec![Move::End], ..undisturbed(1) };
    let lie = Wrong::Lie { about: vec![Subject::WorkflowExecutions], untruth: Untruth::Empty, one_in: 2 };
    let world = World {
        seed: 674_866,
        walks: Walks::Workflows,
        conversations: 2,
        history: 4,
        open_history: 3,
        handoffs_percent: 48,
        page: 2,
        limit_headers: false,
        interval: 30,
        schedule: vec![
            refusing,
            Phase { faults: vec![OddRefusal], wrongs: vec![lie.clone()], ..undisturbed(2) },
        ],
        ..still()
    };
    judge(&world).unwrap();
    let refusing = Phase { one_in: 3, faults: vec![OddRefusal], ..undisturbed(1) };
    let lying =
        Phase { faults: vec![OddRefusal], wrongs: vec![lie], moves: vec![Move::HandOff], ..undisturbed(2) };
    let world = World {
        seed: 674_866,
        walks: Walks::Workflows,
        conversations: 3,
        history: 6,
        open_history: 3,
        starts: 1,
        handoffs_percent: 66,
        page: 1,
        limit_headers: false,
        interval: 30,
        schedule: vec![refusing, lying],
        ..still()
    };
    judge(&world).unwrap();
}

/// What was told of an execution that ran again was dropped, since an answer of a replica that lagged behind showed it over.
#[test]
fn a_handoff_that_is_told_of_a_resumed_execution_before_answers_show_it_counts() {
    let lag = Wrong::Lag { seconds: 11, one_in: 1 };
    let world = World {
        seed: 446_634,
        conversations: 2,
        history: 5,
        failures_percent: 31,
        handoffs_percent: 32,
        limit_headers: false,
        interval: 30,
        schedule: vec![
            Phase { faults: vec![OddRefusal], end: End::Resume, ..undisturbed(1) },
            Phase {
                faults: vec![ShortPage],
                wrongs: vec![lag],
                moves: vec![Move::PassThrough],
                ..undisturbed(1)
            },
        ],
        webhook: Some(PUNCTUAL),
        ..still()
    };
    judge(&world).unwrap();
}

/// Another source began while Kapso's clock was off and ours was set back.
#[test]
fn another_source_that_begins_while_the_clocks_are_off_loses_no_start() {
    let dates = Phase { faults: vec![OddDate], end: End::Restart(Restart::Keeping), ..undisturbed(3) };
    let faults =
        vec![CutBody, OddItem, RateLimited, NotJson, RepeatedItem, OtherOrder, Slow, OddDate, OddRefusal];
    let off = Phase {
        date: 309_029,
        one_in: 3,
        faults,
        step: -85_332_238,
        moves: vec![Move::End],
        end: End::Reconfigure(Walks::Both),
        ..undisturbed(2)
    };
    let world = World {
        seed: 521_582,
        conversations: 1,
        open_history: 1,
        busy_conversation: 1,
        starts: 3,
        handoffs_percent: 14,
        changes: 1,
        rate_limit: Some(248),
        lookback: 5,
        schedule: vec![dates, off],
        ..still()
    };
    judge(&world).unwrap();
    let refused = Phase { faults: vec![NotJson], one_in: 1, ..world.schedule[1].clone() };
    let schedule = vec![world.schedule[0].clone(), refused];
    judge(&World { schedule, ..world }).unwrap();
}

/// Kapso's clock was off at first, and a pause that Kapso imposed lasted longer than the doubt about it.
#[test]
fn a_clock_that_is_off_before_a_long_pause_does_not_say_when_watching_began() {
    let phase = Phase {
        date: -105_501,
        one_in: 5,
        faults: vec![
            ServerError,
            OddItem,
            RateLimited,
            Reset,
            ShortPage,
            RepeatedItem,
            OtherOrder,
            Slow,
            OddRefusal,
        ],
        ..undisturbed(3)
    };
    let world = World {
        seed: 633_652,
        agents: true,
        walks: Walks::Workflows,
        conversations: 5,
        history: 2,
        handoffs_percent: 78,
        interval: 30,
        skew: -29_501,
        limit_headers: false,
        schedule: vec![phase],
        ..still()
    };
    judge(&world).unwrap();
}
