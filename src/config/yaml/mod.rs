//! YAML files in which every value knows where it stands, and every mistake is told with its place.
//!
//! A file becomes a tree ([`tree`]); a walk over it ([`walk`]) reads every value or notes what is wrong with it, so
//! that all mistakes are told at once ([`problem`]).

mod problem;
mod tree;
mod walk;

use std::{fs, path::Path};

pub use self::{
    problem::{Problem, Problems},
    tree::Place,
};
pub(super) use self::{
    tree::{Node, Value},
    walk::{Mapping, Walk, join},
};

/// The largest file, in bytes: ten thousand projects need less.
const LARGEST: u64 = 4 << 20;

/// The text of a file that is one. Opening a pipe would wait for whoever writes into it.
pub(super) fn text_of(path: &Path) -> Result<String, String> {
    let metadata = fs::metadata(path).map_err(|error| format!("cannot read it: {error}"))?;
    if !metadata.is_file() {
        return Err("it is not a file".into());
    }
    if metadata.len() > LARGEST {
        return Err(format!("it has {} bytes; at most {LARGEST} are read", metadata.len()));
    }
    let bytes = fs::read(path).map_err(|error| format!("cannot read it: {error}"))?;
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".into())
}

/// Text as a tree.
pub(super) fn tree_of(text: &str) -> Result<Node, Problem> {
    let options =
        serde_saphyr::options! { budget: serde_saphyr::budget! { max_total_scalar_bytes: 1 << 24 } };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let place = error.location().map(Into::into).unwrap_or_default();
        let said = error.without_snippet().to_string();
        let message = format!("this is not YAML: {}", in_our_words(&said));
        Problem { place, path: String::new(), message }
    })
}

/// What the parser says, without the place, which stands before it, and without hints for programmers.
fn in_our_words(said: &str) -> &str {
    let ends = [" at line ", ", set DuplicateKeyPolicy", "; use from_str_multiple"];
    let end = ends.iter().filter_map(|end| said.find(end)).min().unwrap_or(said.len());
    said[..end].lines().next().unwrap_or_default()
}
