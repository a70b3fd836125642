//! Of which time a folder's backfill is. It is settled by the first run: where the end is not given, or the beginning is told as
//! a time before it, the same command goes on with what was settled.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::span::Span;
use crate::config::BackfillConfig;

const FILE: &str = "backfill.json";

/// The file in the folder that says it.
#[derive(Debug, Serialize, Deserialize)]
struct Plan {
    /// As they were given.
    since: String,
    until: Option<String>,
    span: Span,
}

/// Why a folder's backfill cannot be begun or gone on with.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The ends do not fit.
    #[error("--since must be before --until by one --step at least: they mean {since} and {until}")]
    Order {
        /// The beginning.
        since: Timestamp,
        /// The end.
        until: Timestamp,
    },
    /// Kapso has nothing to tell of it yet.
    #[error("--until must not be in the future: it means {0}")]
    Future(Timestamp),
    /// The folder holds another backfill.
    #[error(
        "{} holds a backfill with --since {since} {}: give the same, or another --output", .folder.display(),
        .until.as_ref().map_or_else(|| "and without --until".into(), |until| format!("--until {until}"))
    )]
    Other {
        /// The folder.
        folder: PathBuf,
        /// As it was given.
        since: String,
        /// As it was given.
        until: Option<String>,
    },
    /// The disk failed, or the file is something else.
    #[error("{}: {error}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

/// The time that is backfilled; what is not settled yet is settled at `now`.
///
/// # Errors
/// If it makes no sense, or the folder holds another backfill.
pub fn span(config: &BackfillConfig, now: Timestamp) -> Result<Span, PlanError> {
    let path = config.output.join(FILE);
    let failed = |error| PlanError::Io { path: path.clone(), error };
    let (since, until) = (config.since.to_string(), config.until.as_ref().map(ToString::to_string));
    match fs::read(&path) {
        Ok(bytes) => {
            let plan: Plan = serde_json::from_slice(&bytes).map_err(|error| failed(error.into()))?;
            if (&plan.since, &plan.until) != (&since, &until) {
                let folder = config.output.clone();
                return Err(PlanError::Other { folder, since: plan.since, until: plan.until });
            }
            check(plan.span, config)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let span = check(settled(config, now)?, config)?;
            keep(&path, &Plan { since, until, span }).map_err(failed)?;
            Ok(span)
        }
        Err(error) => Err(failed(error)),
    }
}

fn settled(config: &BackfillConfig, now: Timestamp) -> Result<Span, PlanError> {
    // What a metric shows is as precise.
    let now = Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now);
    let until = config.until.as_ref().map_or(now, |until| until.before(now));
    if until > now {
        return Err(PlanError::Future(until));
    }
    Ok(Span { since: config.since.before(until), until })
}

fn check(span: Span, config: &BackfillConfig) -> Result<Span, PlanError> {
    let Span { since, until } = span;
    let step = SignedDuration::try_from(config.step).unwrap_or(SignedDuration::MAX);
    if until.duration_since(since) < step { Err(PlanError::Order { since, until }) } else { Ok(span) }
}

fn keep(path: &Path, plan: &Plan) -> io::Result<()> {
    let draft = path.with_added_extension("tmp");
    fs::write(&draft, serde_json::to_vec(plan)?)?;
    fs::rename(draft, path)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::backfill;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn config(folder: &Path, since: &str, until: Option<&str>) -> BackfillConfig {
        BackfillConfig {
            since: backfill::since(since).unwrap(),
            until: until.map(|until| backfill::until(until).unwrap()),
            output: folder.into(),
            step: Duration::from_mins(1),
            labels: Vec::new(),
        }
    }

    #[test]
    fn the_same_command_later_means_the_same_time() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path(), "30d", None);
        let first = span(&config, at("2026-11-22T10:00:00.0000009Z")).unwrap();
        assert_eq!(first, Span { since: at("2026-10-23T10:00:00Z"), until: at("2026-11-22T10:00:00Z") });
        assert_eq!(span(&config, at("2026-11-23T10:00:00Z")).unwrap(), first);
    }

    #[test]
    fn another_time_is_refused_and_the_one_that_is_there_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let now = at("2026-11-22T10:00:00Z");
        span(&config(folder.path(), "30d", None), now).unwrap();
        for (since, until) in [("31d", None), ("30d", Some("2026-11-22T10:00:00Z"))] {
            let error = span(&config(folder.path(), since, until), now).unwrap_err().to_string();
            assert!(
                error.contains("with --since 30d and without --until: give the same, or another"),
                "{error}"
            );
        }
    }

    #[test]
    fn ends_that_make_no_sense_leave_no_trace() {
        let folder = tempfile::tempdir().unwrap();
        let now = at("2026-11-22T10:00:00Z");
        for (since, until, said) in [
            ("2026-11-22T10:00:00Z", None, "must be before --until by one --step at least"),
            ("2026-11-22T11:00:00Z", None, "they mean 2026-11-22T11:00:00Z and 2026-11-22T10:00:00Z"),
            ("1h", Some("2026-11-22T10:00:01Z"), "must not be in the future: it means 2026-11-22T10:00:01Z"),
        ] {
            let error = span(&config(folder.path(), since, until), now).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
