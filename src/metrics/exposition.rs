//! The exposition as a whole, in one format: family by family, and in each the samples of one stream after the other.

use std::ops::Range;

use bytes::Bytes;

use super::{
    Family, Instance, TABLE,
    compress::{BlockId, Blocks},
    encode::{Encoder, Format, Options},
    family::Of,
    pieces::{Piece, Pieces},
    sink::Sink,
};

/// A block is complete once it has so many bytes: then it compresses about as well as a larger one.
const BLOCK_BYTES: usize = 32 << 10;
/// A family begins a block, so that one that did not change is not compressed again, unless the block before has fewer
/// bytes: each block costs some time, and what it can refer back to.
const LEAST_BLOCK_BYTES: usize = 4 << 10;
/// Where a stream's number is a multiple of this a block begins, wherever those before it began.
const BLOCK_STREAMS: usize = 64;
/// What stands before the samples of all families, and the process's own families, have about so many bytes.
const HEADS_BYTES: usize = 32 << 10;

/// An exposition that is being made, and the blocks that it is compressed in.
pub struct Exposition {
    format: Format,
    text: Vec<u8>,
    blocks: Blocks,
}

impl Exposition {
    /// The process and the streams. The pieces are moved into the text.
    pub fn of(
        format: Format,
        options: Options,
        instance: Option<&Instance>,
        pieces: &mut Pieces,
    ) -> (Bytes, Blocks) {
        let size = pieces.iter().map(Piece::size).sum::<usize>() + HEADS_BYTES;
        let mut exposition = Self { format, text: Vec::with_capacity(size), blocks: Blocks::new() };
        let mut moved: Vec<Vec<Range<usize>>> =
            pieces.iter().map(|_| Vec::with_capacity(TABLE.len())).collect();
        let (mut encoder, mut own) = (Encoder::new(format, options), Vec::new());
        for (number, family) in TABLE.iter().enumerate() {
            own.clear();
            encoder.begin(family);
            if let Some(instance) = instance {
                family.collect(Of::Instance(instance), &mut encoder);
                encoder.finish(&mut own);
            }
            exposition.add((number, family), &own, pieces, &mut moved);
        }
        format.end(&mut exposition.text);
        exposition.end();
        let text = Bytes::from(exposition.text);
        for (piece, families) in pieces.iter_mut().zip(moved) {
            piece.move_to(text.clone(), families);
        }
        (text, exposition.blocks)
    }

    /// Adds a family: the samples of the process, and those of the streams.
    fn add(
        &mut self,
        (number, family): (usize, &Family),
        own: &[u8],
        pieces: &Pieces,
        moved: &mut [Vec<Range<usize>>],
    ) {
        self.begin_family(number);
        let size = own.len() + pieces.iter().map(|piece| piece.samples(number).len()).sum::<usize>();
        if size > 0 {
            self.format.head(family, size, &mut self.text);
        }
        self.text.extend_from_slice(own);
        for (index, (piece, moved)) in pieces.iter().zip(moved).enumerate() {
            let is_multiple = index > 0 && index % BLOCK_STREAMS == 0;
            if is_multiple || self.block_size() >= BLOCK_BYTES {
                self.begin((number, index));
            }
            let start = self.text.len();
            self.text.extend_from_slice(piece.samples(number));
            moved.push(start..self.text.len());
        }
    }

    /// What follows is of another family.
    fn begin_family(&mut self, number: usize) {
        if self.blocks.is_empty() || self.block_size() >= LEAST_BLOCK_BYTES {
            self.begin((number, 0));
        }
    }

    /// The size of the last block so far.
    fn block_size(&self) -> usize {
        self.text.len() - self.blocks.last().map_or(0, |(_, range)| range.start)
    }

    /// What follows is another block.
    fn begin(&mut self, id: BlockId) {
        self.end();
        self.blocks.push((id, self.text.len()..self.text.len()));
    }

    /// The last block ends here; if it is empty there is none.
    fn end(&mut self) {
        if let Some((_, range)) = self.blocks.last_mut() {
            range.end = self.text.len();
        }
        self.blocks.pop_if(|(_, range)| range.start == range.end);
    }
}
