//! One look at a directory of manifests after another. Blocks; knows nothing of when to look.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use crate::catalog::{Catalog, Resources};
use crate::manifest::parse_manifest;
use crate::problem::{Location, Problem};

/// Larger files are refused: a cluster of 5000 nodes fits into a tenth of it.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// A directory, and what was in it at the last look that succeeded.
#[derive(Debug)]
pub(super) struct Folder {
    directory: PathBuf,
    catalog: Catalog,
    /// What each file held, so that one that did not change is not read as a manifest again.
    contents: BTreeMap<String, Result<String, String>>,
}

impl Folder {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self { directory, catalog: Catalog::default(), contents: BTreeMap::new() }
    }

    /// Looks again. A directory that cannot be read changes nothing but adds a problem.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub(super) fn look(&mut self) -> io::Result<()> {
        let subject = "directory";
        match read(&self.directory) {
            Ok(contents) => {
                self.catalog.notice(subject, None);
                self.take(contents);
                Ok(())
            }
            Err(error) => {
                let message = format!("cannot be read: {error}; what was read before stays in force");
                let location = Location::file(&self.directory.display().to_string());
                self.catalog.notice(subject, Some(Problem::error(location, "", message)));
                Err(error)
            }
        }
    }

    pub(super) fn resolve(&self) -> Resources {
        self.catalog.resolve()
    }

    fn take(&mut self, contents: BTreeMap<String, Result<String, String>>) {
        for name in self.contents.keys().filter(|name| !contents.contains_key(*name)) {
            self.catalog.remove_file(name);
        }
        for (name, content) in &contents {
            if self.contents.get(name) == Some(content) {
                continue;
            }
            let parsed = match content {
                Ok(text) => parse_manifest(name, text),
                Err(message) => Err(vec![Problem::error(Location::file(name), "", message.clone())]),
            };
            self.catalog.apply_file(name, parsed);
        }
        self.contents = contents;
    }
}

/// Every manifest of the directory by its path. Subdirectories and hidden files are skipped: the `..data` of
/// a mounted ConfigMap is both, while the links beside it lead through it.
fn read(directory: &Path) -> io::Result<BTreeMap<String, Result<String, String>>> {
    let mut contents = BTreeMap::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if !is_manifest(&path) {
            continue;
        }
        match read_file(&path) {
            Ok(Some(content)) => {
                contents.insert(path.display().to_string(), content);
            }
            // Gone between listing and reading, or not a file.
            Ok(None) => {}
            Err(error) => {
                contents.insert(path.display().to_string(), Err(format!("cannot be read: {error}")));
            }
        }
    }
    Ok(contents)
}

fn is_manifest(path: &Path) -> bool {
    let is_hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    let extension = path.extension().and_then(|extension| extension.to_str());
    !is_hidden && matches!(extension, Some("yaml" | "yml" | "json"))
}

/// Inner error: the file is there and is no text that can be a manifest.
fn read_file(path: &Path) -> io::Result<Option<Result<String, String>>> {
    let metadata = match path.metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        metadata => metadata?,
    };
    // A named pipe would block us until somebody writes to it.
    if !metadata.is_file() {
        return Ok(None);
    }
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > FILE_BYTES_MAX {
        return Ok(Some(Err(format!("is larger than {} MiB: split it", FILE_BYTES_MAX >> 20))));
    }
    Ok(Some(String::from_utf8(bytes).map_err(|error| format!("is not UTF-8: {error}"))))
}
