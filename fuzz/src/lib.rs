//! What is fuzzed: one function a target, from bytes to broken promises. The program under them is used through
//! its public names only, so that the exporter's own tests run the corpora through the same functions.

pub mod accept;
pub mod configuration;
pub mod deliveries;
pub mod headers;
pub mod lists;
pub mod paging;
pub mod requests;
mod scripted;
pub mod state;
