//! Whether an API is absent that need not be there. One that never answered is absent at its first 404; one that did is
//! absent once it has answered nothing else for some time.

use jiff::SignedDuration;

use crate::clock::Steady;

/// The shortest time after which an API that was there is believed to be gone, …
const BELIEVED_AFTER: SignedDuration = SignedDuration::from_mins(10);
/// … and the fewest looks.
const LOOKS: u32 = 3;

/// What is known of it.
#[derive(Debug)]
pub(super) struct Absence {
    was_there: bool,
    /// The first of the 404s in a row, and how many there were.
    looks: Option<(Steady, u32)>,
}

impl Absence {
    pub fn new(was_there: bool) -> Self {
        Self { was_there, looks: None }
    }

    /// Whether it ever answered.
    pub fn was_there(&self) -> bool {
        self.was_there
    }

    /// It answered.
    pub fn end(&mut self) {
        *self = Self::new(true);
    }

    /// Takes note of a 404. Returns whether the API is absent.
    pub fn is_believed(&mut self, now: Steady) -> bool {
        let (since, looks) = self.looks.map_or((now, 1), |(since, looks)| (since, looks + 1));
        self.looks = Some((since, looks));
        !self.was_there || (looks >= LOOKS && now.since(since) >= BELIEVED_AFTER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_api_that_was_there_is_absent_only_when_it_stays_away() {
        let start = Steady::at(jiff::Timestamp::from_second(1_700_000_000).unwrap());
        let at = |minutes| start.plus(SignedDuration::from_mins(minutes));
        assert!(Absence::new(false).is_believed(at(0)));
        let mut absence = Absence::new(true);
        assert_eq!([0, 1, 9, 10].map(|minute| absence.is_believed(at(minute))), [false, false, false, true]);
        absence.end();
        assert!(!absence.is_believed(at(20)));
    }
}
