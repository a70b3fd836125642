use super::*;
use crate::clock::Steady;
use crate::ledger::{AtStep, Totals};
use crate::model::{
    ConversationStatus, Flaws, Handoff, HandoffReason, HandoffSource, Reading, Status, Step, Workflow,
};

/// Seconds since watching began.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).unwrap()
}

fn steady(seconds: i64) -> Steady {
    Steady::at(at(seconds))
}

const HOUR: i64 = 3600;

/// The number of a request that is sent then.
fn number(seconds: i64) -> u64 {
    1_000_000_u64.saturating_add_signed(seconds)
}

/// A list with these items, which was asked for at `now`.
fn page<T>(items: Vec<T>, now: i64) -> Page<T> {
    Page::whole(items, number(now), at(now))
}

fn account() -> Account {
    let mut account = Account::new(Settings::default());
    account.ledger.watch_from(at(0));
    account
}

/// An execution of workflow `w` that started at `start` and had its last event at `event`.
fn execution(id: &str, status: Status, start: i64, event: i64) -> Execution {
    let handoff =
        Handoff { at: Some(at(event)), source: HandoffSource::Unknown, reason: HandoffReason::None };
    Execution {
        id: id.into(),
        workflow: Some(Workflow { id: "w".into(), name: Some("Orders".into()) }),
        conversation: None,
        status,
        started_at: Some(at(start)),
        last_event_at: Some(at(event)),
        ended_at: Some(at(event)).filter(|_| status.is_finished()),
        handoff: (status == Status::Handoff).then_some(handoff),
        step: None,
    }
}

/// Reads a list of pages at `now`; returns how many of them the account asked for.
fn read(account: &mut Account, pages: &[&[Execution]], now: i64) -> usize {
    let mut listing = account.open(&"c".into(), Order::NewestFirst);
    for (index, items) in pages.iter().enumerate() {
        let last = index + 1 == pages.len();
        let page = Page { last, ..page(items.to_vec(), now) };
        if !account.read(&mut listing, &page, at(now)) {
            account.close(&listing);
            return index + 1;
        }
    }
    panic!("the last page is never followed by another");
}

fn totals(account: &Account) -> &Totals {
    &account.ledger.workflows()[0].totals
}

/// Counts of (started, handoffs, ended, failed).
fn counted(account: &Account) -> (u64, u64, u64, u64) {
    let totals = totals(account);
    (totals.started, totals.handoffs.values().sum(), totals.ended, totals.failed)
}

fn shown(account: &Account, status: Status, now: i64) -> u64 {
    account.current(at(now)).workflows.iter().map(|by_status| by_status[status as usize].count).sum()
}

#[test]
fn a_life_is_counted_once_however_often_it_is_listed() {
    let mut account = account();
    for (status, event) in [
        (Status::Running, 10),
        (Status::Handoff, 20),
        (Status::Running, 30),
        (Status::Handoff, 40),
        (Status::Failed, 50),
    ] {
        for again in 0..3 {
            read(&mut account, &[&[execution("e", status, 10, event)]], event + again);
        }
    }
    assert_eq!(counted(&account), (1, 2, 0, 1));
    let totals = totals(&account);
    assert_eq!((totals.failed_duration.count(), totals.failed_duration.sum()), (1, 40.0));
    assert_eq!((totals.time_to_handoff.count(), totals.time_to_handoff.sum()), (1, 10.0));
    assert_eq!(totals.detection_delay.count(), 3);
}

#[test]
fn what_happened_before_the_watch_is_history_whenever_it_is_found() {
    let mut account = account();
    let old = [execution("open", Status::Handoff, -50, -20), execution("ended", Status::Ended, -90, -60)];
    read(&mut account, &[&old], 3 * HOUR);
    assert_eq!(counted(&account), (0, 0, 0, 0));
    assert_eq!(
        (shown(&account, Status::Handoff, 3 * HOUR), shown(&account, Status::Ended, 3 * HOUR)),
        (1, 1)
    );
}

