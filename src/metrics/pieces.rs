//! The text of each stream, kept until the stream changes: a rendering costs only those that did.

use std::{
    collections::{BTreeMap, HashSet},
    ops::Range,
    sync::Arc,
};

use bytes::Bytes;
use jiff::SignedDuration;
use prometheus::{Encoder, TextEncoder};

use super::{
    StreamFigures, TABLE,
    exposition::HEADS_BYTES,
    family::Of,
    series_budget::{Refused, SeriesBudget},
    sink::MetricFamilies,
    trends::Trends,
    view::{Limits, View},
};
use crate::{
    clock::Steady,
    project::{Stream, StreamKey},
};

/// What the time alone changes, such as how long an execution has been idle, is shown after so long at the latest. The
/// first streams are rendered again after half of it, so that not all of them come at once.
const LONGEST: SignedDuration = SignedDuration::from_secs(10);

/// What is kept of each stream.
#[derive(Default)]
pub struct Pieces(BTreeMap<StreamKey, Kept>);

/// Which workflows of a stream have series of their own, and its last rendering.
#[derive(Default)]
struct Kept {
    series_budget: SeriesBudget,
    trends: Trends,
    piece: Option<Piece>,
}

/// The samples of a stream.
pub struct Piece {
    version: Version,
    rendered_at: Steady,
    lines: Lines,
    figures: Arc<StreamFigures>,
}

/// Samples as text.
struct Lines {
    /// Has their lines, and may have others.
    text: Bytes,
    /// Where in the text the lines of each family are, in the order of [`TABLE`].
    families: Vec<Range<usize>>,
    series: usize,
}

/// What a piece was rendered from, but for the time.
#[derive(Debug, PartialEq, Eq)]
struct Version {
    newest_change: u64,
    status_changes: u64,
    is_first: bool,
    limits: Limits,
}

impl Pieces {
    /// Renders the streams that changed, and forgets those that are gone. `refused` is told what got no series of its
    /// own.
    ///
    /// # Errors
    /// If a family cannot be written as text.
    pub fn update(
        &mut self,
        streams: &[Arc<Stream>],
        limits: Limits,
        mut refused: impl FnMut(Refused),
    ) -> anyhow::Result<()> {
        let present: HashSet<_> = streams.iter().map(|stream| &stream.key).collect();
        self.0.retain(|key, _| present.contains(key));
        let mut projects = HashSet::new();
        for (index, stream) in streams.iter().enumerate() {
            let version = Version {
                newest_change: stream.changed.newest(),
                status_changes: stream.status.lock().changes,
                is_first: projects.insert(&stream.key.project),
                limits,
            };
            let now = stream.client.clock().steady_now();
            let longest = longest(index, streams.len());
            let kept = self.0.entry(stream.key.clone()).or_default();
            if kept.piece.as_ref().is_none_or(|piece| !piece.is_valid(&version, now, longest)) {
                let Kept { series_budget, trends, .. } = kept;
                let (view, left_out) = View::of(stream, series_budget, trends, limits);
                refused(left_out);
                let view = View { is_first: version.is_first, ..view };
                let size = kept.piece.as_ref().map_or(0, Piece::size);
                let lines = Lines::of(&view, size)?;
                let skew = stream.client.clock().at(now).duration_since(now.timestamp());
                let figures = StreamFigures::of(view, &kept.trends, skew, stream.settings.clone());
                kept.piece = Some(Piece { version, rendered_at: now, lines, figures: Arc::new(figures) });
            }
        }
        Ok(())
    }

    /// The piece of each stream.
    pub fn iter(&self) -> impl Iterator<Item = &Piece> {
        self.0.values().filter_map(|kept| kept.piece.as_ref())
    }

    /// The same, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Piece> {
        self.0.values_mut().filter_map(|kept| kept.piece.as_mut())
    }
}

impl Lines {
    /// The samples of a stream, which have about as many bytes as `size`.
    fn of(view: &View, size: usize) -> anyhow::Result<Self> {
        let mut text = Vec::with_capacity(size + size / 8 + HEADS_BYTES);
        let (mut families, mut series) = (Vec::with_capacity(TABLE.len()), 0);
        for family in TABLE.iter() {
            let mut sink = MetricFamilies::default();
            family.collect(Of::Stream(view), &mut sink);
            series += sink.series();
            let start = text.len();
            TextEncoder::new().encode(&sink.sorted(), &mut text)?;
            families.push(start + head_size(&text[start..])..text.len());
        }
        Ok(Self { text: text.into(), families, series })
    }
}

impl Piece {
    fn is_valid(&self, version: &Version, now: Steady, longest: SignedDuration) -> bool {
        self.version == *version && now.since(self.rendered_at) < longest
    }

    /// The same as plain data.
    pub fn figures(&self) -> &Arc<StreamFigures> {
        &self.figures
    }

    /// How many series there are.
    pub fn series(&self) -> usize {
        self.lines.series
    }

    /// How many bytes the lines of all families have.
    pub fn size(&self) -> usize {
        self.lines.families.iter().map(Range::len).sum()
    }

    /// The lines of a family.
    pub fn lines(&self, family: usize) -> &[u8] {
        &self.lines.text[self.lines.families[family].clone()]
    }

    /// From now on the lines are read from this text, where they are as well: the one before is not needed any more.
    pub fn move_to(&mut self, text: Bytes, families: Vec<Range<usize>>) {
        (self.lines.text, self.lines.families) = (text, families);
    }
}

/// How long a stream's text is kept, by the stream's number.
#[allow(clippy::cast_precision_loss, reason = "a share")]
fn longest(index: usize, streams: usize) -> SignedDuration {
    LONGEST.mul_f64(f64::midpoint(1.0, (index + 1) as f64 / streams as f64))
}

/// The size of the HELP and the TYPE line.
fn head_size(lines: &[u8]) -> usize {
    lines.split_inclusive(|&byte| byte == b'\n').take(2).map(<[u8]>::len).sum()
}
