//! The samples of each stream in one format, kept until the stream is copied again: an exposition costs only those that
//! changed.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use bytes::Bytes;

use super::{
    TABLE,
    encode::{Encoder, Format, Options},
    family::Of,
    sink::Sink,
    views::Viewed,
};
use crate::project::StreamKey;

/// What is kept of each stream.
pub struct Pieces {
    format: Format,
    options: Options,
    by_stream: BTreeMap<StreamKey, Piece>,
}

/// The samples of a stream.
pub struct Piece {
    viewed: Arc<Viewed>,
    /// Has its samples, and may have others.
    text: Bytes,
    /// Where in the text those of each family are, in the order of [`TABLE`].
    families: Vec<Range<usize>>,
}

impl Pieces {
    /// Nothing yet.
    #[must_use]
    pub fn new(format: Format) -> Self {
        Self { format, options: Options::default(), by_stream: BTreeMap::new() }
    }

    /// Writes the samples of the streams that were copied since, and forgets those that are gone.
    pub fn update(&mut self, views: &[Arc<Viewed>], options: Options) {
        let mut earlier = std::mem::take(&mut self.by_stream);
        if self.options != options {
            (self.options, earlier) = (options, BTreeMap::new());
        }
        for viewed in views {
            let key = viewed.view.key();
            let kept = earlier.remove(key);
            let size = kept.as_ref().map_or(0, Piece::size);
            let piece = match kept.filter(|piece| Arc::ptr_eq(&piece.viewed, viewed)) {
                Some(piece) => piece,
                None => Piece::of(viewed, Encoder::new(self.format, options), size),
            };
            self.by_stream.insert(key.clone(), piece);
        }
    }

    /// The piece of each stream.
    pub fn iter(&self) -> impl Iterator<Item = &Piece> {
        self.by_stream.values()
    }

    /// The same, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Piece> {
        self.by_stream.values_mut()
    }
}

impl Piece {
    /// The samples of a stream, which have about as many bytes as `size`.
    fn of(viewed: &Arc<Viewed>, mut encoder: Encoder, size: usize) -> Self {
        let (mut text, mut families) = (Vec::with_capacity(size + size / 8), Vec::with_capacity(TABLE.len()));
        for family in TABLE.iter() {
            let start = text.len();
            encoder.begin(family);
            family.collect(Of::Stream(&viewed.view), &mut encoder);
            encoder.finish(&mut text);
            families.push(start..text.len());
        }
        Self { viewed: viewed.clone(), text: text.into(), families }
    }

    /// How many bytes the samples of all families have.
    pub fn size(&self) -> usize {
        self.families.iter().map(Range::len).sum()
    }

    /// The samples of a family.
    pub fn samples(&self, family: usize) -> &[u8] {
        &self.text[self.families[family].clone()]
    }

    /// From now on the samples are read from this text, where they are as well: the one before is not needed any more.
    pub fn move_to(&mut self, text: Bytes, families: Vec<Range<usize>>) {
        (self.text, self.families) = (text, families);
    }
}
