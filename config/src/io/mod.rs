//! The edge: files are read here and nowhere else.

mod directory;
mod folder;
mod settings;

pub use directory::ManifestDirectory;

#[cfg(test)]
mod tests;
