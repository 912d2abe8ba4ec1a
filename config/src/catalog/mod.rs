//! Which objects are in force, given every file and its history of mistakes.
//!
//! Level-triggered: [`Catalog::resolve`] depends on the files as they stand and, for a file that became bad,
//! on its last good content; never on the order in which files arrived. A mistake takes out as little as
//! possible: a bad file keeps its last good version, and of two objects that contradict each other the one
//! that comes first stays. Both are said aloud.
//!
//! Knows nothing of directories and clocks; a file is a name and what was read from it.

mod resources;

use std::collections::BTreeMap;

pub use resources::Resources;

use crate::manifest::Located;
use crate::model::Object;
use crate::problem::{Location, Problem};

/// Every file that was seen.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    files: BTreeMap<String, File>,
    notices: BTreeMap<String, Problem>,
}

#[derive(Clone, Debug, Default)]
struct File {
    /// Of the newest content that was good.
    objects: Vec<Located<Object>>,
    /// Of the newest content.
    problems: Vec<Problem>,
    was_good: bool,
}

impl Catalog {
    /// A file has this content now, as [`crate::manifest::parse_manifest`] read it.
    pub fn apply_file(&mut self, name: &str, content: Result<Vec<Located<Object>>, Vec<Problem>>) {
        let file = self.files.entry(name.to_owned()).or_default();
        match content {
            Ok(objects) => *file = File { objects, problems: Vec::new(), was_good: true },
            Err(problems) => file.problems = problems,
        }
    }

    /// A file is gone, and its objects with it.
    pub fn remove_file(&mut self, name: &str) {
        self.files.remove(name);
    }

    /// The files that were seen and not removed.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// Something about the place the files come from (the directory cannot be read); `None`: all is well
    /// again. One notice per subject.
    pub fn notice(&mut self, subject: &str, problem: Option<Problem>) {
        match problem {
            Some(problem) => self.notices.insert(subject.to_owned(), problem),
            None => self.notices.remove(subject),
        };
    }

    /// What is in force, with everything that is wrong.
    #[must_use]
    pub fn resolve(&self) -> Resources {
        let mut problems: Vec<Problem> = self.notices.values().cloned().collect();
        let mut is_partial = !self.notices.is_empty();
        for (name, file) in &self.files {
            problems.extend(file.problems.iter().cloned());
            is_partial |= !file.was_good;
            if file.was_good && !file.problems.is_empty() {
                let message = "the version of this file that was read before stays in force";
                problems.push(Problem::warning(Location::file(name), "", message));
            }
        }
        // Files in the order of their names: of two objects with one name the first file's wins.
        let objects = self.files.values().flat_map(|file| &file.objects);
        let resources = Resources::new(objects, problems);
        if is_partial { resources.partial() } else { resources }
    }
}

#[cfg(test)]
mod tests;
