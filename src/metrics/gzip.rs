//! The compressed exposition, made of blocks: one whose text is as it was in the exposition before is not compressed
//! again.
//!
//! Each block is compressed on its own and ends at a byte (flushed as RFC 1951 allows), so that blocks in a row are one
//! stream; the checksum of the whole is combined from theirs.

use std::{
    collections::HashMap,
    io::{self, Write},
    mem,
    ops::Range,
};

use bytes::Bytes;
use flate2::{Compression, Crc, write::DeflateEncoder};

/// How a gzip file begins (RFC 1952): nothing is said of a name, a time or a system.
const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255];
/// The last block of a stream, which is empty.
const LAST: [u8; 2] = [3, 0];

/// Names a block within an exposition: the family, and the first stream in it, by their numbers.
pub type BlockId = (usize, usize);
/// The blocks of a text, in their order and without a gap: where each one is.
pub type Blocks = Vec<(BlockId, Range<usize>)>;

/// Compresses one exposition after the other.
pub struct Gzip {
    encoder: DeflateEncoder<Vec<u8>>,
    /// Of the exposition before.
    blocks: HashMap<BlockId, Block>,
}

/// A block of an exposition.
struct Block {
    text: Bytes,
    compressed: Bytes,
    crc: Crc,
}

impl Default for Gzip {
    fn default() -> Self {
        Self { encoder: DeflateEncoder::new(Vec::new(), Compression::fast()), blocks: HashMap::new() }
    }
}

impl Gzip {
    /// Compresses a text that is made of these blocks.
    ///
    /// # Errors
    /// If the library for it fails.
    pub fn compress(&mut self, text: &Bytes, blocks: &Blocks) -> io::Result<Bytes> {
        let (mut out, mut crc, mut parts) = (HEAD.to_vec(), Crc::new(), Vec::with_capacity(blocks.len()));
        for (id, range) in blocks {
            let (text, start) = (&text[range.clone()], out.len());
            let of_block = match self.blocks.remove(id).filter(|known| known.text == text) {
                Some(known) => {
                    out.extend_from_slice(&known.compressed);
                    known.crc
                }
                None => self.compress_block(text, &mut out)?,
            };
            crc.combine(&of_block);
            parts.push((start..out.len(), of_block));
        }
        out.extend(LAST);
        out.extend(crc.sum().to_le_bytes());
        out.extend(crc.amount().to_le_bytes());
        let out = Bytes::from(out);
        let block = |((id, range), (part, crc)): (&(BlockId, Range<usize>), _)| {
            (*id, Block { text: text.slice(range.clone()), compressed: out.slice(part), crc })
        };
        self.blocks = blocks.iter().zip(parts).map(block).collect();
        Ok(out)
    }

    fn compress_block(&mut self, text: &[u8], out: &mut Vec<u8>) -> io::Result<Crc> {
        self.encoder.write_all(text)?;
        self.encoder.flush()?;
        let mut compressed = mem::take(self.encoder.get_mut());
        out.append(&mut compressed);
        self.encoder.reset(compressed)?;
        let mut crc = Crc::new();
        crc.update(text);
        Ok(crc)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    /// One block a text.
    fn compress(gzip: &mut Gzip, texts: &[&str]) -> Bytes {
        let mut blocks = Blocks::new();
        for (number, text) in texts.iter().enumerate() {
            let start = blocks.last().map_or(0, |(_, range)| range.end);
            blocks.push(((number, 0), start..start + text.len()));
        }
        gzip.compress(&texts.concat().into(), &blocks).unwrap()
    }

    fn read(compressed: &[u8]) -> String {
        let mut text = String::new();
        GzDecoder::new(compressed).read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn what_is_compressed_reads_the_same_whatever_was_compressed_before() {
        let long = "kapso_up{project=\"p\"} 1\n".repeat(10_000);
        let mut gzip = Gzip::default();
        for texts in [
            vec!["a 1\n", "b 2\n", &long],
            vec!["a 1\n", "b 3\n", &long],
            vec!["a 1\n", "", "c 4\n"],
            vec!["a 1\n"],
            vec![],
            vec!["b 2\n", &long, "a 1\n", &long],
        ] {
            let compressed = compress(&mut gzip, &texts);
            assert_eq!(read(&compressed), texts.concat());
            assert_eq!(compressed, compress(&mut Gzip::default(), &texts), "as if it were the first one");
        }
    }

    #[test]
    fn a_block_that_is_as_it_was_is_not_compressed_again() {
        let mut gzip = Gzip::default();
        compress(&mut gzip, &["a 1\n", "b 2\n"]);
        let known = gzip.blocks.get_mut(&(0, 0)).unwrap();
        known.compressed = Bytes::from_static(b"mark");
        let compressed = compress(&mut gzip, &["a 1\n", "b 3\n"]);
        assert_eq!(&compressed[HEAD.len()..][..4], b"mark");
    }
}
