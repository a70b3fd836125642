//! What to do about what was found, in plain sentences. Pure.

use super::{Configuration, Forecast, Limit, Report, SourceReport, State, text::span};
use crate::{
    kapso::{ASSUMED_LIMIT, Reason},
    model::{Api, Source},
};

/// The advice on a report, most pressing first, each sentence once.
pub(super) fn advice(report: &Report) -> Vec<String> {
    let configuration = &report.configuration;
    let failures = report.sources.iter().filter_map(|source| mend(source, configuration));
    let suits = report.sources.iter().filter_map(|source| suit(source, configuration));
    let cheaper = report.sources.iter().filter_map(|source| cheaper(source, report));
    let budget = report.limit.iter().filter(|_| report.ok).filter_map(|limit| budget(*limit));
    let pace = report.forecast.zip(report.limit);
    let pace = pace.into_iter().flat_map(|(forecast, limit)| pace_of(forecast, limit, configuration));
    let mut sentences: Vec<String> = Vec::new();
    for sentence in failures.chain(suits).chain(cheaper).chain(budget).chain(pace) {
        if !sentences.contains(&sentence) {
            sentences.push(sentence);
        }
    }
    sentences
}

fn mend(source: &SourceReport, configuration: &Configuration) -> Option<String> {
    let problem = source.problem.as_ref().filter(|_| source.state == State::Failed)?;
    let api = source.api;
    Some(match problem.class? {
        Reason::Unauthorized => {
            "Kapso refused the API key: put the key of this project into KAPSO_API_KEY or \
                                 the file that --kapso.api-key-file names."
                .into()
        }
        Reason::Forbidden => {
            "The API key is not allowed to list this: check which project it belongs to, and its rights."
                .into()
        }
        Reason::Connection => {
            format!("The {api} API cannot be reached: check --kapso.{api}-url, the network and its proxy.")
        }
        Reason::Timeout => format!(
            "The {api} API is too slow: check the network, or raise --scrape.timeout ({}).",
            span(configuration.timeout_seconds)
        ),
        Reason::RateLimited => "Others use up the key's limit: try again in a minute. If that lasts, the \
                                exporter will lag behind: the key needs a plan with a higher limit."
            .into(),
        Reason::Server => format!("The {api} API has a problem of its own: try again later."),
        Reason::Clock => "Set this machine's clock: it is before this program's own release.".into(),
        Reason::Client
        | Reason::Cursor
        | Reason::Decode
        | Reason::Disappeared
        | Reason::NotFound
        | Reason::Time
        | Reason::Truncated
        | Reason::Unaddressable => {
            format!("What answers is not Kapso's {api} API as it is documented: check --kapso.{api}-url.")
        }
    })
}

/// Whether the source is the right one.
fn suit(source: &SourceReport, configuration: &Configuration) -> Option<String> {
    let selected = |source: Source| configuration.sources.contains(&source.as_str());
    let no_conversation = source.conversations.is_some_and(|conversations| conversations.count == 0);
    let ever = source.workflows.and_then(|workflows| workflows.executions_ever);
    let idle = source.sample.is_some_and(|sample| sample.executions == 0);
    match Api::Platform.as_str() == source.api {
        _ if source.state == State::Failed => None,
        _ if source.state == State::Absent && selected(Source::Auto) => None,
        _ if source.state == State::Absent && selected(Source::Conversations) => {
            Some("The legacy API is not there: leave agents out of --scrape.source.".into())
        }
        _ if source.state == State::Absent => {
            Some("The legacy API is not there: watch the other one, --scrape.source=auto.".into())
        }
        true if ever == Some(0) && !selected(Source::Agents) => Some(
            "No workflow has ever run: if the project uses legacy agents, add agents to --scrape.source."
                .into(),
        ),
        true if ever > Some(0) && no_conversation => Some(format!(
            "Workflows have run, but no conversation was active within {}: if these should be watched, raise \
             --scrape.conversation-max-age.",
            span(configuration.conversation_max_age_seconds)
        )),
        false if (no_conversation || idle) && !selected(Source::Auto) => Some(
            "No agent has run in the conversations that were looked at: if the project has no legacy agents, \
             leave agents out of --scrape.source and save the requests."
                .into(),
        ),
        _ => None,
    }
}

/// Whether the workflows would tell the same for less, where the budget does not cover the conversations.
fn cheaper(source: &SourceReport, report: &Report) -> Option<String> {
    let by_conversation = source.source == Source::Conversations.as_str();
    let named = report.configuration.conversations > 0;
    let too_slow = report.forecast?.freshness_seconds > report.configuration.interval_seconds;
    let workflows = source.workflows.filter(|_| by_conversation && !named && too_slow)?.count;
    // Every one of them with open executions, and discovery.
    let requests = 2 * workflows + 5;
    let now = source.requests?.later_sweeps?;
    (requests < now).then(|| {
        format!(
            "There are {workflows} workflows: --scrape.source=auto would cost at most about {requests} requests a \
             sweep instead of {now}."
        )
    })
}

fn budget(limit: Limit) -> Option<String> {
    let share = limit.share;
    let Some(of_key) = limit.of_key else {
        return Some(format!(
            "The API tells no limit, so {ASSUMED_LIMIT} requests per minute are assumed: if the plan allows \
             more, set --scrape.requests-per-minute."
        ));
    };
    let greedy = u64::from(share) * 10 > u64::from(of_key) * 9;
    greedy.then(|| {
        format!(
            "{share} of the key's {of_key} requests per minute leave hardly any to the bot on the same key: \
             lower --scrape.requests-per-minute."
        )
    })
}

fn pace_of(forecast: Forecast, limit: Limit, configuration: &Configuration) -> Vec<String> {
    let interval = configuration.interval_seconds;
    let mut sentences = Vec::new();
    if forecast.freshness_seconds > interval {
        let room = limit.of_key.is_none_or(|of_key| limit.share < of_key / 4 * 3);
        let raise = if room { "raise --scrape.requests-per-minute, " } else { "" };
        sentences.push(format!(
            "A sweep takes longer than --scrape.interval ({}): {raise}lower --scrape.conversation-max-age, name \
             the conversations that matter with --scrape.conversation, or live with older numbers.",
            span(interval)
        ));
    }
    if forecast.first_sweep_seconds > interval.max(60.0) {
        sentences.push(format!(
            "The first sweep lists every conversation and takes about {}: until then kapso_up is 0 and \
             conversations are missing.",
            span(forecast.first_sweep_seconds)
        ));
    }
    sentences
}
