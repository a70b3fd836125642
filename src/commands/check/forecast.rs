//! What the sweeps will cost and how fresh the numbers will be, as far as a survey tells. Pure.

use std::time::Duration;

use super::{Forecast, Plan, Sample, SourceReport, survey::Survey};
use crate::{
    crawl::{self, Count, ProjectSize, Requests, Share},
    kapso::PAGE_SIZE,
    model::Source,
};

/// The requests of a sweep of this source; `named` where the conversations are named.
pub(super) fn requests(survey: &Survey, named: bool) -> Option<Requests> {
    let size = ProjectSize {
        api: survey.source.api(),
        workflows: survey.workflows.map(|found| Count { count: found.count, exact: found.exact }),
        conversations: survey.conversations.map(|found| Count { count: found.count, exact: found.exact }),
        named,
        sample: survey.sample.map(|sample| share(sample, sample.with_open_executions)),
    };
    crawl::kind_of(survey.source).requests(&size)
}

/// So many, of the lists of a sample.
fn share(sample: Sample, with_open_executions: u64) -> Share {
    Share { with_open_executions, lists: sample.lists, exact: sample.exact }
}

/// What the source `auto` would read.
pub(super) fn plan(survey: &Survey) -> Option<Plan> {
    let (workflows, sample) = (survey.workflows?, survey.sample.filter(|_| survey.source == Source::Auto)?);
    let of_all = |of| share(sample, of).of(workflows.count);
    let open_executions = of_all(sample.open_executions);
    Some(Plan {
        open_executions,
        by_workflow: of_all(sample.with_open_executions).max(open_executions.div_ceil(PAGE_SIZE.into())),
        one_by_one: open_executions,
    })
}

/// What to expect of the sources together, which share the budget of `per_minute` requests.
pub(super) fn forecast(sources: &[SourceReport], per_minute: u32, interval: Duration) -> Option<Forecast> {
    let requests: Vec<_> = sources.iter().filter_map(|source| source.requests).collect();
    if requests.is_empty() {
        return None;
    }
    let later = requests.iter().map(|requests| requests.later_sweeps).sum::<Option<u64>>()?;
    let first = requests.iter().map(|requests| requests.first_sweep).sum();
    let later_sweeps_seconds = wait(later, per_minute);
    Some(Forecast {
        first_sweep_seconds: wait(first, per_minute),
        later_sweeps_seconds,
        freshness_seconds: later_sweeps_seconds.max(interval.as_secs_f64()),
        at_least: requests.iter().any(|requests| requests.at_least),
    })
}

#[allow(clippy::cast_precision_loss, reason = "a count of requests")]
fn wait(requests: u64, per_minute: u32) -> f64 {
    (requests as f64 * 60.0 / f64::from(per_minute)).ceil()
}
