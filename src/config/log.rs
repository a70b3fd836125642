//! What is logged.

use clap::ValueEnum;

/// What is logged, to stderr.
#[derive(Debug, Clone, Copy)]
pub struct LogConfig {
    /// The least level to log.
    pub level: LogLevel,
    /// How a line is written.
    pub format: LogFormat,
}

/// Levels of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs, reason = "named after the flag's values")]
pub enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
}

/// Formats of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs, reason = "named after the flag's values")]
pub enum LogFormat {
    Logfmt,
    Json,
}
