//! The copies of all streams that an exposition is made of: a stream is copied again only once it has changed.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};

use super::{
    Bounds, StreamFigures, TABLE,
    family::Of,
    series_budget::{Refused, SeriesBudget},
    sink::SeriesCount,
    starts::SeriesStarts,
    trends::Trends,
    view::{Limits, View},
};
use crate::{
    clock::Steady,
    lease::Lease,
    model::NativeHistograms,
    project::{Stream, StreamKey},
};

/// What the time alone changes, such as how long an execution has been idle, is shown after so long at the latest. The
/// first streams are copied again after half of it, so that not all of them come at once.
const LONGEST: SignedDuration = SignedDuration::from_secs(10);

/// What is kept of each stream.
#[derive(Default)]
pub struct Views(BTreeMap<StreamKey, Kept>);

/// Which workflows of a stream have series of their own, and its last copy.
#[derive(Default)]
struct Kept {
    series_budget: SeriesBudget,
    trends: Trends,
    viewed: Option<Arc<Viewed>>,
}

/// A copy of a stream, and what is told of it.
#[derive(Debug)]
pub struct Viewed {
    version: Version,
    copied_at: Steady,
    /// The copy.
    pub view: View,
    /// How many series it has.
    pub series: usize,
    /// The same as plain data.
    pub figures: Arc<StreamFigures>,
    /// Under which it may be shown, where replicas share the state.
    lease: Option<Lease>,
}

/// What a copy was made of, but for the time.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Version {
    newest_change: u64,
    status_changes: u64,
    is_first: bool,
    limits: Limits,
    native: NativeHistograms,
}

impl Views {
    /// Copies the streams that changed, and forgets those that are gone. Series that are new began at `begun`, in our
    /// clock. `refused` is told what got no series of its own.
    pub fn update(
        &mut self,
        streams: &[Arc<Stream>],
        bounds: &Bounds,
        begun: Timestamp,
        mut refused: impl FnMut(Refused),
    ) {
        let limits = Limits::of_each(streams.len(), bounds);
        let present: HashSet<_> = streams.iter().map(|stream| &stream.key).collect();
        self.0.retain(|key, _| present.contains(key));
        let mut projects = HashSet::new();
        // What may not be shown for now goes on where it was once it may be shown again.
        for (index, stream) in streams.iter().enumerate().filter(|(_, stream)| stream.is_held()) {
            let version = Version {
                newest_change: stream.changed.newest(),
                status_changes: stream.status.lock().changes,
                is_first: projects.insert(&stream.key.project),
                limits,
                native: bounds.options.native_histograms,
            };
            let now = stream.client.clock().steady_now();
            let kept = self.0.entry(stream.key.clone()).or_default();
            let longest = longest(index, streams.len());
            if !kept.viewed.as_ref().is_some_and(|viewed| viewed.is_valid(&version, now, longest)) {
                refused(kept.view(stream, version, now, begun));
            }
        }
    }

    /// The copy of each stream that may be shown.
    pub fn all(&self) -> Arc<[Arc<Viewed>]> {
        let copies = self.0.values().filter_map(|kept| kept.viewed.clone());
        copies.filter(|viewed| viewed.is_held()).collect()
    }
}

impl Kept {
    fn view(&mut self, stream: &Stream, version: Version, now: Steady, begun: Timestamp) -> Refused {
        let Self { series_budget, trends, .. } = self;
        let (view, refused) = View::of(stream, series_budget, trends, version.limits, begun);
        let mut view = View { is_first: version.is_first, ..view };
        let earlier = self.viewed.take().map(|viewed| viewed.view.starts.clone()).unwrap_or_default();
        view.starts = starts(&view, &earlier, begun);
        let mut count = SeriesCount::new(version.native);
        TABLE.iter().for_each(|family| family.collect(Of::Stream(&view), &mut count));
        let skew = stream.client.clock().at(now).duration_since(now.timestamp());
        let figures = StreamFigures::of(&view, trends, skew, stream.settings.clone()).into();
        let (series, lease) = (count.series, stream.lease.clone());
        self.viewed = Some(Arc::new(Viewed { version, copied_at: now, view, series, figures, lease }));
        refused
    }
}

/// When the series of a stream began that end with the process.
fn starts(view: &View, earlier: &SeriesStarts, begun: Timestamp) -> SeriesStarts {
    earlier.next(begun, |sink| {
        let families = TABLE.iter().filter(|family| family.ends_with_process());
        families.for_each(|family| family.collect(Of::Stream(view), sink));
    })
}

impl Viewed {
    /// Whether it may be shown now.
    pub fn is_held(&self) -> bool {
        self.lease.as_ref().is_none_or(Lease::is_held)
    }

    fn is_valid(&self, version: &Version, now: Steady, longest: SignedDuration) -> bool {
        self.version == *version && now.since(self.copied_at) < longest
    }
}

/// How long a stream's copy is kept, by the stream's number.
#[allow(clippy::cast_precision_loss, reason = "a share")]
fn longest(index: usize, streams: usize) -> SignedDuration {
    LONGEST.mul_f64(f64::midpoint(1.0, (index + 1) as f64 / streams as f64))
}