#[test]
fn what_began_before_the_watch_and_ends_in_it_counts_its_end_only() {
    let mut account = account();
    read(&mut account, &[&[execution("e", Status::Waiting, -50, -20)]], 10);
    read(&mut account, &[&[execution("e", Status::Ended, -50, 15)]], 20);
    assert_eq!(counted(&account), (0, 0, 1, 0));
    assert_eq!(totals(&account).ended_duration.sum(), 65.0);
}

#[test]
fn a_whole_life_between_two_readings_counts_whole() {
    let mut account = account();
    read(&mut account, &[&[execution("e", Status::Failed, 10, 20)]], 60);
    assert_eq!(counted(&account), (1, 0, 0, 1));
}

#[test]
fn a_final_status_that_changes_is_followed_and_not_counted_again() {
    let mut account = account();
    read(&mut account, &[&[execution("e", Status::Ended, 10, 20)]], 30);
    read(&mut account, &[&[execution("e", Status::Running, 10, 40)]], 50);
    assert_eq!((shown(&account, Status::Running, 50), shown(&account, Status::Ended, 50)), (1, 0));
    read(&mut account, &[&[execution("e", Status::Failed, 10, 60)]], 70);
    assert_eq!(counted(&account), (1, 0, 1, 0));
    assert_eq!(shown(&account, Status::Failed, 70), 1);
}

#[test]
fn an_answer_that_was_overtaken_is_ignored() {
    let mut account = account();
    let page = |status, event, as_of| page(vec![execution("e", status, 10, event)], as_of);
    let (mut first, mut second) =
        (account.open(&"c".into(), Order::NewestFirst), account.open(&"c".into(), Order::NewestFirst));
    account.read(&mut second, &page(Status::Ended, 30, 31), at(33));
    account.read(&mut first, &page(Status::Running, 20, 29), at(34));
    assert_eq!((shown(&account, Status::Ended, 40), shown(&account, Status::Running, 40)), (1, 0));
}

#[test]
fn finished_executions_leave_after_the_lookback_and_are_never_counted_again() {
    let mut account = account();
    let done = [execution("b", Status::Ended, 20, 30), execution("a", Status::Failed, 10, 15)];
    read(&mut account, &[&done], 60);
    assert_eq!(shown(&account, Status::Ended, 24 * HOUR), 1);
    assert_eq!(shown(&account, Status::Ended, 25 * HOUR), 0);
    read(&mut account, &[&done], 25 * HOUR);
    account.prune(at(25 * HOUR));
    assert_eq!(account.ledger.remembered(), 0);
    read(&mut account, &[&done], 26 * HOUR);
    let new = execution("c", Status::Ended, 26 * HOUR + 1, 26 * HOUR + 9);
    read(&mut account, &[&[new, done[0].clone(), done[1].clone()]], 27 * HOUR);
    assert_eq!(counted(&account), (3, 0, 2, 1));
}

#[test]
fn nothing_is_forgotten_before_its_list_was_read_to_the_end() {
    let mut account = account();
    let mut listing = account.open(&"c".into(), Order::NewestFirst);
    let items = vec![execution("b", Status::Ended, 20, 30)];
    account.read(&mut listing, &Page { last: false, ..page(items, 60) }, at(60));
    // The reading breaks off here; days later the list is read whole, and it holds an older one as well.
    account.prune(at(50 * HOUR));
    let all = [execution("b", Status::Ended, 20, 30), execution("a", Status::Ended, 10, 15)];
    read(&mut account, &[&all], 51 * HOUR);
    assert_eq!(counted(&account), (2, 0, 2, 0));
}

#[test]
fn an_old_execution_that_ends_at_last_is_counted_although_younger_ones_are_forgotten() {
    let mut account = account();
    let long = |status, event| execution("long", status, 5, event);
    read(&mut account, &[&[execution("b", Status::Ended, 20, 30), long(Status::Waiting, 9)]], 60);
    read(&mut account, &[&[execution("b", Status::Ended, 20, 30), long(Status::Waiting, 9)]], 30 * HOUR);
    account.prune(at(30 * HOUR));
    assert_eq!(account.ledger.remembered(), 1);
    read(
        &mut account,
        &[&[execution("b", Status::Ended, 20, 30), long(Status::Ended, 31 * HOUR)]],
        32 * HOUR,
    );
    assert_eq!(counted(&account), (2, 0, 2, 0));
}

