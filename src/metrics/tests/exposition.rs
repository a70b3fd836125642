//! The text of every family, in full.

use std::{env, fs, path::Path, sync::Arc};

use jiff::SignedDuration;

use super::*;
use crate::{
    account::Order,
    crawl::{Backlog, Progress},
    kapso::{Endpoint, Error, Observer, Reason},
    ledger::Taken,
    metrics::{RequestRefusal, WebMetrics},
    model::{
        Conversation, ConversationStatus, Delivery, Handoff, HandoffReason, HandoffSource, ToldOutcome,
        WebhookEvent,
    },
    project::DeliveryResult,
    sweep::{Outcome, Report, SweepEvent},
};

const EXPECTED: &str = "src/metrics/tests/expected.txt";

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

/// Each family of a text by its name.
fn families(text: &str) -> BTreeMap<&str, &str> {
    let starts: Vec<_> = text.match_indices("# HELP ").map(|(at, _)| at).chain([text.len()]).collect();
    let blocks = starts.windows(2).map(|ends| &text[ends[0]..ends[1]]);
    blocks.map(|block| (block.split(' ').nth(2).unwrap(), block)).collect()
}

/// `UPDATE_EXPECTED=1` writes what is published; read it before it is believed.
#[test]
fn every_family_is_published_as_expected() {
    let mut world = morning();
    let instance = InstanceMetrics::default();
    instance.announce_state(4096);
    instance.state_written(8192, at(80));
    instance.state_failed();
    instance.config_loaded("0123456789abcdef", at(70));
    instance.serves(web());
    world.admit();
    let (view, refused) = world.view();
    instance.refused(Refused { workflows: 1, ..refused });
    let view = View { status: status(), ..view };
    let process = TABLE.iter().filter(|family| family.name.starts_with("process_"));
    let process = process.map(|family| (family.name.to_owned(), 1024)).collect();
    let instance = Instance { log_lines_dropped: 7, series: 123, process, ..instance.now() };
    let text = text_of(&instance, &view);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(EXPECTED);
    if env::var_os("UPDATE_EXPECTED").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let expected = fs::read_to_string(path).unwrap();
    let (expected, published) = (families(&expected), families(&text));
    assert_eq!(published.keys().collect::<Vec<_>>(), TABLE.iter().map(|row| &row.name).collect::<Vec<_>>());
    for (name, text) in published {
        assert_eq!(Some(&text), expected.get(name), "{name}");
    }
    assert_eq!(expected.len(), TABLE.len());
}
