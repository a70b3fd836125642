//! How worlds are drawn: mostly small ones, in which little goes wrong at a time.

use kapso_exporter::simulator::{Fault, Ids};
use proptest::{prelude::*, sample::subsequence};

use crate::{
    world::{Deliveries, End, Move, Phase, Restart, Walks, World},
    wrong::wrongs,
};

/// Any world.
pub fn worlds() -> impl Strategy<Value = World> {
    let business = (1..7_usize, 0..8_usize, 0..4_usize, prop_oneof![3 => Just(0), 1 => 1..12_usize]);
    let starts = (prop_oneof![3 => 0..8_u32, 1 => 8..30_u32], prop_oneof![39 => Just(0), 1 => 1..=100_u32]);
    let traffic = (starts, 0..=100_u32, 0..=100_u32, 0..6_u32);
    let api = (
        prop_oneof![2 => Just(100), 1 => 1..6_usize],
        prop_oneof![1 => Just(0), 1 => 1..60_u64],
        prop_oneof![3 => Just(None), 1 => (120..400_u32).prop_map(Some)],
        any::<bool>(),
    );
    let exporter = (
        (any::<bool>(), walks()),
        prop_oneof![Just(30_u64), Just(60)],
        prop_oneof![Just(24 * 60_u64), Just(5)],
        prop_oneof![Just(0), -2_000..2_000_i64, -7_200_000..7_200_000_i64],
    );
    let ids = prop_oneof![5 => Just(Ids::Plain), 1 => Just(Ids::Odd)];
    let webhook = prop::option::weighted(0.5, deliveries());
    let rest = (seeds(), prop::collection::vec(phases(), 1..4), any::<bool>(), ids, webhook);
    (business, traffic, api, exporter, rest).prop_map(|(business, traffic, api, exporter, rest)| World {
        seed: rest.0,
        agents: exporter.0.0,
        walks: exporter.0.1,
        conversations: business.0,
        history: business.1,
        open_history: business.2,
        busy_conversation: business.3,
        silent_percent: traffic.0.1,
        starts: traffic.0.0,
        failures_percent: traffic.1,
        handoffs_percent: traffic.2,
        changes: traffic.3,
        page: api.0,
        visible_after: api.1,
        rate_limit: api.2,
        limit_headers: api.3,
        interval: exporter.1,
        lookback: exporter.2,
        skew: exporter.3,
        schedule: rest.1,
        deletion: rest.2,
        ids: rest.3,
        webhook: rest.4,
    })
}

fn deliveries() -> impl Strategy<Value = Deliveries> {
    let percent = || prop_oneof![2 => Just(0), 1 => 1..=100_u32];
    let batch = prop_oneof![2 => Just(None), 1 => (1..5_usize).prop_map(Some)];
    (0..60_000_u64, percent(), percent(), percent(), (percent(), percent()), batch).prop_map(
        |(latency, lost, repeated, disorder, (tests, unknown), batch)| Deliveries {
            latency,
            lost_percent: lost,
            repeated_percent: repeated,
            disorder_percent: disorder,
            tests_percent: tests,
            unknown_percent: unknown,
            batch,
        },
    )
}

fn walks() -> impl Strategy<Value = Walks> {
    prop_oneof![Just(Walks::Conversations), Just(Walks::Workflows), Just(Walks::Both), Just(Walks::Auto)]
}

fn seeds() -> impl Strategy<Value = u64> {
    (0..1_000_000_u64).no_shrink()
}

fn phases() -> impl Strategy<Value = Phase> {
    let faults =
        (prop_oneof![1 => Just(0), 3 => 3..12_u32], subsequence(&Fault::ALL[..], 1..=Fault::ALL.len()));
    let time = (
        1..8_u64,
        prop_oneof![2 => Just(0), 1 => 1..1500_u64],
        prop_oneof![6 => Just(0), 2 => -1500..1500_i64, 1 => -7_200_000..7_200_000_i64],
        prop_oneof![6 => Just(0), 1 => -7_200_000..7_200_000_i64, 1 => -259_200_000..259_200_000_i64],
    );
    let moves = prop_oneof![Just(Move::HandOff), Just(Move::PassThrough), Just(Move::End), Just(Move::Fail)];
    let moves = prop::collection::vec(moves, 0..3);
    let end = prop_oneof![
        6 => Just(End::Nothing),
        1 => Just(End::Rename),
        1 => Just(End::OddStatus),
        1 => Just(End::OddStatusOver),
        1 => Just(End::Resume),
        1 => Just(End::Erase),
        1 => walks().prop_map(End::Reconfigure),
        1 => walks().prop_map(|walks| End::Restart(Restart::Switching(walks))),
        1 => Just(End::Restart(Restart::Forgetful)),
        1 => Just(End::Restart(Restart::Keeping)),
    ];
    (time, faults, wrongs(), moves, end).prop_map(|(time, (one_in, faults), wrongs, moves, end)| Phase {
        // What hides something does not last long, since every state has to last longer.
        intervals: if wrongs.is_empty() { time.0 } else { time.0.div_ceil(3) },
        latency: time.1,
        date: time.2,
        one_in,
        faults,
        wrongs,
        step: time.3,
        moves,
        end,
    })
}
