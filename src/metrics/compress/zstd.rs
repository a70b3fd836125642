//! Zstandard (RFC 8878): each block is a frame of its own, and frames in a row are one text.

use std::io;

use super::Codec;

/// As fast as it goes: an exposition is compressed again whenever something changes.
const LEVEL: i32 = 1;

/// An empty frame: the magic number, a window of 1 kB, and a last block of no bytes.
const EMPTY: [u8; 9] = [0x28, 0xb5, 0x2f, 0xfd, 0, 0, 1, 0, 0];

/// Compresses with Zstandard.
#[derive(Default)]
pub struct Zstd(Option<zstd::bulk::Compressor<'static>>);

impl Codec for Zstd {
    type Check = ();

    fn compress(&mut self, text: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        let compressor = match &mut self.0 {
            Some(compressor) => compressor,
            none => none.insert(zstd::bulk::Compressor::new(LEVEL)?),
        };
        out.append(&mut compressor.compress(text)?);
        Ok(())
    }

    fn begin(_: &mut Vec<u8>) {}

    /// A text without a block is an empty frame: no frame at all would be no text.
    fn end<'a>(mut blocks: impl Iterator<Item = &'a ()>, out: &mut Vec<u8>) {
        if blocks.next().is_none() {
            out.extend(EMPTY);
        }
    }
}
