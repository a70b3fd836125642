//! What is filtered out is neither asked for nor counted, and what is left is counted as ever.

use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;
use kapso_exporter::{
    model::Source,
    simulator::{Api, Scenario, Traffic, WorkflowTally},
};

use crate::support::{Exposition, Setup, Simulated, differences};

const STARTED: &str = "kapso_executions_started_total";
const FINISHED: &str = "kapso_executions_finished_total";
const HANDOFFS: &str = "kapso_execution_handoffs_total";

/// Forty starts a minute on each API, in four workflows and two agents.
fn busy(seed: u64) -> Scenario {
    let seconds = |from, to| Duration::from_secs(from)..Duration::from_secs(to);
    Scenario {
        seed,
        conversations: 60,
        history: 100,
        open_history: 20,
        workflows: ["Order Support", "Order Returns", "Booking", "FAQ"].map(Into::into).into(),
        agents: ["agent-sales", "agent-support"].map(Into::into).into(),
        traffic: Traffic {
            starts_per_minute: 40.0,
            dwell: seconds(20, 40),
            handoff_dwell: seconds(20, 40),
            failure_ratio: 0.2,
            handoff_ratio: 0.4,
            ..Traffic::default()
        },
        ..Scenario::default()
    }
}

fn sources(sources: &[Source]) -> Setup {
    Setup { sources: sources.into(), ..Setup::default() }
}

/// Only the workflows about orders, and no returns.
fn orders(of: &[Source]) -> Setup {
    Setup { include: vec!["Order*", "flow_9"], exclude: vec!["*Returns"], ..sources(of) }
}

async fn minutes(count: u64) {
    tokio::time::sleep(Duration::from_mins(count)).await;
}

/// Lets all come to an end, so that nothing is under way.
async fn settle(simulated: &Simulated) {
    simulated.simulator.stop_traffic();
    minutes(3).await;
}

/// The workflows that have series.
fn shown(scrape: &Exposition) -> BTreeSet<&str> {
    let names = ["kapso_executions", STARTED, "kapso_workflow_reported_executions", HANDOFFS];
    names.iter().flat_map(|name| scrape.values_of(name, "workflow_id")).collect()
}

/// In which numbers these workflows differ from the tally.
fn differences_of(simulated: &Simulated, scrape: &Exposition, api: Api, workflows: &[&str]) -> Vec<String> {
    let is_of =
        |line: &String| workflows.iter().any(|id| line.contains(&format!("(\"workflow_id\", \"{id}\")")));
    differences(&simulated.simulator, scrape, &[api]).into_iter().filter(is_of).collect()
}

/// Those that are not of what was counted but of what is there now.
fn of_gauges(differences: Vec<String>) -> Vec<String> {
    let is_gauge = |line: &String| line.starts_with("kapso_executions[") || line.starts_with("kapso_open");
    differences.into_iter().filter(is_gauge).collect()
}

/// Starts, ends, failures and handoffs of a workflow.
fn counted(scrape: &Exposition, id: &str) -> [f64; 4] {
    let of = |name, labels: &[(&str, &str)]| scrape.sum(name, &[&[("workflow_id", id)], labels].concat());
    [
        of(STARTED, &[]),
        of(FINISHED, &[("status", "ended")]),
        of(FINISHED, &[("status", "failed")]),
        of(HANDOFFS, &[]),
    ]
}

/// The same as the tally has it.
fn happened(simulated: &Simulated, id: &str, since: Timestamp) -> [f64; 4] {
    let tally = simulated.simulator.tally(since, Duration::from_hours(24));
    let of =
        |tally: &WorkflowTally| [tally.started, tally.ended, tally.failed, tally.handoffs].map(|n| n as f64);
    tally.workflows.iter().find(|workflow| workflow.workflow_id == id).map(of).unwrap()
}

fn sum(a: [f64; 4], b: [f64; 4]) -> [f64; 4] {
    std::array::from_fn(|n| a[n] + b[n])
}