#[test]
fn reading_stops_at_the_first_page_beyond_which_nothing_can_have_changed() {
    let mut account = account();
    let page = |from: i64| -> Vec<Execution> {
        (0..3).map(|n| execution(&format!("{}", from - n), Status::Ended, from - n, from - n + 1)).collect()
    };
    let (newest, middle, oldest) = (page(300), page(200), page(100));
    let pages: [&[Execution]; 3] = [&newest, &middle, &oldest];
    assert_eq!(read(&mut account, &pages, 600), 3, "the first time all is read");
    assert_eq!(read(&mut account, &pages, 660), 1);
    let mut open = oldest.clone();
    open[1] = execution("99", Status::Waiting, 99, 470);
    read(&mut account, &[&newest, &middle, &open], 680);
    assert_eq!(shown(&account, Status::Waiting, 680), 0, "what ended does not come back unasked");
    let all_new = page(500);
    assert_eq!(read(&mut account, &[&all_new, &newest, &middle, &oldest], 720), 2, "up to what is known");
}

#[test]
fn reading_goes_on_to_the_oldest_open_execution() {
    let mut account = account();
    let (young, old) = (execution("b", Status::Ended, 20, 30), execution("a", Status::Waiting, 10, 15));
    for now in [200, 260] {
        assert_eq!(
            read(
                &mut account,
                &[
                    std::slice::from_ref(&young),
                    std::slice::from_ref(&old),
                    &[execution("0", Status::Ended, 1, 2)]
                ],
                now
            ),
            3 - usize::from(now > 200)
        );
    }
}

#[test]
fn a_list_in_another_order_is_always_read_to_the_end() {
    let mut account = account();
    let (a, b) = (execution("a", Status::Ended, 10, 15), execution("b", Status::Ended, 20, 30));
    for now in [60, 120] {
        assert_eq!(
            read(&mut account, &[&[a.clone(), b.clone()], &[execution("0", Status::Ended, 1, 2)]], now),
            2
        );
    }
}

#[test]
fn an_open_execution_that_is_listed_no_more_stays_until_that_is_confirmed_and_may_come_back() {
    let mut account = account();
    let open = execution("e", Status::Running, 10, 15);
    read(&mut account, &[std::slice::from_ref(&open)], 20);
    for now in [30, 330, 629] {
        read(&mut account, &[&[]], now);
        assert_eq!(
            (shown(&account, Status::Running, now), account.ledger.doubtful_executions()),
            (1, 1),
            "{now}"
        );
    }
    read(&mut account, &[&[]], 630);
    assert_eq!((shown(&account, Status::Running, 630), account.ledger.open_executions()), (0, 0));
    assert_eq!(account.ledger.doubtful_executions(), 0);
    read(&mut account, &[&[open]], 640);
    assert_eq!((shown(&account, Status::Running, 640), account.ledger.open_executions()), (1, 1));
    assert_eq!(counted(&account), (1, 0, 0, 0));
}

#[test]
fn what_is_shown_again_is_no_longer_in_doubt_and_is_looked_for_as_long_the_next_time() {
    let mut account = account();
    let open = execution("e", Status::Running, 10, 15);
    read(&mut account, &[std::slice::from_ref(&open)], 20);
    read(&mut account, &[&[]], 30);
    read(&mut account, &[&[]], 400);
    read(&mut account, &[std::slice::from_ref(&open)], 500);
    assert_eq!(account.ledger.doubtful_executions(), 0);
    for now in [600, 800, 1100, 1199] {
        read(&mut account, &[&[]], now);
        assert_eq!(account.ledger.open_executions(), 1, "{now}");
    }
    read(&mut account, &[&[]], 1200);
    assert_eq!(account.ledger.open_executions(), 0);
}

