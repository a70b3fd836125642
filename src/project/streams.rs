//! The streams that are watched now: they come and go with the configuration.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::Stream;
use crate::model::Api;

/// The streams of all projects. Whoever publishes or shows them looks here each time.
#[derive(Default)]
pub struct Streams(ArcSwap<Vec<Arc<Stream>>>);

impl Streams {
    /// All of them, by API and then by project.
    #[must_use]
    pub fn all(&self) -> Arc<Vec<Arc<Stream>>> {
        self.0.load_full()
    }

    /// The stream of a project that takes its webhook deliveries, if there is one.
    #[must_use]
    pub fn with_webhook(&self, project: &str) -> Option<Arc<Stream>> {
        let all = self.0.load();
        let number = all
            .binary_search_by(|stream| (stream.key.api, &*stream.key.project).cmp(&(Api::Platform, project)))
            .ok()?;
        all.get(number).filter(|stream| stream.webhook.is_some()).cloned()
    }

    /// From now on it is these.
    pub fn set(&self, streams: impl IntoIterator<Item = Arc<Stream>>) {
        let mut streams: Vec<_> = streams.into_iter().collect();
        streams.sort_by(|a, b| (a.key.api, &a.key.project).cmp(&(b.key.api, &b.key.project)));
        self.0.store(Arc::new(streams));
    }
}
