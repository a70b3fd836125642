//! What was counted of a workflow, moment by moment.

use std::sync::Arc;

use jiff::Timestamp;

use super::{
    records::Happening,
    span::{Counts, Moment},
};
use crate::{
    ledger::{Buckets, Totals},
    metrics::Workflow,
    model::ExecutionId,
};

/// What happened in a workflow, and what was counted of it so far.
#[derive(Debug)]
pub struct History {
    project: Arc<str>,
    id: String,
    name: String,
    buckets: Arc<Buckets>,
    events: Vec<Happening>,
    so_far: SoFar,
}

/// What was counted, and which event is next.
#[derive(Debug, Clone)]
pub struct SoFar {
    totals: Totals,
    next: usize,
}

impl History {
    /// Nothing is counted yet of these events, which are in order.
    #[must_use]
    pub fn new(
        project: Arc<str>,
        id: &str,
        name: &str,
        buckets: Arc<Buckets>,
        events: Vec<Happening>,
    ) -> Self {
        let so_far = SoFar { totals: Totals::new(&buckets), next: 0 };
        Self { project, id: id.into(), name: name.into(), buckets, events, so_far }
    }

    /// The labels that all its series have.
    #[must_use]
    pub fn labels(&self) -> [(&'static str, &str); 4] {
        let (id, name) = (self.id.as_str(), self.name.as_str());
        [("api", "platform"), ("project", &self.project), ("workflow_id", id), ("workflow_name", name)]
    }

    /// What was counted up to now.
    #[must_use]
    pub fn so_far(&self) -> &SoFar {
        &self.so_far
    }

    /// The workflow as it was counted then.
    #[must_use]
    pub fn workflow(&self, so_far: &SoFar) -> Workflow {
        Workflow::of_totals(&self.id, &self.name, so_far.totals.clone())
    }

    /// Counts on from `so_far` and shows the workflow at each of these moments. Returns what is counted at the last one.
    pub fn replay(
        &self,
        so_far: &SoFar,
        moments: &[Moment],
        mut show: impl FnMut(&Workflow, Moment),
    ) -> SoFar {
        let (mut workflow, mut next) = (self.workflow(so_far), so_far.next);
        // Nothing is written of a single execution.
        let nameless = ExecutionId::from("");
        for &moment in moments {
            let before = match moment.counts {
                Counts::Before => at(moment.at),
                Counts::All => Timestamp::MAX,
                Counts::None => Timestamp::MIN,
            };
            let due = self.events[next..].iter().take_while(|event| Timestamp::from(event.at) < before);
            for event in due {
                workflow.totals_mut().count(&nameless, &(*event).into(), event.at.into());
                next += 1;
            }
            if moment.counts == Counts::None {
                *workflow.totals_mut() = Totals::new(&self.buckets);
            }
            show(&workflow, moment);
        }
        SoFar { totals: workflow.totals_mut().clone(), next }
    }

    /// Goes on from there.
    pub fn go_on(&mut self, so_far: SoFar) {
        self.so_far = so_far;
    }
}

fn at(millisecond: i64) -> Timestamp {
    Timestamp::from_millisecond(millisecond).unwrap_or(Timestamp::MAX)
}