#[test]
fn a_list_that_never_showed_an_execution_says_nothing_of_it() {
    let mut account = account();
    let child = in_conversation(execution("child", Status::Running, 10, 15));
    read_workflow(&mut account, 0, std::slice::from_ref(&child), 20);
    for now in [30, 400, 800, 1200] {
        read(&mut account, &[&[]], now);
    }
    assert_eq!((account.ledger.open_executions(), account.ledger.doubtful_executions()), (1, 0));
    assert!(!account.conversations().next().unwrap().is_doubtful());
}

#[test]
fn what_its_list_omits_and_another_shows_is_not_in_doubt_but_asked_for_by_itself() {
    let mut account = account();
    let open = in_conversation(execution("e", Status::Running, 10, 15));
    read(&mut account, &[std::slice::from_ref(&open)], 20);
    let by_conversation = ListedBy { conversations: true, workflows: false };
    assert_eq!(account.unlisted(by_conversation), []);
    read(&mut account, &[&[]], 30);
    assert_eq!(account.unlisted(by_conversation), ["e".into()]);
    let page = page(vec![open], 31);
    account.see_one(&page, at(31));
    for now in [40, 400, 800] {
        read(&mut account, &[&[]], now);
    }
    assert_eq!((account.ledger.open_executions(), account.ledger.doubtful_executions()), (1, 0));
    assert_eq!(account.unlisted(by_conversation), ["e".into()]);
}

#[test]
fn many_that_disappear_at_once_are_an_error_and_stay_for_an_hour() {
    let mut account = account();
    let all: Vec<_> =
        ["a", "b", "c", "d", "e", "f"].iter().map(|id| execution(id, Status::Waiting, 10, 15)).collect();
    read(&mut account, &[&all], 20);
    read(&mut account, &[&all[..2]], 30);
    assert!(!account.ledger.many_are_missing(), "four are not many");
    read(&mut account, &[&[]], 90);
    assert!(account.ledger.many_are_missing());
    for now in [700, 2000, 3629] {
        read(&mut account, &[&[]], now);
        assert_eq!(account.ledger.open_executions(), 6, "{now}");
    }
    read(&mut account, &[&[]], 3700);
    assert_eq!(account.ledger.open_executions(), 0);
    assert!(!account.ledger.many_are_missing());
}

#[test]
fn a_replica_that_lags_behind_changes_nothing_and_counts_nothing_twice() {
    let mut account = account();
    let (before, after) = (execution("e", Status::Running, 10, 15), execution("e", Status::Handoff, 10, 50));
    read(&mut account, &[std::slice::from_ref(&before)], 20);
    for now in (60..160).step_by(10) {
        let seen = if now % 20 == 0 { &after } else { &before };
        read(&mut account, &[std::slice::from_ref(seen)], now);
        assert_eq!(shown(&account, Status::Handoff, now), 1, "{now}");
    }
    assert_eq!((counted(&account), account.ledger.stale_answers()), ((1, 1, 0, 0), 5));
}

#[test]
fn what_all_answers_say_for_long_is_true_although_it_is_older_and_no_handoff_counts_twice() {
    let mut account = account();
    let handoff = execution("e", Status::Handoff, 10, 500);
    read(&mut account, &[std::slice::from_ref(&handoff)], 20);
    let running = execution("e", Status::Running, 10, 30);
    let shown: Vec<_> = (40..=45)
        .map(|now| {
            read(&mut account, &[std::slice::from_ref(&running)], now);
            shown(&account, Status::Running, now)
        })
        .collect();
    assert_eq!(shown, [0, 0, 0, 0, 1, 1]);
    read(&mut account, &[&[handoff]], 60);
    assert_eq!(counted(&account), (1, 1, 0, 0));
    read(&mut account, &[&[execution("e", Status::Handoff, 10, 600)]], 601);
    assert_eq!(counted(&account), (1, 1, 0, 0), "it was in handoff already");
}

#[test]
fn an_answer_without_a_fraction_of_a_second_is_not_older_than_one_with_it() {
    let mut account = account();
    let half = jiff::SignedDuration::from_millis(500);
    let precise = Execution { last_event_at: Some(at(50) + half), ..execution("e", Status::Waiting, 10, 50) };
    read(&mut account, &[&[precise]], 60);
    read(&mut account, &[&[execution("e", Status::Ended, 10, 50)]], 70);
    assert_eq!((counted(&account), account.ledger.stale_answers()), ((1, 0, 1, 0), 0));
}

