//! Deliveries reach any replica, as a load balancer hands them out: the owner of the project counts each once.

use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit, Mac};
use kapso_exporter::simulator::Api;
use serde_json::json;
use sha2::Sha256;

use crate::{
    fleet::{Database, Fleet},
    machine::{BUSY, left_out, turn},
    postgres::Stop,
    projects::{AMPLE, Life, Project, Projects, SECRET},
    support::wait_for,
};

const HANDOFF: &str = "workflow.execution.handoff";
const HANDOFFS: &str = "kapso_execution_handoffs_total";
/// Polling leaves the deliveries alone.
const KEYS: &str = "    interval: 1h\n    webhook: {secret: {file: webhook.key}}\n";

/// A running execution of a project.
fn running(project: &Project) -> String {
    let (workflow, conversation) = project.kapso.first(Api::Platform);
    project.kapso.simulator.start(Api::Platform, &workflow, Some(&conversation)).unwrap()
}

/// Hands an execution off, and returns what Kapso tells of it.
fn hand_off(project: &Project, execution: &str) -> String {
    let at = project.kapso.simulator.now();
    project.kapso.simulator.transition_at(execution, "handoff", at).unwrap();
    let (workflow, conversation) = project.kapso.first(Api::Platform);
    let body = json!({
        "event": HANDOFF, "occurred_at": at.to_string(), "project_id": "p",
        "workflow_id": workflow, "workflow_execution_id": execution, "tracking_id": "t",
        "channel": "whatsapp", "whatsapp_conversation_id": conversation,
        "handoff": {"reason": "asks for a human", "source": "agent_tool"},
    });
    body.to_string()
}

/// Delivers it to the replica of a slot; the status.
async fn deliver(fleet: &Fleet, slot: usize, key: &str, secret: &str, body: &str) -> u16 {
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap().chain_update(body);
    let signature = hex::encode(mac.finalize().into_bytes());
    let headers = [("X-Webhook-Event", HANDOFF), ("X-Idempotency-Key", key)];
    fleet.exporter_of(slot).send("/webhooks/kapso/p0", &headers, Some(&signature), body).await
}

async fn handoffs(fleet: &Fleet) -> f64 {
    fleet.scrape().await.iter().map(|all| all.sum(HANDOFFS, &[("project", "p0")])).sum()
}

/// The owner of the project, and the two others.
async fn roles(fleet: &Fleet) -> (usize, [usize; 2]) {
    let owner = fleet.owner_soon("p0").await;
    (owner, [(owner + 1) % 3, (owner + 2) % 3])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_to_any_replica_is_counted_once_within_a_second_or_so() {
    let _turn = turn().await;
    let Some(mut database) = Database::start().await else {
        return left_out("deliveries to replicas");
    };
    let mut projects = Projects::new();
    for _ in 0..2 {
        projects.add(Life::Quiet, AMPLE).await;
    }
    projects.write(KEYS);
    let project = &projects.all[0];
    let executions: Vec<_> = (0..4).map(|_| running(project)).collect();
    let mut fleet = Fleet::start(3, &database, &projects, &["--replica.lease-ttl=3s"]).await;
    let running = async || {
        let all = fleet.scrape().await;
        all.iter()
            .map(|all| all.sum("kapso_executions", &[("project", "p0"), ("status", "running")]))
            .sum::<f64>()
    };
    wait_for("the first sweep", async || running().await >= 4.0).await;

    let (owner, [other, third]) = roles(&fleet).await;
    let first = hand_off(project, &executions[0]);
    assert_eq!(deliver(&fleet, other, "first", "another-secret", &first).await, 401);
    let begun = Instant::now();
    assert_eq!(deliver(&fleet, other, "first", SECRET, &first).await, 200);
    wait_for("the handoff", async || handoffs(&fleet).await == 1.0).await;
    eprintln!("told to another replica, counted after {:.2} s", begun.elapsed().as_secs_f64());
    assert!(begun.elapsed() < BUSY, "{:?}", begun.elapsed());
    for slot in [third, owner, other] {
        assert_eq!(deliver(&fleet, slot, "first", SECRET, &first).await, 200);
    }
    let second = hand_off(project, &executions[1]);
    assert_eq!(deliver(&fleet, owner, "second", SECRET, &second).await, 200);
    wait_for("the second handoff", async || handoffs(&fleet).await == 2.0).await;

    // What was taken is not lost with the owner.
    let third_told = hand_off(project, &executions[2]);
    assert_eq!(deliver(&fleet, other, "third", SECRET, &third_told).await, 200);
    fleet.kill(owner).await;
    fleet.start_again(owner).await;
    wait_for("the third handoff", async || handoffs(&fleet).await == 3.0).await;

    // What cannot be stored is not taken.
    let (_, [other, _]) = roles(&fleet).await;
    let fourth = hand_off(project, &executions[3]);
    database.postgres.stop(Stop::Fast);
    assert_eq!(deliver(&fleet, other, "fourth", SECRET, &fourth).await, 503);
    database.postgres.run().await;
    fleet.wait_until_all_are_shown(&projects, Duration::from_secs(15)).await;
    wait_for("the delivery is taken", async || {
        deliver(&fleet, other, "fourth", SECRET, &fourth).await == 200
    })
    .await;
    wait_for("the fourth handoff", async || handoffs(&fleet).await == 4.0).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(handoffs(&fleet).await, 4.0, "and it stays so");
    fleet.wait_until_exact(&projects).await;
    fleet.assert_no_faults();
}
