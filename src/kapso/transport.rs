//! How bytes travel: one GET with the key. HTTP in production; tests and benchmarks may bring their own.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::http_client::{USER_AGENT, describe, is_loopback};

/// The largest body that is read, in bytes: a page of 100 items has some 100 kB.
const MAX_BODY: usize = 16 << 20;

/// An answer as it came.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

/// Sends GET requests. The caller sets the deadline.
pub trait Transport: Send + Sync {
    /// Gets `url`, authenticated. The error says what the network did, without URL, key or body.
    fn get<'a>(&'a self, url: &'a Url) -> BoxFuture<'a, Result<Answer, String>>;
}

impl Transport for Box<dyn Transport> {
    fn get<'a>(&'a self, url: &'a Url) -> BoxFuture<'a, Result<Answer, String>> {
        (**self).get(url)
    }
}

/// Connections that all projects share: they are kept, accept gzip, and follow no redirect (the key would go along).
#[derive(Debug, Clone)]
pub struct Connections {
    /// By way of the proxy of the environment, if there is one.
    proxied: reqwest::Client,
    /// To this machine.
    direct: reqwest::Client,
}

impl Connections {
    /// None yet.
    ///
    /// # Errors
    /// If the TLS backend cannot be set up.
    pub fn new() -> anyhow::Result<Self> {
        Ok(Self { proxied: Self::builder().build()?, direct: Self::builder().no_proxy().build()? })
    }

    fn builder() -> reqwest::ClientBuilder {
        reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(Duration::from_secs(10))
    }
}

/// [`Transport`] over HTTP, with a key.
#[derive(Debug)]
pub struct Http {
    client: reqwest::Client,
    key: SecretString,
}

impl Http {
    /// A transport for the API at `base`.
    ///
    /// # Errors
    /// If the key cannot stand in a header.
    pub fn new(connections: &Connections, base: &Url, key: SecretString) -> anyhow::Result<Self> {
        header(&key)?;
        let client = if is_loopback(base) { &connections.direct } else { &connections.proxied };
        Ok(Self { client: client.clone(), key })
    }
}

impl Transport for Http {
    fn get<'a>(&'a self, url: &'a Url) -> BoxFuture<'a, Result<Answer, String>> {
        Box::pin(async move {
            let key = header(&self.key).map_err(|e| e.to_string())?;
            let request = self.client.get(url.clone()).header("X-API-Key", key);
            let mut response = request.send().await.map_err(|e| describe(&e.without_url()))?;
            let (status, headers) = (response.status(), response.headers().clone());
            let mut body = BytesMut::new();
            while let Some(chunk) = response.chunk().await.map_err(|e| describe(&e.without_url()))? {
                if body.len() + chunk.len() > MAX_BODY {
                    return Err(format!("the body is larger than {} MiB", MAX_BODY >> 20));
                }
                body.extend_from_slice(&chunk);
            }
            Ok(Answer { status, headers, body: body.freeze() })
        })
    }
}

fn header(key: &SecretString) -> anyhow::Result<HeaderValue> {
    let mut value = HeaderValue::from_str(key.expose_secret())
        .map_err(|_| anyhow::anyhow!("the API key holds characters that an HTTP header cannot carry"))?;
    value.set_sensitive(true);
    Ok(value)
}