#[test]
fn an_unknown_status_with_an_end_is_over_and_in_no_finished_counter() {
    let mut account = account();
    let over = Execution { ended_at: Some(at(30)), ..execution("e", Status::Unknown, 10, 30) };
    read(&mut account, &[&[over]], 40);
    assert_eq!((shown(&account, Status::Unknown, 40), account.ledger.open_executions()), (1, 0));
    assert_eq!(counted(&account), (1, 0, 0, 0));
    assert_eq!(shown(&account, Status::Unknown, 40 + 24 * HOUR), 0);
    read(&mut account, &[&[]], 25 * HOUR);
    account.prune(at(26 * HOUR));
    assert_eq!(account.ledger.remembered(), 0);
}

#[test]
fn an_execution_that_is_resumed_after_it_was_forgotten_is_not_started_again() {
    let mut account = account();
    read(&mut account, &[&[execution("e", Status::Failed, 10, 20)]], 300);
    account.prune(at(25 * HOUR));
    assert_eq!(account.ledger.remembered(), 0);
    read(&mut account, &[&[execution("e", Status::Running, 10, 26 * HOUR)]], 26 * HOUR + 10);
    assert_eq!((counted(&account), account.ledger.open_executions()), ((1, 0, 0, 1), 1));
    read(&mut account, &[&[execution("e", Status::Handoff, 10, 27 * HOUR)]], 27 * HOUR + 10);
    read(&mut account, &[&[execution("e", Status::Ended, 10, 28 * HOUR)]], 28 * HOUR + 10);
    assert_eq!(counted(&account), (1, 1, 0, 1), "a second outcome is none");
}

#[test]
fn workflows_that_are_added_later_count_nothing_again() {
    let mut account = account();
    let done: Vec<_> =
        (1..=5).map(|n| execution(&n.to_string(), Status::Ended, n * 10, n * 10 + 5)).collect();
    let newest_first: Vec<_> = done.iter().rev().cloned().collect();
    read(&mut account, &[&newest_first], 300);
    account.prune(at(25 * HOUR));
    assert_eq!((account.ledger.remembered(), counted(&account)), (0, (5, 0, 5, 0)));
    account.begin_listing_by_workflow();
    read_workflow(&mut account, 0, &newest_first, 25 * HOUR);
    assert_eq!(counted(&account), (5, 0, 5, 0));
}

#[test]
fn what_is_behind_the_page_at_which_a_reading_broke_off_is_read_by_the_next_one() {
    let mut account = account();
    let ended = |id, start| execution(id, Status::Ended, start, start + 1);
    read(&mut account, &[&[ended("a", 1)]], 200);
    let mut listing = account.open(&"c".into(), Order::NewestFirst);
    let items = vec![ended("c", 220)];
    assert!(account.read(&mut listing, &Page { last: false, ..page(items, 230) }, at(230)));
    // The page with b fails.
    let pages = [[ended("c", 220)], [ended("b", 210)], [ended("a", 1)]];
    let pages = pages.each_ref().map(|page| &page[..]);
    assert_eq!(read(&mut account, &pages, 260), 3);
    assert_eq!(counted(&account), (3, 0, 3, 0));
    assert_eq!(read(&mut account, &pages, 400), 3, "not long enough ago");
    assert_eq!(read(&mut account, &pages, 420), 1);
}

#[test]
fn an_execution_that_lists_show_late_is_read_although_younger_ones_were_known_before() {
    let mut account = account();
    let (young, late) = (execution("b", Status::Ended, 60, 70), execution("late", Status::Ended, 50, 55));
    read(&mut account, &[std::slice::from_ref(&young)], 80);
    assert_eq!(read(&mut account, &[&[young], &[late]], 110), 2);
    assert_eq!(counted(&account), (2, 0, 2, 0));
}

