//! What to ask next: pure decisions over what is known.
//!
//! A conversation costs a request when its executions may have changed. Those are **urgent**: they have open
//! executions, their activity moved since they were listed, or their last list was in doubt. They are asked in
//! the order of their urgency, the time that they wait measured by how soon news is to be expected: moved
//! activity first, then open executions with recent events, then those that have been quiet for hours. So under
//! a budget that cannot cover everything each is asked in its turn, the promising ones more often.
//!
//! The rest is the **inventory**: conversations that were never listed and have been quiet since before the
//! watch began, newest activity first, and a few per pass of those at rest, stalest first, since an execution
//! that was started through the API moves no conversation. One request in five is theirs while both wait.

use std::cmp::Reverse;

use jiff::{SignedDuration, Timestamp};

use super::Task;
use crate::{
    account::{Account, KnownConversation},
    clock::Steady,
    crawl::queue::{self, Backlog, MOVED_WEIGHT, Queue, seconds, weight},
    model::ExecutionId,
};

/// An execution starts a little after the message that starts it: a list that was read this soon after the
/// last activity may have missed it.
const START_DELAY: SignedDuration = SignedDuration::from_mins(2);
/// A conversation at rest is listed again after this time, or later if there are many.
const RECHECK: SignedDuration = SignedDuration::from_hours(1);
/// Conversations at rest that are listed again in a pass.
const AT_REST_PER_PASS: usize = 2;
/// While webhook deliveries agree with what polling finds, open executions of a conversation in which nothing moves are
/// looked at so many times less often: what is left to find there are ends and waits that no message goes with.
pub const RELAXED: i32 = 3;
/// Requests of a sweep beside the workflows and the urgent ones: recent activity, a page of the full scan over all
/// conversations, and those at rest.
pub const DISCOVERY: usize = 2 + AT_REST_PER_PASS;

/// What the plan goes by.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// The present moment.
    pub now: Steady,
    /// The same in Kapso's clock.
    pub kapso_now: Timestamp,
    /// From one pass to the next: an open execution is to be looked at this often.
    pub interval: SignedDuration,
    /// The same for a conversation without news of its own, [`RELAXED`] times as long while webhook deliveries tell of
    /// handoffs and failures.
    pub open_interval: SignedDuration,
    /// What becomes due within this time is due already.
    pub ahead: SignedDuration,
    /// How long a conversation without activity and without open executions is watched.
    pub max_age: SignedDuration,
    /// When the watch began, in Kapso's clock.
    pub watch_start: Timestamp,
    /// When the last complete full scan over the list of conversations began.
    pub last_full_scan: Option<Steady>,
}

/// Why a conversation is due.
#[derive(Debug, Clone, Copy, PartialEq)]
enum DueReason {
    /// Since then, and with this weight.
    Urgent { since: Steady, weight: f64 },
    /// Never listed, quiet since before the watch.
    Unlisted,
    /// Listed long ago, nothing to be expected.
    AtRest { read_at: Steady },
}

/// What is due, not in order yet.
#[derive(Default)]
struct Due<'a> {
    /// With their urgency.
    urgent: Vec<(f64, KnownConversation<'a>)>,
    unlisted: Vec<KnownConversation<'a>>,
    /// Those that were last listed long enough ago.
    at_rest: Vec<KnownConversation<'a>>,
    backlog: Backlog,
}

/// The plan, with the executions that are asked for one by one and the moments since when they are due.
#[must_use]
pub fn queue(
    account: &Account,
    singles: Vec<(Steady, ExecutionId)>,
    rules: &Rules,
) -> (Queue<Task>, Backlog) {
    let Due { urgent, mut unlisted, mut at_rest, mut backlog } = due(account, rules);
    let mut tasks: Vec<_> = urgent
        .into_iter()
        .map(|(urgency, conversation)| {
            (urgency, conversation.active_at(), Task::Conversation(conversation.counted.id.clone()))
        })
        .collect();
    for (since, id) in singles {
        backlog.wait(since, rules.now);
        backlog.due += 1;
        tasks.push((seconds(since, rules.now), None, Task::Execution(id)));
    }
    tasks.sort_by(|(a, one, _), (b, other, _)| b.total_cmp(a).then(other.cmp(one)));
    unlisted.sort_by_key(|conversation| Reverse(conversation.active_at()));
    at_rest.sort_by_key(|conversation| conversation.read.read_at);
    let inventory = unlisted.into_iter().chain(at_rest.into_iter().take(AT_REST_PER_PASS));
    let inventory = inventory.map(|conversation| Task::Conversation(conversation.counted.id.clone()));
    (Queue::new(tasks.into_iter().map(|(_, _, task)| task), inventory), backlog)
}

