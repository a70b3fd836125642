//! The exporter's own metrics: what it asked, what it may ask, how its sweeps went.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use http::StatusCode;
use jiff::Timestamp;
use parking_lot::Mutex;
use prometheus::{
    Gauge, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, core::Collector,
};
use tokio::sync::Notify;

use super::statuses::UnknownStatuses;
use crate::{
    crawl::Backlog,
    kapso::{BudgetStatus, Endpoint, Observer, Reason},
    model::{Api, Source, unix_seconds},
    sweep::{Outcome, Report, SweepEvent},
};

/// The exporter's own metrics, for one process.
#[derive(Debug)]
pub struct InstanceMetrics {
    up: IntGaugeVec,
    sweep_duration: GaugeVec,
    sweep_last_success: GaugeVec,
    sweep_interval: GaugeVec,
    sweeps: IntCounterVec,
    restarts: IntCounterVec,
    due: GaugeVec,
    lateness: GaugeVec,
    round: GaugeVec,
    oldest_list: GaugeVec,
    errors: IntCounterVec,
    unknown_statuses: UnknownStatuses,
    requests: IntCounterVec,
    request_duration: HistogramVec,
    rate_limit: GaugeVec,
    rate_limit_remaining: GaugeVec,
    request_budget: GaugeVec,
    pub(super) series: IntGauge,
    pub(super) series_dropped: IntCounterVec,
    state_size: GaugeVec,
    state_last_write: GaugeVec,
    state_errors: IntCounterVec,
    failing_lists: IntGaugeVec,
    log_lines_dropped: IntCounter,
    states: Mutex<BTreeMap<(String, Source), State>>,
}

/// How a source is doing.
#[derive(Debug, Clone, Copy)]
struct State {
    /// Of its last sweep; incomplete as soon as something fails in the present one.
    outcome: Outcome,
    /// Its numbers are up to date, as far as the last pass tells.
    in_time: bool,
}