#[test]
fn a_page_that_seems_to_be_older_than_its_reading_shows_what_is_there_all_the_same() {
    let mut account = account();
    let mut listing = account.open(&"c".into(), Order::NewestFirst);
    let page = |item, request_seq, as_of, last| Page {
        items: vec![item],
        flaws: Flaws::default(),
        request_seq,
        requested_at: steady(as_of),
        as_of: at(as_of),
        last,
    };
    let (young, old) = (execution("b", Status::Ended, 20, 30), execution("a", Status::Waiting, 10, 15));
    account.read(&mut listing, &page(young.clone(), 1, 60, false), at(60));
    // What was learned of Kapso's clock meanwhile set it back.
    account.read(&mut listing, &page(old, 2, 59, true), at(60));
    account.close(&listing);
    assert_eq!((shown(&account, Status::Waiting, 60), account.ledger.open_executions()), (1, 1));
}

#[test]
fn a_deleted_conversation_takes_its_executions_out_of_the_gauges() {
    let mut account = account();
    read(
        &mut account,
        &[&[execution("b", Status::Running, 10, 15), execution("a", Status::Ended, 1, 9)]],
        20,
    );
    assert!(account.conversation_not_found(&"c".into(), steady(25), at(25)));
    assert!(!account.conversation_not_found(&"c".into(), steady(325), at(325)), "is no news the second time");
    assert_eq!((shown(&account, Status::Running, 30), shown(&account, Status::Ended, 30)), (1, 1));
    account.conversation_not_found(&"c".into(), steady(625), at(625));
    assert_eq!((shown(&account, Status::Running, 30), shown(&account, Status::Ended, 30)), (0, 0));
    assert_eq!((account.ledger.open_executions(), account.current(at(30)).conversations), (0, [0, 0, 0]));
    assert_eq!(counted(&account), (2, 0, 1, 0));
}

#[test]
fn an_item_that_cannot_be_read_keeps_its_list_in_doubt() {
    let mut account = account();
    let mut listing = account.open(&"c".into(), Order::NewestFirst);
    let page = Page {
        items: vec![execution("b", Status::Ended, 20, 30)],
        flaws: Flaws { unreadable: 1, ..Flaws::default() },
        request_seq: number(60),
        requested_at: steady(60),
        as_of: at(60),
        last: true,
    };
    account.read(&mut listing, &page, at(60));
    account.close(&listing);
    account.prune(at(50 * HOUR));
    assert_eq!((account.ledger.remembered(), account.conversations().next().unwrap().read.clean), (1, false));
    read(
        &mut account,
        &[&[execution("b", Status::Ended, 20, 30), execution("a", Status::Ended, 10, 15)]],
        51 * HOUR,
    );
    assert_eq!(counted(&account), (2, 0, 2, 0));
}

#[test]
fn a_workflow_that_is_renamed_keeps_what_was_counted() {
    let mut account = account();
    read(&mut account, &[&[execution("e", Status::Running, 10, 15)]], 20);
    for seconds in [30, 40, 50] {
        let workflow = Workflow { id: "w".into(), name: Some("Order Desk".into()) };
        let items = vec![ListedWorkflow { workflow, execution_count: Some(7), last_executed_at: None }];
        account.learn_workflows(&page(items, seconds));
    }
    let [workflow] = account.ledger.workflows() else { panic!("one workflow") };
    assert_eq!(
        (workflow.name(), workflow.execution_count, workflow.totals.started),
        ("Order Desk", Some(7), 1)
    );
}

#[test]
fn open_executions_show_their_oldest_times_idle_times_and_steps() {
    let mut account = account();
    let step = Step { identifier: "wait".into(), step_type: "FlowWaitStep".into() };
    let waiting = |id, start, event| Execution {
        step: Some(step.clone()),
        ..execution(id, Status::Waiting, start, event)
    };
    read(&mut account, &[&[waiting("b", 20, 25), waiting("a", 10, 45)]], 50);
    let current = account.current(at(85));
    let sum = &current.workflows[0][Status::Waiting as usize];
    assert_eq!((sum.oldest_start, sum.oldest_event), (Some(at(10)), Some(at(25))));
    assert_eq!((sum.idle.count(), sum.idle.sum()), (2, 100.0));
    assert_eq!(current.steps, [(AtStep { workflow: 0, status: Status::Waiting, step }, 2)].into());
}

