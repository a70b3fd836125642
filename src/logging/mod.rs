//! The log: one line an event, to stderr, by way of a queue, so that whoever logs never waits for whoever reads.

mod line;
mod lines;

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    io::{self, Write},
    panic::PanicHookInfo,
    thread,
    time::Duration,
};

use tracing::{Dispatch, level_filters::LevelFilter};
use tracing_subscriber::{EnvFilter, fmt::MakeWriter, layer::SubscriberExt};

use self::lines::Lines;
use crate::config::{LogConfig, LogFormat, LogLevel};

/// How long the end of the program waits until what was logged is written.
const FLUSH: Duration = Duration::from_millis(500);

/// Of this process, as its subscriber.
static LINES: Lines = Lines::new();

/// The log of this process; dropped, it waits a moment until everything is written.
#[must_use]
pub struct Logging(());

/// Sets up the log of this process, panics included. Other crates are heard from warnings on.
///
/// # Errors
/// If the system has no thread for it, or it was set up before.
pub fn start(flags: LogConfig) -> io::Result<Logging> {
    thread::Builder::new().name("log".into()).spawn(|| LINES.write_to(io::stderr(), tell_of_dropped))?;
    std::panic::set_hook(Box::new(say_panic));
    tracing::dispatcher::set_global_default(dispatch(flags, &LINES)).map_err(io::Error::other)?;
    Ok(Logging(()))
}

/// What makes lines of events.
fn dispatch(flags: LogConfig, lines: &'static Lines) -> Dispatch {
    let level = match flags.level {
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error => LevelFilter::ERROR,
    };
    let others = level.min(LevelFilter::WARN);
    let filter = EnvFilter::new(format!("{others},kapso_exporter={level}"));
    let registry = tracing_subscriber::registry().with(filter);
    let writer = Writer { lines, format: flags.format };
    match flags.format {
        LogFormat::Logfmt => {
            let layer = tracing_logfmt::builder()
                .with_target(false)
                .with_span_name(false)
                .with_span_path(false)
                .layer();
            registry.with(layer.with_writer(writer)).into()
        }
        LogFormat::Json => {
            let layer = tracing_subscriber::fmt::layer()
                .json()
                .flatten_event(true)
                .with_target(false)
                .with_span_list(false);
            registry.with(layer.with_writer(writer)).into()
        }
    }
}

impl Logging {
    /// Writes a line that is no event, after those that were.
    pub fn say(&self, text: &str) {
        say(text);
    }
}

impl Drop for Logging {
    fn drop(&mut self) {
        LINES.flush(FLUSH);
    }
}

/// How many lines were dropped so far, because nobody read them in time.
#[must_use]
pub fn dropped_lines() -> u64 {
    LINES.dropped()
}

fn say(text: &str) {
    LINES.push(line::plain(text).into());
}

fn tell_of_dropped(lines: u64) {
    tracing::warn!(lines, "lines of the log were dropped: nobody read them in time");
}

/// What the standard library would say, but without waiting for whoever reads stderr.
fn say_panic(panic: &PanicHookInfo<'_>) {
    let (thread, trace) = (thread::current(), Backtrace::capture());
    let name = thread.name().unwrap_or("<unnamed>");
    match trace.status() {
        BacktraceStatus::Captured => say(&format!("thread '{name}' {panic}\nstack backtrace:\n{trace}")),
        _ => say(&format!("thread '{name}' {panic}")),
    }
}

/// Puts lines of a format into the queue.
#[derive(Clone, Copy)]
struct Writer {
    lines: &'static Lines,
    format: LogFormat,
}

impl Write for Writer {
    /// Takes a whole line: a layer writes each event at once.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.lines.push(line::bounded(line, self.format).into());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Writer {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        *self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_of_any_length_is_a_short_line() {
        for format in [LogFormat::Logfmt, LogFormat::Json] {
            let lines: &'static Lines = Box::leak(Box::new(Lines::new()));
            let flags = LogConfig { level: LogLevel::Info, format };
            tracing::dispatcher::with_default(&dispatch(flags, lines), || {
                tracing::info!(id = "x".repeat(1 << 20), "gone");
                tracing::info!("next");
            });
            let written = lines.take();
            assert_eq!(written.len(), 2, "{format:?}");
            assert!(written[0].contains("gone") && written[0].len() < 5000, "{format:?}: {}", written[0]);
            assert!(written[1].contains("next"), "{format:?}: {}", written[1]);
        }
    }
}
