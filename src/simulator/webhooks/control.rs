//! The webhook of a running simulation, over HTTP.

use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::{Conduct, Webhook};
use crate::simulator::{
    Simulator,
    control::{Outcome, parse, seconds},
};

/// A webhook, with those fields of [`Conduct`] that are not the usual ones; the latency is `[min, max]` in
/// seconds.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    url: Option<String>,
    secret: String,
    latency: Option<[f64; 2]>,
    #[serde(default)]
    lost: f64,
    #[serde(default)]
    repeated: f64,
    #[serde(default)]
    disorder: f64,
    batch: Option<usize>,
    #[serde(default)]
    tests: f64,
    #[serde(default)]
    unknown: f64,
}

impl Wish {
    fn webhook(self) -> Result<Webhook, String> {
        let usual = Conduct::default().latency;
        let latency = match self.latency {
            Some([min, max]) => (seconds("latency", min)?, seconds("latency", max)?),
            None => usual,
        };
        if let Some(url) = &self.url {
            Url::parse(url).map_err(|error| format!("url: {error}"))?;
        }
        let Self { url, secret, lost, repeated, disorder, batch, tests, unknown, .. } = self;
        let conduct = Conduct { latency, lost, repeated, disorder, batch, tests, unknown };
        conduct.check()?;
        Ok(Webhook { secret, url, conduct })
    }
}

/// Sets the webhook that the body describes.
pub fn set(simulator: &Simulator, body: &[u8]) -> Outcome {
    simulator.set_webhook(Some(parse::<Wish>(body)?.webhook()?));
    Ok(show(simulator))
}

/// Takes the webhook away.
pub fn remove(simulator: &Simulator) -> Value {
    simulator.set_webhook(None);
    show(simulator)
}

/// What has become of the webhook and of its deliveries.
pub fn show(simulator: &Simulator) -> Value {
    let tally = simulator.delivery_tally();
    let reasons = tally.handoffs_by_reason.iter();
    let reasons = reasons.map(|((source, reason), count)| json!([source.name(), reason, count]));
    json!({
        "status": simulator.webhook_status(),
        "url": simulator.webhook_url(),
        "attempts": tally.attempts,
        "events": tally.events,
        "handoffs_by_reason": reasons.collect::<Value>(),
    })
}

/// All incidents that there ever were.
pub fn incidents(simulator: &Simulator) -> Outcome {
    serde_json::to_value(simulator.incidents()).map_err(|error| error.to_string())
}