#[test]
fn conversations_count_while_they_are_watched() {
    let mut account = account();
    let conversation = |id: &str, status, active: i64| Conversation {
        id: id.into(),
        status,
        last_active_at: Some(at(active)),
    };
    let items = vec![
        conversation("c", ConversationStatus::Ended, -8 * 24 * HOUR),
        conversation("d", ConversationStatus::Active, 0),
        conversation("e", ConversationStatus::Active, -8 * 24 * HOUR),
    ];
    account.learn_conversations(&page(items, 1), SignedDuration::from_mins(1));
    assert_eq!(account.current(at(10)).conversations, [1, 0, 0]);
    read(&mut account, &[&[execution("x", Status::Waiting, -9 * 24 * HOUR, 0)]], 10);
    assert_eq!(
        account.current(at(10)).conversations,
        [1, 1, 0],
        "an open execution keeps its conversation watched"
    );
}

/// An execution of conversation `c`, as its workflow's list shows it.
fn in_conversation(execution: Execution) -> Execution {
    Execution { conversation: Some("c".into()), ..execution }
}

/// Reads what started since in the workflow's list.
fn read_workflow(account: &mut Account, since: i64, items: &[Execution], now: i64) -> Visit {
    let mut visit = account.visit(&"w".into());
    let page = page(items.to_vec(), now);
    account.see(&mut visit, VisitedList::ByStart, &page, at(now));
    account.reached(&visit, at(since), Reading::clean(at(now)));
    account.close_visit(&visit, Statuses::Every);
    visit
}

#[test]
fn an_execution_in_both_lists_is_counted_once_whichever_forgets_it_first() {
    let done = in_conversation(execution("e", Status::Failed, 10, 20));
    for conversation_first in [true, false] {
        let mut account = account();
        let mut hours = (1..).map(|n| n * 26 * HOUR);
        for by_conversation in [conversation_first, !conversation_first, conversation_first] {
            let now = hours.next().unwrap();
            if by_conversation {
                read(&mut account, &[std::slice::from_ref(&done)], now);
            } else {
                read_workflow(&mut account, 0, std::slice::from_ref(&done), now);
            }
            account.prune(at(now));
            assert_eq!(account.ledger.remembered(), 0, "at {now}");
        }
        assert_eq!(counted(&account), (1, 0, 0, 1));
    }
}

#[test]
fn an_execution_without_a_conversation_lives_and_is_forgotten_in_its_workflow() {
    let mut account = account();
    read_workflow(&mut account, 0, &[execution("e", Status::Waiting, 10, 20)], 30);
    read_workflow(&mut account, 0, &[execution("e", Status::Ended, 10, 40)], 50);
    assert_eq!((counted(&account), shown(&account, Status::Ended, 50)), ((1, 0, 1, 0), 1));
    account.prune(at(25 * HOUR));
    assert_eq!(account.ledger.remembered(), 1, "its list may show others that started before it");
    read_workflow(&mut account, 40, &[], 300);
    account.prune(at(25 * HOUR));
    assert_eq!((account.ledger.remembered(), account.ledger.open_executions()), (0, 0));
    read_workflow(&mut account, 0, &[execution("e", Status::Ended, 10, 40)], 26 * HOUR);
    assert_eq!(counted(&account), (1, 0, 1, 0));
}

#[test]
fn an_open_execution_that_a_visit_does_not_show_is_asked_for_and_may_be_gone() {
    let mut account = account();
    read_workflow(&mut account, 0, &[execution("e", Status::Waiting, 10, 20)], 30);
    let open = account.ledger.open_with_counts(at(300)).remove(0);
    let mut visit = read_workflow(&mut account, 200, &[], 300);
    assert_eq!(account.not_seen(&visit, &open), ["e".into()]);
    for now in [300, 600, 900] {
        account.execution_not_found(&"e".into(), steady(now), at(now));
    }
    assert_eq!((account.ledger.open_executions(), account.not_seen(&visit, &open)), (0, vec![]));
    let items = vec![execution("e", Status::Failed, 10, 290)];
    let page = page(items, 301);
    account.see(&mut visit, VisitedList::ByStart, &page, at(302));
    assert_eq!(counted(&account), (1, 0, 0, 1), "it comes back");
}

