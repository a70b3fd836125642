//! The life that the traffic plans for an execution at its start: which states it goes through, and when.

use std::time::Duration;

use fastrand::Rng;
use jiff::Timestamp;

use super::{
    Api,
    random::{later, within},
    scenario::Traffic,
};

/// A handoff that nobody cares for lasts so many times as long as the longest other one.
const FORGOTTEN: u32 = 10;

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Move {
    /// Go into this status.
    To(&'static str),
    /// An event within the same status.
    Touch,
    /// End a handoff as a handoff, by an end time alone (legacy).
    EndHandoff,
}

/// One step of a planned life.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    pub at: Timestamp,
    pub what: Move,
}

/// The status in which an execution of `api` starts.
pub fn first_status(api: Api) -> &'static str {
    match api {
        Api::Platform => "running",
        Api::Legacy => "started",
    }
}

/// A whole life that starts at `start`. It comes to an end for certain, so that a world that plays for days does
/// not fill up with open executions.
pub fn plan(rng: &mut Rng, traffic: &Traffic, api: Api, start: Timestamp) -> Vec<Step> {
    let mut life = Life { rng, traffic, at: start, in_handoff: false, steps: Vec::new() };
    match api {
        Api::Platform => life.platform(),
        Api::Legacy => life.legacy(),
    }
    life.steps
}

/// Lets a life that starts at `start` take so many times as long.
pub fn slow_down(steps: &mut [Step], start: Timestamp, slowness: u32) {
    for step in steps {
        let age = Duration::try_from(step.at.duration_since(start)).unwrap_or_default();
        step.at = later(start, age * slowness);
    }
}

struct Life<'a> {
    rng: &'a mut Rng,
    traffic: &'a Traffic,
    at: Timestamp,
    in_handoff: bool,
    steps: Vec<Step>,
}

impl Life<'_> {
    fn platform(&mut self) {
        let outcome = if self.rng.f64() < self.traffic.failure_ratio { "failed" } else { "ended" };
        let handed_off = self.rng.f64() < self.traffic.handoff_ratio;
        self.pauses("waiting");
        if handed_off {
            self.to("handoff");
            self.after_handoff();
        }
        self.to(outcome);
        // Nothing is drawn where nothing is resumed, so that a seed gives the same world as without this.
        if self.traffic.resumed_ratio > 0.0 && self.rng.f64() < self.traffic.resumed_ratio {
            self.at = later(self.at, within(self.rng, &self.traffic.resumed_after));
            self.steps.push(Step { at: self.at, what: Move::To("running") });
            self.to("ended");
        }
    }

    fn after_handoff(&mut self) {
        match self.rng.u8(0..8) {
            0..3 => self.to("running"),
            3..5 => self.to("waiting"),
            5 => {
                self.to("running");
                if self.traffic.repeated_handoffs {
                    self.to("handoff");
                }
            }
            _ => {}
        }
    }

    fn legacy(&mut self) {
        self.to("running");
        self.pauses("paused");
        if self.rng.f64() >= self.traffic.handoff_ratio {
            return self.to("ended");
        }
        self.to("handoff");
        match self.rng.u8(0..10) {
            0..2 => {
                self.to("running");
                self.to("ended");
            }
            2..9 => self.step(Move::EndHandoff),
            // Somebody forgot about it.
            _ => {
                self.at = later(self.at, self.traffic.handoff_dwell.end * FORGOTTEN);
                self.step(Move::EndHandoff);
            }
        }
    }

    fn pauses(&mut self, pause: &'static str) {
        for _ in 0..self.rng.u8(0..3) {
            self.to(pause);
            self.to("running");
        }
    }

    fn to(&mut self, status: &'static str) {
        self.step(Move::To(status));
        self.in_handoff = status == "handoff";
    }

    fn step(&mut self, what: Move) {
        let range = if self.in_handoff { &self.traffic.handoff_dwell } else { &self.traffic.dwell };
        let dwell = within(self.rng, range);
        // No event within a handoff: its time would no longer tell when the handoff began.
        if !self.in_handoff && self.rng.u8(0..4) == 0 {
            let half = Duration::from_millis(u64::try_from(dwell.as_millis() / 2).unwrap_or(0));
            self.steps.push(Step { at: later(self.at, half), what: Move::Touch });
        }
        self.at = later(self.at, dwell);
        self.steps.push(Step { at: self.at, what });
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    fn transitions(steps: &[Step]) -> Vec<Step> {
        steps.iter().copied().filter(|step| step.what != Move::Touch).collect()
    }

    #[test]
    fn every_state_of_a_life_lasts_at_least_its_shortest_dwell() {
        let traffic = Traffic { handoff_ratio: 0.6, ..Traffic::default() };
        let mut rng = Rng::with_seed(3);
        for turn in 0..500 {
            let api = if turn % 2 == 0 { Api::Platform } else { Api::Legacy };
            let steps = transitions(&plan(&mut rng, &traffic, api, Timestamp::UNIX_EPOCH));
            let mut before = Step { at: Timestamp::UNIX_EPOCH, what: Move::To("running") };
            for step in steps {
                let handoff = before.what == Move::To("handoff");
                let least = if handoff { traffic.handoff_dwell.start } else { traffic.dwell.start };
                assert!(
                    step.at.duration_since(before.at) >= SignedDuration::try_from(least).unwrap_or_default()
                );
                before = step;
            }
        }
    }

    #[test]
    fn where_nothing_is_handed_off_again_there_is_at_most_one_handoff() {
        let handoffs = |repeated_handoffs| {
            let traffic = Traffic { handoff_ratio: 1.0, repeated_handoffs, ..Traffic::default() };
            let mut rng = Rng::with_seed(5);
            let mut life = || plan(&mut rng, &traffic, Api::Platform, Timestamp::UNIX_EPOCH);
            let count = |steps: Vec<Step>| steps.iter().filter(|s| s.what == Move::To("handoff")).count();
            (0..100).map(|_| count(life())).max()
        };
        assert_eq!((handoffs(true), handoffs(false)), (Some(2), Some(1)));
    }

    #[test]
    fn most_legacy_handoffs_end_as_handoffs_and_some_are_resumed() {
        let traffic = Traffic { handoff_ratio: 1.0, ..Traffic::default() };
        let mut rng = Rng::with_seed(4);
        let mut last = Vec::new();
        for _ in 0..400 {
            last.extend(plan(&mut rng, &traffic, Api::Legacy, Timestamp::UNIX_EPOCH).last().map(|s| s.what));
        }
        let count = |what| last.iter().filter(|&&step| step == what).count();
        assert!(count(Move::EndHandoff) > 280);
        assert!(count(Move::To("ended")) > 40);
        assert_eq!(count(Move::EndHandoff) + count(Move::To("ended")), 400, "every life has an end");
    }
}
