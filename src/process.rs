//! The process: it does its work, and ends in time after a signal, whatever hangs; and with which exit code.
//!
//! The work is done on another thread than the first one, which does nothing but wait, so that it can leave the
//! work behind.

use std::{
    fmt,
    process::ExitCode,
    sync::mpsc::{Receiver, RecvError, RecvTimeoutError, channel},
    thread,
    time::Duration,
};

use anyhow::anyhow;
use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

/// From a signal to the end of the work. With the end of the log that stays below the 5 s that are promised.
const STOP_WITHIN: Duration = Duration::from_secs(4);
/// As much as the first thread has.
const STACK: usize = 8 << 20;

/// Why the program failed; its text says what, where and what is allowed.
#[derive(Debug)]
pub enum CliError {
    /// The command line or the configuration.
    Usage(anyhow::Error),
    /// Something at run time.
    Run(anyhow::Error),
}

impl CliError {
    /// 2 for usage, 1 at run time.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(2),
            Self::Run(_) => ExitCode::FAILURE,
        }
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(error) | Self::Run(error) => write!(f, "{error:#}"),
        }
    }
}

/// What the work tells the thread that waits for it.
enum News {
    /// A signal has come.
    Stopping,
    Ended(Result<(), CliError>),
}

/// Does `work` until it is done, and cancels it when SIGTERM or SIGINT arrives.
///
/// # Errors
/// Why it could not.
pub fn run<W: Future<Output = Result<(), CliError>>>(
    work: impl FnOnce(CancellationToken) -> W + Send + 'static,
) -> Result<(), CliError> {
    let runtime = Builder::new_multi_thread().enable_all().build().map_err(|e| CliError::Run(e.into()))?;
    let (tell, news) = channel();
    let on_thread = move || {
        let (shutdown, stopping) = (CancellationToken::new(), tell.clone());
        let done = runtime.block_on(async {
            let told = move || stopping.send(News::Stopping).is_ok();
            stop_on_signal(shutdown.clone(), told).map_err(|error| CliError::Run(error.into()))?;
            work(shutdown).await
        });
        // A thread that waits for a disk that hangs is not waited for.
        runtime.shutdown_background();
        tell.send(News::Ended(done))
    };
    let spawned = thread::Builder::new().name("work".into()).stack_size(STACK).spawn(on_thread);
    spawned.map_err(|error| CliError::Run(error.into()))?;
    wait(&news, STOP_WITHIN)
}

/// Waits for the end of the work, after a signal for so long at most.
fn wait(news: &Receiver<News>, stop_within: Duration) -> Result<(), CliError> {
    let gave_up = || Err(CliError::Run(anyhow!("a part of the program panicked")));
    match news.recv() {
        Ok(News::Ended(done)) => return done,
        Ok(News::Stopping) => {}
        Err(RecvError) => return gave_up(),
    }
    match news.recv_timeout(stop_within) {
        Ok(News::Ended(done)) => done,
        Err(RecvTimeoutError::Timeout) => {
            let limit = humantime::format_duration(stop_within);
            Err(CliError::Run(anyhow!("it did not stop within {limit}: what was not saved yet is lost")))
        }
        Ok(News::Stopping) | Err(RecvTimeoutError::Disconnected) => gave_up(),
    }
}

/// Cancels `shutdown` at the first signal, and calls `told`.
fn stop_on_signal(
    shutdown: CancellationToken,
    told: impl FnOnce() -> bool + Send + 'static,
) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        tracing::info!("stopping");
        told();
        shutdown.cancel();
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_does_not_stop_is_left_behind() {
        let (tell, news) = channel();
        tell.send(News::Stopping).unwrap();
        let error = wait(&news, Duration::from_millis(10)).unwrap_err();
        assert_eq!(error.to_string(), "it did not stop within 10ms: what was not saved yet is lost");
    }

    #[test]
    fn work_that_stops_in_time_says_how_it_went() {
        let (tell, news) = channel();
        tell.send(News::Stopping).unwrap();
        tell.send(News::Ended(Ok(()))).unwrap();
        assert!(wait(&news, Duration::from_secs(10)).is_ok());
    }

    #[test]
    fn work_that_panics_is_a_failure() {
        let (tell, news) = channel();
        drop(tell);
        assert_eq!(wait(&news, STOP_WITHIN).unwrap_err().to_string(), "a part of the program panicked");
    }
}
