//! The text of every family, in full.

use std::{env, fs, path::Path, sync::Arc};

use jiff::SignedDuration;

use super::*;
use crate::{
    account::Order,
    crawl::{Backlog, Progress},
    kapso::{Endpoint, Error, Observer, Reason},
    ledger::Taken,
    metrics::{LeaseLoss, ReplicaMetrics, RequestRefusal, SeriesStarts, WebMetrics},
    model::{
        Conversation, ConversationStatus, Delivery, Handoff, HandoffReason, HandoffSource, ToldOutcome,
        WebhookEvent,
    },
    project::DeliveryResult,
    state::postgres::{Observer as _, Operation},
    sweep::{Outcome, Report, SweepEvent},
};

const EXPECTED: &str = "src/metrics/tests/expected.txt";
const EXPECTED_OPEN_METRICS: &str = "src/metrics/tests/expected.openmetrics.txt";

/// A morning: workflow `w` with an execution in every status, one without a name, and one that shares `other`.
fn morning() -> World {
    let mut world = World::with(2, 2);
    world.limits.conversations = 1;
    world.account.ledger.expect_deliveries(true);
    let listed = |id: &str, name: Option<&str>, count| ListedWorkflow {
        workflow: Workflow { id: id.into(), name: name.map(Into::into) },
        execution_count: Some(count),
        last_executed_at: None,
    };
    let workflows = vec![listed("w", Some("Order \"Support\""), 40), listed("v", None, 2)];
    let page = world.page(workflows);
    world.account.learn_workflows(&page);
    let conversations = [("c1", ConversationStatus::Active), ("c2", ConversationStatus::Ended)];
    let conversations =
        conversations.map(|(id, status)| Conversation { id: id.into(), status, last_active_at: Some(at(5)) });
    let page = world.page(conversations.into());
    world.account.learn_conversations(&page, SignedDuration::from_hours(24));
    world.wait(60);
    let execution = |id: &str, workflow: &str, status: Status, start: i64, event: i64| Execution {
        id: id.into(),
        workflow: Some(Workflow { id: workflow.into(), name: None }),
        conversation: None,
        status,
        started_at: Some(at(start)),
        last_event_at: Some(at(event)),
        ended_at: Some(at(event)).filter(|_| status.is_finished()),
        handoff: None,
        step: None,
    };
    let handoff = Handoff { at: Some(at(25)), source: HandoffSource::Unknown, reason: HandoffReason::None };
    let first = vec![
        execution("e6", "x", Status::Running, 30, 30),
        Execution { handoff: Some(handoff), ..execution("e5", "w", Status::Handoff, 20, 25) },
        Execution {
            step: Some(Step::new("ask", "FlowWaitStep")),
            ..execution("e4", "w", Status::Waiting, 15, 40)
        },
        execution("e3", "w", Status::Failed, 12, 13),
        execution("e2", "w", Status::Ended, 11, 31),
        execution("e1", "w", Status::Ended, -100, 10),
    ];
    world.list_of("c1", first);
    world.list_of("c2", vec![execution("e7", "v", Status::Running, 50, 50)]);
    world.deliver("e6", 60);
    let handoff = Handoff { at: Some(at(60)), source: HandoffSource::Unknown, reason: HandoffReason::None };
    world.wait(30);
    let seen = Execution { handoff: Some(handoff), ..execution("e6", "x", Status::Handoff, 30, 60) };
    world.list_of("c1", vec![seen]);
    // No delivery told of what else was found by now.
    world.account.prune(at(world.now + 180));
    world
}

impl World {
    /// A delivery tells that an execution was handed off.
    fn deliver(&mut self, id: &str, handed_off_at: i64) {
        let reason = HandoffReason::Class("billing".into());
        let delivery = Delivery {
            execution: id.into(),
            workflow: None,
            conversation: None,
            outcome: ToldOutcome::HandedOff { source: HandoffSource::AgentTool, reason },
            at: Some(at(handed_off_at)),
            key: None,
        };
        assert_eq!(self.account.deliver(&delivery, at(self.now)), Taken::Accepted);
    }

    /// A conversation's list shows these.
    fn list_of(&mut self, conversation: &str, executions: Vec<Execution>) {
        let page = self.page(executions);
        let mut listing = self.account.open(&conversation.into(), Order::NewestFirst);
        self.account.read(&mut listing, &page, at(self.now));
        self.account.close(&listing);
    }
}

