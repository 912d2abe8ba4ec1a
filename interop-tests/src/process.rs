//! A program that runs in a host: its output goes to a file, it dies with its owner.

use std::fs::{self, File};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

use crate::assert::{evidence, pause, wait_until};

/// How long a program may take until it answers.
const READY: Duration = Duration::from_secs(10);

/// A running program. Dropping it kills it (SIGKILL) and waits for it. Should the test process itself be
/// killed, the kernel kills the program (`PR_SET_PDEATHSIG`); for the same reason it ends with the *thread*
/// that started it, so start it from the thread of the test.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command`; standard output and error are appended to `log`.
    ///
    /// # Errors
    /// When the log cannot be written or the program not started.
    pub fn spawn(name: &str, mut command: Command, log: &Path) -> Result<Self> {
        let file = File::options()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("log {}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            // Its own process group, so that Ctrl-C reaches it through its owner, in order.
            .process_group(0)
            .spawn()
            .with_context(|| format!("start {name}"))?;
        Ok(Self { name: name.to_owned(), child, log: log.to_owned() })
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The file that its output goes to.
    #[must_use]
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// Everything it has written so far.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn log(&self) -> Result<String> {
        let bytes = fs::read(&self.log).with_context(|| format!("log {}", self.log.display()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        signal::kill(self.nix_pid()?, signal).with_context(|| format!("{signal} to {}", self.name))
    }

    /// Fails when the program has ended.
    ///
    /// # Errors
    /// Its exit status.
    pub fn ensure_running(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("{} ended: {status}", self.name),
        }
    }

    /// Waits until `probe` says that it is ready; that it has ended is the end of waiting too.
    ///
    /// # Errors
    /// When it ends, or is not ready within 10 s; with the logs of the directory.
    pub fn wait_until_ready<T>(
        &mut self,
        what: &str,
        logs: &Path,
        mut probe: impl FnMut() -> Result<T>,
    ) -> Result<T> {
        let ready = wait_until(what, READY, logs, || match self.child.try_wait()? {
            Some(status) => Ok(Err(anyhow!("{} ended: {status}{}", self.name, evidence(logs)))),
            None => probe().map(Ok),
        })?;
        ready.with_context(|| what.to_owned())
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it still runs after `within`.
    pub fn wait(&mut self, within: Duration) -> Result<ExitStatus> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if started.elapsed() > within {
                bail!("{} (pid {}) still runs after {within:?}", self.name, self.pid());
            }
            pause(Duration::from_millis(10));
        }
    }

    /// SIGTERM, then the exit status.
    ///
    /// # Errors
    /// When it is gone already or does not end within `within`.
    pub fn terminate(mut self, within: Duration) -> Result<ExitStatus> {
        self.signal(Signal::SIGTERM)?;
        self.wait(within)
    }

    /// SIGKILL: what a crash or the OOM killer does.
    ///
    /// # Errors
    /// When it was gone already: a test that kills a dead program tests nothing.
    pub fn kill(mut self) -> Result<()> {
        self.ensure_running()?;
        self.signal(Signal::SIGKILL)?;
        let status = self.wait(Duration::from_secs(5))?;
        match status.signal() {
            Some(libc::SIGKILL) => Ok(()),
            _ => bail!("{} ended by itself: {status}", self.name),
        }
    }

    fn nix_pid(&self) -> Result<Pid> {
        Ok(Pid::from_raw(i32::try_from(self.child.id())?))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
