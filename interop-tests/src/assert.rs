//! Waiting for a condition with a deadline, and saying what was seen when it did not come: the last state
//! and the ends of the logs, so that a failure in CI can be read without running it again.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::interrupt;

/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(50);
/// A lab whose directory holds a file of this name leaves the directory behind for its reader.
pub(crate) const KEEP: &str = "failed";
/// How much of each log a failure shows, in lines.
const LOG_LINES: usize = 25;

/// Looks at `probe` until it is `Ok` and gives its value. An `Err` of the probe means *not yet* and its text
/// is the state that the error shows when `within` has passed, together with the ends of `logs`/*.log.
///
/// # Errors
/// When the deadline passes, or the process has been asked to stop ([`interrupt::requested`]).
pub fn wait_until<T>(
    what: &str,
    within: Duration,
    logs: &Path,
    mut probe: impl FnMut() -> Result<T>,
) -> Result<T> {
    let started = Instant::now();
    loop {
        let last = match probe() {
            Ok(value) => return Ok(value),
            Err(state) => state,
        };
        if interrupt::requested() {
            bail!("interrupted while waiting until {what}");
        }
        if started.elapsed() >= within {
            bail!("not within {within:?}: {what}\n  last state: {last:#}{}", evidence(logs));
        }
        pause(POLL);
    }
}

/// Looks at `probe` for the whole of `during` and fails as soon as it does: for things that must *not*
/// happen. Keep `during` short; it is time that every run pays.
///
/// # Errors
/// The probe's, with the log tails.
pub fn holds_for(
    what: &str,
    during: Duration,
    logs: &Path,
    mut probe: impl FnMut() -> Result<()>,
) -> Result<()> {
    let started = Instant::now();
    while started.elapsed() < during {
        if let Err(state) = probe() {
            bail!("did not hold: {what}\n  state: {state:#}{}", evidence(logs));
        }
        if interrupt::requested() {
            bail!("interrupted while watching that {what}");
        }
        pause(POLL);
    }
    Ok(())
}

/// The log tails, and the mark that keeps the whole logs ([`KEEP`]).
pub(crate) fn evidence(logs: &Path) -> String {
    // Without the mark only the tails remain, which is no reason to fail differently.
    let _ = fs::write(logs.join(KEEP), "");
    format!("{}\n  all logs: {}", log_tails(logs), logs.display())
}

/// Lets `duration` pass. Not for waiting on something: that is [`wait_until`].
pub fn pause(duration: Duration) {
    #[expect(clippy::disallowed_methods, reason = "the one place where polling waits for its next look")]
    std::thread::sleep(duration);
}

/// The last lines of every log in the directory, each under its name.
#[must_use]
pub fn log_tails(directory: &Path) -> String {
    let mut text = String::new();
    let Ok(entries) = fs::read_dir(directory) else { return text };
    let mut logs: Vec<_> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .collect();
    logs.sort();
    for log in logs {
        let bytes = fs::read(&log).unwrap_or_default();
        let content = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = content.lines().collect();
        let tail = lines.get(lines.len().saturating_sub(LOG_LINES)..).unwrap_or_default();
        if tail.is_empty() {
            continue;
        }
        let name = log.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let _ = write!(text, "\n  --- {name}\n    {}", tail.join("\n    "));
    }
    text
}
