//! What is simulated: how large the business is at the start, and how lively it is from then on.

use std::{ops::Range, time::Duration};

use super::faults::Faults;

/// The key a scenario accepts unless it says otherwise.
pub const DEFAULT_KEY: &str = "kapso-simulated-key";

/// The most items that a page of Kapso's lists has.
const LARGEST_PAGE: usize = 100;

/// The simulated business at the start, and how its API behaves. The default is empty and silent.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Seed of everything random; equal seeds give equal worlds.
    pub seed: u64,
    /// The value of `X-API-Key` that is accepted, by both APIs.
    pub key: String,
    /// So many more keys are accepted, `KEY-1` and so on, each as if of a project of its own with the same content.
    pub further_keys: u32,
    /// Names of the platform's workflows; their ids are `flow_1`, `flow_2` and so on.
    pub workflows: Vec<String>,
    /// Of those, so many have slow executions, the last ones, …
    pub slow_workflows: usize,
    /// … whose lives take so many times as long as others.
    pub slowness: u32,
    /// Ids of the legacy API's agents.
    pub agents: Vec<String>,
    /// Conversations at the start: the same people on both APIs, under ids of their own.
    pub conversations: usize,
    /// Finished executions per API, …
    pub history: usize,
    /// … spread over so much time before the start.
    pub history_span: Duration,
    /// Executions per API that are open at the start, some of them for days.
    pub open_history: usize,
    /// Old finished executions per API on top, all in the first conversation.
    pub busy_conversation: usize,
    /// What happens from the start on.
    pub traffic: Traffic,
    /// Requests per fixed minute that the key may make, on both APIs together; `None` is unlimited.
    pub rate_limit: Option<u32>,
    /// Whether answers carry `X-RateLimit-Limit` and `X-RateLimit-Remaining` (only under a limit).
    pub rate_limit_headers: bool,
    /// Whether the legacy API exists; without it each of its paths answers 404.
    pub legacy: bool,
    /// Wait before every answer.
    pub latency: Duration,
    /// The most items that a page has, however many are asked for.
    pub largest_page: usize,
    /// From an execution's start until lists show it, drawn for each execution.
    pub visible_after: Range<Duration>,
    /// What ids look like.
    pub ids: Ids,
    /// What goes wrong on the way.
    pub faults: Faults,
}

/// What the ids of conversations, platform workflows and executions look like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ids {
    /// Letters, digits and dashes.
    #[default]
    Plain,
    /// Anything that a path, a query, a log or a label may stumble over.
    Odd,
    /// The same, and some that no path can name: dots alone.
    Hostile,
}

impl Ids {
    /// The id of row number `row`, which would be `plain`.
    pub(super) fn of(self, plain: String, row: usize) -> String {
        const WHOLE: [&str; 5] = ["..", "...", ".", "%2e", "%2e%2e"];
        const BEGINNINGS: [&str; 12] =
            ["a/b/", "../", "/", "\\", " ", "\"'", "line\nbreak", "?limit=", "#", "%", "<b>ü", "\u{7f}\t"];
        match (self, WHOLE.get(row)) {
            (Self::Plain, _) => plain,
            (Self::Hostile, Some(&id)) => id.to_owned(),
            (Self::Odd | Self::Hostile, _) => format!("{}{row}", BEGINNINGS[row % BEGINNINGS.len()]),
        }
    }
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            seed: 0,
            key: DEFAULT_KEY.to_owned(),
            further_keys: 0,
            workflows: Vec::new(),
            slow_workflows: 0,
            slowness: 1,
            agents: Vec::new(),
            conversations: 0,
            history: 0,
            history_span: Duration::from_hours(72),
            open_history: 0,
            busy_conversation: 0,
            traffic: Traffic::default(),
            rate_limit: None,
            rate_limit_headers: true,
            legacy: true,
            latency: Duration::ZERO,
            largest_page: LARGEST_PAGE,
            visible_after: Duration::ZERO..Duration::ZERO,
            ids: Ids::Plain,
            faults: Faults::default(),
        }
    }
}

impl Scenario {
    /// A lifelike small business under an Enterprise rate limit, lively enough that an exporter which polls
    /// every 5 s shows movement within a minute.
    #[must_use]
    pub fn demo(seed: u64) -> Self {
        Self {
            seed,
            workflows: names(&[
                "Order Support",
                "Appointment Booking",
                "Lead Qualification",
                "Delivery Tracking",
                "Returns & Refunds",
                "Opening Hours and FAQ",
            ]),
            agents: names(&["agent-sales", "agent-support", "agent-billing"]),
            conversations: 60,
            history: 240,
            open_history: 18,
            busy_conversation: 130,
            traffic: Traffic::lively(),
            rate_limit: Some(2000),
            latency: Duration::from_millis(25),
            ..Self::default()
        }
    }

