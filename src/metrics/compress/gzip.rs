//! gzip (RFC 1952): each block ends at a byte (flushed as RFC 1951 allows), so that blocks in a row are one stream; the
//! checksum of the whole is combined from theirs.

use std::{
    io::{self, Write},
    mem,
};

use flate2::{Compression, Crc, write::DeflateEncoder};

use super::Codec;

/// How a file begins: nothing is said of a name, a time or a system.
const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255];
/// The last block of a stream, which is empty.
const LAST: [u8; 2] = [3, 0];

/// Compresses with gzip.
pub struct Gzip(DeflateEncoder<Vec<u8>>);

impl Default for Gzip {
    fn default() -> Self {
        Self(DeflateEncoder::new(Vec::new(), Compression::fast()))
    }
}

impl Codec for Gzip {
    type Check = Crc;

    fn compress(&mut self, text: &[u8], out: &mut Vec<u8>) -> io::Result<Crc> {
        self.0.write_all(text)?;
        self.0.flush()?;
        let mut compressed = mem::take(self.0.get_mut());
        out.append(&mut compressed);
        self.0.reset(compressed)?;
        let mut crc = Crc::new();
        crc.update(text);
        Ok(crc)
    }

    fn begin(out: &mut Vec<u8>) {
        out.extend(HEAD);
    }

    fn end<'a>(checks: impl Iterator<Item = &'a Crc>, out: &mut Vec<u8>) {
        let mut crc = Crc::new();
        checks.for_each(|block| crc.combine(block));
        out.extend(LAST);
        out.extend(crc.sum().to_le_bytes());
        out.extend(crc.amount().to_le_bytes());
    }
}