impl InstanceMetrics {
    /// Creates the metrics and registers them.
    ///
    /// # Errors
    /// If a name is taken or not one that Prometheus allows.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let own = Register(registry);
        own.build_info()?;
        Ok(Self {
            up: own.up()?,
            sweep_duration: own.gauges(
                "kapso_exporter_sweep_duration_seconds",
                "How long the last sweep took.",
                &["project", "api", "source"],
            )?,
            sweep_last_success: own.gauges(
                "kapso_exporter_sweep_last_success_timestamp_seconds",
                "When the last complete sweep was done; 0 before the first one.",
                &["project", "api", "source"],
            )?,
            sweep_interval: own.gauges(
                "kapso_exporter_sweep_interval_seconds",
                "From one sweep's start to the next, as configured.",
                &["project", "api", "source"],
            )?,
            sweeps: own.counters(
                "kapso_exporter_sweeps_total",
                "Sweeps, by result: complete, incomplete (something failed), absent (no such API).",
                &["project", "api", "source", "result"],
            )?,
            restarts: own.counters(
                "kapso_exporter_sweep_restarts_total",
                "Sweeps that showed no sign of life for minutes and were given up for a new one.",
                &["project", "api", "source"],
            )?,
            due: own.gauges(
                "kapso_exporter_lists_due",
                "Lists of executions (of a conversation, or of a workflow) that were due to be read, when that was last looked at.",
                &["project", "api", "source"],
            )?,
            lateness: own.gauges(
                "kapso_exporter_lateness_seconds",
                "By how much the most overdue list was late, when that was last looked at. Above the interval, the budget does not cover what is due.",
                &["project", "api", "source"],
            )?,
            round: own.gauges(
                "kapso_exporter_round_seconds",
                "How long it takes at this pace to look once at everything that is at rest: an execution that moves no activity may stay unseen for so long.",
                &["project", "api", "source"],
            )?,
            oldest_list: own.gauges(
                "kapso_exporter_data_oldest_timestamp_seconds",
                "When the stalest list of open executions was asked for, in Kapso's clock.",
                &["project", "api", "source"],
            )?,
            errors: own.counters(
                "kapso_exporter_errors_total",
                "Requests that failed (each attempt), items that could not be read (decode), times in them that cannot be (time), and lists that end too early (truncated), by reason.",
                &["project", "api", "reason"],
            )?,
            unknown_statuses: own.unknown_statuses()?,
            requests: own.counters(
                "kapso_exporter_api_requests_total",
                "Requests sent to Kapso, by endpoint and HTTP status (code); \"none\" where no answer came.",
                &["project", "api", "endpoint", "code"],
            )?,
            request_duration: own.histograms(
                "kapso_exporter_api_request_duration_seconds",
                "From sending a request to having its whole answer.",
                &["project", "api", "endpoint"],
            )?,
            rate_limit: own.gauges(
                "kapso_exporter_api_rate_limit",
                "Requests per minute that the API allows the key (X-RateLimit-Limit).",
                &["project"],
            )?,
            rate_limit_remaining: own.gauges(
                "kapso_exporter_api_rate_limit_remaining",
                "Requests that the API still allowed the key in its minute, all users of the key together (X-RateLimit-Remaining).",
                &["project"],
            )?,
            request_budget: own.gauges(
                "kapso_exporter_api_request_budget",
                "Requests per minute that the exporter allows itself.",
                &["project"],
            )?,
            series: own.series()?,
            series_dropped: own.counters(
                "kapso_exporter_series_dropped_total",
                "Workflows (for steps: steps) that got no series of their own in this family because of --metrics.max-series; they are added up under \"other\".",
                &["family"],
            )?,
            state_size: own.gauges("kapso_exporter_state_size_bytes", "Size of the file at --state.path.", &[])?,
            state_last_write: own.gauges(
                "kapso_exporter_state_last_write_timestamp_seconds",
                "When state was last written to --state.path; 0 before the first time.",
                &[],
            )?,
            state_errors: own.state_errors()?,
            failing_lists: own.failing_lists()?,
            log_lines_dropped: own.log_lines_dropped()?,
            states: Mutex::default(),
        })
    }

    /// Makes a source's metrics appear, before anything is known of it.
    pub fn announce(&self, project: &str, source: Source, interval: Duration) {
        let api = source.api().as_str();
        let labels = [project, api, source.as_str()];
        let state = State { outcome: Outcome::Incomplete, in_time: true };
        self.states.lock().insert((project.into(), source), state);
        self.failing_lists.with_label_values(&labels).set(0);
        self.up.with_label_values(&[project, api]).set(0);
        self.sweep_interval.with_label_values(&labels).set(interval.as_secs_f64());
        self.sweep_last_success.with_label_values(&labels).set(0.0);
        self.restarts.with_label_values(&labels);
        for outcome in Outcome::ALL {
            self.sweeps.with_label_values(&[project, api, source.as_str(), outcome.as_str()]);
        }
        self.unknown_statuses.announce(project, source.api());
        for reason in Reason::ALL {
            self.errors.with_label_values(&[project, api, reason.as_str()]);
        }
    }

    /// Makes the metrics of the state file appear, before it is written.
    #[allow(clippy::cast_precision_loss, reason = "Prometheus has no other numbers")]
    pub fn announce_state(&self, size: u64) {
        self.state_size.with_label_values::<&str>(&[]).set(size as f64);
        self.state_last_write.with_label_values::<&str>(&[]).set(0.0);
        self.state_errors.with_label_values::<&str>(&[]);
    }

    /// Takes note that state was written, and how large the file is.
    #[allow(clippy::cast_precision_loss, reason = "Prometheus has no other numbers")]
    pub fn state_written(&self, size: u64, at: Timestamp) {
        self.state_size.with_label_values::<&str>(&[]).set(size as f64);
        self.state_last_write.with_label_values::<&str>(&[]).set(unix_seconds(at));
    }

    /// Takes note that state could not be written.
    pub fn state_failed(&self) {
        self.state_errors.with_label_values::<&str>(&[]).inc();
    }

    /// Takes note of how many lines of the log were dropped since the start.
    pub(super) fn log_lines_dropped(&self, since_start: u64) {
        let more = since_start.saturating_sub(self.log_lines_dropped.get());
        self.log_lines_dropped.inc_by(more);
    }

    /// Takes note of what a source's loop tells.
    pub fn record(&self, project: &str, source: Source, event: &SweepEvent<'_>) {
        match event {
            SweepEvent::Backlog { backlog, well } => self.backlog(project, source, backlog, *well),
            SweepEvent::Swept(report) => self.swept(project, report),
        }
    }

    #[allow(clippy::cast_precision_loss, clippy::cast_possible_wrap, reason = "a count of lists in memory")]
    fn backlog(&self, project: &str, source: Source, backlog: &Backlog, well: bool) {
        let labels = [project, source.api().as_str(), source.as_str()];
        self.due.with_label_values(&labels).set(backlog.due as f64);
        self.lateness.with_label_values(&labels).set(backlog.lateness);
        self.round.with_label_values(&labels).set(backlog.full_scan_seconds);
        match backlog.oldest_list {
            Some(at) => self.oldest_list.with_label_values(&labels).set(unix_seconds(at)),
            None => drop(self.oldest_list.remove_label_values(&labels)),
        }
        self.failing_lists.with_label_values(&labels).set(backlog.failing as i64);
        self.note_state(project, source, |state| {
            state.in_time = well;
            if !well && state.outcome == Outcome::Complete {
                state.outcome = Outcome::Incomplete;
            }
        });
    }

    fn swept(&self, project: &str, report: &Report) {
        let api = report.source.api();
        let labels = [project, api.as_str(), report.source.as_str()];
        self.sweep_duration.with_label_values(&labels).set(report.duration.as_secs_f64());
        self.restarts.with_label_values(&labels).inc_by(report.stuck.into());
        let [project, api_label, source] = labels;
        self.sweeps.with_label_values(&[project, api_label, source, report.outcome.as_str()]).inc();
        if report.outcome == Outcome::Complete {
            self.sweep_last_success.with_label_values(&labels).set(unix_seconds(report.finished));
        }
        self.note_state(project, report.source, |state| state.outcome = report.outcome);
    }

    fn note_state(&self, project: &str, source: Source, change: impl FnOnce(&mut State)) {
        let (api, mut states) = (source.api(), self.states.lock());
        if let Some(state) = states.get_mut(&(project.to_owned(), source)) {
            change(state);
        }
        let of_api: Vec<_> =
            states.iter().filter(|((p, s), _)| p == project && s.api() == api).map(|(_, s)| *s).collect();
        if of_api.iter().all(|state| state.outcome == Outcome::Absent) {
            // An API that does not exist is neither up nor down.
            self.up.remove_label_values(&[project, api.as_str()]).ok();
        } else {
            let is_up = |state: &State| state.outcome == Outcome::Complete && state.in_time;
            let up = of_api.iter().all(|state| is_up(state) || state.outcome == Outcome::Absent);
            self.up.with_label_values(&[project, api.as_str()]).set(up.into());
        }
    }

    /// Takes note of a budget's figures.
    pub fn budget(&self, project: &str, status: BudgetStatus) {
        self.request_budget.with_label_values(&[project]).set(status.per_minute.into());
        for (gauge, value) in
            [(&self.rate_limit, status.limit), (&self.rate_limit_remaining, status.remaining)]
        {
            if let Some(value) = value {
                gauge.with_label_values(&[project]).set(value.into());
            }
        }
    }
}

