//! YAML files in which every value knows where it stands, and every mistake is told with its place.
//!
//! A file becomes a tree ([`tree`]); a walk over it ([`walk`]) reads every value or notes what is wrong with it, so
//! that all mistakes are told at once ([`problem`]).

mod problem;
mod tree;
mod walk;

pub use self::{
    problem::{Problem, Problems},
    tree::Place,
};
pub(super) use self::{
    tree::{Node, Value},
    walk::{Mapping, Walk, join},
};

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