/// A stream of which one request failed, and whose only source was swept.
fn status() -> StreamStatus {
    let status = Mutex::new(StreamStatus::new([Source::Conversations].into_iter(), Duration::from_mins(1)));
    let ok = Some(http::StatusCode::OK);
    status.requested(Api::Platform, Endpoint::Workflows, ok, Duration::from_millis(30));
    status.requested(Api::Platform, Endpoint::Workflows, None, Duration::from_secs(10));
    status.failed(Api::Platform, Reason::Timeout, 1);
    status.unknown_status(Api::Platform, "dreaming");
    let mut status = status.into_inner();
    let oldest_list = Some(at(60));
    let backlog = Backlog { due: 3, lateness: 1.5, oldest_list, full_scan_seconds: 3600.0, failing: 1 };
    status.record(Source::Conversations, &SweepEvent::Backlog { backlog: &backlog, well: true });
    let error = Some(Error::Cancelled);
    let report = |outcome, error| Report {
        source: Source::Conversations,
        outcome,
        finished: at(70),
        duration: Duration::from_millis(2500),
        progress: Progress { watched: 2, open: 4, error, ..Progress::default() },
        stuck: false,
    };
    status.record(Source::Conversations, &SweepEvent::Swept(&report(Outcome::Incomplete, error)));
    status.record(Source::Conversations, &SweepEvent::Swept(&report(Outcome::Complete, None)));
    status.take_deliveries(true);
    status.delivered(WebhookEvent::Handoff, DeliveryResult::Accepted);
    status.delivered(WebhookEvent::Other, DeliveryResult::Ignored);
    status
}

/// A web configuration file of which a change was refused, and a request.
fn web() -> Arc<WebMetrics> {
    let web = Arc::<WebMetrics>::default();
    web.loaded(Some(at(90)), at(75));
    web.change_refused();
    web.request_refused(RequestRefusal::WrongPassword);
    web
}

/// One of three replicas, with the lease of one of two projects.
fn replica() -> Arc<ReplicaMetrics> {
    let replica = Arc::<ReplicaMetrics>::default();
    replica.holds(1);
    replica.configured(["p".into(), "q".into()].into());
    replica.alive(3);
    replica.acquired(2);
    replica.lost(LeaseLoss::Expired);
    replica.found_older();
    replica.asked(Operation::Write, Duration::from_secs(3), false);
    replica.asked(Operation::Lease, Duration::from_millis(2), true);
    replica
}

/// Each family of a text by its name.
fn families(text: &str) -> BTreeMap<&str, &str> {
    let starts: Vec<_> = text.match_indices("# HELP ").map(|(at, _)| at).chain([text.len()]).collect();
    let blocks = starts.windows(2).map(|ends| &text[ends[0]..ends[1]]);
    blocks.map(|block| (block.split(' ').nth(2).unwrap(), block)).collect()
}

/// The process and the stream of that morning, whose series began a second before it.
fn published() -> (Instance, View) {
    let mut world = morning();
    let metrics = InstanceMetrics::default();
    metrics.announce_state(Some(4096));
    metrics.state_written(Some(8192), at(80));
    metrics.state_failed();
    metrics.config_loaded("0123456789abcdef", at(70));
    metrics.serves(web());
    metrics.shares(replica());
    world.admit();
    let kinds = [(HandoffSource::Unknown, HandoffReason::None)];
    world.account.ledger.begin_series(&kinds, at(-1));
    let (view, refused) = world.view();
    metrics.refused(Refused { workflows: 1, ..refused });
    let view = View { status: status(), ..view };
    let of_stream = TABLE.iter().filter(|family| family.ends_with_process());
    let starts = SeriesStarts::default()
        .next(at(-1), |sink| of_stream.for_each(|family| family.collect(Of::Stream(&view), sink)));
    let process = TABLE.iter().filter(|family| family.name.starts_with("process_"));
    let process = process.map(|family| (family.name.to_owned(), 1024)).collect();
    let mut instance = Instance { log_lines_dropped: 7, series: 123, process, ..metrics.now() };
    instance.replica.as_mut().unwrap().held.insert("p".into(), true);
    (instance, View { starts, ..view })
}

/// `UPDATE_EXPECTED=1` writes what is published; read it before it is believed.
fn expected(file: &str, published: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if env::var_os("UPDATE_EXPECTED").is_some() {
        fs::write(&path, published).unwrap();
    }
    fs::read_to_string(path).unwrap()
}

#[test]
fn every_family_is_published_as_expected() {
    let (instance, view) = published();
    let text = text_of(&instance, &view);
    let expected = expected(EXPECTED, &text);
    let (expected, published) = (families(&expected), families(&text));
    assert_eq!(published.keys().collect::<Vec<_>>(), TABLE.iter().map(|row| &row.name).collect::<Vec<_>>());
    for (name, text) in published {
        assert_eq!(Some(&text), expected.get(name), "{name}");
    }
    assert_eq!(expected.len(), TABLE.len());
}

#[test]
fn open_metrics_has_units_start_timestamps_and_exemplars() {
    let (instance, view) = published();
    let options = Options { exemplars: true, ..Options::default() };
    let text = String::from_utf8(written(&instance, &view, Format::OpenMetrics, options)).unwrap();
    let expected = expected(EXPECTED_OPEN_METRICS, &text);
    for (name, text) in families(&text) {
        assert_eq!(Some(&text), families(&expected).get(name), "{name}");
    }
    assert!(text.ends_with("\n# EOF\n"));
    let without = written(&instance, &view, Format::OpenMetrics, Options::default());
    assert!(!String::from_utf8(without).unwrap().contains(" # {"));
}
