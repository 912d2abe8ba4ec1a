//! A directory of manifests, watched.
//!
//! One task. A change event, [`ManifestDirectory::reread`] or the passing of time wakes it; it waits a moment
//! for the writer to finish, arms the watch anew if the directory is another one than before, and then looks
//! at everything. Events are only a hint and the look is the truth, so a lost event costs seconds, never
//! correctness. The task is cancel-safe: between two looks it holds nothing that a later look would not find.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::folder::Folder;
use crate::catalog::Resources;

/// How long a writer has after the first event of a change.
const SETTLE_TIME: Duration = Duration::from_millis(100);
/// Between looks at a directory that cannot be read or watched.
const RETRY_TIME: Duration = Duration::from_secs(1);
/// Between looks without any event, against lost events.
const RESCAN_TIME: Duration = Duration::from_secs(30);
/// More wake-ups than one are one wake-up.
const WAKE_UPS_MAX: usize = 1;

/// A directory of manifests, read whenever it changes until this is dropped.
///
/// Reads `*.yaml`, `*.yml` and `*.json`, not hidden, not in subdirectories. A directory that is not there, or
/// no longer, is a problem in the [`Resources`] and is tried again; what was read before stays in force.
#[derive(Debug)]
pub struct ManifestDirectory {
    updates: watch::Receiver<Arc<Resources>>,
    wake_up: mpsc::Sender<()>,
    task: JoinHandle<()>,
}

impl ManifestDirectory {
    /// Reads the directory once, then watches it from a task of the current runtime.
    pub async fn open(directory: impl Into<PathBuf>) -> Self {
        let directory = directory.into();
        let (wake_up, wake_ups) = mpsc::channel(WAKE_UPS_MAX);
        let (sender, updates) = watch::channel(Arc::default());
        let folder = Folder::new(directory.clone());
        let mut task = Task { directory, folder, sender, watch: None, wake_up: wake_up.clone(), wake_ups };
        let is_well = task.look().await;
        Self { updates, wake_up, task: tokio::spawn(task.run(is_well)) }
    }

    /// What is in force, now and whenever it changes. A value that is equal is not sent again.
    #[must_use]
    pub fn updates(&self) -> watch::Receiver<Arc<Resources>> {
        self.updates.clone()
    }

    /// Looks again soon (SIGHUP).
    pub fn reread(&self) {
        // A full channel means that the task is about to look anyway.
        let _ = self.wake_up.try_send(());
    }
}

impl Drop for ManifestDirectory {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Task {
    directory: PathBuf,
    folder: Folder,
    sender: watch::Sender<Arc<Resources>>,
    watch: Option<Watch>,
    wake_up: mpsc::Sender<()>,
    wake_ups: mpsc::Receiver<()>,
}

/// A watch holds on to a directory, not to its name: another directory of that name needs another watch.
struct Watch {
    device: u64,
    inode: u64,
    _watcher: RecommendedWatcher,
}

impl Task {
    async fn run(mut self, mut is_well: bool) {
        loop {
            let time = if is_well { RESCAN_TIME } else { RETRY_TIME };
            if tokio::time::timeout(time, self.wake_ups.recv()).await.is_ok() {
                tokio::time::sleep(SETTLE_TIME).await;
                // Everything that woke us until now is in the look that follows.
                while self.wake_ups.try_recv().is_ok() {}
            }
            is_well = self.look().await;
        }
    }

    /// Arms the watch, then looks: what changes in between wakes us again. False: try again soon.
    async fn look(&mut self) -> bool {
        let is_watched = self.arm();
        let mut folder = std::mem::replace(&mut self.folder, Folder::new(self.directory.clone()));
        let looked = tokio::task::spawn_blocking(move || {
            let is_read = folder.look().is_ok();
            let resources = folder.resolve();
            (folder, resources, is_read)
        });
        // A runtime that is shutting down runs nothing any more; then nothing is published either.
        let Ok((folder, resources, is_read)) = looked.await else { return false };
        self.folder = folder;
        self.publish(resources);
        is_watched && is_read
    }

    fn arm(&mut self) -> bool {
        let Ok(metadata) = std::fs::metadata(&self.directory) else {
            self.watch = None;
            return false;
        };
        if self.watch.as_ref().is_some_and(|watch| watch.is_of(&metadata)) {
            return true;
        }
        self.watch = None;
        match Watch::new(&self.directory, &metadata, self.wake_up.clone()) {
            Ok(watch) => self.watch = Some(watch),
            Err(error) => {
                tracing::warn!(directory = %self.directory.display(), %error, "cannot watch; looking every second");
            }
        }
        self.watch.is_some()
    }

    fn publish(&self, resources: Resources) {
        self.sender.send_if_modified(|current| {
            let is_new = **current != resources;
            if is_new {
                report(current, &resources);
                *current = Arc::new(resources);
            }
            is_new
        });
    }
}

impl Watch {
    fn new(directory: &Path, metadata: &Metadata, wake_up: mpsc::Sender<()>) -> notify::Result<Self> {
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // An error (an overflow, say) is a reason to look as well.
            if event.map_or(true, |event| is_change(event.kind)) {
                let _ = wake_up.try_send(());
            }
        })?;
        watcher.watch(directory, RecursiveMode::NonRecursive)?;
        Ok(Self { device: metadata.dev(), inode: metadata.ino(), _watcher: watcher })
    }

    fn is_of(&self, metadata: &Metadata) -> bool {
        (self.device, self.inode) == (metadata.dev(), metadata.ino())
    }
}

/// Our own reading is no change.
pub(super) fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
        EventKind::Any
        | EventKind::Create(_)
        | EventKind::Modify(_)
        | EventKind::Remove(_)
        | EventKind::Other => true,
    }
}

/// Problems that were not there before wake a human; the change itself is worth a line.
fn report(before: &Resources, after: &Resources) {
    for problem in after.problems().iter().filter(|problem| !before.problems().contains(problem)) {
        tracing::warn!("{problem}");
    }
    tracing::info!(
        nodes = after.nodes.len(),
        bgp_peers = after.bgp_peers.len(),
        ip_pools = after.ip_pools.len(),
        block_affinities = after.block_affinities.len(),
        problems = after.problems().len(),
        "manifests changed"
    );
}