/// How much there is to do.
#[must_use]
pub fn backlog(account: &Account, rules: &Rules) -> Backlog {
    due(account, rules).backlog
}

fn due<'a>(account: &'a Account, rules: &Rules) -> Due<'a> {
    let (mut due, mut resting) = (Due::default(), 0);
    let is_watched = |conversation: &KnownConversation<'_>| {
        conversation.is_watched(rules.kapso_now, rules.max_age, Some(rules.watch_start))
    };
    for conversation in account.conversations().filter(is_watched) {
        if conversation.counted.has_open_executions() {
            due.backlog.list(conversation.read.read_at, rules.now, rules.kapso_now);
        }
        due.backlog.failing += usize::from(conversation.read.attempts.is_failing());
        match due_reason(conversation, rules) {
            DueReason::Urgent { since, weight } => {
                let since = conversation.read.attempts.postpone(since, rules.interval);
                if since.since(rules.now) <= rules.ahead {
                    due.backlog.wait(since, rules.now);
                    due.urgent.push((weight * seconds(since, rules.now), conversation));
                }
            }
            DueReason::Unlisted
                if conversation.read.attempts.postpone(rules.now, rules.interval) > rules.now => {}
            DueReason::Unlisted => due.unlisted.push(conversation),
            DueReason::AtRest { read_at } => {
                resting += 1;
                let since = conversation.read.attempts.postpone(read_at.plus(RECHECK), rules.interval);
                if since <= rules.now {
                    due.at_rest.push(conversation);
                }
            }
        }
    }
    due.backlog.due = due.urgent.len() + due.unlisted.len() + due.at_rest.len().min(AT_REST_PER_PASS);
    due.backlog.full_scan_seconds =
        queue::full_scan_seconds(resting, AT_REST_PER_PASS, rules.interval, RECHECK);
    due
}

