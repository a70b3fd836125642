//! What goes wrong with deliveries.

use std::time::Duration;

use fastrand::Rng;

/// The longest that a delivery is held back, or that one is repeated after its answer.
const LONGEST: Duration = Duration::from_mins(1);

/// How well deliveries do. Shares are between 0 and 1; the default is Kapso at its best.
#[derive(Clone, Debug, PartialEq)]
pub struct Conduct {
    /// From the incident until its delivery is first tried: at least, and at most.
    pub latency: (Duration, Duration),
    /// Share of deliveries that are never sent at all.
    pub lost: f64,
    /// Share of deliveries that are sent twice more although they were answered well.
    pub repeated: f64,
    /// Share of deliveries that are held back up to a minute longer, so that others overtake them.
    pub disorder: f64,
    /// Up to so many deliveries of the same event that are due within a second go as one.
    pub batch: Option<usize>,
    /// Share of incidents after which a test delivery is sent too.
    pub tests: f64,
    /// Share of incidents after which an event is sent that has nothing to do with executions.
    pub unknown: f64,
}

impl Default for Conduct {
    fn default() -> Self {
        Self {
            latency: (Duration::from_millis(200), Duration::from_secs(2)),
            lost: 0.0,
            repeated: 0.0,
            disorder: 0.0,
            batch: None,
            tests: 0.0,
            unknown: 0.0,
        }
    }
}

/// What becomes of one delivery, and what else is sent on its occasion. Times are from the incident on.
#[derive(Debug, PartialEq)]
pub struct Fate {
    /// Until it is first tried; nothing where it is lost.
    pub wait: Option<Duration>,
    /// The pauses before each time that it is sent once more.
    pub repeats: Vec<Duration>,
    /// Until a test delivery.
    pub test: Option<Duration>,
    /// Until an event that has nothing to do with executions.
    pub unknown: Option<Duration>,
}

impl Conduct {
    /// Draws a delivery's fate. It always takes as many draws, so that one kind of trouble doesn't change
    /// another.
    pub fn fate(&self, rng: &mut Rng) -> Fate {
        let wait = between(rng, self.latency);
        let held = share(rng, self.disorder, (Duration::ZERO, LONGEST));
        let lost = share(rng, self.lost, (Duration::ZERO, LONGEST));
        let again = share(rng, self.repeated, (Duration::ZERO, LONGEST));
        let once_more = between(rng, (Duration::ZERO, LONGEST));
        Fate {
            wait: lost.is_none().then_some(wait + held.unwrap_or_default()),
            repeats: again.map_or_else(Vec::new, |first| vec![once_more, first]),
            test: share(rng, self.tests, self.latency),
            unknown: share(rng, self.unknown, self.latency),
        }
    }

    /// The first reason why this can't be simulated, if there is one.
    ///
    /// # Errors
    /// A sentence that names the field and what it allows.
    pub fn check(&self) -> Result<(), String> {
        let shares = [
            ("lost", self.lost),
            ("repeated", self.repeated),
            ("disorder", self.disorder),
            ("tests", self.tests),
            ("unknown", self.unknown),
        ];
        if let Some((name, _)) = shares.iter().find(|(_, share)| !(0.0..=1.0).contains(share)) {
            return Err(format!("{name} must be between 0 and 1"));
        }
        if self.latency.0 > self.latency.1 {
            return Err("latency must be [min, max] with min not above max".to_owned());
        }
        if self.batch == Some(0) {
            return Err("batch must be at least 1".to_owned());
        }
        Ok(())
    }
}

/// A time within `range`, for a `share` of the cases.
fn share(rng: &mut Rng, share: f64, range: (Duration, Duration)) -> Option<Duration> {
    let drawn = rng.f64();
    let time = between(rng, range);
    (drawn < share).then_some(time)
}

/// A duration of whole milliseconds within `range`.
fn between(rng: &mut Rng, (low, high): (Duration, Duration)) -> Duration {
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(rng.u64(millis(low)..=millis(high).max(millis(low))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fate_is_as_bad_as_the_conduct_says() {
        let mut rng = Rng::with_seed(1);
        let all = Conduct { repeated: 1.0, disorder: 1.0, tests: 1.0, unknown: 1.0, ..Conduct::default() };
        let fate = all.fate(&mut rng);
        assert!(fate.wait.is_some() && fate.test.is_some() && fate.unknown.is_some());
        assert_eq!(fate.repeats.len(), 2);
        let fate = Conduct { lost: 1.0, ..Conduct::default() }.fate(&mut rng);
        assert_eq!(fate, Fate { wait: None, repeats: Vec::new(), test: None, unknown: None });
    }

    #[test]
    fn one_kind_of_trouble_does_not_change_another() {
        let latencies = |conduct: Conduct| {
            let mut rng = Rng::with_seed(2);
            (0..50).map(|_| conduct.fate(&mut rng).wait).collect::<Vec<_>>()
        };
        let well = latencies(Conduct::default());
        assert_eq!(well, latencies(Conduct { repeated: 0.5, tests: 0.5, ..Conduct::default() }));
        let lossy = latencies(Conduct { lost: 0.5, ..Conduct::default() });
        assert!(lossy.contains(&None) && lossy.iter().zip(&well).all(|(a, b)| a.is_none() || a == b));
        let usual = Duration::from_millis(200)..=Duration::from_secs(2);
        assert!(well.iter().flatten().all(|wait| usual.contains(wait)));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let well = Conduct::default();
        assert_eq!(well.check(), Ok(()));
        assert!(Conduct { lost: 1.5, ..well.clone() }.check().is_err());
        assert!(Conduct { batch: Some(0), ..well.clone() }.check().is_err());
        assert!(Conduct { latency: (LONGEST, Duration::ZERO), ..well }.check().is_err());
    }
}
