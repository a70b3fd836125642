//! What the tests share: the program as a child process, a simulated Kapso on a port of its own, the exposition
//! as a map, a disk that hangs, and the comparison of that with the simulator's tally.

mod authority;
mod config_file;
mod disk;
mod exposition;
mod hostile;
pub mod judge;
mod kapso;
pub mod nowhere;
pub mod openapi;
mod program;
pub mod simulated;

pub use self::{
    authority::{Certificate, Folder, s_client},
    config_file::ConfigFile,
    disk::Disk,
    exposition::Exposition,
    hostile::{Hostile, http},
    judge::{differences, wait_until_equal},
    kapso::{Kapso, run_against, watch},
    program::{Exporter, Finished, interrupt, run_to_end, run_unread},
    simulated::{Setup, Simulated},
};

use std::time::{Duration, Instant};

/// Asks again until `condition` holds; panics with `what` after 30 s.
pub async fn wait_for(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !condition().await {
        assert!(begun.elapsed() < Duration::from_secs(30), "waited in vain for: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
