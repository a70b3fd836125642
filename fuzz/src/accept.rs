//! `Accept` of a scrape: the bytes are the header's value.

use super::requests;

/// Every client gets a format that it did not rule out, and what is in it does not depend on how it is compressed.
pub fn run(data: &[u8]) {
    let value: Vec<_> = data.iter().copied().filter(|byte| *byte != b'\n').collect();
    requests::run(&[b"GET /metrics\naccept:", value.as_slice()].concat());
}
