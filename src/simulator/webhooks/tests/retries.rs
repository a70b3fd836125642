//! What is tried again, and for how long.

use super::*;

/// Looks every second for so many, answers everything by `answer`, and notes the seconds since noon at which
/// something came.
async fn seconds_of(simulator: &Simulator, seconds: i64, answer: Option<Answer>) -> Vec<i64> {
    let mut came = Vec::new();
    for _ in 0..seconds {
        for attempt in simulator.take_deliveries() {
            came.push(simulator.now().duration_since(noon()).as_secs());
            if let Some(answer) = answer {
                simulator.answered(attempt.id, answer);
            }
        }
        pass(1).await;
    }
    came
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_retried_after_10_and_40_and_90_seconds() {
    let simulator = quiet(prompt());
    hand_off(&simulator);
    assert_eq!(seconds_of(&simulator, 600, Some(Answer::Failed)).await, [0, 10, 50, 140]);
    assert_eq!(simulator.next_delivery(), None);
    let counts = simulator.delivery_tally().events[HANDOFF];
    assert_eq!(counts, DeliveryCounts { queued: 1, lost: 0, sent: 1, answered: 0, given_up: 1 });
    assert_eq!(simulator.incidents()[0].told_at, None);
}

#[tokio::test(start_paused = true)]
async fn no_answer_within_ten_seconds_is_a_failure() {
    let simulator = quiet(prompt());
    hand_off(&simulator);
    assert_eq!(seconds_of(&simulator, 600, None).await, [0, 20, 70, 170]);
    let late = hand_off(&simulator);
    let first = simulator.take_deliveries().remove(0);
    assert_eq!(simulator.next_delivery(), Some(after(620)));
    pass(10).await;
    simulator.answered(first.id, Answer::Ok);
    pass(10).await;
    let again = simulator.take_deliveries().remove(0);
    assert_eq!((execution_of(&again), &again.headers, &again.body), (late, &first.headers, &first.body));
    assert_ne!(again.id, first.id);
    simulator.answered(again.id, Answer::Ok);
    assert_eq!(simulator.next_delivery(), None);
    assert_eq!(simulator.delivery_tally().events[HANDOFF].answered, 1);
    assert_eq!(simulator.incidents()[1].told_at, Some(after(620)));
}

#[tokio::test(start_paused = true)]
async fn what_is_due_next_is_known() {
    let latency = (Duration::from_secs(3), Duration::from_secs(3));
    let simulator = quiet(Conduct { latency, ..Conduct::default() });
    hand_off(&simulator);
    assert_eq!((simulator.next_delivery(), simulator.take_deliveries()), (Some(after(3)), Vec::new()));
    pass(3).await;
    let attempt = simulator.take_deliveries().remove(0);
    assert_eq!(simulator.next_delivery(), Some(after(3 + 10 + 10)));
    pass(2).await;
    simulator.answered(attempt.id, Answer::Failed);
    assert_eq!(simulator.next_delivery(), Some(after(5 + 10)));
}

#[tokio::test(start_paused = true)]
async fn a_webhook_that_fails_too_often_is_switched_off() {
    let simulator = quiet(prompt());
    let answer = |answer| {
        hand_off(&simulator);
        let attempt = simulator.take_deliveries().remove(0);
        simulator.answered(attempt.id, answer);
    };
    for turn in 0..19 {
        answer(if turn < 3 { Answer::Ok } else { Answer::Failed });
    }
    assert_eq!(simulator.webhook_status(), WebhookStatus::Active);
    answer(Answer::Failed);
    assert_eq!(simulator.webhook_status(), WebhookStatus::SwitchedOff, "17 of 20 failed");
    assert_eq!(simulator.next_delivery(), None);
    hand_off(&simulator);
    assert_eq!(seconds_of(&simulator, 300, None).await, Vec::<i64>::new());
    let counts = simulator.delivery_tally().events[HANDOFF];
    assert_eq!(counts, DeliveryCounts { queued: 20, lost: 0, sent: 20, answered: 3, given_up: 17 });
    simulator.set_webhook(Some(webhook(prompt())));
    assert_eq!(simulator.webhook_status(), WebhookStatus::Active);
    let id = hand_off(&simulator);
    assert_eq!(execution_of(&simulator.take_deliveries()[0]), id);
}

#[tokio::test(start_paused = true)]
async fn some_failures_or_failures_of_long_ago_switch_nothing_off() {
    let simulator = quiet(prompt());
    let answer = async |answer| {
        hand_off(&simulator);
        for attempt in simulator.take_deliveries() {
            simulator.answered(attempt.id, answer);
        }
        pass(1).await;
    };
    for turn in 0..8 {
        answer(if turn % 5 == 0 { Answer::Ok } else { Answer::Failed }).await;
    }
    pass(15 * 60).await;
    for turn in 0..30 {
        answer(if turn % 2 == 0 { Answer::Ok } else { Answer::Failed }).await;
    }
    assert_eq!(simulator.webhook_status(), WebhookStatus::Active);
}
