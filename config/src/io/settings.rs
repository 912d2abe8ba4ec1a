//! manx.toml from the disk.

use std::io::ErrorKind;
use std::path::Path;

use crate::problem::{Location, Problem};
use crate::settings::{DEFAULT_PATH, Settings};

impl Settings {
    /// Reads the file at `path`, or at [`DEFAULT_PATH`], where a missing file means defaults.
    /// `environment` and `host_name` are as in [`Settings::parse`].
    ///
    /// # Errors
    /// The file cannot be read, or everything that is wrong in it and in the environment.
    pub fn load(
        path: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
        host_name: &str,
    ) -> Result<Self, Vec<Problem>> {
        let is_default = path.is_none();
        let path = path.unwrap_or(Path::new(DEFAULT_PATH));
        let file = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&file, &text, environment, host_name),
            Err(error) if is_default && error.kind() == ErrorKind::NotFound => {
                Self::parse(&file, "", environment, host_name)
            }
            Err(error) => {
                Err(vec![Problem::error(Location::file(&file), "", format!("cannot be read: {error}"))])
            }
        }
    }
}
