use std::sync::Arc;

use super::*;

async fn requests_for(budget: &Budget, time: Duration) -> Vec<Instant> {
    let start = Instant::now();
    let mut sent = Vec::new();
    while tokio::time::timeout_at(start + time, budget.acquire()).await.is_ok() {
        sent.push(Instant::now());
    }
    sent
}

/// What an answer to a request of just now says.
fn told(budget: &Budget, limit: Option<u32>, remaining: Option<u32>) -> Option<u32> {
    let place = budget.state.lock().neighbours.send(Instant::now());
    budget.learn(place, limit, remaining)
}

fn busiest_minute(sent: &[Instant]) -> usize {
    let within = |from: Instant| move |at: &&Instant| **at >= from && **at < from + MINUTE;
    sent.iter().map(|&from| sent.iter().filter(within(from)).count()).max().unwrap_or(0)
}

#[tokio::test(start_paused = true)]
async fn no_minute_exceeds_half_of_the_assumed_limit_and_nearly_all_of_it_is_used() {
    let sent = requests_for(&Budget::new(None), MINUTE * 10).await;
    assert_eq!(busiest_minute(&sent), 50);
    assert!(sent.len() >= 490, "{}", sent.len());
}

#[tokio::test(start_paused = true)]
async fn requests_are_spread_over_the_minute() {
    let sent = requests_for(&Budget::new(None), Duration::from_secs(30)).await;
    let at_once = sent.iter().filter(|&&at| at == sent[0]).count();
    assert_eq!(at_once, 6, "a tenth, and the one that is due");
    assert!(sent.windows(2).skip(6).all(|pair| pair[1] - pair[0] >= Duration::from_millis(1200)));
}

