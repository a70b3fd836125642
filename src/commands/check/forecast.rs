//! What the sweeps will cost and how fresh the numbers will be, as far as a survey tells. Pure.

use std::time::Duration;

use super::{Forecast, Requests, Sample, SourceReport, Workflows, survey::Survey};
use crate::{
    crawl::conversations::plan::LOOK_AROUND,
    kapso::PAGE_SIZE,
    model::{Api, Source},
};

/// What it costs to look at a workflow as if it were new: three statuses, and what is new.
const WHOLE_LOOK: u64 = 4;

/// The requests of a sweep of this source.
pub(super) fn requests(survey: &Survey, named: bool) -> Option<Requests> {
    match survey.source {
        Source::Agents | Source::Conversations => by_conversation(survey, named),
        Source::Workflows => by_workflow(survey.workflows?, survey.sample),
    }
}

/// The list of workflows, then the first time for each its list by start, its history, and one list for each open
/// status; later one for each with open executions, of which the sample tells the share, and one workflow's turn
/// to be looked at as the first time.
fn by_workflow(workflows: Workflows, sample: Option<Sample>) -> Option<Requests> {
    let sample = sample.or((workflows.count == 0).then_some(Sample::NOTHING))?;
    let due = (workflows.count * sample.with_open_executions).div_ceil(sample.lists.max(1));
    Some(Requests {
        first_sweep: 1 + (WHOLE_LOOK + 1) * workflows.count,
        later_sweeps: Some(1 + due + WHOLE_LOOK.min(workflows.count)),
        at_least: !(workflows.exact && sample.exact),
    })
}

/// The workflows, the pages of the conversations unless these are
/// `named`, and one for each conversation; in later sweeps the look around, and one for each conversation with
/// open executions, of which the sample tells the share.
fn by_conversation(survey: &Survey, named: bool) -> Option<Requests> {
    let conversations = survey.conversations?;
    let workflows = u64::from(survey.source.api() == Api::Platform);
    let pages = if named { 0 } else { conversations.count.div_ceil(PAGE_SIZE.into()).max(1) };
    let look_around = if named { 0 } else { LOOK_AROUND as u64 };
    let due = match survey.sample {
        _ if named || conversations.count == 0 => Some(conversations.count),
        Some(sample) if sample.lists > 0 => {
            Some((conversations.count * sample.with_open_executions).div_ceil(sample.lists))
        }
        _ => None,
    };
    Some(Requests {
        first_sweep: workflows + pages + conversations.count,
        later_sweeps: due.map(|due| workflows + look_around + due),
        at_least: !conversations.exact,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::check::Conversations;

    fn survey(source: Source, count: u64, exact: bool, open_of: Option<(u64, u64)>) -> Survey {
        let sample = open_of.map(|(open, lists)| Sample {
            lists,
            executions: 9,
            with_open_executions: open,
            open_executions: open,
            exact: true,
        });
        let conversations = Some(Conversations { count, exact });
        Survey { source, problem: None, workflows: None, conversations, sample, sent: 0 }
    }

    fn both(requests: Option<Requests>) -> (u64, Option<u64>) {
        let requests = requests.unwrap();
        (requests.first_sweep, requests.later_sweeps)
    }

    #[test]
    fn later_sweeps_list_the_share_that_the_sample_shows() {
        let platform = survey(Source::Conversations, 250, true, Some((2, 5)));
        assert_eq!(both(requests(&platform, false)), (1 + 3 + 250, Some(1 + 4 + 100)));
        let legacy = survey(Source::Agents, 250, true, Some((0, 5)));
        assert_eq!(both(requests(&legacy, false)), (3 + 250, Some(4)));
    }

    #[test]
    fn workflows_cost_what_they_are_and_not_what_there_are_conversations() {
        let sample = survey(Source::Workflows, 0, true, Some((2, 4))).sample;
        let workflows = Some(Workflows { count: 20, exact: true, executions_ever: Some(1_000_000) });
        let survey = Survey { workflows, sample, ..survey(Source::Workflows, 0, true, None) };
        assert_eq!(both(requests(&survey, false)), (1 + 20 * 5, Some(1 + 10 + 4)));
    }

    #[test]
    fn named_conversations_are_listed_in_every_sweep_and_not_discovered() {
        let platform = survey(Source::Conversations, 3, true, Some((0, 3)));
        assert_eq!(both(requests(&platform, true)), (4, Some(4)));
    }

    #[test]
    fn without_a_sample_nothing_is_said_of_later_sweeps() {
        let platform = survey(Source::Conversations, 200, false, None);
        assert_eq!(both(requests(&platform, false)), (203, None));
        assert!(requests(&platform, false).unwrap().at_least);
        let empty = survey(Source::Conversations, 0, true, None);
        assert_eq!(both(requests(&empty, false)), (2, Some(5)));
    }
}
