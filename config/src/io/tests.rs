use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use super::*;
use crate::catalog::Resources;
use crate::settings::Settings;

/// A directory of its own, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("manx-config-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), text).unwrap();
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn pool(name: &str, third: u8) -> String {
    format!(
        "apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {{name: {name}}}\nspec: {{cidr: 10.{third}.0.0/16}}\n"
    )
}

fn pools(resources: &Resources) -> Vec<&str> {
    resources.ip_pools.keys().map(String::as_str).collect()
}

/// Waits until the pools are these and there are so many problems.
async fn until(updates: &mut watch::Receiver<Arc<Resources>>, names: &[&str], problems: usize) {
    let is_so =
        |resources: &Arc<Resources>| pools(resources) == names && resources.problems().len() == problems;
    let waited = tokio::time::timeout(Duration::from_secs(20), updates.wait_for(is_so)).await.map(drop);
    assert!(waited.is_ok(), "wanted {names:?} and {problems} problems: {:#?}", updates.borrow());
}

#[tokio::test]
async fn files_come_change_and_go() {
    let scratch = Scratch::new();
    scratch.write("a.yaml", pool("a", 1));
    let directory = ManifestDirectory::open(&scratch.0).await;
    let mut updates = directory.updates();
    assert_eq!(pools(&updates.borrow()), ["a"]);
    scratch.write("b.yml", pool("b", 2));
    until(&mut updates, &["a", "b"], 0).await;
    scratch.write("b.yml", pool("c", 3));
    until(&mut updates, &["a", "c"], 0).await;
    std::fs::remove_file(scratch.path("a.yaml")).unwrap();
    until(&mut updates, &["c"], 0).await;
}

#[tokio::test]
async fn a_half_written_file_is_reported_and_then_fixed() {
    let scratch = Scratch::new();
    scratch.write("a.yaml", pool("a", 1));
    let directory = ManifestDirectory::open(&scratch.0).await;
    let mut updates = directory.updates();
    let text = pool("a", 2);
    scratch.write("a.yaml", text.split("/16").next().unwrap());
    // The new content's problem, and that the old content stays.
    until(&mut updates, &["a"], 2).await;
    assert_eq!(updates.borrow().ip_pools["a"].spec.cidr.to_string(), "10.1.0.0/16");
    scratch.write("a.yaml", text);
    until(&mut updates, &["a"], 0).await;
    assert_eq!(updates.borrow().ip_pools["a"].spec.cidr.to_string(), "10.2.0.0/16");
}

/// The kubelet writes a new hidden directory and renames a link over `..data`; the files are links through it.
#[tokio::test]
async fn a_config_map_is_swapped() {
    let scratch = Scratch::new();
    let version = |number: u8| {
        let name = format!("..version{number}");
        std::fs::create_dir(scratch.path(&name)).unwrap();
        scratch.write(&format!("{name}/a.yaml"), pool("a", number));
        name
    };
    let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, scratch.path(name)).unwrap();
    link(&version(1), "..data");
    link("..data/a.yaml", "a.yaml");
    let directory = ManifestDirectory::open(&scratch.0).await;
    let mut updates = directory.updates();
    assert_eq!(updates.borrow().ip_pools["a"].spec.cidr.to_string(), "10.1.0.0/16");
    link(&version(2), "..data_tmp");
    std::fs::rename(scratch.path("..data_tmp"), scratch.path("..data")).unwrap();
    let swapped =
        updates.wait_for(|resources| resources.ip_pools["a"].spec.cidr.to_string() == "10.2.0.0/16");
    tokio::time::timeout(Duration::from_secs(20), swapped).await.unwrap().unwrap();
    assert!(updates.borrow().problems().is_empty());
}

#[tokio::test]
async fn a_directory_may_come_later_vanish_and_come_back() {
    let scratch = Scratch::new();
    let directory = ManifestDirectory::open(scratch.path("later")).await;
    let mut updates = directory.updates();
    until(&mut updates, &[], 1).await;
    assert!(updates.borrow().problems()[0].to_string().contains("cannot be read"));
    std::fs::create_dir(scratch.path("later")).unwrap();
    scratch.write("later/a.yaml", pool("a", 1));
    until(&mut updates, &["a"], 0).await;
    std::fs::remove_dir_all(scratch.path("later")).unwrap();
    // First the file goes and then the directory: either look is right, the last one is the directory's.
    let reported = updates.wait_for(|resources| resources.problems().len() == 1);
    tokio::time::timeout(Duration::from_secs(20), reported).await.unwrap().unwrap();
    std::fs::create_dir(scratch.path("later")).unwrap();
    scratch.write("later/b.yaml", pool("b", 2));
    until(&mut updates, &["b"], 0).await;
}

