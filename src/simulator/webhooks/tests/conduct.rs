//! What goes wrong.

use super::*;

/// So many handoffs, a second after each other.
async fn handoffs(simulator: &Simulator, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(hand_off(simulator));
        pass(1).await;
    }
    ids
}

#[tokio::test(start_paused = true)]
async fn what_is_lost_is_never_sent() {
    let simulator = quiet(Conduct { lost: 0.5, ..prompt() });
    let ids = handoffs(&simulator, 100).await;
    let seen: BTreeSet<String> = take_well(&simulator, 10).await.iter().map(execution_of).collect();
    let counts = simulator.delivery_tally().events[HANDOFF];
    assert!((30..70).contains(&seen.len()));
    assert_eq!(
        (counts.queued, counts.lost, counts.answered),
        (100, 100 - seen.len() as u64, seen.len() as u64)
    );
    assert!(seen.iter().all(|id| ids.contains(id)));
    assert_eq!(simulator.incidents().len(), 100);
}

#[tokio::test(start_paused = true)]
async fn repeats_are_the_same_to_the_byte() {
    let simulator = quiet(Conduct { repeated: 1.0, ..Conduct::default() });
    let ids = handoffs(&simulator, 5).await;
    let seen = take_well(&simulator, 10).await;
    for id in ids {
        let same: Vec<&Attempt> = seen.iter().filter(|attempt| execution_of(attempt) == id).collect();
        assert_eq!(same.len(), 3);
        assert!(same.iter().all(|one| one.headers == same[0].headers && one.body == same[0].body));
    }
    let keys: BTreeSet<&str> = seen.iter().map(|attempt| attempt.header("x-idempotency-key")).collect();
    assert_eq!(keys.len(), 5);
    let tally = simulator.delivery_tally();
    assert_eq!((tally.attempts, tally.events[HANDOFF].answered, tally.events[HANDOFF].given_up), (15, 5, 0));
}

#[tokio::test(start_paused = true)]
async fn a_repeat_that_is_refused_is_not_retried() {
    let simulator = quiet(Conduct { repeated: 1.0, ..prompt() });
    hand_off(&simulator);
    let first = simulator.take_deliveries().remove(0);
    simulator.answered(first.id, Answer::Ok);
    let mut repeats = 0;
    for _ in 0..600 {
        pass(1).await;
        for attempt in simulator.take_deliveries() {
            simulator.answered(attempt.id, Answer::Failed);
            repeats += 1;
        }
    }
    assert_eq!((repeats, simulator.delivery_tally().events[HANDOFF].given_up), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn deliveries_overtake_each_other_where_there_is_disorder() {
    let order = async |disorder| {
        let simulator = quiet(Conduct { disorder, ..prompt() });
        let ids = handoffs(&simulator, 40).await;
        let seen: Vec<String> = take_well(&simulator, 3).await.iter().map(execution_of).collect();
        assert_eq!(seen.iter().collect::<BTreeSet<_>>(), ids.iter().collect());
        seen == ids
    };
    assert!(order(0.0).await);
    assert!(!order(0.5).await);
}

#[tokio::test(start_paused = true)]
async fn what_is_due_within_a_second_goes_as_one_batch() {
    let simulator = quiet(Conduct { batch: Some(3), ..prompt() });
    let ids: Vec<String> = (0..5).map(|_| hand_off(&simulator)).collect();
    let failed = simulator.start(Api::Platform, "flow_1", None).unwrap();
    simulator.transition(&failed, "failed").unwrap();
    let full = simulator.take_deliveries();
    assert_eq!(full.len(), 1, "the others wait for more");
    assert_eq!(simulator.next_delivery(), Some(after(1)));
    simulator.answered(full[0].id, Answer::Ok);
    pass(1).await;
    let rest = simulator.take_deliveries();
    let what = |attempt: &Attempt| {
        let body = body(attempt);
        assert_eq!(
            (&body["type"], &body["batch"]),
            (&json!(attempt.header("x-webhook-event")), &json!(true))
        );
        assert_eq!(attempt.header("x-webhook-batch"), "true");
        assert_eq!(attempt.header("x-webhook-signature"), signature(SECRET, &attempt.body));
        let data = body["data"].as_array().unwrap();
        assert_eq!(attempt.header("x-batch-size"), data.len().to_string());
        data.iter().map(|one| one["workflow_execution_id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let all: Vec<Vec<String>> = full.iter().chain(&rest).map(what).collect();
    assert_eq!(all, [ids[..3].to_vec(), ids[3..].to_vec(), vec![failed]]);
    let tally = simulator.delivery_tally();
    assert_eq!((tally.events[HANDOFF].answered, tally.attempts), (3, 3));
    simulator.answered(rest[0].id, Answer::Failed);
    pass(10).await;
    let again = simulator.take_deliveries().into_iter().find(|one| one.body == rest[0].body).unwrap();
    assert_eq!(again.headers, rest[0].headers, "a batch is tried again as it was");
}

#[tokio::test(start_paused = true)]
async fn tests_and_unknown_events_come_along() {
    let simulator = quiet(Conduct { tests: 1.0, unknown: 1.0, ..Conduct::default() });
    let ids = handoffs(&simulator, 30).await;
    let seen = take_well(&simulator, 2).await;
    assert_eq!(seen.len(), 90);
    assert!(seen.iter().all(|one| one.header("x-webhook-signature") == signature(SECRET, &one.body)));
    let names: BTreeSet<&str> = seen.iter().map(|one| one.header("x-webhook-event")).collect();
    let known = ["project.event", "whatsapp.message.received", "workflow.execution.failed", HANDOFF];
    assert_eq!(names, BTreeSet::from(known));
    let real = seen.iter().filter(|one| ids.contains(&execution_of(one))).count();
    assert_eq!(real, 30);
    let events = simulator.delivery_tally().events;
    let counts = DeliveryCounts { queued: 30, lost: 0, sent: 30, answered: 30, given_up: 0 };
    assert_eq!((events[HANDOFF], events["test"], events["unknown"]), (counts, counts, counts));
    let personal = |one: &&Attempt| String::from_utf8_lossy(&one.body).contains("+15550000001");
    assert!(seen.iter().filter(personal).count() >= 30);
}