fn due_reason(conversation: KnownConversation<'_>, rules: &Rules) -> DueReason {
    let Some(read_at) = conversation.read.read_at else {
        // News if the activity is, or if nothing is known of it.
        let news = conversation.active_at().is_none_or(|at| at >= rules.watch_start);
        let since = conversation
            .read
            .moved
            .or(conversation.read.discovered)
            .unwrap_or(rules.now.plus(-rules.interval));
        return if news { DueReason::Urgent { since, weight: MOVED_WEIGHT } } else { DueReason::Unlisted };
    };
    let next = read_at.plus(rules.interval);
    if let Some(moved) = conversation.read.moved.filter(|&moved| read_at.since(moved) < START_DELAY) {
        let since = if moved > read_at { moved } else { next };
        return DueReason::Urgent { since, weight: MOVED_WEIGHT };
    }
    let missed = rules
        .last_full_scan
        .is_some_and(|full_scan| conversation.read.discovered < Some(full_scan) && read_at < full_scan);
    if missed || conversation.is_doubtful() {
        return DueReason::Urgent { since: next, weight: 1.0 };
    }
    if conversation.counted.has_open_executions() {
        let last_event = conversation.counted.last_event_at.map(Timestamp::from);
        let since = read_at.plus(rules.open_interval);
        return DueReason::Urgent { since, weight: weight(last_event, rules.kapso_now) };
    }
    DueReason::AtRest { read_at }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        account::{Order, Settings},
        frontier::Failed,
        model::{Conversation, ConversationStatus, Execution, Page},
    };

    const MINUTE: i64 = 60;
    const HOUR: i64 = 3600;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + seconds).unwrap()
    }

    fn steady(seconds: i64) -> Steady {
        Steady::at(at(seconds))
    }

    fn rules(now: i64) -> Rules {
        Rules {
            now: steady(now),
            kapso_now: at(now),
            interval: SignedDuration::from_mins(1),
            open_interval: SignedDuration::from_mins(1),
            ahead: SignedDuration::ZERO,
            max_age: SignedDuration::from_hours(24 * 7),
            watch_start: at(0),
            last_full_scan: None,
        }
    }

    /// An account of conversations (id, last activity, listed, last event of an open execution), in seconds.
    fn account(conversations: &[(&str, i64, Option<i64>, Option<i64>)]) -> Account {
        let mut account = Account::new(Settings::default());
        for &(id, active, listed, event) in conversations {
            let status = ConversationStatus::Active;
            let items = vec![Conversation { id: id.into(), status, last_active_at: Some(at(active)) }];
            account.learn_conversations(&Page::whole(items, 1, at(active)), SignedDuration::from_mins(1));
            let Some(listed) = listed else { continue };
            let items = event.into_iter().map(|event| Execution::waiting(id, at(event))).collect();
            let mut listing = account.open(&id.into(), Order::NewestFirst);
            account.read(&mut listing, &Page::whole(items, 1, at(listed)), at(listed));
            account.close(&listing);
        }
        account
    }

    fn order(account: &Account, now: i64) -> Vec<String> {
        let (mut queue, _) = queue(account, Vec::new(), &rules(now));
        let name = |task| match task {
            Task::Conversation(id) => id.to_string(),
            Task::Execution(id) => id.to_string(),
        };
        std::iter::from_fn(|| queue.pop()).map(name).collect()
    }

    #[test]
    fn moved_activity_comes_before_open_executions_and_recent_events_before_quiet_ones() {
        let now = 20 * HOUR;
        let listed = Some(now - 5 * MINUTE);
        let account = account(&[
            ("quiet", -HOUR, listed, Some(HOUR)),
            ("recent", -HOUR, listed, Some(now - 10 * MINUTE)),
            ("moved", now - 2 * MINUTE, listed, None),
            ("at rest", -HOUR, listed, None),
        ]);
        assert_eq!(order(&account, now), ["moved", "recent", "quiet"]);
    }

    #[test]
    fn a_quiet_one_gets_its_turn_when_it_has_waited_long_enough() {
        let now = 20 * HOUR;
        let account = account(&[
            ("quiet", -HOUR, Some(now - 30 * MINUTE), Some(HOUR)),
            ("recent", -HOUR, Some(now - 2 * MINUTE), Some(now - 10 * MINUTE)),
        ]);
        assert_eq!(order(&account, now), ["quiet", "recent"]);
    }

    #[test]
    fn nobody_is_asked_again_within_an_interval() {
        let account = account(&[("a", 0, Some(10), Some(5)), ("b", 9, Some(10), None)]);
        assert_eq!(order(&account, 60), Vec::<String>::new());
        assert_eq!(order(&account, 70), ["b", "a"]);
    }

    #[test]
    fn while_deliveries_are_trusted_what_does_not_move_is_asked_less_often_and_what_moves_is_not() {
        let account =
            account(&[("open", -HOUR, Some(0), Some(-MINUTE)), ("moved", -MINUTE, Some(0), Some(-MINUTE))]);
        let due = |now| {
            let relaxed = Rules { open_interval: SignedDuration::from_mins(3), ..rules(now) };
            queue(&account, Vec::new(), &relaxed).0.len()
        };
        assert_eq!([MINUTE - 1, MINUTE, 3 * MINUTE - 1, 3 * MINUTE].map(due), [0, 1, 1, 2]);
    }

    #[test]
    fn a_sweep_begins_with_everyone_who_becomes_due_within_an_interval_and_nobody_of_them_is_late() {
        let account = account(&[("a", -HOUR, Some(50), Some(5)), ("b", -HOUR, Some(10), Some(5))]);
        let rules = Rules { ahead: SignedDuration::from_mins(1), ..rules(65) };
        let (_, backlog) = queue(&account, Vec::new(), &rules);
        assert_eq!((backlog.due, backlog.lateness), (2, 0.0));
    }

    #[test]
    fn an_execution_may_follow_its_message_so_the_list_is_read_until_it_has_settled() {
        let account = account(&[("early", 0, Some(119), None), ("late", 0, Some(120), None)]);
        assert_eq!(order(&account, 10 * MINUTE), ["early"]);
    }

    #[test]
    fn the_inventory_has_one_turn_in_five_newest_activity_first() {
        let now = 10 * MINUTE;
        let mut all = vec![("old", -9 * HOUR, None, None), ("older", -10 * HOUR, None, None)];
        let urgent = ["1", "2", "3", "4", "5", "6"];
        all.extend(urgent.map(|id| (id, -HOUR, Some(0), Some(-MINUTE))));
        let order = order(&account(&all), now);
        assert_eq!((order[4].as_str(), order[7].as_str(), order.len()), ("old", "older", 8));
    }

    #[test]
    fn a_few_at_rest_are_listed_again_each_beat_stalest_first() {
        let all: Vec<_> = ["a", "b", "c", "d"]
            .iter()
            .zip(0..)
            .map(|(id, n)| (*id, -HOUR, Some(10 * HOUR - n), None))
            .collect();
        let account = account(&all);
        assert_eq!(order(&account, 11 * HOUR - 4), Vec::<String>::new());
        assert_eq!(order(&account, 11 * HOUR + 1), ["d", "c"]);
    }

    #[test]
    fn a_conversation_that_a_whole_round_did_not_show_is_asked_whether_it_is_still_there() {
        let account = account(&[("a", 0, Some(10 * MINUTE), None)]);
        let rules = Rules { last_full_scan: Some(steady(20 * MINUTE)), ..rules(21 * MINUTE) };
        let (queue, _) = queue(&account, Vec::new(), &rules);
        assert_eq!(queue.len(), 1);
    }

    #[test]
    fn the_load_tells_how_much_is_due_and_how_late_it_is() {
        let now = 10 * MINUTE;
        let account = account(&[
            ("a", -HOUR, Some(4 * MINUTE), Some(0)),
            ("b", -HOUR, Some(7 * MINUTE), Some(0)),
            ("c", -HOUR, Some(9 * MINUTE + 30), Some(0)),
            ("rest", -HOUR, Some(9 * MINUTE), None),
        ]);
        let (_, backlog) = queue(&account, Vec::new(), &rules(now));
        let oldest_list = Some(at(4 * MINUTE));
        let expected =
            Backlog { due: 2, lateness: 300.0, oldest_list, full_scan_seconds: 3600.0, failing: 0 };
        assert_eq!(backlog, expected);
    }

    #[test]
    fn an_execution_that_no_list_shows_has_its_turn_among_the_others() {
        let now = 20 * HOUR;
        let account = account(&[
            ("stale", -HOUR, Some(now - 9 * MINUTE), Some(now - 10 * MINUTE)),
            ("fresh", -HOUR, Some(now - 2 * MINUTE), Some(now - 10 * MINUTE)),
        ]);
        let singles = vec![(steady(now - 5 * MINUTE), "single".into())];
        let (mut queue, backlog) = queue(&account, singles, &rules(now));
        assert_eq!(backlog.due, 3);
        queue.pop();
        assert_eq!(queue.pop(), Some(Task::Execution("single".into())));
    }

    #[test]
    fn a_list_that_keeps_failing_while_others_do_not_is_asked_less_often() {
        let mut account = account(&[("a", -HOUR, Some(0), Some(0))]);
        let mut asked = Vec::new();
        for minute in 1..=12 {
            if !order(&account, minute * MINUTE).is_empty() {
                asked.push(minute);
                account.conversation_failed(&"a".into(), steady(minute * MINUTE), Failed::Alone);
            }
        }
        assert_eq!(asked, [1, 2, 4, 8, 12]);
        assert_eq!(backlog(&account, &rules(12 * MINUTE)).failing, 1);
    }

    #[test]
    fn a_list_that_failed_with_all_others_is_asked_again_after_an_interval() {
        let mut account = account(&[("a", -HOUR, Some(0), Some(0))]);
        for minute in 1..=5 {
            account.conversation_failed(&"a".into(), steady(minute * MINUTE), Failed::WithAll);
        }
        assert_eq!(order(&account, 6 * MINUTE - 1), Vec::<String>::new());
        assert_eq!(order(&account, 6 * MINUTE), ["a"]);
        assert_eq!(backlog(&account, &rules(6 * MINUTE)).failing, 0);
    }

    #[test]
    fn a_conversation_that_answers_404_is_asked_again_every_interval_until_it_is_deleted() {
        let mut account = account(&[("a", -HOUR, Some(0), Some(0))]);
        let mut asked = Vec::new();
        for minute in 1..=20 {
            if !order(&account, minute * MINUTE).is_empty() {
                asked.push(minute);
                account.conversation_not_found(&"a".into(), steady(minute * MINUTE), at(minute * MINUTE));
            }
        }
        assert_eq!(asked, (1..=11).collect::<Vec<_>>());
    }
}
