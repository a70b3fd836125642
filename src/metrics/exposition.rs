//! The exposition as a whole: family by family, and in each the lines of one stream after the other.

use std::ops::Range;

use bytes::Bytes;
use prometheus::{Encoder, TextEncoder, proto::MetricFamily};

use super::{
    Family, Instance, InstanceMetrics, TABLE,
    family::Of,
    gzip::{BlockId, Blocks},
    pieces::{Piece, Pieces},
    sink::{MetricFamilies, SeriesCount},
};

/// A block is complete once it has so many bytes: then it compresses about as well as a larger one.
const BLOCK_BYTES: usize = 32 << 10;
/// A family begins a block, so that one that did not change is not compressed again, unless the block before has fewer
/// bytes: each block costs some time, and what it can refer back to.
const LEAST_BLOCK_BYTES: usize = 4 << 10;
/// Where a stream's number is a multiple of this a block begins, wherever those before it began.
const BLOCK_STREAMS: usize = 64;
/// HELP and TYPE lines, and the process's own families, have about so many bytes.
pub const HEADS_BYTES: usize = 32 << 10;

/// A text that is being made, and the blocks that it is compressed in.
pub struct Exposition {
    text: Vec<u8>,
    blocks: Blocks,
}

impl Exposition {
    /// Everything: the process, the streams, and what the client library tells of the process. The pieces are moved
    /// into the text.
    ///
    /// # Errors
    /// If a family cannot be written as text.
    pub fn of(
        instance: &InstanceMetrics,
        pieces: &mut Pieces,
        process: Vec<MetricFamily>,
    ) -> anyhow::Result<(Bytes, Blocks)> {
        let mut process_families = MetricFamilies::default();
        process_families.extend(process);
        let of_streams: usize = pieces.iter().map(Piece::series).sum();
        let of_instance = series_of(&instance.now(0));
        let instance = instance.now(of_streams + of_instance + process_families.series());
        let size = pieces.iter().map(Piece::size).sum::<usize>() + HEADS_BYTES;
        let mut exposition = Self { text: Vec::with_capacity(size), blocks: Blocks::new() };
        let mut moved: Vec<Vec<Range<usize>>> =
            pieces.iter().map(|_| Vec::with_capacity(TABLE.len())).collect();
        for (number, family) in TABLE.iter().enumerate() {
            exposition.begin_family(number);
            exposition.add_instance(family, &instance)?;
            exposition.add_streams((number, family), pieces, &mut moved);
        }
        exposition.begin_family(TABLE.len());
        TextEncoder::new().encode(&process_families.sorted(), &mut exposition.text)?;
        exposition.end();
        let text = Bytes::from(exposition.text);
        for (piece, families) in pieces.iter_mut().zip(moved) {
            piece.move_to(text.clone(), families);
        }
        Ok((text, exposition.blocks))
    }

    fn add_instance(&mut self, family: &Family, instance: &Instance) -> anyhow::Result<()> {
        let mut families = MetricFamilies::default();
        family.collect(Of::Instance(instance), &mut families);
        Ok(TextEncoder::new().encode(&families.sorted(), &mut self.text)?)
    }

    fn add_streams(
        &mut self,
        (number, family): (usize, &Family),
        pieces: &Pieces,
        moved: &mut [Vec<Range<usize>>],
    ) {
        if pieces.iter().any(|piece| !piece.lines(number).is_empty()) {
            self.text.extend_from_slice(head(family).as_bytes());
        }
        for (index, (piece, moved)) in pieces.iter().zip(moved).enumerate() {
            let is_multiple = index > 0 && index % BLOCK_STREAMS == 0;
            if is_multiple || self.block_size() >= BLOCK_BYTES {
                self.begin((number, index));
            }
            let start = self.text.len();
            self.text.extend_from_slice(piece.lines(number));
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

/// The series of the process's own families.
fn series_of(instance: &Instance) -> usize {
    let mut series = SeriesCount::default();
    TABLE.iter().for_each(|family| family.collect(Of::Instance(instance), &mut series));
    series.0
}

/// The lines before its samples, as [`TextEncoder`] writes them; a HELP text has nothing that would have to be escaped.
fn head(family: &Family) -> String {
    let Family { name, help, .. } = family;
    format!("# HELP {name} {help}\n# TYPE {name} {}\n", family.kind.as_str())
}
