use super::*;

const HOUR: f64 = 3600.0;

/// A world in which our steady time and Kapso's clock agree unless the test says otherwise.
struct World {
    skew: Skew,
    /// Seconds since the beginning.
    now: f64,
}

impl World {
    fn new() -> Self {
        Self { skew: Skew::default(), now: 0.0 }
    }

    /// A world in which the clocks have agreed for a minute.
    fn known() -> Self {
        let mut world = Self::new();
        world.answers(60.0, |_| 0.0);
        world
    }

    fn steady(seconds: f64) -> Steady {
        let start: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        Steady::at(start).plus(SignedDuration::from_secs_f64(seconds))
    }

    /// An answer now, after 50 ms, from a clock that is ahead by so many seconds.
    fn answer(&mut self, ahead: f64) {
        let (sent, received) = (Self::steady(self.now - 0.05), Self::steady(self.now));
        let shown = Self::steady(self.now + ahead - 0.02).timestamp();
        let date = httpdate::fmt_http_date(SystemTime::from(shown));
        self.skew.observe(sent, received, Some(&date));
    }

    /// Answers for so long, one every 0.83 s, each ahead by what `ahead` says of its number.
    fn answers(&mut self, seconds: f64, ahead: impl Fn(u32) -> f64) {
        let end = self.now + seconds;
        for number in 0.. {
            if self.now >= end {
                return;
            }
            self.answer(ahead(number));
            self.now += 0.83;
        }
    }

    fn estimate(&self) -> f64 {
        self.skew.estimate().as_secs_f64()
    }

    fn least(&self) -> f64 {
        self.skew.least(Self::steady(self.now)).as_secs_f64()
    }

    fn most(&self) -> f64 {
        self.skew.most(Self::steady(self.now)).as_secs_f64()
    }
}

#[track_caller]
fn assert_near(estimate: f64, truth: f64) {
    assert!((estimate - truth).abs() < 0.5, "{estimate} instead of {truth}");
}

#[test]
fn a_clock_that_agrees_to_the_second_is_taken_as_right() {
    let mut world = World::new();
    assert!(!world.skew.is_known());
    world.answer(0.4);
    assert!(world.skew.is_known());
    assert_eq!(world.estimate(), 0.0);
}

#[test]
fn answers_narrow_each_other() {
    let observe = |skew: &mut Skew, sent: &str, received: &str, date: &str| {
        skew.observe(Steady::at(sent.parse().unwrap()), Steady::at(received.parse().unwrap()), Some(date));
    };
    let mut skew = Skew::default();
    // The first answer bounds the skew to 90.6 to 92.3 s, the second one to 90.2 to 91.9 s.
    observe(
        &mut skew,
        "2026-11-22T10:00:00.700Z",
        "2026-11-22T10:00:01.400Z",
        "Sun, 22 Nov 2026 10:01:32 GMT",
    );
    observe(
        &mut skew,
        "2026-11-22T10:00:05.100Z",
        "2026-11-22T10:00:05.800Z",
        "Sun, 22 Nov 2026 10:01:36 GMT",
    );
    assert_eq!(skew.estimate().as_secs_f64(), 91.25);
    observe(&mut skew, "2026-11-22T10:00:06Z", "2026-11-22T10:00:06Z", "yesterday");
    assert_eq!(skew.estimate().as_secs_f64(), 91.25);
}

#[test]
fn a_clock_that_is_wrong_for_ten_seconds_changes_nothing() {
    for wrong in [120.0, HOUR, -120.0, -HOUR] {
        let mut world = World::known();
        for _ in 0..12 {
            world.answers(0.83, |_| wrong);
            assert_eq!((world.estimate(), world.least()), (0.0, 0.0), "{wrong}");
        }
        world.answers(120.0, |_| 0.0);
        assert_eq!((world.estimate(), world.least(), world.most()), (0.0, 0.0, 0.0), "{wrong}");
    }
}

