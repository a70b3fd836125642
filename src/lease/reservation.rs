//! How many requests may be made with a key before its holder tells more.
//!
//! If a holder crashes, nobody knows what it asked since it last told what the key was used for. So it tells at the same
//! time how many requests it will make at most until it tells again, and makes no more than that. Where the database has
//! not answered, it may have what was told last or anything that was told since its last answer: the least of it counts.

/// How many requests may be made. Nothing, until something was told and confirmed.
#[derive(Debug, Default)]
pub(super) struct Reservation {
    /// What is left of what the database surely has, or of less.
    confirmed: u32,
    /// What is left of what it was told since, and may have.
    told: Option<u32>,
}

impl Reservation {
    /// The database is told that so many requests are made at most from now on.
    pub(super) fn tell(&mut self, requests: u32) {
        self.confirmed = self.left();
        self.told = Some(requests);
    }

    /// The database has what it was told last.
    pub(super) fn confirm(&mut self) {
        self.confirmed = self.told.take().unwrap_or(self.confirmed);
    }

    /// Takes one request; `false` if there is none left.
    pub(super) fn spend(&mut self) -> bool {
        let is_left = self.left() > 0;
        if is_left {
            self.confirmed -= 1;
            self.told = self.told.map(|told| told - 1);
        }
        is_left
    }

    fn left(&self) -> u32 {
        self.told.map_or(self.confirmed, |told| told.min(self.confirmed))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Event {
        Spend,
        /// So many are told; whether that arrives, and whether the answer does.
        Tell(u32, bool, bool),
    }

    fn event() -> impl Strategy<Value = Event> {
        let tell = (0..6u32, any::<bool>(), any::<bool>());
        prop_oneof![
            3 => Just(Event::Spend),
            1 => tell.prop_map(|(requests, arrives, is_answered)| Event::Tell(requests, arrives, is_answered)),
        ]
    }

    proptest! {
        #[test]
        fn whatever_is_lost_no_more_is_asked_than_the_database_was_told(
            events in prop::collection::vec(event(), 1..40),
        ) {
            let mut reservation = Reservation::default();
            // What the database has, and what was asked since that was told.
            let (mut known, mut asked) = (0, 0);
            for event in events {
                match event {
                    Event::Spend => asked += u32::from(reservation.spend()),
                    Event::Tell(requests, arrives, is_answered) => {
                        reservation.tell(requests);
                        if arrives {
                            (known, asked) = (requests, 0);
                        }
                        if arrives && is_answered {
                            reservation.confirm();
                        }
                    }
                }
                prop_assert!(asked <= known, "{asked} asked, {known} told");
            }
        }
    }

    #[test]
    fn all_that_was_told_may_be_asked_once_it_is_confirmed() {
        let mut reservation = Reservation::default();
        assert!(!reservation.spend(), "nothing is told");
        reservation.tell(2);
        assert!(!reservation.spend(), "nothing is confirmed");
        reservation.confirm();
        assert_eq!([(); 3].map(|()| reservation.spend()), [true, true, false]);
    }

    #[test]
    fn what_is_asked_while_the_database_is_told_counts_before_and_after_it() {
        let mut reservation = Reservation::default();
        reservation.tell(5);
        reservation.confirm();
        reservation.tell(3);
        assert!(reservation.spend());
        reservation.confirm();
        assert_eq!([(); 3].map(|()| reservation.spend()), [true, true, false]);
    }
}
