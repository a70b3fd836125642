//! One world, played in simulated time, and the verdict on it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kapso_exporter::simulator::{Api, Faults, Simulator, WorkflowTally};
use proptest::test_runner::TestCaseError;

use crate::{
    support::{Exposition, Simulated, judge::differences_within, simulated::SavedState},
    world::{Deliveries, End, LOST, Move, Phase, Restart, Walks, World},
    wrong::misbehaviour,
};

/// The exporter may be so wrong about the time.
const CLOCK_ERROR: Duration = Duration::from_secs(5);
/// Without traffic and faults, the numbers have to be right after so many intervals, or so many more, …
const PATIENCE: [u32; 4] = [4, 4, 8, 16];
/// … or at the latest after these times: what is at rest is looked at every hour, a busy workflow as a whole every
/// three.
const LONGEST: [Duration; 2] = [Duration::from_mins(75), Duration::from_mins(200)];

/// A `Date` that is off when an exporter starts is so for so long.
const STARTLED: Duration = Duration::from_secs(20);

/// Plays `world` and compares everything that is published with the tally.
///
/// # Errors
/// The differences.
pub fn judge(world: &World) -> Result<(), TestCaseError> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let wrong = runtime.block_on(play(world));
    if wrong.is_empty() { Ok(()) } else { Err(TestCaseError::fail(wrong.join("\n"))) }
}

async fn play(world: &World) -> Vec<String> {
    let webhook = world.webhook.as_ref().map(Deliveries::webhook);
    let prepare = |simulator: &Simulator| simulator.set_webhook(webhook);
    let simulated = Simulated::start_after(world.scenario(), &world.setup(world.walks), prepare).await;
    let mut run = Run { world, simulated, walks: world.walks };
    for (place, phase) in world.schedule.iter().enumerate() {
        let wrong = run.live_through(place, phase).await;
        if !wrong.is_empty() {
            return wrong;
        }
    }
    let simulator = &run.simulated.simulator;
    simulator.stop_traffic();
    simulator.behave();
    simulator.set_faults(Faults::default());
    simulator.set_latency(Duration::ZERO);
    simulator.set_date_offset(SignedDuration::ZERO);
    let wrong = run.wait_until_right().await;
    if !wrong.is_empty() || !world.deletion || !world.may_delete() {
        return wrong;
    }
    for &api in world.apis() {
        if let Some(conversation) = simulator.conversation_ids(api).first() {
            simulator.delete_conversation(api, conversation).unwrap();
        }
    }
    run.wait_until_right().await
}

struct Run<'a> {
    world: &'a World,
    simulated: Simulated,
    /// What the exporter walks over now.
    walks: Walks,
}

