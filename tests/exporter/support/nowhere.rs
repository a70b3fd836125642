//! An exporter that reaches nobody: what its accounts hold is filled in by hand.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use kapso_exporter::{
    app::{App, Store},
    clock::Clock,
    config::{Config, MetricsConfig, ProjectConfig, StateConfig},
    kapso::{Answer, Transport},
    model::Api,
    project::Transports,
};
use tokio_util::sync::CancellationToken;
use url::Url;

/// Fails every request.
struct Nowhere;

impl Transport for Nowhere {
    fn get<'a>(&'a self, _: &'a Url) -> BoxFuture<'a, Result<Answer, String>> {
        Box::pin(async { Err("nowhere".into()) })
    }
}

impl Transports for Nowhere {
    fn open(&self, _: Api, _: &ProjectConfig) -> anyhow::Result<Box<dyn Transport>> {
        Ok(Box::new(Self))
    }
}

/// The configuration of these projects, with room for so many series.
pub fn config(projects: impl IntoIterator<Item = ProjectConfig>, max_series: usize) -> Config {
    Config {
        projects: projects.into_iter().collect(),
        metrics: MetricsConfig { max_series, ..MetricsConfig::default() },
        state: StateConfig::default(),
        file: None,
        secret_files: Vec::new(),
        text: String::new(),
    }
}

/// An exporter with that, whose accounts are still empty.
pub fn app(config: Config, clock: Clock) -> App {
    App::build(config, Arc::new(Nowhere), clock, Store::empty(), CancellationToken::new()).unwrap()
}
