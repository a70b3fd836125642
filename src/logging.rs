//! The log: one line an event, to stderr.

use std::io;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{EnvFilter, layer::SubscriberExt, util::SubscriberInitExt};

use crate::cli::{Format, Level, Log};

/// Sets up the log of this process. Other crates are heard from warnings on.
pub fn init(flags: &Log) {
    let level = match flags.level {
        Level::Debug => LevelFilter::DEBUG,
        Level::Info => LevelFilter::INFO,
        Level::Warn => LevelFilter::WARN,
        Level::Error => LevelFilter::ERROR,
    };
    let others = level.min(LevelFilter::WARN);
    let filter = EnvFilter::new(format!("{others},kapso_exporter={level}"));
    let registry = tracing_subscriber::registry().with(filter);
    match flags.format {
        Format::Logfmt => {
            let layer = tracing_logfmt::builder().with_target(false).layer();
            registry.with(layer.with_writer(io::stderr)).init();
        }
        Format::Json => {
            let layer = tracing_subscriber::fmt::layer().json().flatten_event(true).with_target(false);
            registry.with(layer.with_writer(io::stderr)).init();
        }
    }
}
