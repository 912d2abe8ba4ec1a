//! What a daemon costs: processor time and memory of its process and all that it started, from /proc.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

/// Processor time that these processes have used, in user space and kernel: of every thread to the nanosecond
/// (`schedstat`), and where that is not to be had, of the process to the hundredth of a second (`stat`).
/// Processes that have ended count nothing.
#[must_use]
pub fn cpu(pids: &[u32]) -> Duration {
    pids.iter().map(|&pid| by_threads(pid).or_else(|| by_ticks(pid)).unwrap_or_default()).sum()
}

/// Processor time of the calling thread.
#[must_use]
pub fn thread_cpu() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = text.split_whitespace().next().and_then(|word| word.parse().ok());
    nanos.map(Duration::from_nanos).unwrap_or_default()
}

fn by_threads(pid: u32) -> Option<Duration> {
    let mut nanos = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
        // A thread may end meanwhile.
        let Ok(text) = fs::read_to_string(thread.path().join("schedstat")) else { continue };
        nanos += text.split_whitespace().next()?.parse::<u64>().ok()?;
    }
    (nanos > 0).then(|| Duration::from_nanos(nanos))
}

fn by_ticks(pid: u32) -> Option<Duration> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // utime and stime are the 14th and 15th fields; the second, in parentheses, may hold blanks.
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(Duration::from_millis(10 * (user + system)))
}

/// The most memory that they have used, summed, in KiB (`VmHWM`).
#[must_use]
pub fn peak_memory(pids: &[u32]) -> u64 {
    pids.iter().map(|&pid| status(pid, "VmHWM:").unwrap_or(0)).sum()
}

/// What they use now, in KiB (`VmRSS`).
#[must_use]
pub fn memory(pids: &[u32]) -> u64 {
    pids.iter().map(|&pid| status(pid, "VmRSS:").unwrap_or(0)).sum()
}

fn status(pid: u32, field: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find(|line| line.starts_with(field))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// A process and all its descendants.
///
/// # Errors
/// There is no /proc.
pub fn family(root: u32) -> Result<Vec<u32>> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in fs::read_dir("/proc").context("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        if let Some(parent) = parent(&entry.path()) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&pid) = found.get(next) {
        found.extend(children.get(&pid).into_iter().flatten());
        next += 1;
    }
    Ok(found)
}

fn parent(process: &Path) -> Option<u32> {
    let text = fs::read_to_string(process.join("stat")).ok()?;
    text.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn knows_this_process_and_its_child() {
        let me = std::process::id();
        assert!(cpu(&[me]) > Duration::ZERO);
        assert!(by_ticks(me).is_some());
        // The kernel's two counts are not exact towards each other, and other tests allocate meanwhile.
        assert!(peak_memory(&[me]) > 500 && memory(&[me]) > 500);
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        assert!(family(me).unwrap().contains(&child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(cpu(&[u32::MAX]), Duration::ZERO);
    }
}
