//! One daemon per network namespace writes kernel routes (ARCHITECTURE.md, invariant 3): two would each remove the
//! other's as leftovers of a former run, however different their sockets and manifests are.

use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Fixed, because it must be the same for daemons of different configurations; root's, so that nobody else can
/// keep the daemon from starting.
const DIRECTORY: &str = "/run/manx";

/// The right to write the kernel routes of this network namespace, until it is dropped or the process dies.
pub(super) struct SoleWriter {
    _lock: Option<File>,
}

impl SoleWriter {
    /// Takes the right.
    ///
    /// # Errors
    /// Another daemon has it.
    pub(super) fn claim() -> anyhow::Result<Self> {
        let file = match lock_file() {
            Ok(path) => path,
            Err(error) => {
                // Somebody with a read-only /run has one daemon per container and needs no lock.
                tracing::warn!(%error, "cannot make sure that no other daemon writes kernel routes here");
                return Ok(Self { _lock: None });
            }
        };
        let lock = lock(&file)?;
        Ok(Self { _lock: Some(lock) })
    }
}

fn lock_file() -> io::Result<PathBuf> {
    let namespace = std::fs::metadata("/proc/self/ns/net")?.ino();
    std::fs::create_dir_all(DIRECTORY)?;
    let path = Path::new(DIRECTORY).join(format!("kernel-routes-{namespace}.lock"));
    File::options().create(true).append(true).open(&path)?;
    Ok(path)
}

fn lock(path: &Path) -> anyhow::Result<File> {
    let file = File::options().append(true).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => anyhow::bail!(
            "another manx daemon writes the kernel routes of this network namespace: stop it, or set enabled = \
             false in [fib] of this one ({} is locked)",
            path.display()
        ),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_the_next_after_it() {
        let path = std::env::temp_dir().join(format!("manx-lock-{}", std::process::id()));
        File::create(&path).unwrap();
        let first = lock(&path).unwrap();
        assert!(lock(&path).unwrap_err().to_string().contains("another manx daemon"));
        drop(first);
        lock(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
    }
}
