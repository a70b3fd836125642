//! Text files.

use std::{fs, path::Path};

/// The text of a file that is one, with at most so many bytes. Opening a pipe would wait for whoever writes into it.
pub(super) fn text_of(path: &Path, largest: u64) -> Result<String, String> {
    let metadata = fs::metadata(path).map_err(|error| format!("cannot read it: {error}"))?;
    if !metadata.is_file() {
        return Err("it is not a file".into());
    }
    if metadata.len() > largest {
        return Err(format!("it has {} bytes; at most {largest} are read", metadata.len()));
    }
    let bytes = fs::read(path).map_err(|error| format!("cannot read it: {error}"))?;
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".into())
}