#[tokio::test(start_paused = true)]
async fn a_workflow_that_is_filtered_out_is_neither_asked_for_nor_counted() {
    for of in
        [&[Source::Workflows][..], &[Source::Conversations], &[Source::Conversations, Source::Workflows]]
    {
        let simulated = Simulated::start(busy(1), &orders(of)).await;
        minutes(5).await;
        settle(&simulated).await;
        let scrape = simulated.scrape();
        assert_eq!(shown(&scrape), ["flow_1"].into(), "{of:?}");
        assert!(counted(&scrape, "flow_1").iter().all(|&count| count > 5.0), "{of:?}");
        assert_eq!(
            differences_of(&simulated, &scrape, Api::Platform, &["flow_1"]),
            Vec::<String>::new(),
            "{of:?}"
        );
        assert_eq!(scrape.sum("kapso_workflow_unseen_executions", &[]), 0.0, "{of:?}");
        for request in simulated.simulator.requests() {
            let is_of_other =
                request.endpoint == "executions" && !request.path.ends_with("/flow_1/executions");
            assert!(!is_of_other, "{of:?}: {request:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn executions_of_a_workflow_that_is_filtered_out_are_not_followed() {
    let scenario =
        Scenario { conversations: 20, workflows: vec!["A".into(), "B".into()], ..Scenario::quiet(1) };
    let simulated = Simulated::start_after(
        scenario,
        &Setup { exclude: vec!["B"], ..sources(&[Source::Conversations]) },
        |simulator| {
            for id in simulator.conversation_ids(Api::Platform) {
                simulator.start(Api::Platform, "flow_2", Some(&id)).unwrap();
            }
        },
    )
    .await;
    minutes(10).await;
    let before = simulated.simulator.requests().len();
    minutes(5).await;
    let requests = simulated.simulator.requests().split_off(before);
    let (of_executions, sweeps) =
        requests.iter().fold((0, 0), |(lists, sweeps), request| match request.endpoint {
            "flow_executions" | "execution" => (lists + 1, sweeps),
            "workflows" => (lists, sweeps + 1),
            _ => (lists, sweeps),
        });
    assert!(sweeps > 50 && of_executions == 0, "{of_executions} in {sweeps} sweeps");
}

#[tokio::test(start_paused = true)]
async fn agents_have_the_names_that_are_configured_and_are_filtered_by_them() {
    let setup = Setup {
        agents: vec![("agent-sales", "Sales"), ("agent-nobody", "Nobody")],
        ..sources(&[Source::Agents])
    };
    let mut simulated = Simulated::start(busy(2), &setup).await;
    minutes(3).await;
    settle(&simulated).await;
    let scrape = simulated.scrape();
    let names = scrape.values_of(STARTED, "workflow_name");
    assert_eq!(names, ["Sales", "agent-support"].into());
    let of_both = |id, name| scrape.value(STARTED, &[("workflow_id", id), ("workflow_name", name)]);
    assert_eq!(of_both("agent-sales", "Sales"), Some(counted(&scrape, "agent-sales")[0]));
    assert_eq!(differences_of(&simulated, &scrape, Api::Legacy, &["agent-support"]), Vec::<String>::new());

    simulated.restart_with(&simulated.keep(), &Setup { include: vec!["S*"], ..setup });
    minutes(1).await;
    let after = simulated.scrape();
    assert_eq!(shown(&after), ["agent-sales"].into());
    assert_eq!(counted(&after, "agent-sales"), counted(&scrape, "agent-sales"));
}

#[tokio::test(start_paused = true)]
async fn a_reason_has_the_class_of_the_first_rule_that_fits_and_a_class_outlives_its_rule() {
    let rules = vec![("never", "^$|xyzzy"), ("sweets", "(?i)MARZIPAN"), ("person", "person")];
    let setup = Setup { handoff_reasons: rules, ..sources(&[Source::Agents]) };
    let mut simulated = Simulated::start(busy(3), &setup).await;
    minutes(3).await;
    settle(&simulated).await;
    let of = |scrape: &Exposition, reason| scrape.sum(HANDOFFS, &[("reason", reason)]);
    let scrape = simulated.scrape();
    assert!(of(&scrape, "sweets") > 0.0);
    assert_eq!(of(&scrape, "sweets"), scrape.sum(HANDOFFS, &[]));
    let agents = ["agent-sales", "agent-support"];
    assert_eq!(differences_of(&simulated, &scrape, Api::Legacy, &agents), Vec::<String>::new());

    simulated.restart_with(&simulated.keep(), &sources(&[Source::Agents]));
    simulated.simulator.set_traffic(busy(3).traffic);
    minutes(3).await;
    settle(&simulated).await;
    let after = simulated.scrape();
    assert_eq!(of(&after, "sweets"), of(&scrape, "sweets"));
    assert!(of(&after, "other") > 0.0);
    assert_eq!(differences_of(&simulated, &after, Api::Legacy, &agents), Vec::<String>::new());
}

/// How another setup takes effect.
#[derive(Clone, Copy, Debug)]
enum Change {
    Restart,
    Reload,
}

impl Change {
    fn to(self, simulated: &mut Simulated, setup: &Setup) {
        match self {
            Self::Restart => simulated.restart_with(&simulated.keep(), setup),
            Self::Reload => simulated.reconfigure(setup),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_workflow_that_is_let_in_again_counts_from_then_on_and_nothing_twice() {
    let sources_of =
        [&[Source::Conversations][..], &[Source::Workflows], &[Source::Conversations, Source::Workflows]];
    for (of, change) in sources_of.into_iter().flat_map(|of| [(of, Change::Restart), (of, Change::Reload)]) {
        let (open, closed) = (sources(of), Setup { exclude: vec!["flow_1"], ..sources(of) });
        let mut simulated = Simulated::start(busy(4), &open).await;
        minutes(4).await;
        let before = counted(&simulated.scrape(), "flow_1");
        change.to(&mut simulated, &closed);
        minutes(4).await;
        let scrape = simulated.scrape();
        assert!(before.iter().all(|&count| count > 0.0), "{before:?}");
        assert!(!shown(&scrape).contains("flow_1"), "{of:?} {change:?}");

        // Executions are open while it is let in, and go on after that.
        simulated.simulator.stop_traffic();
        tokio::time::sleep(Duration::from_secs(10)).await;
        change.to(&mut simulated, &open);
        let since = simulated.simulator.now();
        tokio::time::sleep(Duration::from_secs(3)).await;
        for id in simulated.simulator.open_without_handoff(Api::Platform) {
            simulated.simulator.transition(&id, "ended").unwrap();
        }
        simulated.simulator.set_traffic(busy(4).traffic);
        minutes(4).await;
        settle(&simulated).await;
        let scrape = simulated.scrape();
        let expected = sum(before, happened(&simulated, "flow_1", since));
        assert_eq!(counted(&scrape, "flow_1"), expected, "{of:?} {change:?}");
        let others = ["flow_2", "flow_3", "flow_4"];
        assert_eq!(
            differences_of(&simulated, &scrape, Api::Platform, &others),
            Vec::<String>::new(),
            "{of:?} {change:?}"
        );
        let gauges = of_gauges(differences_of(&simulated, &scrape, Api::Platform, &["flow_1"]));
        assert_eq!(gauges, Vec::<String>::new(), "{of:?} {change:?}");
        assert_eq!(scrape.sum("kapso_workflow_unseen_executions", &[]), 0.0, "{of:?} {change:?}");

        if let Change::Reload = change {
            continue;
        }
        // What was counted is forgotten after the lookback, and nothing is counted again when lists are read again.
        let short = Duration::from_mins(10);
        simulated.restart_with(&simulated.keep(), &Setup { lookback: short, remembered: short, ..open });
        minutes(90).await;
        assert_eq!(counted(&simulated.scrape(), "flow_1"), expected, "{of:?} {change:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_workflow_is_watched_while_its_name_is_one_that_the_filter_allows() {
    for of in [&[Source::Conversations][..], &[Source::Workflows]] {
        let simulated = Simulated::start(busy(5), &orders(of)).await;
        minutes(3).await;
        simulated.simulator.rename_workflow("flow_1", "Support").unwrap();
        minutes(1).await;
        let before = simulated.scrape();
        assert_eq!(shown(&before), BTreeSet::new(), "{of:?}");
        simulated.simulator.stop_traffic();
        tokio::time::sleep(Duration::from_secs(10)).await;
        simulated.simulator.rename_workflow("flow_3", "Order Booking").unwrap();
        tokio::time::sleep(Duration::from_secs(40)).await;
        let since = simulated.simulator.now();
        simulated.simulator.set_traffic(busy(5).traffic);
        minutes(4).await;
        settle(&simulated).await;
        let scrape = simulated.scrape();
        assert_eq!(shown(&scrape), ["flow_3"].into(), "{of:?}");
        assert_eq!(counted(&scrape, "flow_3"), happened(&simulated, "flow_3", since), "{of:?}");
        let gauges = of_gauges(differences_of(&simulated, &scrape, Api::Platform, &["flow_3"]));
        assert_eq!(gauges, Vec::<String>::new(), "{of:?}");
    }
}

/// The ids of the simulator's phone numbers.
const NUMBERS: [&str; 2] = ["100000000000001", "100000000000002"];

/// Conversations of the platform by the phone number that they are of.
async fn conversations_of(simulated: &Simulated, number: &str) -> BTreeSet<String> {
    let path = format!("/whatsapp/conversations?limit=100&phone_number_id={number}");
    simulated.ids(&path).await.into_iter().collect()
}

/// Starts an execution in each of these conversations.
fn start_in(simulated: &Simulated, conversations: &BTreeSet<String>) -> Vec<String> {
    let start = |id: &String| simulated.simulator.start(Api::Platform, "flow_1", Some(id)).unwrap();
    conversations.iter().map(start).collect()
}

#[tokio::test(start_paused = true)]
async fn conversations_of_other_phone_numbers_are_neither_asked_for_nor_counted() {
    let scenario = Scenario { conversations: 40, ..Scenario::quiet(6) };
    let setup = Setup { phone_number_ids: vec![NUMBERS[1]], ..sources(&[Source::Conversations]) };
    let simulated = Simulated::start(scenario, &setup).await;
    let (others, ours) =
        (conversations_of(&simulated, NUMBERS[0]).await, conversations_of(&simulated, NUMBERS[1]).await);
    assert!(!others.is_empty() && !ours.is_empty() && others.is_disjoint(&ours));
    minutes(1).await;
    start_in(&simulated, &others);
    let started = start_in(&simulated, &ours);
    minutes(1).await;
    simulated.simulator.transition(&started[0], "failed").unwrap();
    minutes(1).await;
    let (scrape, count) = (simulated.scrape(), ours.len() as f64);
    assert_eq!(counted(&scrape, "flow_1"), [count, 0.0, 1.0, 0.0]);
    assert_eq!(scrape.sum("kapso_executions", &[("status", "running")]), count - 1.0);
    assert_eq!(scrape.sum("kapso_conversations", &[]), count);
    for request in simulated.simulator.requests() {
        let is_other = others.iter().any(|id| request.path.contains(id.as_str()));
        assert!(!is_other, "{request:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn other_phone_numbers_after_a_restart_count_nothing_twice_and_miss_nothing() {
    let scenario = Scenario { conversations: 40, ..Scenario::quiet(7) };
    let of = |numbers: &[&'static str]| Setup {
        phone_number_ids: numbers.to_vec(),
        ..sources(&[Source::Conversations])
    };
    let mut simulated = Simulated::start(scenario, &of(&NUMBERS)).await;
    let [first, second] =
        [conversations_of(&simulated, NUMBERS[0]).await, conversations_of(&simulated, NUMBERS[1]).await];
    minutes(1).await;
    let open = [start_in(&simulated, &first), start_in(&simulated, &second)].concat();
    minutes(1).await;
    let all = (first.len() + second.len()) as f64;
    assert_eq!(counted(&simulated.scrape(), "flow_1"), [all, 0.0, 0.0, 0.0]);

    simulated.restart_with(&simulated.keep(), &of(&NUMBERS[1..]));
    minutes(1).await;
    let scrape = simulated.scrape();
    assert_eq!(scrape.sum("kapso_executions", &[]), second.len() as f64);
    assert_eq!(counted(&scrape, "flow_1")[0], all, "what was counted stays");
    for id in &open {
        simulated.simulator.transition(id, "ended").unwrap();
    }
    minutes(1).await;
    let ended = second.len() as f64;
    assert_eq!(counted(&simulated.scrape(), "flow_1"), [all, ended, 0.0, 0.0]);

    simulated.restart_with(&simulated.keep(), &sources(&[Source::Conversations]));
    minutes(5).await;
    let scrape = simulated.scrape();
    assert_eq!(counted(&scrape, "flow_1"), [all, all, 0.0, 0.0], "also what happened meanwhile");
    let differences = differences(&simulated.simulator, &scrape, &[Api::Platform]);
    assert_eq!(differences, Vec::<String>::new());
}
