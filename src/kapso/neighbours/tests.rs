use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// A key, used from here and by others.
struct Key {
    neighbours: Neighbours,
    limit: u32,
    used: u32,
    now: Instant,
}

impl Key {
    fn new(limit: u32) -> Self {
        Self { neighbours: Neighbours::default(), limit, used: 0, now: Instant::now() }
    }

    /// A request of ours arrives; its place, and what remains.
    fn ask(&mut self) -> (Place, u32) {
        self.used += 1;
        (self.neighbours.send(self.now), self.limit - self.used)
    }

    fn answer(&mut self, (place, remaining): (Place, u32)) {
        self.neighbours.learn(place, Some(self.limit), remaining, self.now);
    }

    /// Some minutes, in each second of which ours and `others` arrive.
    fn minutes(&mut self, minutes: u32, own: u32, others: impl Fn(u32) -> u32) {
        for _ in 0..minutes {
            self.used = 0;
            for second in 0..60 {
                self.used += others(second);
                for _ in 0..own {
                    let asked = self.ask();
                    self.answer(asked);
                }
                self.now += SECOND;
            }
        }
    }

    fn others(&self) -> u32 {
        self.neighbours.per_minute(self.now)
    }
}

#[test]
fn a_key_that_only_we_use_has_no_neighbours() {
    let mut key = Key::new(500);
    key.minutes(5, 3, |_| 0);
    assert_eq!(key.others(), 0);
}

#[test]
fn what_we_did_not_use_was_used_by_neighbours() {
    let mut key = Key::new(100);
    key.minutes(3, 1, |second| second % 2);
    assert!((29..=30).contains(&key.others()), "{}", key.others());
}

#[test]
fn a_neighbour_is_known_within_its_first_minute() {
    let mut key = Key::new(1000);
    for _ in 0..20 {
        key.used += 2;
        let asked = key.ask();
        key.answer(asked);
        key.now += SECOND;
    }
    assert!((105..=125).contains(&key.others()), "{}", key.others());
}

#[test]
fn a_burst_counts_as_often_as_it_comes() {
    let mut key = Key::new(100);
    key.minutes(4, 1, |second| if second == 0 { 30 } else { 0 });
    let at_first = key.others();
    key.used = 30;
    let asked = key.ask();
    key.answer(asked);
    assert_eq!((at_first, key.others()), (30, 30), "not 30 a second");
}

#[test]
fn answers_that_overtake_each_other_are_not_a_new_minute_and_no_neighbours() {
    let mut key = Key::new(500);
    for _ in 0..5 {
        key.used = 0;
        for _ in 0..12 {
            let asked: Vec<_> = (0..20).map(|_| key.ask()).collect();
            key.now += SECOND * 2;
            // What was asked last is answered first.
            asked.into_iter().rev().for_each(|asked| key.answer(asked));
            key.now += SECOND * 3;
        }
    }
    assert_eq!(key.others(), 0);
}

#[test]
fn neighbours_are_seen_although_answers_overtake_each_other() {
    let mut key = Key::new(1000);
    for _ in 0..5 {
        key.used = 0;
        for _ in 0..12 {
            let asked: Vec<_> = (0..5).map(|_| key.ask()).collect();
            key.used += 20;
            key.now += SECOND * 2;
            asked.into_iter().rev().for_each(|asked| key.answer(asked));
            key.now += SECOND * 3;
        }
    }
    assert!((200..=240).contains(&key.others()), "{}", key.others());
}

#[test]
fn what_was_used_in_several_minutes_is_not_added_up() {
    let mut key = Key::new(100);
    for used in 0..5 {
        key.used = 10 * used;
        let asked = key.ask();
        key.answer(asked);
        assert_eq!(key.others(), 0);
        key.now += MINUTE * 3;
    }
}

#[test]
fn a_late_answer_of_the_minute_before_counts_no_neighbours() {
    let mut key = Key::new(100);
    key.minutes(2, 1, |_| 0);
    let late = key.ask();
    let late = (late.0, 39);
    key.used = 0;
    for second in 0..60 {
        let asked = key.ask();
        key.answer(asked);
        if second == 8 {
            key.answer(late);
        }
        assert!(key.others() <= 1, "{} in second {second}", key.others());
        key.now += SECOND;
    }
}

#[test]
fn neighbours_that_went_are_forgotten() {
    let mut key = Key::new(100);
    key.minutes(3, 1, |second| second % 2);
    key.minutes(4, 1, |_| 0);
    assert_eq!(key.others(), 0);
    key.minutes(3, 1, |second| second % 2);
    key.now += OUTDATED;
    assert_eq!(key.others(), 0, "and so are those of whom nothing was seen for long");
}

#[test]
fn a_limit_that_changes_is_no_neighbour() {
    let mut key = Key::new(1000);
    key.minutes(2, 1, |_| 0);
    key.limit = 100;
    key.minutes(2, 1, |_| 0);
    assert_eq!(key.others(), 0);
}

#[test]
fn requests_that_are_counted_twice_by_turns_are_no_neighbours() {
    let mut key = Key::new(100);
    for number in 0..100 {
        let (place, remaining) = key.ask();
        key.answer((place, if number % 2 == 0 { remaining / 2 } else { remaining }));
        key.used -= number % 2;
        key.now += SECOND;
    }
    assert_eq!(key.others(), 0);
}

#[test]
fn requests_of_the_last_minute_wherever_it_began_are_no_neighbours() {
    let (mut key, mut sent) = (Key::new(100), VecDeque::new());
    for _ in 0..600 {
        sent.push_back(key.now);
        sent.retain(|&at| key.now < at + MINUTE);
        let place = key.neighbours.send(key.now);
        let remaining = 100 - u32::try_from(sent.len()).unwrap();
        key.answer((place, remaining));
        key.now += Duration::from_millis(1200);
    }
    assert_eq!(key.others(), 0);
}
