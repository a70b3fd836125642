//! The account with webhook deliveries beside its readings: late, repeated and out of order, with restarts in between.

use jiff::SignedDuration;
use kapso_exporter::{
    account::{Account, Saved, Settings},
    clock::Steady,
    model::{Delivery, HandoffReason, HandoffSource, Page, Status, ToldOutcome},
};
use proptest::prelude::*;

use super::{
    cheap,
    model::{Life, Reading, Sight, Watch, at, counts, transitions_into_handoff},
};

/// How the outcomes of a life are delivered.
#[derive(Clone, Debug)]
pub struct Deliveries {
    /// For each outcome, from the first on and then again: the seconds from it to each delivery; none = it is lost.
    delays: Vec<Vec<i64>>,
    /// Seconds from a delivery to the look at its execution.
    look: i64,
    /// Deliveries do not say when.
    is_undated: bool,
}

/// What happens, in the order of its time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Look(usize),
    Read(usize),
    Tell { life: usize, outcome: usize, copy: usize },
    Restart,
}

impl Life {
    /// Times and statuses of the handoffs and of the failure.
    fn outcomes(&self) -> Vec<(i64, Status)> {
        let is_outcome = |status: &Status| [Status::Handoff, Status::Failed].contains(status);
        self.transitions().into_iter().filter(|(_, status)| is_outcome(status)).collect()
    }
}

/// Plays all that happens, and a whole reading in the end.
fn play(
    lives: &[Life],
    readings: &[Reading],
    deliveries: &[Deliveries],
    restarts: &[i64],
    lookback: i64,
) -> Watch {
    let mut steps = Vec::new();
    let mut time = 0;
    for (number, reading) in readings.iter().enumerate() {
        time += reading.after;
        steps.push((time, Step::Read(number)));
    }
    steps.extend(restarts.iter().map(|&time| (time, Step::Restart)));
    for (number, life) in lives.iter().enumerate() {
        let how = &deliveries[number % deliveries.len()];
        for (outcome, (time, _)) in life.outcomes().into_iter().enumerate() {
            for (copy, delay) in how.delays[outcome % how.delays.len()].iter().enumerate() {
                let told_at = (time + delay).max(0);
                steps.push((told_at, Step::Tell { life: number, outcome, copy }));
                steps.push((told_at + life.late + how.look, Step::Look(number)));
            }
        }
    }
    steps.sort();
    let mut settings = Settings { expects_deliveries: true, ..Settings::default() };
    settings.lookback = SignedDuration::from_secs(lookback);
    settings.remembered = settings.lookback;
    let mut watch = Watch::of(Account::new(settings.clone()), lives);
    for (time, step) in steps {
        // No answer is older than the one before.
        let time = time.max(watch.now);
        match step {
            Step::Read(number) => {
                let after = time - watch.now;
                watch.look(lives, &Reading { after, ..readings[number].clone() });
            }
            Step::Look(life) => watch.fetch(lives, life, time),
            Step::Tell { life, outcome, .. } => {
                let is_undated = deliveries[life % deliveries.len()].is_undated;
                let delivery = delivery(life, outcome, lives[life].outcomes()[outcome], is_undated);
                watch.now = time;
                watch.account.deliver(&delivery, at(time));
            }
            Step::Restart => {
                watch.account.track();
                let saved = Saved::from(watch.account.take_changes());
                watch.account = Account::restore(settings.clone(), &saved).unwrap();
            }
        }
    }
    watch.look(lives, &Reading::whole(10_000));
    watch
}

fn delivery(life: usize, outcome: usize, (time, status): (i64, Status), is_undated: bool) -> Delivery {
    let handoff = ToldOutcome::HandedOff { source: HandoffSource::AgentTool, reason: HandoffReason::Other };
    Delivery {
        execution: life.to_string().as_str().into(),
        workflow: Some("w".into()),
        conversation: None,
        outcome: if status == Status::Failed { ToldOutcome::Failed } else { handoff },
        at: (!is_undated).then(|| at(time)),
        key: Some((life * 100 + outcome) as u64),
    }
}

impl Watch {
    /// Asks for one execution by itself.
    fn fetch(&mut self, lives: &[Life], life: usize, now: i64) {
        self.now = now;
        let seen = lives[life].seen_at(life, now).filter(|_| lives[life].is_visible(now));
        let Some(execution) = seen else { return };
        self.sighted[life].push(Sight::of(&execution));
        let page = Page {
            items: vec![execution],
            flaws: kapso_exporter::model::Flaws::default(),
            request_seq: now.unsigned_abs(),
            requested_at: Steady::at(at(now)),
            as_of: at(now),
            last: true,
        };
        self.account.see_one(&page, at(now));
    }
}

fn deliveries(most_lost: u32) -> impl Strategy<Value = Vec<Deliveries>> {
    let copies = prop::collection::vec(prop_oneof![3 => 0..3_i64, 1 => 3..200_i64], 1..4);
    let outcome = prop_oneof![4 => copies, most_lost => Just(Vec::new())];
    let of_a_life = (prop::collection::vec(outcome, 1..4), 0..60_i64).prop_map(|(delays, look)| Deliveries {
        delays,
        look,
        is_undated: false,
    });
    prop::collection::vec(of_a_life, 1..4)
}

fn restarts() -> impl Strategy<Value = Vec<i64>> {
    prop::collection::vec(0..4_000_i64, 0..3)
}

proptest! {
    #![proptest_config(cheap())]

    /// Each handoff and each failure since the watch began counts, those that no reading saw included.
    #[test]
    fn what_is_told_and_what_is_found_counts_once(
        lives in super::lives(), readings in super::readings(), deliveries in deliveries(0),
        restarts in restarts(), lookback in 600..1_200_i64,
    ) {
        let watch = play(&lives, &readings, &deliveries, &restarts, lookback);
        let outcomes = lives.iter().flat_map(Life::outcomes).filter(|&(time, _)| time >= 0);
        let count = |wanted| outcomes.clone().filter(|&(_, status)| status == wanted).count() as u64;
        let counts = counts(&watch.account);
        prop_assert_eq!((counts.handoffs, counts.failed), (count(Status::Handoff), count(Status::Failed)));
        prop_assert!(watch.account.ledger.awaited().is_empty());
    }

    /// Where deliveries are lost, all that was told or found counts, and nothing that did not happen.
    #[test]
    fn what_is_lost_counts_if_it_is_found(
        lives in super::lives(), readings in super::readings(), deliveries in deliveries(4),
        restarts in restarts(), lookback in 600..1_200_i64,
    ) {
        let watch = play(&lives, &readings, &deliveries, &restarts, lookback);
        let (mut least, mut most, mut failures) = (0, 0, 0);
        for (number, life) in lives.iter().enumerate() {
            let how = &deliveries[number % deliveries.len()];
            let outcomes = life.outcomes();
            let news = outcomes.iter().enumerate().filter(|(_, (time, _))| *time >= 0);
            let handoffs = news.clone().filter(|(_, (_, status))| *status == Status::Handoff);
            let told = handoffs.clone().filter(|(n, _)| !how.delays[n % how.delays.len()].is_empty()).count() as u64;
            least += told.max(transitions_into_handoff(&watch.sighted[number]));
            most += handoffs.count() as u64;
            failures += news.filter(|(_, (_, status))| *status == Status::Failed).count() as u64;
        }
        let counts = counts(&watch.account);
        prop_assert!((least..=most).contains(&counts.handoffs), "{least}..={most}: {counts:?}");
        prop_assert_eq!(counts.failed, failures);
    }
}
