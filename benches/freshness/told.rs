//! The same with webhook deliveries beside polling, at the smallest limit.

use kapso_exporter::{
    model::Source,
    simulator::{Conduct, Webhook},
};
use tokio::time::sleep;

use super::{
    simulated::{SECRET, Simulated},
    table::{number, time},
    watched::{Delays, HOUR, buckets, lengths, requests, setup},
    world::{Outcomes, Size, World, limit},
};

/// Kapso's smallest.
const LIMIT: u32 = 100;

/// What is delivered.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Deliveries {
    None,
    /// All handoffs and failures, within two seconds.
    All,
}

/// Delays of handoffs and failures, where nothing else happens, and of all outcomes of the usual traffic.
pub async fn row(source: Source, size: Size, deliveries: Deliveries) -> Vec<String> {
    let (told, _) = measured(source, size, deliveries, Outcomes::Told).await;
    let (all, a_minute) = measured(source, size, deliveries, Outcomes::All).await;
    vec![
        source.to_string(),
        number(size.conversations),
        number(size.open()),
        match deliveries {
            Deliveries::None => "no".into(),
            Deliveries::All => "yes".into(),
        },
        time(told.quantile(0.5)),
        time(told.quantile(0.95)),
        time(all.quantile(0.5)),
        time(all.quantile(0.95)),
        format!("{a_minute:.0}"),
    ]
}

/// Delays, and requests a minute.
async fn measured(source: Source, size: Size, deliveries: Deliveries, outcomes: Outcomes) -> (Delays, f64) {
    let World { simulator, clock } = World::busy_with(size, outcomes).await;
    let has_webhook = deliveries == Deliveries::All;
    if has_webhook {
        let conduct = Conduct::default();
        simulator.set_webhook(Some(Webhook { secret: SECRET.into(), url: None, conduct }));
    }
    let mut setup = setup(source);
    setup.has_webhook = has_webhook;
    let mut watched = Simulated::watch(simulator, &clock, &setup);
    watched.sweeps(1).await;
    limit(&watched.simulator, LIMIT).await;
    sleep(6 * HOUR).await;
    let (_, hours) = lengths(size);
    let (before, sent) = (watched.totals(&buckets()).detection_delay, requests(&watched, ""));
    sleep(hours * HOUR).await;
    let delays = Delays::between(&before, &watched.totals(&buckets()).detection_delay);
    (delays, (requests(&watched, "") - sent) / f64::from(60 * hours))
}
