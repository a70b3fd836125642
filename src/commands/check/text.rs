//! A report for people: aligned, without colours.

use std::{fmt::Write, time::Duration};

use super::{Configuration, Forecast, Limit, Plan, Report, Sample, SourceReport, State};
use crate::{crawl::Requests, kapso::ASSUMED_LIMIT};

/// Seconds of a day.
const DAY: u64 = 86_400;

/// The report as lines of text, without the last line's end.
pub(super) fn render(report: &Report) -> String {
    let mut page = Page::default();
    configuration(&mut page, &report.configuration);
    if let Some(file) = &report.state_file {
        let failed = if file.state == State::Failed { "FAILED: " } else { "" };
        page.row("state", format!("{failed}{}", file.message));
    }
    for source in &report.sources {
        self::source(&mut page, source, &report.configuration);
    }
    if let Some(limit) = report.limit {
        self::limit(&mut page, limit, &report.configuration);
    }
    if let Some(forecast) = report.forecast {
        self::forecast(&mut page, forecast);
    }
    if !report.advice.is_empty() {
        page.heading("Advice");
        for sentence in &report.advice {
            page.bullet(sentence);
        }
    }
    page.0.push('\n');
    page.0.push_str(&verdict(report));
    page.0
}

fn configuration(page: &mut Page, configuration: &Configuration) {
    page.heading("Configuration");
    page.row("project", &configuration.project);
    page.row("API key", "present and well-formed");
    page.row("sources", configuration.sources.join(", "));
    page.row("platform URL", &configuration.platform_url);
    page.row("legacy URL", &configuration.legacy_url);
    let named = configuration.conversations;
    let age = span(configuration.conversation_max_age_seconds);
    let which = if named == 0 { format!("active within {age}") } else { format!("{named} by their ids") };
    page.row("conversations", which);
    page.row("interval", span(configuration.interval_seconds));
    page.row("lookback", span(configuration.lookback_seconds));
    page.row("request timeout", span(configuration.timeout_seconds));
    let own = configuration.requests_per_minute;
    page.row(
        "request budget",
        own.map_or("half of the key's limit".into(), |own| format!("{own} per minute")),
    );
    page.row("state", configuration.state_path.as_deref().unwrap_or("in memory alone"));
    if let Some(path) = &configuration.webhook_path {
        page.row("webhook", format!("taken at {path}"));
    }
    if let Some(web) = &configuration.web {
        page.row("web", web.text());
    }
}

fn source(page: &mut Page, source: &SourceReport, configuration: &Configuration) {
    page.heading(&format!("Source {} ({} API)", source.source, source.api));
    let message = source.problem.as_ref().map_or("", |problem| problem.message.as_str());
    page.row(
        "state",
        match source.state {
            State::Ok => "reachable, key accepted".into(),
            State::Absent => "absent: there is no such API".into(),
            State::Failed => format!("FAILED: {message}"),
        },
    );
    if let Some(workflows) = source.workflows {
        let ever = workflows.executions_ever.map(|ever| format!(", {ever} executions ever"));
        page.row("workflows", at_least(!workflows.exact, workflows.count) + &ever.unwrap_or_default());
    }
    if let Some(conversations) = source.conversations {
        page.row("conversations", at_least(!conversations.exact, conversations.count));
    }
    if let Some(sample) = source.sample {
        page.row("open executions", sampled(sample, source, configuration));
    }
    if let Some(plan) = source.plan {
        page.row("looked at", looked_at(plan));
    }
    if let Some(requests) = source.requests {
        page.row("estimated requests", requests_of(requests));
    }
}

fn sampled(sample: Sample, source: &SourceReport, configuration: &Configuration) -> String {
    let open = at_least(!sample.exact, sample.open_executions);
    let of = sample.lists;
    let which = match configuration.conversations {
        _ if source.by_workflow => "workflows that ran last",
        0 => "conversations with the newest activity",
        _ => "conversations",
    };
    format!("{open}, in {} of a sample of {of} {which}", sample.with_open_executions)
}

