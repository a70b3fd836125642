use super::*;

const USUAL: usize = 8;

/// Answers of `endpoint`, one each second from `from` on; when they were over.
fn answered(latency: &mut Latency, endpoint: Endpoint, from: Instant, millis: &[u64]) -> Instant {
    let mut now = from;
    for &millis in millis {
        now += Duration::from_secs(1);
        latency.learn(endpoint, Duration::from_millis(millis), now);
    }
    now
}

fn after(millis: &[u64]) -> Latency {
    let mut latency = Latency::default();
    answered(&mut latency, Endpoint::FlowExecutions, Instant::now(), millis);
    latency
}

#[test]
fn a_slow_api_is_asked_more_at_once() {
    let a_thousand_a_minute = 1000.0 / 60.0;
    assert_eq!(after(&[2000; 50]).at_once(a_thousand_a_minute, USUAL), 40, "33 and some");
    assert_eq!(after(&[1000; 50]).at_once(a_thousand_a_minute, USUAL), 20);
    assert_eq!(after(&[50; 50]).at_once(a_thousand_a_minute, 2), 2);
}

#[test]
fn as_many_as_usual_are_under_way_where_nothing_is_known_or_answers_are_fast() {
    assert_eq!(Latency::default().at_once(50.0, USUAL), USUAL);
    assert_eq!(after(&[10; 50]).at_once(50.0, USUAL), USUAL);
}

#[test]
fn an_api_that_has_become_much_slower_is_asked_less_at_once() {
    let mut millis = vec![100; 50];
    let before = after(&millis).at_once(10.0, USUAL);
    millis.extend([1500; 100]);
    let overloaded = after(&millis).at_once(10.0, USUAL);
    assert!(overloaded < before, "{overloaded} of {before}");
    millis.extend([10_000; 100]);
    assert_eq!(after(&millis).at_once(10.0, USUAL), LEAST);
}

#[test]
fn one_that_answers_soon_is_not_overloaded_however_soon_it_did_before() {
    let mut millis = vec![1; 50];
    millis.extend([50; 100]);
    assert_eq!(after(&millis).at_once(10.0, USUAL), USUAL);
}

#[test]
fn one_that_stays_slow_is_used_as_it_is() {
    let mut latency = after(&[100; 50]);
    let later = Instant::now() + LOWEST_FOR;
    answered(&mut latency, Endpoint::FlowExecutions, later, &[1500; 700]);
    assert_eq!(latency.at_once(10.0, USUAL), 18);
}

#[test]
fn never_more_than_the_most_are_under_way() {
    assert_eq!(after(&[60_000; 100]).at_once(1000.0, USUAL), MOST);
}

#[test]
fn a_few_that_time_out_are_no_sign_of_overload() {
    let millis: Vec<_> = (0..200).map(|n| if n % 10 == 0 { 10_000 } else { 100 }).collect();
    assert_eq!(after(&millis).at_once(1.0, USUAL), USUAL);
}

#[test]
fn a_slow_endpoint_beside_a_fast_one_is_no_sign_of_overload() {
    let mut latency = Latency::default();
    let now = answered(&mut latency, Endpoint::Workflows, Instant::now(), &[20; 50]);
    answered(&mut latency, Endpoint::FlowExecutions, now, &[1500; 50]);
    assert!(latency.at_once(10.0, USUAL) > USUAL);
}