    /// Two workflows, two agents and three conversations, in which nothing moves unless it is scripted.
    #[must_use]
    pub fn quiet(seed: u64) -> Self {
        Self {
            seed,
            workflows: names(&["Order Support", "Lead Qualification"]),
            agents: names(&["agent-sales", "agent-support"]),
            conversations: 3,
            ..Self::default()
        }
    }
}

fn names(all: &[&str]) -> Vec<String> {
    all.iter().map(|&name| name.to_owned()).collect()
}

/// How lively a world is. Ratios are shares between 0 and 1, ranges are drawn from evenly in whole milliseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Traffic {
    /// Executions that start per minute, on each API; 0 for none.
    pub starts_per_minute: f64,
    /// From the inbound message, which moves the conversation's `last_active_at`, to the execution's start.
    pub reply_delay: Range<Duration>,
    /// Stay in each started, running, waiting or paused state.
    pub dwell: Range<Duration>,
    /// Stay in each handoff.
    pub handoff_dwell: Range<Duration>,
    /// Share of the platform's executions that fail (the legacy API knows no failure).
    pub failure_ratio: f64,
    /// Share of executions that are handed off at least once.
    pub handoff_ratio: f64,
    /// Whether some executions are handed off a second time.
    pub repeated_handoffs: bool,
    /// Share of the platform's executions that belong to no conversation.
    pub without_conversation: f64,
    /// Share of executions that are started by API and so don't move their conversation's `last_active_at`.
    pub silent_starts: f64,
    /// Conversations per minute that end, become active again or appear; 0 for none.
    pub conversation_changes_per_minute: f64,
    /// Share of those changes in which a contact is erased, with all its conversations and their executions.
    pub erasures: f64,
    /// Share of the platform's executions that run again after their end, and end again.
    pub resumed_ratio: f64,
    /// From such an execution's end until it runs again.
    pub resumed_after: Range<Duration>,
}

impl Default for Traffic {
    fn default() -> Self {
        Self {
            starts_per_minute: 0.0,
            reply_delay: Duration::from_millis(200)..Duration::from_secs(2),
            dwell: Duration::from_secs(5)..Duration::from_mins(1),
            handoff_dwell: Duration::from_secs(30)..Duration::from_mins(5),
            failure_ratio: 0.05,
            handoff_ratio: 0.15,
            repeated_handoffs: true,
            without_conversation: 0.0,
            silent_starts: 0.0,
            conversation_changes_per_minute: 0.0,
            erasures: 0.0,
            resumed_ratio: 0.0,
            resumed_after: Duration::from_mins(5)..Duration::from_hours(1),
        }
    }
}

impl Traffic {
    /// A dozen starts per minute and API, and lives of seconds to minutes.
    #[must_use]
    pub fn lively() -> Self {
        Self {
            starts_per_minute: 12.0,
            failure_ratio: 0.07,
            handoff_ratio: 0.2,
            without_conversation: 0.1,
            silent_starts: 0.05,
            conversation_changes_per_minute: 2.0,
            ..Self::default()
        }
    }

    /// The first reason why these numbers can't be simulated, if there is one.
    ///
    /// # Errors
    /// A sentence that names the field and what it allows.
    pub fn check(&self) -> Result<(), String> {
        let ratios = [
            ("failure_ratio", self.failure_ratio),
            ("handoff_ratio", self.handoff_ratio),
            ("without_conversation", self.without_conversation),
            ("silent_starts", self.silent_starts),
            ("erasures", self.erasures),
            ("resumed_ratio", self.resumed_ratio),
        ];
        let rates = [
            ("starts_per_minute", self.starts_per_minute),
            ("conversation_changes_per_minute", self.conversation_changes_per_minute),
        ];
        let ranges = [
            ("reply_delay", &self.reply_delay),
            ("dwell", &self.dwell),
            ("handoff_dwell", &self.handoff_dwell),
            ("resumed_after", &self.resumed_after),
        ];
        if let Some((name, _)) = ratios.iter().find(|(_, ratio)| !(0.0..=1.0).contains(ratio)) {
            return Err(format!("{name} must be between 0 and 1"));
        }
        if let Some((name, _)) = rates.iter().find(|(_, rate)| !(0.0..=1e6).contains(rate)) {
            return Err(format!("{name} must be between 0 and 1000000"));
        }
        if let Some((name, _)) = ranges.iter().find(|(_, range)| range.start > range.end) {
            return Err(format!("{name} must be [min, max] with min not above max"));
        }
        Ok(())
    }
}