#[test]
fn a_clock_that_was_set_for_good_is_followed_after_half_a_minute() {
    for set in [120.0, HOUR, -120.0, -HOUR, 3.0] {
        let mut world = World::known();
        world.answers(29.0, |_| set);
        assert_eq!(world.estimate(), 0.0, "{set}");
        world.answers(4.0, |_| set);
        assert_near(world.estimate(), set);
        world.answers(60.0, |_| 0.0);
        assert_near(world.estimate(), 0.0);
    }
}

#[test]
fn a_clock_that_was_set_is_followed_although_few_answers_come() {
    let mut world = World::known();
    for _ in 0..WINDOW {
        world.now += 60.0;
        world.answer(-HOUR);
    }
    assert_near(world.estimate(), -HOUR);
}

#[test]
fn nothing_is_over_claimed_for_ten_minutes_after_a_step() {
    let mut world = World::known();
    world.answers(40.0, |_| HOUR);
    assert_near(world.estimate(), HOUR);
    assert_eq!(world.least(), 0.0);
    assert_near(world.most(), HOUR);
    world.answers(560.0, |_| HOUR);
    assert_eq!(world.least(), 0.0);
    world.answers(60.0, |_| HOUR);
    assert_near(world.least(), HOUR);

    world.answers(40.0, |_| 0.0);
    assert_near(world.estimate(), 0.0);
    assert_near(world.least(), 0.0);
    assert_near(world.most(), HOUR);
}

#[test]
fn a_clock_that_steps_twice_is_claimed_to_be_at_the_earliest_of_all() {
    let mut world = World::known();
    world.answers(40.0, |_| -HOUR);
    world.answers(40.0, |_| HOUR);
    assert_near(world.estimate(), HOUR);
    assert_near(world.least(), -HOUR);
}

#[test]
fn a_step_in_doubt_is_allowed_for() {
    let mut world = World::known();
    world.answer(HOUR);
    assert_eq!(world.estimate(), 0.0);
    assert!((HOUR..=HOUR + 1.0).contains(&world.most()), "{}", world.most());
}

#[test]
fn two_replicas_by_turns_never_change_what_is_known() {
    for other in [2.5, 120.0, -HOUR] {
        let mut world = World::known();
        world.answers(600.0, |number| if number % 2 == 0 { other } else { 0.0 });
        assert_eq!((world.estimate(), world.least()), (0.0, 0.0), "{other}");
        // In no order at all, it does not matter either.
        world.answers(600.0, |number| if number * number % 7 < 3 { other } else { 0.0 });
        assert_eq!((world.estimate(), world.least()), (0.0, 0.0), "{other}");
    }
}

#[test]
fn a_few_answers_of_the_old_clock_do_not_hinder_a_step() {
    let mut world = World::known();
    world.answers(90.0, |number| if number % 10 == 9 { 0.0 } else { HOUR });
    assert_near(world.estimate(), HOUR);
}

#[test]
fn a_first_answer_that_is_wrong_is_corrected_by_the_next_two() {
    for wrong in [120.0, HOUR, -HOUR] {
        let mut world = World::new();
        world.answer(wrong);
        assert_near(world.estimate(), wrong);
        world.answers(0.83, |_| 0.0);
        assert_near(world.estimate(), wrong);
        world.answers(0.83, |_| 0.0);
        assert_near(world.estimate(), 0.0);
        assert_near(world.least(), f64::min(wrong, 0.0));
    }
}

#[test]
fn answers_from_a_cache_change_nothing() {
    let mut world = World::known();
    // Four of five answers are older and older.
    world.answers(60.0, |number| if number % 5 == 0 { 0.0 } else { -30.0 - f64::from(number) * 0.83 });
    assert_eq!(world.estimate(), 0.0);
    // One `Date` for all answers of a minute, however many they are.
    for tenth in 0..600 {
        world.now += 0.1;
        world.answer(-f64::from(tenth) / 10.0);
        assert!(world.estimate().abs() < 1.0, "{}", world.estimate());
    }
    world.answers(60.0, |_| 0.0);
    assert!(world.estimate().abs() < 1.0, "{}", world.estimate());
}

