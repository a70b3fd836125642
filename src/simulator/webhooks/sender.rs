//! Deliveries over HTTP.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::{Client, StatusCode, redirect::Policy};
use tokio::{task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{Answer, Attempt};
use crate::simulator::Simulator;

const TIMEOUT: Duration = Duration::from_secs(10);
/// So many requests are under way at once at most.
const AT_ONCE: usize = 64;
/// What happens in the world is looked at so often at least.
const LOOK: Duration = Duration::from_millis(250);

/// Posts what is due to the webhook's URL until `shutdown`; while there is no URL, it waits for one.
/// [`Simulator::serve`] does this too.
///
/// # Errors
/// If there can be no HTTP client here.
pub async fn deliver(simulator: Simulator, shutdown: CancellationToken) -> Result<(), reqwest::Error> {
    shutdown.run_until_cancelled(send(&simulator)).await.unwrap_or(Ok(()))
}

/// Ends by an error alone. The client is made when it is needed: most simulations have no webhook.
async fn send(simulator: &Simulator) -> Result<(), reqwest::Error> {
    let mut changed = simulator.webhook_changed.subscribe();
    let mut client: Option<Client> = None;
    let mut posts = JoinSet::new();
    loop {
        let Some(url) = simulator.webhook_url() else {
            // The sender is part of the simulator, so that it is there.
            let _ = changed.changed().await;
            continue;
        };
        let client = match &client {
            Some(client) => client.clone(),
            None => client.insert(build()?).clone(),
        };
        for attempt in simulator.take_some_deliveries(AT_ONCE.saturating_sub(posts.len())) {
            posts.spawn(post(simulator.clone(), client.clone(), url.clone(), attempt));
        }
        let pause = pause(simulator, posts.len());
        tokio::select! {
            _ = posts.join_next(), if !posts.is_empty() => {}
            () = sleep(pause) => {}
        }
    }
}

fn build() -> Result<Client, reqwest::Error> {
    Client::builder().no_proxy().redirect(Policy::none()).timeout(TIMEOUT).build()
}

/// Until something is due, but not so long that what happens in the world is missed.
fn pause(simulator: &Simulator, under_way: usize) -> Duration {
    let wait = |due: Timestamp| Duration::try_from(due.duration_since(simulator.now())).unwrap_or_default();
    let until_due = if under_way < AT_ONCE { simulator.next_delivery().map(wait) } else { None };
    until_due.unwrap_or(LOOK).clamp(Duration::from_millis(1), LOOK)
}

async fn post(simulator: Simulator, client: Client, url: String, attempt: Attempt) {
    let Attempt { id, headers, body } = attempt;
    let request =
        headers.into_iter().fold(client.post(url), |request, (name, value)| request.header(name, value));
    let answer = match request.body(body).send().await {
        Ok(response) if response.status() == StatusCode::OK => Answer::Ok,
        _ => Answer::Failed,
    };
    simulator.answered(id, answer);
}
