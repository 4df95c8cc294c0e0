//! A data directory that several server processes use one after the other.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

/// A folder that vanishes with the last clone.
#[derive(Clone, Debug)]
pub struct DataDir {
    folder: Arc<TempDir>,
}

impl DataDir {
    /// A fresh one; the data directory itself does not exist yet, as on a user's machine.
    pub fn fresh() -> Self {
        let folder = tempfile::Builder::new().prefix("siltstone-test-").tempdir().expect("a temporary folder");
        Self { folder: Arc::new(folder) }
    }

    /// What goes behind `--data`.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A place beside the data directory, for configuration files and the like.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// All files below the data directory, with their paths relative to it.
    pub fn files(&self) -> Vec<PathBuf> {
        let root = self.path();
        let (mut files, mut folders) = (Vec::new(), vec![root.clone()]);
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).expect("a readable folder") {
                let path = entry.expect("a readable entry").path();
                if path.is_dir() { folders.push(path) } else { files.push(relative(&root, &path)) }
            }
        }
        files.sort();
        files
    }
}

fn relative(root: &Path, path: &Path) -> PathBuf {
    path.strip_prefix(root).expect("below the root").to_owned()
}
