//! From an account to the text of its families.

mod exposition;
mod instance_label;
mod labels;
mod places;

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use parking_lot::Mutex;

use super::{
    Encoder, Format, Instance, InstanceMetrics, Limits, Options, TABLE, View,
    family::Of,
    series_budget::{Refused, SeriesBudget},
    sink::Sink,
};
use crate::{
    account::{Account, Saved, Settings, VisitedList},
    clock::Steady,
    model::{Api, Execution, Flaws, ListedWorkflow, Page, Source, Status, Step, Workflow},
    project::{BudgetStatus, StreamKey, StreamStatus},
};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// Seconds since watching began.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).unwrap()
}

/// An account and who has places, at a moment that moves on.
struct World {
    account: Account,
    series_budget: SeriesBudget,
    limits: Limits,
    now: i64,
    executions: usize,
}

impl World {
    /// With room for so many workflows and steps.
    fn with(workflows: usize, steps: usize) -> Self {
        let mut account = Account::new(Settings::default());
        account.ledger.watch_from(at(0));
        let limits = Limits { workflows, steps, conversations: 0 };
        Self { account, series_budget: SeriesBudget::default(), limits, now: 0, executions: 0 }
    }

    fn wait(&mut self, seconds: i64) {
        self.now += seconds;
    }

    fn page<T>(&self, items: Vec<T>) -> Page<T> {
        let (asked, as_of) = (self.now.unsigned_abs(), at(self.now));
        Page {
            items,
            flaws: Flaws::default(),
            request_seq: asked,
            requested_at: Steady::at(as_of),
            as_of,
            last: true,
        }
    }

    /// The list of workflows shows these.
    fn list(&mut self, ids: &[&str]) {
        let listed = |id: &&str| ListedWorkflow {
            workflow: Workflow { id: (*id).into(), name: None },
            execution_count: None,
            last_executed_at: None,
        };
        let page = self.page(ids.iter().map(listed).collect());
        self.account.learn_workflows(&page);
    }

    /// The API no longer has this workflow.
    fn delete(&mut self, id: &str) {
        for earlier in [600, 300, 0] {
            let now = at(self.now - earlier);
            self.account.workflow_not_found(&id.into(), Steady::at(now), now);
        }
    }

    /// An execution of this workflow starts now; its id.
    fn start(&mut self, workflow: &str) -> String {
        self.executions += 1;
        let id = format!("e{}", self.executions);
        self.observe(&id, workflow, Status::Running, None);
        id
    }

    /// It is shown in this status now.
    fn observe(&mut self, id: &str, workflow: &str, status: Status, step: Option<&str>) {
        let execution = Execution {
            id: id.into(),
            workflow: Some(Workflow { id: workflow.into(), name: None }),
            conversation: None,
            status,
            started_at: Some(at(self.now)),
            last_event_at: Some(at(self.now)),
            ended_at: Some(at(self.now)).filter(|_| status.is_finished()),
            handoff: None,
            step: step.map(|step| Step::new(step, "FlowWaitStep")),
        };
        let page = self.page(vec![execution]);
        let mut visit = self.account.visit(&workflow.into());
        self.account.see(&mut visit, VisitedList::ByStart, &page, at(self.now));
    }

    /// An execution of this workflow starts and ends now.
    fn run(&mut self, workflow: &str) {
        let id = self.start(workflow);
        self.observe(&id, workflow, Status::Ended, None);
    }

    fn view(&mut self) -> (View, Refused) {
        let key = StreamKey { project: "p".into(), api: Api::Platform };
        let status = StreamStatus::new([Source::Workflows].into_iter(), Duration::from_mins(1));
        let budget = BudgetStatus { per_minute: 30, limit: Some(60), remaining: Some(42) };
        let Self { account, series_budget, limits, .. } = self;
        let now = (at(self.now), Steady::at(at(self.now)));
        View::new(key, status, budget, account, series_budget, *limits, now)
    }

    /// Gives places to what is there now.
    fn admit(&mut self) -> Refused {
        self.account.frontier.note_learned(Steady::at(at(self.now)));
        let current = self.account.current(at(self.now));
        self.series_budget.admit(&self.account, &current, self.limits, at(self.now))
    }

    /// What is published now.
    fn text(&mut self) -> String {
        self.admit();
        let (view, _) = self.view();
        text_of(&InstanceMetrics::default().now(), &view)
    }

    /// The values of a family by one of its labels, added up.
    fn values(&mut self, family: &str, label: &str) -> BTreeMap<String, f64> {
        let mut values = BTreeMap::new();
        let text = self.text();
        for line in text.lines().filter_map(|line| line.strip_prefix(&format!("{family}{{"))) {
            let (labels, value) = line.rsplit_once("} ").unwrap();
            let start = labels.find(&format!("{label}=\"")).unwrap() + label.len() + 2;
            let end = start + labels[start..].find('"').unwrap();
            *values.entry(labels[start..end].to_owned()).or_default() += value.parse::<f64>().unwrap();
        }
        values
    }

    /// Starts by workflow.
    fn starts(&mut self) -> BTreeMap<String, f64> {
        self.values("kapso_executions_started_total", "workflow_id")
    }

    /// A new exporter takes over, with the state of this one.
    fn restart(&mut self) {
        self.account.track();
        let saved = Saved::from(self.account.take_changes());
        self.account = Account::restore(Settings::default(), &saved).unwrap();
        self.series_budget = SeriesBudget::default();
    }
}

/// An exposition of the process and of one stream.
fn written(instance: &Instance, view: &View, format: Format, options: Options) -> Vec<u8> {
    let (mut encoder, mut out, mut samples) = (Encoder::new(format, options), Vec::new(), Vec::new());
    for family in TABLE.iter() {
        encoder.begin(family);
        family.collect(Of::Instance(instance), &mut encoder);
        family.collect(Of::Stream(view), &mut encoder);
        samples.clear();
        encoder.finish(&mut samples);
        if !samples.is_empty() {
            format.head(family, samples.len(), &mut out);
            out.extend_from_slice(&samples);
        }
    }
    format.end(&mut out);
    out
}

fn text_of(instance: &Instance, view: &View) -> String {
    String::from_utf8(written(instance, view, Format::Text, Options::default())).unwrap()
}

fn counts<const N: usize>(counts: [(&str, u32); N]) -> BTreeMap<String, f64> {
    counts.into_iter().map(|(name, count)| (name.to_owned(), count.into())).collect()
}