#[test]
fn a_fresh_execution_that_cannot_be_read_yet_is_not_given_up() {
    let mut account = account();
    read_workflow(&mut account, 0, &[execution("e", Status::Running, 10, 10)], 11);
    account.execution_not_found(&"e".into(), steady(12), at(12));
    assert_eq!((account.ledger.open_executions(), account.ledger.doubtful_executions()), (1, 0));
}

#[test]
fn open_executions_tell_how_many_started_since() {
    let mut account = account();
    let all = [
        execution("d", Status::Waiting, 40, 41),
        execution("c", Status::Ended, 30, 31),
        execution("b", Status::Running, 20, 21),
        execution("a", Status::Ended, 10, 11),
        execution("old", Status::Handoff, -30 * HOUR, 1),
    ];
    read_workflow(&mut account, -40 * HOUR, &all, 60);
    let open = account.ledger.open_with_counts(at(60)).remove(0);
    let since: Vec<_> = open.iter().map(|execution| (execution.id.as_str(), execution.since)).collect();
    assert_eq!(since, [("d", Some(1)), ("b", Some(3)), ("old", None)]);
}

#[test]
fn history_past_the_lookback_takes_no_room() {
    let mut account = account();
    let old = execution("old", Status::Ended, -30 * HOUR, -25 * HOUR);
    let recent = execution("recent", Status::Ended, -30 * HOUR, -2 * HOUR);
    read(&mut account, &[&[old, recent]], 10);
    assert_eq!((account.ledger.remembered(), counted(&account)), (1, (0, 0, 0, 0)));
    assert_eq!(account.ledger.workflows()[0].last_event_at, Some(at(-2 * HOUR)));
}

#[test]
fn a_deleted_workflow_takes_its_executions_out_of_the_gauges() {
    let mut account = account();
    let items = [execution("b", Status::Running, 10, 15), execution("a", Status::Ended, 1, 9)];
    read_workflow(&mut account, 0, &items.map(in_conversation), 20);
    for now in [25, 325, 625] {
        account.workflow_not_found(&"w".into(), steady(now), at(now));
    }
    assert_eq!((shown(&account, Status::Running, 30), shown(&account, Status::Ended, 30)), (0, 0));
    assert_eq!(
        (
            account.ledger.open_executions(),
            account.conversations().next().unwrap().counted.has_open_executions()
        ),
        (0, false)
    );
    assert_eq!(counted(&account), (2, 0, 1, 0));
}

#[test]
fn a_clock_that_is_set_back_does_not_hide_what_is_asked_later() {
    let mut account = account();
    read(&mut account, &[&[execution("e", Status::Running, 10, 20)]], 1000);
    let mut listing = account.open(&"c".into(), Order::NewestFirst);
    let items = vec![execution("e", Status::Ended, 10, 30)];
    let page = Page::whole(items, number(1001), at(40));
    account.read(&mut listing, &page, at(41));
    assert_eq!(counted(&account), (1, 0, 1, 0));
}

#[test]
fn the_open_executions_that_are_idle_for_longest_are_found_without_sorting_all() {
    let mut account = account();
    let running = |number: i64| execution(&format!("e{number}"), Status::Running, 1, 10_000 - number);
    let mut all: Vec<_> = (0..5000).map(running).collect();
    all.push(execution("over", Status::Ended, 1, 2));
    read(&mut account, &[&all], 20_000);
    let (idlest, open) = account.ledger.idlest(0, 3);
    let ids: Vec<_> = idlest.iter().map(|execution| execution.id.as_str()).collect();
    assert_eq!((ids, open), (vec!["e4999", "e4998", "e4997"], 5000));
    assert_eq!(account.ledger.idlest(0, 5000).0.len(), 5000);
    assert_eq!(account.ledger.idlest(1, 3), (Vec::new(), 0));
}
