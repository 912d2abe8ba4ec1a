//! A host: one network namespace with a name of its own, made by the test and removed with the value.

use std::collections::BTreeSet;
use std::env;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result, anyhow, bail, ensure};
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

use crate::process::Process;

/// Where iproute2 keeps named namespaces.
const NAMESPACES: &str = "/run/netns";
/// Every namespace of ours is `manx-<pid of the maker>-<lab>-<host>`, so that a later run can recognise and
/// remove what a killed one left ([`sweep`]).
const PREFIX: &str = "manx-";

/// A network namespace. Clones are the same host; the namespace goes with the last of them.
#[derive(Clone, Debug)]
pub struct Host(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    namespace: String,
    directory: PathBuf,
}

impl Host {
    /// Makes the namespace with `lo` up. `directory` is where its programs log.
    ///
    /// # Errors
    /// When `ip netns add` fails: not root, or the name exists.
    pub fn create(name: &str, lab: u32, directory: &Path) -> Result<Self> {
        let namespace = format!("{PREFIX}{}-{lab}-{name}", std::process::id());
        output(Command::new("ip").args(["netns", "add", &namespace]), None)?;
        let host =
            Self(Arc::new(Inner { name: name.to_owned(), namespace, directory: directory.to_owned() }));
        host.run(&["ip", "link", "set", "lo", "up"])?;
        Ok(host)
    }

    /// The name in the topology.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The name for `ip netns exec`.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.0.namespace
    }

    /// The directory of the lab, where logs are.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.0.directory
    }

    /// Runs a program to its end and gives its standard output.
    ///
    /// # Errors
    /// When it cannot be started or fails; the error has its standard error.
    pub fn run(&self, argv: &[&str]) -> Result<String> {
        output(&mut self.command(argv)?, None)
    }

    /// As [`Host::run`], with a standard input.
    ///
    /// # Errors
    /// As [`Host::run`].
    pub fn run_with_input(&self, argv: &[&str], input: &str) -> Result<String> {
        output(&mut self.command(argv)?, Some(input))
    }

    /// Runs `ip` commands, one per line, in one process; the first failure ends it.
    ///
    /// # Errors
    /// When a line is refused; the error names it.
    pub fn ip_batch(&self, lines: &[String]) -> Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let mut text = lines.join("\n");
        text.push('\n');
        self.run_with_input(&["ip", "-batch", "-"], &text).with_context(|| format!("batch:\n{text}"))?;
        Ok(())
    }

    /// Sets kernel parameters, `("net.ipv4.ip_forward", "1")`.
    ///
    /// # Errors
    /// When one of them does not exist.
    pub fn sysctl(&self, settings: &[(&str, &str)]) -> Result<()> {
        let words: Vec<String> = settings.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let mut argv = vec!["sysctl", "-qw"];
        argv.extend(words.iter().map(String::as_str));
        self.run(&argv)?;
        Ok(())
    }

    /// Starts a program that runs until the value is dropped. Its output goes to `<host>-<name>.log`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(&self, name: &str, argv: &[&str]) -> Result<Process> {
        self.spawn_with(name, argv, &[])
    }

    /// As [`Host::spawn`], with environment variables.
    ///
    /// # Errors
    /// As [`Host::spawn`].
    pub fn spawn_with(&self, name: &str, argv: &[&str], environment: &[(&str, &str)]) -> Result<Process> {
        let log = self.0.directory.join(format!("{}-{name}.log", self.0.name));
        let mut command = self.command(argv)?;
        command.envs(environment.iter().copied());
        Process::spawn(&format!("{name} on {}", self.0.name), command, &log)
    }

    /// The command that runs `argv` here. It becomes the program itself (`ip` and `setpriv` exec), so its
    /// process id and exit status are the program's, and it does not outlive the thread that starts it.
    ///
    /// # Errors
    /// When `argv` is empty.
    pub fn command(&self, argv: &[&str]) -> Result<Command> {
        ensure!(!argv.is_empty(), "no program given");
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.0.namespace, "setpriv", "--pdeathsig", "KILL"]).args(argv);
        clear_settings(&mut command);
        Ok(command)
    }

    /// Runs `body` on a thread inside the namespace, for sockets of our own. Sockets stay in the namespace
    /// when they leave the thread; programs do not outlive it.
    ///
    /// # Errors
    /// When the namespace cannot be entered, or what `body` returns.
    pub fn within<T: Send>(&self, body: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let path = Path::new(NAMESPACES).join(&self.0.namespace);
        let file = File::open(&path).with_context(|| format!("namespace {}", path.display()))?;
        thread::scope(|scope| {
            let thread = scope.spawn(move || {
                setns(&file, CloneFlags::CLONE_NEWNET).context("setns")?;
                body()
            });
            thread.join().map_err(|_| anyhow!("the thread inside {} panicked", self.0.namespace))?
        })
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Nobody is left to tell; the next run's sweep tries again.
        let _ = remove_namespace(&self.namespace);
    }
}

/// Removes what runs that were killed have left: namespaces of ours whose maker no longer exists, and the
/// programs in them.
///
/// # Errors
/// When a leftover cannot be removed.
pub fn sweep() -> Result<Vec<String>> {
    let Ok(entries) = fs::read_dir(NAMESPACES) else { return Ok(Vec::new()) };
    let mut removed = Vec::new();
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if maker(&name).is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists()) {
            remove_namespace(&name)?;
            removed.push(name);
        }
    }
    Ok(removed)
}

/// The process id in the name of a namespace or directory of ours.
pub(crate) fn maker(name: &str) -> Option<u32> {
    name.strip_prefix(PREFIX)?.split('-').next()?.parse().ok()
}

fn remove_namespace(namespace: &str) -> Result<()> {
    // A program that is still in there would keep the namespace alive without a name.
    let pids = output(Command::new("ip").args(["netns", "pids", namespace]), None)?;
    let me = std::process::id();
    for pid in pids.split_whitespace().filter_map(|word| word.parse::<u32>().ok()).collect::<BTreeSet<_>>() {
        if pid != me {
            let _ = signal::kill(Pid::from_raw(i32::try_from(pid)?), Signal::SIGKILL);
        }
    }
    output(Command::new("ip").args(["netns", "del", namespace]), None)?;
    Ok(())
}

/// Takes away the `MANX_…` variables of whoever runs the lab: they would override the lab's configuration.
pub(crate) fn clear_settings(command: &mut Command) {
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("MANX_") {
            command.env_remove(&name);
        }
    }
}

/// Runs a command to its end.
pub(crate) fn output(command: &mut Command, input: Option<&str>) -> Result<String> {
    let words = || {
        let words: Vec<_> = std::iter::once(command.get_program())
            .chain(command.get_args())
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        words.join(" ")
    };
    let shown = words();
    let mut child = command
        .process_group(0)
        .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("start {shown}"))?;
    // A thread writes, so that a program that answers before it has read everything cannot block both.
    let writer = input.zip(child.stdin.take()).map(|(text, mut pipe)| {
        let text = text.to_owned();
        thread::spawn(move || pipe.write_all(text.as_bytes()))
    });
    let result = child.wait_with_output().with_context(|| shown.clone())?;
    if let Some(writer) = writer {
        // A broken pipe means that the program ended early; its status says why.
        let _ = writer.join();
    }
    if !result.status.success() {
        bail!(
            "{shown}: {}: {}{}",
            result.status,
            String::from_utf8_lossy(&result.stderr).trim(),
            String::from_utf8_lossy(&result.stdout).trim()
        );
    }
    Ok(String::from_utf8_lossy(&result.stdout).into_owned())
}