fn looked_at(plan: Plan) -> String {
    let Plan { open_executions, by_workflow, one_by_one } = plan;
    match open_executions {
        0 => "nothing is open now: only what is new, by its workflow".into(),
        _ if by_workflow < one_by_one => format!(
            "by the lists of their workflows: about {by_workflow} a sweep, one by one it would be {one_by_one}"
        ),
        _ => format!("one by one: about {one_by_one} a sweep, lists would take as many or more"),
    }
}

fn requests_of(requests: Requests) -> String {
    let first = at_least(requests.at_least, requests.first_sweep);
    let later = requests.later_sweeps.map(|later| at_least(requests.at_least, later));
    format!("first sweep {first}, later sweeps {}", later.unwrap_or_else(|| "unknown".into()))
}

fn limit(page: &mut Page, limit: Limit, configuration: &Configuration) {
    page.heading("Requests per minute");
    let left = limit.left_of_it.map(|left| format!(", {left} left in this minute")).unwrap_or_default();
    page.row(
        "limit of the key",
        limit.of_key.map_or("not told by the API".into(), |of| format!("{of}{left}")),
    );
    let why = match (configuration.requests_per_minute, limit.of_key) {
        (Some(_), _) => "as configured".into(),
        (None, Some(_)) => "half of it".into(),
        (None, None) => format!("half of {ASSUMED_LIMIT}, which is assumed"),
    };
    page.row("exporter's share", format!("{}, {why}", limit.share));
}

fn forecast(page: &mut Page, forecast: Forecast) {
    page.heading("To expect (estimated)");
    let about = |seconds| {
        let word = if forecast.at_least { "at least" } else { "about" };
        format!("{word} {}", span(seconds))
    };
    page.row("first sweep", about(forecast.first_sweep_seconds));
    page.row("later sweeps", about(forecast.later_sweeps_seconds));
    page.row("numbers are up to", format!("{} old", about(forecast.freshness_seconds)));
}

fn verdict(report: &Report) -> String {
    let failed = report.sources.iter().filter(|source| source.state == State::Failed).count();
    let sent = match report.requests_sent {
        1 => "1 request".into(),
        more => format!("{more} requests"),
    };
    match report.sources.len() {
        _ if failed == 0 && !report.ok => {
            format!("The state file cannot be used. The check sent {sent}.")
        }
        _ if report.offline => "The configuration is well-formed. Nothing was asked (--offline).".into(),
        _ if failed == 0 => format!("Everything works. The check sent {sent}."),
        all => format!("{failed} of {all} sources do not work. The check sent {sent}."),
    }
}

fn at_least(more: bool, count: u64) -> String {
    if more { format!("at least {count}") } else { count.to_string() }
}

/// Seconds as a person writes them, such as `1h 30m` or `7d`.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
pub(super) fn span(seconds: f64) -> String {
    if seconds < 1.0 {
        return humantime::format_duration(Duration::from_secs_f64(seconds.max(0.0))).to_string();
    }
    let (days, rest) = (seconds as u64 / DAY, Duration::from_secs(seconds as u64 % DAY));
    match (days, rest) {
        (0, _) => humantime::format_duration(rest).to_string(),
        (_, Duration::ZERO) => format!("{days}d"),
        _ => format!("{days}d {}", humantime::format_duration(rest)),
    }
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn heading(&mut self, text: &str) {
        if !self.0.is_empty() {
            self.0.push('\n');
        }
        self.0.extend([text, "\n"]);
    }

    fn row(&mut self, label: &str, value: impl AsRef<str>) {
        let _ = writeln!(self.0, "  {label:<20}{}", value.as_ref());
    }

    fn bullet(&mut self, text: &str) {
        let _ = writeln!(self.0, "  - {text}");
    }
}