#[tokio::test(start_paused = true)]
async fn follows_the_reported_limit_down_within_the_same_minute() {
    let budget = Budget::new(None);
    assert_eq!(told(&budget, Some(2000), None), Some(2000));
    let before = requests_for(&budget, MINUTE).await;
    assert!((950..=1000).contains(&before.len()), "{}", before.len());
    assert_eq!(told(&budget, Some(100), None), Some(100));
    assert_eq!(told(&budget, Some(100), None), None, "an old limit is no news");
    let after = requests_for(&budget, MINUTE * 5).await;
    assert_eq!(busiest_minute(&after), 50);
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_rose_is_used_after_a_minute() {
    let budget = Budget::new(None);
    told(&budget, Some(100), None);
    for _ in 0..59 {
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(told(&budget, Some(1000), None), None);
    }
    assert_eq!(budget.status().per_minute, 50);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(told(&budget, Some(1000), None), Some(1000));
    assert_eq!(budget.status().per_minute, 500);
}

#[tokio::test(start_paused = true)]
async fn of_limits_by_turns_the_lowest_counts_and_is_said_once() {
    let budget = Budget::new(None);
    let mut said = Vec::new();
    for number in 0..600 {
        let limit = [1000, 100, 2000][number % 3];
        said.extend(told(&budget, Some(limit), None));
        assert!(number == 0 || budget.status().limit == Some(100));
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    assert_eq!(said, [1000, 100]);
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_falls_all_the_time_is_said_once_a_minute() {
    let budget = Budget::new(None);
    let mut said = Vec::new();
    for second in 0..=150 {
        said.extend(told(&budget, Some(2000 - second), None));
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    assert_eq!(said, [2000, 1940, 1880]);
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_falls_deep_costs_a_minute_at_most() {
    let budget = Budget::new(None);
    told(&budget, Some(u32::MAX), None);
    for _ in 0..1000 {
        budget.acquire().await;
    }
    told(&budget, Some(20), None);
    let start = Instant::now();
    budget.acquire().await;
    assert!(start.elapsed() <= WINDOW, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn own_figure_wins_over_the_reported_limit() {
    let budget = Budget::new(Some(7));
    told(&budget, Some(2000), None);
    assert_eq!(budget.status(), BudgetStatus { per_minute: 7, limit: Some(2000), remaining: None });
    assert_eq!(busiest_minute(&requests_for(&budget, MINUTE * 5).await), 7);
}

#[tokio::test(start_paused = true)]
async fn asks_nothing_while_paused_and_a_shorter_pause_does_not_end_a_longer_one() {
    let budget = Budget::new(None);
    budget.refused(Duration::from_secs(30));
    budget.refused(Duration::from_secs(5));
    let start = Instant::now();
    budget.acquire().await;
    assert_eq!(start.elapsed(), Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn no_pause_is_longer_than_an_hour() {
    let budget = Budget::new(None);
    budget.refused(Duration::MAX);
    assert_eq!(budget.paused_for(), LONGEST_PAUSE);
}

#[tokio::test(start_paused = true)]
async fn comes_back_gently_after_a_refusal() {
    let budget = Budget::new(Some(100));
    for _ in 0..8 {
        budget.refused(MINUTE);
    }
    assert_eq!(budget.status().per_minute, 50, "refused together counts once");
    let mut figures = Vec::new();
    for _ in 0..7 {
        tokio::time::advance(MINUTE).await;
        figures.push(budget.status().per_minute);
    }
    assert_eq!(figures, [50, 60, 70, 80, 90, 100, 100]);
}

#[tokio::test(start_paused = true)]
async fn leaves_the_rest_of_the_minute_to_others_when_hardly_anything_remains() {
    let budget = Budget::new(None);
    told(&budget, Some(100), Some(60));
    tokio::time::advance(Duration::from_secs(20)).await;
    told(&budget, Some(100), Some(99));
    tokio::time::advance(Duration::from_secs(25)).await;
    told(&budget, Some(100), Some(10));
    assert_eq!(
        budget.paused_for(),
        Duration::from_secs(35),
        "the minute began when more was left than before"
    );
    tokio::time::advance(Duration::from_secs(35)).await;
    told(&budget, Some(100), Some(5));
    assert_eq!(budget.paused_for(), FLOOR_PAUSE, "and where that is not known, a while");
}

#[tokio::test(start_paused = true)]
async fn as_many_requests_may_go_at_once_as_go() {
    let budget = Budget::new(Some(50));
    for left in (0..6).rev() {
        budget.acquire().await;
        assert_eq!(budget.requests_at_once(), left);
    }
    tokio::time::advance(Duration::from_secs(3)).await;
    assert_eq!(budget.requests_at_once(), 2);
}

/// A key with a limit, used by others as well.
struct Shared {
    limit: u32,
    minute: u64,
    used: u32,
    refused: usize,
    begun: Instant,
}

impl Shared {
    /// One whose minute goes on from `phase`.
    fn new(limit: u32, phase: Duration) -> Self {
        Self { limit, minute: 0, used: 0, refused: 0, begun: Instant::now().checked_sub(phase).unwrap() }
    }

    /// A request; what remains.
    fn take(&mut self) -> u32 {
        let minute = self.begun.elapsed().as_secs() / 60;
        if minute != self.minute {
            (self.minute, self.used) = (minute, 0);
        }
        self.refused += usize::from(self.used >= self.limit);
        self.used = self.limit.min(self.used + 1);
        self.limit - self.used
    }
}

/// Asks at full speed for `time` beside a neighbour that asks for `burst` at a time, every `gap`. When we asked, and how
/// many requests were refused.
async fn beside(
    budget: &Budget,
    phase: Duration,
    burst: usize,
    gap: Duration,
    time: Duration,
) -> (Vec<Instant>, usize) {
    let shared = Mutex::new(Shared::new(100, phase));
    let neighbour = async {
        loop {
            for _ in 0..burst {
                shared.lock().take();
            }
            tokio::time::sleep(gap).await;
        }
    };
    let mut sent = Vec::new();
    let own = async {
        loop {
            let place = budget.acquire().await;
            sent.push(Instant::now());
            let remaining = shared.lock().take();
            budget.learn(place, Some(100), Some(remaining));
        }
    };
    let both = async { tokio::join!(neighbour, own) };
    tokio::time::timeout(time, both).await.unwrap_err();
    (sent, shared.into_inner().refused)
}

#[tokio::test(start_paused = true)]
async fn a_neighbour_that_uses_most_of_the_key_is_never_refused_while_we_ask_at_full_speed() {
    for phase in (0..60).step_by(7).map(Duration::from_secs) {
        for burst in [1, 5, 10] {
            let gap = Duration::from_secs(burst as u64);
            let (sent, refused) = beside(&Budget::new(None), phase, burst, gap, MINUTE * 30).await;
            assert_eq!(refused, 0, "{burst} at a time, from {phase:?} on");
            assert!(sent.len() > 25 * 30, "{} of 900 requests that remain", sent.len());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_nobody_else_uses_is_used_as_before() {
    let alone = requests_for(&Budget::new(None), MINUTE * 10).await;
    let (sent, _) = beside(&Budget::new(None), Duration::ZERO, 0, MINUTE, MINUTE * 10).await;
    assert_eq!(sent.len(), alone.len());
    assert_eq!(busiest_minute(&sent), 50);
}

#[tokio::test(start_paused = true)]
async fn the_more_the_neighbours_use_the_fewer_requests_go_at_once() {
    let mut at_once = Vec::new();
    for gap in [600, 3, 2, 1].map(Duration::from_secs) {
        let budget = Budget::new(None);
        beside(&budget, Duration::ZERO, 1, gap, MINUTE * 5 + Duration::from_secs(10)).await;
        tokio::time::sleep(Duration::from_secs(15)).await;
        at_once.push(budget.requests_at_once());
    }
    assert!(at_once.is_sorted_by(|more, less| more >= less), "{at_once:?}");
    assert_eq!((at_once[0], at_once[3]), (6, 2), "{at_once:?}");
}

#[tokio::test(start_paused = true)]
async fn requests_go_one_at_a_time_when_neighbours_leave_little() {
    let budget = Budget::new(None);
    beside(&budget, Duration::ZERO, 1, Duration::from_secs(1), MINUTE * 3).await;
    told(&budget, Some(100), Some(12));
    assert_eq!(budget.requests_at_once(), 2, "the one that is due, and another one");
    told(&budget, Some(100), Some(11));
    assert_eq!(budget.requests_at_once(), 1);
}

/// The usage of a budget that was asked for so long as often as it allows.
async fn used_up(own: u32, time: Duration) -> Usage {
    let budget = Budget::new(Some(own));
    requests_for(&budget, time).await;
    budget.usage()
}

#[tokio::test(start_paused = true)]
async fn another_process_goes_on_where_the_one_before_ended() {
    let (before, told) = (Duration::from_secs(59), used_up(60, MINUTE).await);
    assert_eq!(told.requests(), 60);
    let next = Budget::new(Some(60));
    next.inherit(&told, Duration::ZERO, Duration::ZERO);
    let sent = requests_for(&next, before).await;
    assert!(sent.len() <= 60 && sent.len() >= 50, "{}", sent.len());
    let first = *sent.first().unwrap();
    let in_ten_seconds = sent.iter().filter(|&&at| at < first + Duration::from_secs(10)).count();
    assert!(in_ten_seconds <= 17, "as many as leave the minute: {in_ten_seconds}");
}

/// A lease that is held for a long time.
fn lease() -> Lease {
    let until = crate::lease::BootTime::now().plus(MINUTE * 60);
    Lease::new(crate::lease::KeyHash([0; 32]), 1, until, Arc::default())
}

/// What is told of the use of a key, and reserved.
fn told_and_reserved(budget: &Budget, lease: &Lease) -> Usage {
    let told = budget.reserve();
    lease.confirm_reserved();
    told
}

#[tokio::test(start_paused = true)]
async fn under_a_lease_no_more_is_asked_than_was_reserved() {
    let (budget, lease) = (Budget::new(Some(600)), lease());
    budget.set_lease(Some(lease.clone()));
    let mut sent = Vec::new();
    for _ in 0..4 {
        sent.push(requests_for(&budget, Duration::from_secs(20)).await.len());
        told_and_reserved(&budget, &lease);
    }
    assert_eq!(sent, [0, 30, 30, 60], "a twentieth, or as many as in the minute before");
}

#[tokio::test(start_paused = true)]
async fn what_a_process_that_died_had_reserved_counts_as_asked_if_it_had_time_for_it() {
    let (budget, lease) = (Budget::new(Some(60)), lease());
    budget.set_lease(Some(lease.clone()));
    told_and_reserved(&budget, &lease);
    assert_eq!(requests_for(&budget, Duration::from_secs(2)).await.len(), 3);
    let told = told_and_reserved(&budget, &lease);
    for (unseen, asked) in [(0, 3), (13, 6)] {
        let next = Budget::new(Some(60));
        next.inherit(&told, Duration::from_secs(15), Duration::from_secs(unseen));
        assert_eq!(next.usage().requests(), asked, "{unseen} s without news");
    }
}

#[tokio::test(start_paused = true)]
async fn one_crash_after_another_uses_up_little_of_the_budget() {
    let mut told = Budget::new(Some(600)).reserve();
    for _ in 0..4 {
        let next = Budget::new(Some(600));
        next.inherit(&told, Duration::from_secs(15), Duration::from_secs(13));
        told = next.reserve();
    }
    assert_eq!(told.requests(), 4 * 600 / 20);
}

#[tokio::test(start_paused = true)]
async fn of_a_process_that_told_nothing_to_be_understood_all_that_it_may_have_asked_counts() {
    let next = Budget::new(Some(60));
    next.inherit(&Usage::unknown(), Duration::from_secs(15), Duration::from_secs(13));
    let sent = requests_for(&next, Duration::from_secs(45)).await;
    assert!(sent.len() <= 60 - 13 - 6, "{}", sent.len());
}

#[tokio::test(start_paused = true)]
async fn a_pause_goes_on_in_another_process() {
    let budget = Budget::new(Some(60));
    budget.refused(Duration::from_secs(30));
    let next = Budget::new(Some(60));
    next.inherit(&budget.usage(), Duration::from_secs(10), Duration::ZERO);
    assert_eq!(next.paused_for(), Duration::from_secs(20));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_without_the_lease() {
    let budget = Budget::new(None);
    let until = crate::lease::BootTime::now();
    let lease = Lease::new(crate::lease::KeyHash([0; 32]), 1, until, Arc::default());
    budget.set_lease(Some(lease.clone()));
    told_and_reserved(&budget, &lease);
    assert_eq!(requests_for(&budget, MINUTE).await, []);
    lease.extend(1, until.plus(MINUTE));
    assert!(!requests_for(&budget, MINUTE).await.is_empty());
    lease.lose();
    assert_eq!(requests_for(&budget, MINUTE).await, []);
}
