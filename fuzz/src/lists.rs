//! Answers of both APIs: one body, read by each endpoint. The first byte chooses the endpoint.

use http::StatusCode;
use kapso_exporter::{
    kapso::{Error, Pager},
    model::{Api, Conversation, Execution, Flaws, ListedWorkflow, Page},
};
use serde_json::Value;

use super::scripted::{Scene, answer, run as simulate};

/// A body is asked for again so often where it cannot be read.
const ATTEMPTS: usize = 4;

/// Every item of a list is either read or counted as unreadable, and no error quotes what was sent.
pub fn run(data: &[u8]) {
    let Some((&selector, body)) = data.split_first() else { return };
    let api = if selector % 6 < 4 { Api::Platform } else { Api::Legacy };
    let answers = (0..ATTEMPTS).map(|_| answer(StatusCode::OK, body.to_vec()));
    simulate(async move {
        let scene = Scene::new(api, None, answers);
        let client = &scene.client;
        match selector % 6 {
            0 | 4 => first_page(&scene, client.conversations(None), body, check_conversation).await,
            1 | 5 => first_page(&scene, client.executions(&"c".into()), body, check_execution).await,
            2 => {
                let workflows = client.workflows().expect("the Platform API lists workflows");
                first_page(&scene, workflows, body, check_workflow).await;
            }
            _ => match client.workflow_execution(&"e".into()).await {
                Ok(page) => page.items.iter().for_each(check_execution),
                Err(error) => check_error(&error),
            },
        }
        assert!(scene.script.asked().len() <= ATTEMPTS);
    });
}

async fn first_page<T: Send>(scene: &Scene, mut pager: Pager<'_, T>, body: &[u8], check: fn(&T)) {
    match pager.next().await {
        Ok(page) => {
            let page = page.expect("a list has a first page");
            page.items.iter().for_each(check);
            check_page(&page, body);
            assert_eq!(
                page.flaws.unreadable as u64,
                scene.failures.decode(),
                "what is unreadable is counted"
            );
            assert_eq!(page.last, pager.place().is_none());
        }
        Err(error) => check_error(&error),
    }
}

/// Held against another reading of the same body, where that is possible.
fn check_page<T>(page: &Page<T>, body: &[u8]) {
    let Ok(Value::Object(object)) = serde_json::from_slice(body) else { return };
    let listed = object.get("data").and_then(Value::as_array).expect("a page has data");
    let Flaws { unreadable, pending, .. } = page.flaws;
    // What was pending for long is nothing any more.
    assert!((listed.len() - pending - unreadable) >= page.items.len());
}

fn check_conversation(conversation: &Conversation) {
    assert!(!conversation.id.as_str().is_empty());
}

fn check_workflow(listed: &ListedWorkflow) {
    assert!(!listed.workflow.id.as_str().is_empty());
}

fn check_execution(execution: &Execution) {
    assert!(!execution.id.as_str().is_empty());
    assert!(execution.ended_at.is_none() || execution.status.is_finished(), "{execution:?}");
}

/// The text of an error is ours from the first word to the last.
fn check_error(error: &Error) {
    let text: String = error.to_string().chars().filter(|c| !c.is_ascii_digit()).collect();
    let (endpoint, rest) = text.split_once(' ').expect("an endpoint and what happened");
    let endpoints =
        ["agent_executions", "conversations", "flow_executions", "workflow_execution", "workflows"];
    assert!(endpoints.contains(&endpoint), "{text}");
    let unreadable = ["Io", "Syntax", "Data", "Eof"]
        .map(|kind| format!("answered with a body that cannot be read: {kind} error at line  column "));
    assert!(
        unreadable.iter().any(|expected| expected == rest)
            || rest == "answered with a cursor that does not advance",
        "{text}"
    );
}
