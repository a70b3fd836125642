//! The account alone, without I/O: any lives, listed in any pages, at any times, with readings that break off,
//! items that cannot be read, and pruning in between.

mod deliveries;
mod model;

use kapso_exporter::{
    account::Order,
    clock::Steady,
    model::{Page, Status},
};
use proptest::prelude::*;

use self::model::{Counts, Life, Reading, Watch, at, counts, happened, read};

fn lives() -> impl Strategy<Value = Vec<Life>> {
    let status = prop_oneof![Just(Status::Running), Just(Status::Waiting), Just(Status::Handoff)];
    let outcome = prop_oneof![Just(Some(Status::Ended)), Just(Some(Status::Failed)), Just(None)];
    let life = (-500..2_000_i64, 0..60_i64, prop::collection::vec((status, 1..1_500_i64), 0..4), outcome)
        .prop_map(|(start, late, stays, outcome)| Life { start, late, stays, outcome });
    prop::collection::vec(life, 0..8)
}

fn readings() -> impl Strategy<Value = Vec<Reading>> {
    let some =
        |part, places: std::ops::Range<usize>| prop_oneof![part => Just(None), 1 => places.prop_map(Some)];
    let rarely = || prop::bool::weighted(0.1);
    let reading =
        (1..250_i64, 1..4_usize, some(2, 0..3), some(9, 0..8), some(9, 0..8), rarely(), any::<bool>())
            .prop_map(|(after, page_size, pages, bad_item, repeated, reversed, prune)| Reading {
                after,
                page_size,
                pages,
                bad_item,
                repeated,
                reversed,
                prune,
            });
    prop::collection::vec(reading, 0..12)
}

fn cheap() -> ProptestConfig {
    ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cheap())]

    /// Pruned, interrupted and spoilt as it may be, the next whole reading completes the account.
    #[test]
    fn whatever_was_read_before_a_whole_reading_makes_the_counts_right(
        lives in lives(), readings in readings(), lookback in 100..1_000_i64, rest in 1..4_000_i64,
    ) {
        let mut watch = Watch::new(&lives, lookback);
        let mut before = Counts::default();
        for reading in readings.iter().chain([&Reading::whole(rest)]) {
            watch.look(&lives, reading);
            let now = counts(&watch.account);
            prop_assert!(now.started >= before.started && now.handoffs >= before.handoffs, "counters never fall");
            prop_assert!(now.ended >= before.ended && now.failed >= before.failed, "counters never fall");
            before = now;
        }
        prop_assert_eq!(before, happened(&lives, watch.now, &watch.sighted));
    }

    /// What was read is read again, whole or in part, and pruned in between: nothing counts again.
    #[test]
    fn reading_again_counts_nothing_again(
        lives in lives(), again in readings(), lookback in 100..1_000_i64, first in 1..8_000_i64,
    ) {
        let mut watch = Watch::new(&lives, lookback);
        watch.look(&lives, &Reading::whole(first));
        let before = counts(&watch.account);
        // Nothing happens any more: time goes on for the account only.
        for reading in again {
            watch.now += reading.after;
            watch.account.prune(at(watch.now));
            let pages: Vec<_> = reading.list(&lives, first).into_iter().map(|page| Page { requested_at: Steady::at(at(watch.now)), as_of: at(watch.now), ..page }).collect();
            read(&mut watch.account, &pages, watch.now);
            prop_assert_eq!(&counts(&watch.account), &before);
        }
    }

    /// Two looks at the same list whose answers overtake each other: the older one takes nothing back.
    #[test]
    fn an_answer_that_was_overtaken_changes_nothing(
        lives in lives(), page_size in 1..5_usize, older in 1..4_000_i64, younger in 1..4_000_i64,
    ) {
        let whole = Reading { page_size, ..Reading::whole(0) };
        let now = older + younger;
        let mut watch = Watch::new(&lives, 10_000);
        read(&mut watch.account, &whole.list(&lives, now), now);
        let (before, current) = (counts(&watch.account), format!("{:?}", watch.account.current(at(now))));
        let mut late = watch.account.open(&"c".into(), Order::NewestFirst);
        for page in whole.list(&lives, older) {
            watch.account.read(&mut late, &page, at(now));
        }
        prop_assert_eq!(counts(&watch.account), before);
        prop_assert_eq!(format!("{:?}", watch.account.current(at(now))), current);
    }
}