#[test]
fn a_slow_drift_is_followed() {
    let mut world = World::new();
    for minute in 0..600 {
        let drifted = f64::from(minute) / 60.0;
        world.now += 60.0;
        world.answer(drifted);
        world.now += 0.7;
        world.answer(drifted);
        assert!((world.estimate() - drifted).abs() < 1.6, "{} at {drifted}", world.estimate());
    }
    assert!(world.estimate() > 8.0);
}

impl World {
    fn is_in_doubt(&self) -> bool {
        self.skew.is_in_doubt(Self::steady(self.now))
    }
}

#[test]
fn a_first_answer_that_agrees_with_our_clock_is_trusted_for_good() {
    for ahead in [0.0, 25.0, -25.0] {
        let mut world = World::new();
        assert!(!world.is_in_doubt());
        world.answer(ahead);
        assert!(!world.is_in_doubt(), "{ahead}");
        world.answers(60.0, |_| HOUR);
        assert!(!world.is_in_doubt(), "{ahead}");
    }
}

#[test]
fn a_start_that_contradicts_our_clock_is_in_doubt_until_two_answers_agree_with_it() {
    for wrong in [300.0, -300.0, HOUR] {
        let mut world = World::new();
        world.answers(20.0, |_| wrong);
        world.answers(0.83, |_| 0.0);
        assert!(world.is_in_doubt(), "{wrong}");
        world.answers(0.83, |_| 0.0);
        assert!(!world.is_in_doubt(), "{wrong}");
        assert_near(world.estimate(), 0.0);
    }
}

#[test]
fn a_start_that_contradicts_our_clock_is_trusted_after_half_a_minute() {
    for truth in [300.0, -HOUR] {
        let mut world = World::new();
        world.answers(29.0, |_| truth);
        assert!(world.is_in_doubt(), "{truth}");
        world.answers(4.0, |_| truth);
        assert!(!world.is_in_doubt(), "{truth}");
        assert_near(world.estimate(), truth);
    }
}

#[test]
fn a_start_is_in_doubt_for_two_minutes_at_most() {
    let mut world = World::new();
    world.answers(119.0, |number| if number % 2 == 0 { HOUR } else { -HOUR });
    assert!(world.is_in_doubt());
    world.answers(3.0, |number| if number % 2 == 0 { HOUR } else { -HOUR });
    assert!(!world.is_in_doubt());
}

#[test]
fn what_the_first_answers_told_is_given_up_for_what_the_last_two_agree_on() {
    let mut world = World::new();
    world.answers(10.0, |_| -300.0);
    world.now = 120.0;
    world.answers(1.7, |_| 60.0);
    assert!(!world.is_in_doubt());
    assert_near(world.estimate(), 60.0);
}

#[test]
fn answers_that_tell_no_time_end_the_doubt_after_two_minutes() {
    let mut world = World::new();
    world.answer(HOUR);
    let silent = |world: &mut World, seconds: f64| {
        world.now = seconds;
        world.skew.observe(World::steady(seconds - 0.05), World::steady(seconds), None);
        world.is_in_doubt()
    };
    assert!(silent(&mut world, 119.0) && silent(&mut world, 125.0));
    assert!(!silent(&mut world, 130.0));
}

#[test]
fn an_hour_without_an_answer_ends_no_doubt() {
    let mut world = World::new();
    world.answers(3.0, |_| HOUR);
    world.now += HOUR;
    assert!(world.is_in_doubt());
    world.answers(1.7, |_| 0.0);
    assert!(!world.is_in_doubt());
    assert_near(world.estimate(), 0.0);
}

#[test]
fn two_hours_without_an_answer_end_the_doubt() {
    let mut world = World::new();
    world.answers(3.0, |_| HOUR);
    world.now += 2.0 * HOUR;
    assert!(!world.is_in_doubt());
}

#[test]
fn of_two_replicas_the_one_that_agrees_with_our_clock_is_right() {
    let mut world = World::new();
    world.answers(600.0, |number| if number % 2 == 0 { 300.0 } else { 0.0 });
    assert!(!world.is_in_doubt());
    assert_near(world.estimate(), 0.0);
}
