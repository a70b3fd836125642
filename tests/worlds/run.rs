//! One world, played in simulated time, and the verdict on it.

use std::time::Duration;

use jiff::SignedDuration;
use kapso_exporter::simulator::{Api, Faults, WorkflowTally};
use proptest::test_runner::TestCaseError;

use crate::{
    support::{Exposition, Simulated, judge::differences_within},
    world::{End, LOST, Phase, Restart, World},
};

/// The exporter may be so wrong about the time.
const CLOCK_ERROR: Duration = Duration::from_secs(5);
/// Without traffic and faults, the numbers have to be right after so many intervals, or so many more, …
const PATIENCE: [u32; 4] = [4, 4, 8, 16];
/// … or at the latest after this time: conversations at rest are looked at every hour.
const LONGEST: Duration = Duration::from_mins(75);

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
    let mut run = Run { world, simulated: Simulated::start(world.scenario(), &world.setup()).await };
    for phase in &world.schedule {
        let wrong = run.live_through(phase).await;
        if !wrong.is_empty() {
            return wrong;
        }
    }
    let simulator = &run.simulated.simulator;
    simulator.stop_traffic();
    simulator.set_faults(Faults::default());
    simulator.set_latency(Duration::ZERO);
    simulator.set_date_offset(SignedDuration::ZERO);
    let wrong = run.settle().await;
    if !wrong.is_empty() || !world.deletion {
        return wrong;
    }
    for &api in world.apis() {
        if let Some(conversation) = simulator.conversation_ids(api).first() {
            simulator.delete_conversation(api, conversation).unwrap();
        }
    }
    run.settle().await
}

struct Run<'a> {
    world: &'a World,
    simulated: Simulated,
}

impl Run<'_> {
    async fn live_through(&mut self, phase: &Phase) -> Vec<String> {
        let simulator = &self.simulated.simulator;
        simulator.set_faults(phase.faults());
        simulator.set_latency(Duration::from_millis(phase.latency));
        simulator.set_date_offset(SignedDuration::from_millis(phase.date));
        let lasts = Duration::from_secs(phase.intervals * self.world.interval);
        let lost = lasts.min(self.world.interval() * LOST);
        tokio::time::sleep(lasts.saturating_sub(lost)).await;
        let kept = (phase.end == End::Restart(Restart::Keeping)).then(|| self.simulated.keep());
        tokio::time::sleep(lost).await;
        let simulator = &self.simulated.simulator;
        match phase.end {
            End::Nothing => {}
            End::Rename => {
                let name = format!("Renamed {}", simulator.now());
                simulator.rename_workflow("flow_1", &name).unwrap();
            }
            End::OddStatus => {
                for &api in self.world.apis() {
                    let workflow = simulator.workflow_ids(api).remove(0);
                    let conversation = simulator.conversation_ids(api).remove(0);
                    let id = simulator.start(api, &workflow, Some(&conversation)).unwrap();
                    simulator.transition(&id, "hibernating").unwrap();
                }
            }
            End::Restart(_) => {
                let wrong = self.counted_too_often();
                let setup = self.world.setup();
                match kept {
                    Some(kept) => self.simulated.restart_with(&kept, &setup),
                    None => self.simulated.restart(&setup),
                }
                return wrong;
            }
        }
        Vec::new()
    }

    /// Waits until everything is as the tally says; what is not.
    async fn settle(&self) -> Vec<String> {
        let waits = PATIENCE.map(|intervals| self.world.interval() * intervals);
        let mut differences = Vec::new();
        for wait in waits.into_iter().chain([LONGEST]) {
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
        let since = jiff::Timestamp::from_microsecond((since * 1e6).round() as i64).unwrap();
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