impl Run<'_> {
    /// The phase at this place of the schedule; what was counted too often at its end.
    async fn live_through(&mut self, place: usize, phase: &Phase) -> Vec<String> {
        let simulator = &self.simulated.simulator;
        simulator.misbehave(misbehaviour(&phase.wrongs, simulator));
        self.simulated.step_clock(SignedDuration::from_millis(phase.step));
        simulator.set_faults(phase.faults());
        simulator.set_latency(Duration::from_millis(phase.latency));
        let lasts = Duration::from_secs(phase.intervals * self.world.interval);
        let lost = lasts.min(self.world.interval() * LOST);
        let until_kept = lasts.saturating_sub(lost);
        let startles = self.startles(place, phase).min(until_kept / 2);
        if !startles.is_zero() {
            simulator.set_date_offset(SignedDuration::from_millis(phase.date));
            tokio::time::sleep(startles).await;
        }
        simulator.set_date_offset(self.date_offset(phase));
        tokio::time::sleep((until_kept / 2).saturating_sub(startles)).await;
        if !self.world.may_hide_what_resumed(place) {
            self.move_on(&phase.moves).await;
        }
        tokio::time::sleep(until_kept / 2).await;
        let keeps = matches!(phase.end, End::Restart(Restart::Keeping | Restart::Switching(_)));
        let kept = keeps.then(|| self.simulated.keep());
        tokio::time::sleep(lost).await;
        let wrong = self.counted_too_often();
        self.end(place, &phase.end, kept);
        wrong
    }

    /// Open executions that were never handed off are, or end, and stay so.
    async fn move_on(&self, moves: &[Move]) {
        let simulator = &self.simulated.simulator;
        let is_allowed = |what: &&Move| match what {
            Move::HandOff => self.world.may_hand_off(),
            Move::PassThrough => self.world.may_pass_through(),
            Move::End | Move::Fail => true,
        };
        let allowed = moves.iter().filter(is_allowed);
        for &what in allowed {
            for &api in self.world.apis() {
                let Some(id) = simulator.open_without_handoff(api).pop() else { continue };
                if what == Move::PassThrough {
                    if api == Api::Platform {
                        simulator.transition(&id, "handoff").unwrap();
                        tokio::time::sleep(Duration::from_millis(700)).await;
                        simulator.transition(&id, "running").unwrap();
                    }
                    continue;
                }
                let status = match (what, api) {
                    (Move::HandOff | Move::PassThrough, _) => "handoff",
                    (Move::Fail, Api::Platform) => "failed",
                    (Move::End, _) | (Move::Fail, Api::Legacy) => "ended",
                };
                simulator.transition(&id, status).unwrap();
            }
        }
    }

    /// How long Kapso's clock is as far off as drawn after an exporter has started: not where that could be true by the
    /// exporter's own clock.
    fn startles(&self, place: usize, phase: &Phase) -> Duration {
        let is_known = (phase.date - self.world.skew).abs() < 32_000;
        if !self.starts(place) || is_known || self.world.forgets() { Duration::ZERO } else { STARTLED }
    }

    /// Whether an exporter starts at the beginning of this phase.
    fn starts(&self, place: usize) -> bool {
        self.phases_since_start(place).is_empty()
    }

    /// Whether its watch has begun: with the first executions that it was shown.
    fn watches(&self) -> bool {
        let scrape = self.simulated.scrape();
        let since =
            |api: &Api| scrape.value("kapso_exporter_watch_start_timestamp_seconds", &[("api", api.name())]);
        self.world.apis().iter().all(|api| since(api).is_some())
    }

    fn phases_since_start(&self, place: usize) -> &[Phase] {
        let before = &self.world.schedule[..place];
        let start = before.iter().rposition(|phase| matches!(phase.end, End::Restart(_)));
        &before[start.map_or(0, |restart| restart + 1)..]
    }

    /// Kapso's clock is not far off for long while a watch begins, which cannot know better, nor far behind where the
    /// exporter's own clock may be behind, too: what happens now would seem to be in the future for both.
    fn date_offset(&self, phase: &Phase) -> SignedDuration {
        let may_be_far_off = self.watches() && !self.world.forgets();
        let is_behind = self.world.skew < 0 || self.world.schedule.iter().any(|phase| phase.step < 0);
        let date = match (may_be_far_off, is_behind) {
            (false, _) => phase.date.clamp(-1500, 1500),
            (true, false) => phase.date,
            (true, true) => phase.date.max(-240_000),
        };
        SignedDuration::from_millis(date)
    }

    fn end(&mut self, place: usize, end: &End, kept: Option<SavedState>) {
        let simulator = &self.simulated.simulator;
        match end {
            End::Nothing => {}
            End::Rename => {
                let name = format!("Renamed {}", simulator.now());
                simulator.rename_workflow(&simulator.workflow_ids(Api::Platform)[0], &name).unwrap();
            }
            End::OddStatus => self.start_everywhere(|id| simulator.transition(id, "hibernating").unwrap()),
            End::OddStatusOver => self.start_everywhere(|id| simulator.end_as(id, "evaporated").unwrap()),
            End::Resume => self.resume(),
            End::Erase => self.erase(),
            End::Reconfigure(walks) => {
                self.walks = *walks;
                let mut setup = self.world.setup(self.walks);
                setup.timeout += Duration::from_millis(place as u64 + 1);
                self.simulated.reconfigure(&setup);
            }
            End::Restart(restart) => {
                if let Restart::Switching(walks) = restart {
                    self.walks = *walks;
                }
                let setup = self.world.setup(self.walks);
                match kept {
                    Some(kept) => self.simulated.restart_with(&kept, &setup),
                    None => self.simulated.restart(&setup),
                }
            }
        }
    }

    /// An execution starts on each API, and something is done with it.
    fn start_everywhere(&self, act: impl Fn(&str)) {
        let simulator = &self.simulated.simulator;
        for &api in self.world.apis() {
            let workflow = simulator.workflow_ids(api).remove(0);
            if let Some(conversation) = simulator.conversation_ids(api).first() {
                act(&simulator.start(api, &workflow, Some(conversation)).unwrap());
            }
        }
    }

    fn resume(&self) {
        let simulator = &self.simulated.simulator;
        for &api in self.world.apis() {
            if let Some(id) = simulator.finished_before(api, self.surely_seen()).pop() {
                simulator.transition(&id, "running").unwrap();
            }
        }
    }

    fn erase(&self) {
        let simulator = &self.simulated.simulator;
        // Until then the exporter may not have seen what happened before it began to watch.
        if !self.world.may_erase() || simulator.started_at() > self.surely_seen() {
            return;
        }
        for &api in self.world.apis() {
            if let Some(id) = simulator.conversations_at_rest(api, self.surely_seen()).first() {
                simulator.delete_conversation(api, id).unwrap();
            }
        }
    }

    /// What happened before this moment was seen, however much went wrong.
    fn surely_seen(&self) -> Timestamp {
        let patience = SignedDuration::try_from(self.world.patience()).unwrap();
        self.simulated.simulator.now() - patience
    }

    /// Waits until everything is as the tally says; what is not.
    async fn wait_until_right(&self) -> Vec<String> {
        let waits = PATIENCE.map(|intervals| self.world.interval() * intervals);
        let mut differences = Vec::new();
        for wait in waits.into_iter().chain(LONGEST) {
            tokio::time::sleep(wait).await;
            differences = self.differences().await;
            if differences.is_empty() {
                break;
            }
        }
        differences
    }

    async fn differences(&self) -> Vec<String> {
        while self.something_is_about_to_leave() {
            tokio::time::sleep(CLOCK_ERROR).await;
        }
        let scrape = self.simulated.scrape();
        differences_within(self.world.lookback(), &self.simulated.simulator, &scrape, self.world.apis())
    }

    /// Whether a finished execution is so near to the end of its lookback that a clock may decide.
    fn something_is_about_to_leave(&self) -> bool {
        let simulator = &self.simulated.simulator;
        let tally = |lookback| simulator.tally(simulator.now(), lookback);
        let lookback = self.world.lookback();
        tally(lookback.saturating_sub(CLOCK_ERROR)) != tally(lookback + CLOCK_ERROR)
    }

    /// Events that are counted although they did not happen (yet).
    fn counted_too_often(&self) -> Vec<String> {
        let scrape = self.simulated.scrape();
        let apis = self.world.apis();
        apis.iter().flat_map(|&api| self.counted_too_often_in(api, &scrape)).collect()
    }

    fn counted_too_often_in(&self, api: Api, scrape: &Exposition) -> Vec<String> {
        let label = [("api", api.name())];
        let Some(since) = scrape.value("kapso_exporter_watch_start_timestamp_seconds", &label) else {
            return Vec::new();
        };
        let since = Timestamp::from_microsecond((since * 1e6).round() as i64).unwrap();
        let tally = self.simulated.simulator.tally(since, self.world.lookback());
        let own = tally.workflows.iter().filter(|workflow| workflow.api == api);
        own.flat_map(|workflow| exceeded(workflow, scrape)).collect()
    }
}

fn exceeded(tally: &WorkflowTally, scrape: &Exposition) -> Vec<String> {
    let own = [("api", tally.api.name()), ("workflow_id", tally.workflow_id.as_str())];
    let counts = [
        ("kapso_executions_started_total", tally.started),
        ("kapso_executions_finished_total", tally.ended + tally.failed),
        ("kapso_execution_handoffs_total", tally.handoffs),
    ];
    let exceeded = counts.into_iter().filter(|(name, count)| scrape.sum(name, &own) > *count as f64);
    exceeded
        .map(|(name, count)| format!("{name}{own:?}: {count} so far, is {}", scrape.sum(name, &own)))
        .collect()
}
