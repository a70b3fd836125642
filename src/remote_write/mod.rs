//! Prometheus remote write 1.0: the metrics are sent to a receiver, where nothing can scrape.
//!
//! A [`Sink`](crate::metrics::Sink) turns what is published into series (`sink`), with labels of the user's own (`labels`)
//! and one timestamp. They are put into requests that receivers take (`batches`), encoded (`message`), compressed, and
//! sent one after the other (`send`) by a client as Prometheus' configuration describes it (`client`). The protocol:
//! <https://prometheus.io/docs/specs/prw/remote_write_spec/>.

mod batches;
mod client;
mod labels;
pub mod message;
mod send;
mod sink;

use anyhow::{Context, anyhow, bail};
use jiff::Timestamp;
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;
use url::Url;

pub use self::{
    batches::{Batches, MOST_BYTES, MOST_SERIES},
    labels::CommonLabels,
    send::SendError,
    sink::Writer,
};
use self::{client::Client, message::WriteRequest};
use crate::{
    clock::Clock,
    config::{Problems, RemoteWriteConfig, http_client::HttpClientConfig},
    metrics::Publication,
};

/// A receiver, and how it is reached.
pub struct RemoteWrite {
    client: Client,
    labels: CommonLabels,
    /// What no message may hold.
    secrets: Vec<SecretString>,
    /// The URL as messages show it: a query may hold a secret.
    shown: String,
}

impl RemoteWrite {
    /// Reads the file, if there is one, and those that it names; connects to nobody. Blocks.
    ///
    /// # Errors
    /// What is wrong with the labels or the file, with its line and column.
    pub fn open(config: &RemoteWriteConfig) -> anyhow::Result<Self> {
        let labels = CommonLabels::new(&config.labels);
        let labels = labels.map_err(|message| anyhow!("--remote-write.label: {message}"))?;
        let url = config.url.clone();
        let mut secrets: Vec<SecretString> =
            url.query().map(|query| query.to_owned().into()).into_iter().collect();
        let client = match &config.file {
            None => Client::plain(url).map_err(|message| anyhow!("--remote-write: {message}"))?,
            Some(path) => {
                let http = HttpClientConfig::read(path)?;
                secrets.extend(http.secrets.iter().cloned());
                Client::new(&http, url)
                    .map_err(|problem| Problems { file: path.clone(), problems: vec![problem] })?
            }
        };
        Ok(Self { client, labels, secrets, shown: shown(&config.url) })
    }

    /// All that is published, as it is sent: each sample has this time, in our clock.
    #[must_use]
    pub fn requests(&self, publication: &Publication, at: Timestamp) -> Vec<WriteRequest> {
        let mut writer = Writer::new(&self.labels, at, publication.options());
        publication.collect(&mut writer);
        writer.finish()
    }

    /// Sends the requests, one after the other. Each is tried again for as long as that may help; the first that is
    /// not taken ends it.
    ///
    /// # Errors
    /// Which request was not taken, and why; or that `shutdown` came first.
    pub async fn send(
        &self,
        requests: &[WriteRequest],
        clock: &Clock,
        shutdown: &CancellationToken,
    ) -> anyhow::Result<()> {
        let sent = async {
            for (number, request) in (1..).zip(requests) {
                let sent = send::send(&self.client, &self.secrets, request, || clock.wall()).await;
                sent.with_context(|| {
                    format!("remote write to {}: request {number} of {}", self.shown, requests.len())
                })?;
            }
            Ok(())
        };
        match shutdown.run_until_cancelled(sent).await {
            Some(sent) => sent,
            None => bail!("interrupted before everything was sent to {}", self.shown),
        }
    }
}

fn shown(url: &Url) -> String {
    let mut shown = url.clone();
    shown.set_query(None);
    shown.into()
}
