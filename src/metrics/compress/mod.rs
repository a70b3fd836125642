//! The compressed exposition, made of blocks: one whose text is as it was in the exposition before is not compressed
//! again.

mod gzip;
mod zstd;

use std::{collections::HashMap, io, ops::Range};

use bytes::Bytes;

pub use self::{gzip::Gzip, zstd::Zstd};

/// Names a block within an exposition: the family, and the first stream in it, by their numbers.
pub type BlockId = (usize, usize);
/// The blocks of a text, in their order and without a gap: where each one is.
pub type Blocks = Vec<(BlockId, Range<usize>)>;

/// A compression in which blocks that are compressed by themselves can be put in a row.
pub trait Codec: Default {
    /// What is known of a block's text beside its compressed form.
    type Check: 'static;

    /// Compresses a block.
    ///
    /// # Errors
    /// If the library for it fails.
    fn compress(&mut self, text: &[u8], out: &mut Vec<u8>) -> io::Result<Self::Check>;

    /// Writes what stands before the blocks.
    fn begin(out: &mut Vec<u8>);

    /// Writes what stands after the blocks of which this is known.
    fn end<'a>(checks: impl Iterator<Item = &'a Self::Check>, out: &mut Vec<u8>);
}

/// Compresses one exposition after the other.
pub struct Compressor<C: Codec> {
    codec: C,
    /// Of the exposition before.
    blocks: HashMap<BlockId, Block<C::Check>>,
}

/// A block of an exposition.
struct Block<Check> {
    text: Bytes,
    compressed: Bytes,
    check: Check,
}

impl<C: Codec> Default for Compressor<C> {
    fn default() -> Self {
        Self { codec: C::default(), blocks: HashMap::new() }
    }
}

impl<C: Codec> Compressor<C> {
    /// Compresses a text that is made of these blocks.
    ///
    /// # Errors
    /// If the library for it fails.
    pub fn compress(&mut self, text: &Bytes, blocks: &Blocks) -> io::Result<Bytes> {
        let (mut out, mut parts) = (Vec::new(), Vec::with_capacity(blocks.len()));
        C::begin(&mut out);
        for (id, range) in blocks {
            let (text, start) = (&text[range.clone()], out.len());
            let check = match self.blocks.remove(id).filter(|known| known.text == text) {
                Some(known) => {
                    out.extend_from_slice(&known.compressed);
                    known.check
                }
                None => self.codec.compress(text, &mut out)?,
            };
            parts.push((start..out.len(), check));
        }
        C::end(parts.iter().map(|(_, check)| check), &mut out);
        let out = Bytes::from(out);
        let block = |((id, range), (part, check)): (&(BlockId, Range<usize>), _)| {
            (*id, Block { text: text.slice(range.clone()), compressed: out.slice(part), check })
        };
        self.blocks = blocks.iter().zip(parts).map(block).collect();
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    /// One block a text.
    fn compress<C: Codec>(compressor: &mut Compressor<C>, texts: &[&str]) -> Bytes {
        let mut blocks = Blocks::new();
        for (number, text) in texts.iter().enumerate() {
            let start = blocks.last().map_or(0, |(_, range)| range.end);
            blocks.push(((number, 0), start..start + text.len()));
        }
        compressor.compress(&texts.concat().into(), &blocks).unwrap()
    }

    fn gunzip(compressed: &[u8]) -> String {
        let mut text = String::new();
        flate2::read::GzDecoder::new(compressed).read_to_string(&mut text).unwrap();
        text
    }

    fn unzstd(compressed: &[u8]) -> String {
        String::from_utf8(::zstd::stream::decode_all(compressed).unwrap()).unwrap()
    }

    fn reads_the_same<C: Codec>(read: impl Fn(&[u8]) -> String) {
        let long = "kapso_up{project=\"p\"} 1\n".repeat(10_000);
        let mut compressor = Compressor::<C>::default();
        for texts in [
            vec!["a 1\n", "b 2\n", &long],
            vec!["a 1\n", "b 3\n", &long],
            vec!["a 1\n", "", "c 4\n"],
            vec!["a 1\n"],
            vec![],
            vec!["b 2\n", &long, "a 1\n", &long],
        ] {
            let compressed = compress(&mut compressor, &texts);
            assert_eq!(read(&compressed), texts.concat());
            let first = compress(&mut Compressor::<C>::default(), &texts);
            assert_eq!(compressed, first, "as if it were the first one");
        }
    }

    #[test]
    fn what_is_compressed_reads_the_same_whatever_was_compressed_before() {
        reads_the_same::<Gzip>(gunzip);
        reads_the_same::<Zstd>(unzstd);
    }

    #[test]
    fn a_block_that_is_as_it_was_is_not_compressed_again() {
        let mut zstd = Compressor::<Zstd>::default();
        compress(&mut zstd, &["a 1\n", "b 2\n"]);
        zstd.blocks.get_mut(&(0, 0)).unwrap().compressed = Bytes::from_static(b"mark");
        assert!(compress(&mut zstd, &["a 1\n", "b 3\n"]).starts_with(b"mark"));
    }
}