/// Renamed away in one step nothing is lost, and the watch follows the name, not the old directory.
#[tokio::test]
async fn a_directory_that_is_replaced_keeps_its_objects_meanwhile() {
    let scratch = Scratch::new();
    std::fs::create_dir(scratch.path("d")).unwrap();
    scratch.write("d/a.yaml", pool("a", 1));
    let directory = ManifestDirectory::open(scratch.path("d")).await;
    let mut updates = directory.updates();
    std::fs::rename(scratch.path("d"), scratch.path("old")).unwrap();
    until(&mut updates, &["a"], 1).await;
    std::fs::create_dir(scratch.path("d")).unwrap();
    scratch.write("d/b.yaml", pool("b", 2));
    until(&mut updates, &["b"], 0).await;
    scratch.write("d/c.yaml", pool("c", 3));
    until(&mut updates, &["b", "c"], 0).await;
}

/// Two renames, and the name means another directory: the watch must be on that one.
#[tokio::test]
async fn a_directory_that_is_exchanged_at_once_is_watched_anew() {
    let scratch = Scratch::new();
    for (name, number) in [("d", 1), ("new", 2)] {
        std::fs::create_dir(scratch.path(name)).unwrap();
        scratch.write(&format!("{name}/a.yaml"), pool(name, number));
    }
    let directory = ManifestDirectory::open(scratch.path("d")).await;
    let mut updates = directory.updates();
    assert_eq!(pools(&updates.borrow()), ["d"]);
    std::fs::rename(scratch.path("d"), scratch.path("old")).unwrap();
    std::fs::rename(scratch.path("new"), scratch.path("d")).unwrap();
    until(&mut updates, &["new"], 0).await;
    scratch.write("d/b.yaml", pool("b", 3));
    until(&mut updates, &["b", "new"], 0).await;
}

/// Otherwise every look would cause the next one.
#[test]
fn reading_is_no_change() {
    use notify::EventKind;
    use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind, RemoveKind};
    for (kind, expected) in [
        (EventKind::Access(AccessKind::Open(AccessMode::Any)), false),
        (EventKind::Access(AccessKind::Close(AccessMode::Read)), false),
        (EventKind::Access(AccessKind::Read), false),
        (EventKind::Access(AccessKind::Close(AccessMode::Write)), true),
        (EventKind::Create(CreateKind::Any), true),
        (EventKind::Modify(ModifyKind::Any), true),
        (EventKind::Remove(RemoveKind::Any), true),
        (EventKind::Any, true),
        (EventKind::Other, true),
    ] {
        assert_eq!(directory::is_change(kind), expected, "{kind:?}");
    }
}

#[tokio::test]
async fn reread_looks_again() {
    let scratch = Scratch::new();
    let directory = ManifestDirectory::open(scratch.path("d")).await;
    let mut updates = directory.updates();
    std::fs::create_dir(scratch.path("d")).unwrap();
    directory.reread();
    until(&mut updates, &[], 0).await;
}

#[test]
fn a_look_reads_manifests_only_and_does_not_repeat_itself() {
    let scratch = Scratch::new();
    for name in ["a.yaml", "b.yml", "c.json"] {
        scratch.write(name, pool(&name[..1], name.as_bytes()[0] - b'a' + 1));
    }
    scratch.write(".hidden.yaml", "x");
    scratch.write("notes.txt", "x");
    std::fs::create_dir(scratch.path("sub.yaml")).unwrap();
    scratch.write("sub.yaml/d.yaml", "x");
    std::os::unix::fs::symlink("nowhere", scratch.path("dangling.yaml")).unwrap();
    scratch.write("latin1.yaml", b"# \xe9\n");
    let mut folder = folder::Folder::new(scratch.0.clone());
    folder.look().unwrap();
    let first = folder.resolve();
    assert_eq!(pools(&first), ["a", "b", "c"]);
    assert_eq!(first.problems().len(), 1);
    assert!(first.problems()[0].to_string().contains("latin1.yaml: is not UTF-8"), "{:?}", first.problems());
    folder.look().unwrap();
    assert_eq!(folder.resolve(), first);
    // Files have their whole path, so a message can be followed.
    let location = &first.ip_pools["a"].location;
    assert_eq!(Path::new(&*location.file), scratch.path("a.yaml"));
}

#[test]
fn settings_come_from_the_file_if_there_is_one() {
    let scratch = Scratch::new();
    scratch.write("manx.toml", "node_name = \"a\"\n");
    let load = |name: &str| Settings::load(Some(&scratch.path(name)), [], "host");
    assert_eq!(load("manx.toml").unwrap().node_name, "a");
    let problems = load("other.toml").unwrap_err();
    assert!(problems[0].to_string().contains("other.toml: cannot be read"), "{problems:?}");
    scratch.write("bad.toml", "x = 1\n");
    let problem = load("bad.toml").unwrap_err()[0].to_string();
    assert!(problem.contains("bad.toml:1:1: x: unknown field"), "{problem}");
}