/// Reports a project's requests to [`InstanceMetrics`].
pub struct RequestObserver {
    /// Where to.
    pub exporter: Arc<InstanceMetrics>,
    /// The project's name.
    pub project: String,
    /// Told of every request: there is something new to render.
    pub changed: Arc<Notify>,
}

impl Observer for RequestObserver {
    fn requested(&self, api: Api, endpoint: Endpoint, status: Option<StatusCode>, elapsed: Duration) {
        let (project, api, endpoint) = (self.project.as_str(), api.as_str(), endpoint.as_str());
        let code = status.as_ref().map_or("none", StatusCode::as_str);
        self.exporter.requests.with_label_values(&[project, api, endpoint, code]).inc();
        let duration = self.exporter.request_duration.with_label_values(&[project, api, endpoint]);
        duration.observe(elapsed.as_secs_f64());
        self.changed.notify_one();
    }

    fn failed(&self, api: Api, reason: Reason, count: u64) {
        let labels = [self.project.as_str(), api.as_str(), reason.as_str()];
        self.exporter.errors.with_label_values(&labels).inc_by(count);
    }

    fn unknown_status(&self, api: Api, status: &str) {
        self.exporter.unknown_statuses.count(&self.project, api, status);
    }
}

struct Register<'a>(&'a Registry);

impl Register<'_> {
    fn put<C: Collector + Clone + 'static>(&self, collector: C) -> prometheus::Result<C> {
        self.0.register(Box::new(collector.clone()))?;
        Ok(collector)
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<GaugeVec> {
        self.put(GaugeVec::new(Opts::new(name, help), labels)?)
    }

    fn ints(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntGaugeVec> {
        self.put(IntGaugeVec::new(Opts::new(name, help), labels)?)
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntCounterVec> {
        self.put(IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    fn histograms(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<HistogramVec> {
        let buckets = vec![0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
        self.put(HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets), labels)?)
    }

    fn series(&self) -> prometheus::Result<IntGauge> {
        self.put(IntGauge::new("kapso_exporter_series", "Series in this exposition.")?)
    }

    fn unknown_statuses(&self) -> prometheus::Result<UnknownStatuses> {
        let counter = self.counters(
            "kapso_exporter_unknown_statuses_total",
            "Items in a status that this version does not know, each time one is listed, by its name; \"missing\" where there is none.",
            &["project", "api", "status"],
        )?;
        Ok(UnknownStatuses::new(counter))
    }

    fn up(&self) -> prometheus::Result<IntGaugeVec> {
        self.ints(
            "kapso_up",
            "1 if the last sweep of every source of this API was complete, nothing has failed since, and no list is late by more than --scrape.max-staleness.",
            &["project", "api"],
        )
    }

    fn state_errors(&self) -> prometheus::Result<IntCounterVec> {
        self.counters(
            "kapso_exporter_state_errors_total",
            "Failures to write state to --state.path. Counting goes on in memory, and each failure is followed by another try.",
            &[],
        )
    }

    fn failing_lists(&self) -> prometheus::Result<IntGaugeVec> {
        self.ints(
            "kapso_exporter_failing_lists",
            "Lists of executions (of a conversation, or of a workflow) whose last reading failed while others did not. They are asked again less often.",
            &["project", "api", "source"],
        )
    }

    fn log_lines_dropped(&self) -> prometheus::Result<IntCounter> {
        let help = "Lines of the log that were dropped, because nobody read stderr in time or it was closed.";
        self.put(IntCounter::new("kapso_exporter_log_lines_dropped_total", help)?)
    }

    fn build_info(&self) -> prometheus::Result<()> {
        let opts = Opts::new("kapso_exporter_build_info", "Always 1; the version is in the label.")
            .const_label("version", env!("CARGO_PKG_VERSION"));
        self.put(Gauge::with_opts(opts)?)?.set(1.0);
        Ok(())
    }
}
