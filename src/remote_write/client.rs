//! The HTTP client that the file of `--remote-write.config.file` asks for.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderValue, header};
use reqwest::{
    Certificate, ClientBuilder, Identity, NoProxy, Proxy,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect::{Action, Attempt, Policy},
    tls::Version,
};
use url::Url;

use crate::{
    config::{
        Content, Place, Problem, TlsVersion,
        http_client::{HttpClientConfig, ProxyConfig, TlsClientConfig},
    },
    http_client::{USER_AGENT, describe, is_loopback},
    pem,
};

/// For one request, everything included: Prometheus' own `remote_timeout`.
const TIMEOUT: Duration = Duration::from_secs(30);
const CONNECTED_WITHIN: Duration = Duration::from_secs(10);
const MOST_REDIRECTS: usize = 10;

/// A client, and what it sends where.
pub(super) struct Client {
    pub http: reqwest::Client,
    pub url: Url,
    /// Of every request.
    pub headers: HeaderMap,
}

impl Client {
    /// One without a file: by way of the proxy of the environment, if there is one.
    pub fn plain(url: Url) -> Result<Self, String> {
        let builder = with_environment(builder(), &url).redirect(Policy::custom(within_origin));
        Ok(Self { http: built(builder)?, url, headers: HeaderMap::new() })
    }

    /// As the file says.
    pub fn new(config: &HttpClientConfig, mut url: Url) -> Result<Self, Problem> {
        let mut headers = HeaderMap::new();
        for (name, value) in &config.headers {
            headers.append(name, value.clone());
        }
        headers.extend(config.authorization.clone().map(|value| (header::AUTHORIZATION, value)));
        let mut builder = with_proxy(builder(), &config.proxy, &url)?;
        builder = builder.redirect(if config.follow_redirects {
            Policy::custom(within_origin)
        } else {
            Policy::none()
        });
        if !config.http2 {
            builder = builder.http1_only();
        }
        builder = with_tls(builder, &config.tls)?;
        if let Some(name) = config.tls.server_name.as_deref().filter(|_| url.scheme() == "https") {
            let (host, renamed) =
                renamed(&url, name).ok_or_else(|| at("tls_config.server_name", "it is no host"))?;
            headers.insert(header::HOST, host);
            builder =
                builder.http1_only().dns_resolver(Arc::new(HostOf(std::mem::replace(&mut url, renamed))));
        }
        let http = built(builder).map_err(|message| match &config.tls.identity {
            Some((_, key)) => key.problem(&message),
            None => at("tls_config", &message),
        })?;
        Ok(Self { http, url, headers })
    }
}

fn builder() -> ClientBuilder {
    reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .retry(reqwest::retry::never())
        .timeout(TIMEOUT)
        .connect_timeout(CONNECTED_WITHIN)
}

fn built(builder: ClientBuilder) -> Result<reqwest::Client, String> {
    builder.build().map_err(|error| describe(&error))
}

fn at(path: &str, message: &str) -> Problem {
    Problem { place: Place::default(), path: path.into(), message: message.into() }
}

fn with_proxy(builder: ClientBuilder, proxy: &ProxyConfig, url: &Url) -> Result<ClientBuilder, Problem> {
    Ok(match proxy {
        ProxyConfig::None => builder.no_proxy(),
        ProxyConfig::Environment => with_environment(builder, url),
        ProxyConfig::Url { except, .. } => {
            // The error could quote the URL.
            let proxy = Proxy::all(proxy.url().unwrap_or_default());
            let proxy = proxy.map_err(|_| at("proxy_url", "it cannot be used"))?;
            builder.proxy(proxy.no_proxy(except.as_deref().and_then(NoProxy::from_string)))
        }
    })
}

/// With the proxy of the environment, which leads to other machines alone.
fn with_environment(builder: ClientBuilder, url: &Url) -> ClientBuilder {
    if is_loopback(url) { builder.no_proxy() } else { builder }
}

fn with_tls(mut builder: ClientBuilder, tls: &TlsClientConfig) -> Result<ClientBuilder, Problem> {
    if let Some(ca) = &tls.ca {
        let trusted = pem::chain(ca)?.into_iter().map(|certificate| Certificate::from_der(&certificate));
        let trusted: Result<Vec<_>, _> = trusted.collect();
        builder = builder.tls_certs_only(trusted.map_err(|error| ca.problem(&describe(&error)))?);
    }
    if let Some((certificate, key)) = &tls.identity {
        builder = builder.identity(identity(certificate, key)?);
    }
    let version = |version| match version {
        TlsVersion::Tls12 => Version::TLS_1_2,
        TlsVersion::Tls13 => Version::TLS_1_3,
    };
    builder = builder.tls_version_min(version(tls.min_version)).tls_version_max(version(tls.max_version));
    Ok(builder.tls_danger_accept_invalid_certs(tls.insecure_skip_verify))
}

fn identity(certificate: &Content, key: &Content) -> Result<Identity, Problem> {
    pem::chain(certificate)?;
    pem::key(key)?;
    let both = [certificate.bytes(), b"\n", key.bytes()].concat();
    Identity::from_pem(&both).map_err(|_| key.problem("it cannot be used with the certificate"))
}

/// Follows within the same scheme, host and port alone: data and headers go along. Kinds of redirects that would turn the
/// request into one without a body are not followed.
fn within_origin(attempt: Attempt<'_>) -> Action {
    let is_kept = matches!(attempt.status().as_u16(), 307 | 308);
    let is_within =
        attempt.previous().last().is_some_and(|previous| previous.origin() == attempt.url().origin());
    if is_kept && is_within && attempt.previous().len() <= MOST_REDIRECTS {
        attempt.follow()
    } else {
        attempt.stop()
    }
}

/// The value of `Host` for a URL, and the URL with another host: that is the name which TLS asks for and verifies.
fn renamed(url: &Url, name: &str) -> Option<(HeaderValue, Url)> {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let host = HeaderValue::from_str(&format!("{}{port}", url.host_str()?)).ok()?;
    let mut renamed = url.clone();
    renamed.set_host(Some(name)).ok()?;
    Some((host, renamed))
}

/// Whatever it is asked for, it finds the host of this URL.
struct HostOf(Url);

impl Resolve for HostOf {
    fn resolve(&self, _: Name) -> Resolving {
        let host = self.0.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        Box::pin(async move {
            // The client puts the port of the URL in place of this one.
            let found: io::Result<Vec<SocketAddr>> =
                tokio::net::lookup_host((host.as_str(), 0)).await.map(Iterator::collect);
            Ok(Box::new(found?.into_iter()) as Addrs)
        })
    }
}
