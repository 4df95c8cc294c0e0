//! Names of files as SQL writes them: paths in the folder, and patterns of such.
//!
//! **Invariants**
//! 1. A pattern looks at a bounded number of names, and never follows links to find folders below `**`.
//! 2. Names that begin with a dot match only where the pattern says the dot.

use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io;
use std::path::{Component, Path, PathBuf};

use glob::{MatchOptions, Pattern};
use siltstone_query::{FoundFile, QueryError, QueryErrorKind};

use super::{FilesFolder, error, forbidden, unreadable};

/// Most names that one pattern looks at.
const NAMES_MAX: usize = 100_000;

const MATCHING: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

impl FilesFolder {
    /// The files of a path or pattern, by name.
    ///
    /// # Errors
    /// `Permission Error`, `IO Error`.
    pub(super) fn found(&self, pattern: &str) -> Result<Vec<FoundFile>, QueryError> {
        let relative = self.relative(pattern)?;
        let names: Vec<&str> = relative.split('/').filter(|name| !matches!(*name, "" | ".")).collect();
        let mut walk = Walk { folder: self, pattern, looked_at: 0, found: BTreeMap::new() };
        if names.iter().any(|name| is_pattern(name)) {
            walk.below(&self.root, "", &names)?;
        } else if !names.is_empty() {
            walk.take(&self.root.join(relative), relative)?;
        }
        if walk.found.is_empty() {
            let text = format!("IO Error: No files found that match the pattern \"{pattern}\"");
            return Err(error(QueryErrorKind::User, text));
        }
        Ok(walk.found.into_values().collect())
    }

    /// A path as one in the folder. Nothing of the disk is looked at.
    ///
    /// # Errors
    /// `Permission Error` for one that is not.
    pub(super) fn relative<'a>(&self, path: &'a str) -> Result<&'a str, QueryError> {
        let is_foreign = |path: &str| path.contains("://") || path.contains('\0') || path.starts_with('~');
        if is_foreign(path) || Path::new(path).components().any(|part| part == Component::ParentDir) {
            return Err(forbidden(path));
        }
        if !path.starts_with('/') {
            return Ok(path);
        }
        let within = [&self.given, &self.root].into_iter().find_map(|root| {
            let rest = path.strip_prefix(root.to_str()?.trim_end_matches('/'))?;
            rest.strip_prefix('/')
        });
        within.ok_or_else(|| forbidden(path))
    }

    /// Where a path in the folder leads, links followed; `None`: nowhere.
    ///
    /// # Errors
    /// `Permission Error` if that is outside; `IO Error`.
    fn resolved(&self, path: &Path, shown: &str) -> Result<Option<PathBuf>, QueryError> {
        match path.canonicalize() {
            Ok(real) if real.starts_with(&self.root) => Ok(Some(real)),
            Ok(_) => Err(forbidden(shown)),
            // Whether there is anything outside is not told either.
            Err(cause) if is_missing(&cause) => {
                let home = path.ancestors().skip(1).find_map(|folder| folder.canonicalize().ok());
                let is_outside = home.is_some_and(|home| !home.starts_with(&self.root));
                if is_outside { Err(forbidden(shown)) } else { Ok(None) }
            }
            Err(cause) => Err(unreadable(shown, &cause)),
        }
    }

    /// Opens a file that was found.
    ///
    /// # Errors
    /// `IO Error` if it is another one by now.
    pub(super) fn open_found(&self, file: &FoundFile) -> Result<File, QueryError> {
        let changed = || {
            error(QueryErrorKind::User, format!("IO Error: the file \"{}\" changed while it was to be read", file.name))
        };
        if self.resolved(&file.path, &file.name)?.as_ref() != Some(&file.path) {
            return Err(changed());
        }
        let is_same = |metadata: &Metadata| {
            metadata.is_file() && metadata.len() == file.bytes && metadata.modified().ok() == file.modified
        };
        let metadata = file.path.metadata().map_err(|cause| unreadable(&file.name, &cause))?;
        if !is_same(&metadata) {
            return Err(changed());
        }
        File::open(&file.path).map_err(|cause| unreadable(&file.name, &cause))
    }
}

fn is_missing(cause: &io::Error) -> bool {
    matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidFilename)
}

fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?', '['])
}

/// A search under way.
struct Walk<'a> {
    folder: &'a FilesFolder,
    pattern: &'a str,
    looked_at: usize,
    /// By name, so that they come in order.
    found: BTreeMap<String, FoundFile>,
}

impl Walk<'_> {
    /// Looks in a folder for what the names lead to; `shown` is the folder's own name, with a slash behind it unless it is the root.
    fn below(&mut self, folder: &Path, shown: &str, names: &[&str]) -> Result<(), QueryError> {
        let Some((name, rest)) = names.split_first() else { return Ok(()) };
        if !is_pattern(name) {
            return self.step(&folder.join(name), format!("{shown}{name}"), rest);
        }
        let everywhere = *name == "**";
        if everywhere {
            self.below(folder, shown, rest)?;
        }
        let pattern = Pattern::new(if everywhere { "*" } else { name }).map_err(|cause| {
            error(QueryErrorKind::User, format!("Invalid Input Error: bad pattern \"{}\": {cause}", self.pattern))
        })?;
        for (path, entry) in self.entries(folder, shown)? {
            if !pattern.matches_with(&entry, MATCHING) {
                continue;
            }
            let entry = format!("{shown}{entry}");
            if !everywhere {
                self.step(&path, entry, rest)?;
            } else if path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir()) {
                self.below(&path, &format!("{entry}/"), names)?;
            } else if rest.is_empty() {
                self.take(&path, &entry)?;
            }
        }
        Ok(())
    }

    /// What is in a folder, by name. Names that are not UTF-8 cannot be written in SQL.
    fn entries(&mut self, folder: &Path, shown: &str) -> Result<Vec<(PathBuf, String)>, QueryError> {
        let Some(real) = self.folder.resolved(folder, shown)?.filter(|real| real.is_dir()) else {
            return Ok(Vec::new());
        };
        let mut entries = Vec::new();
        for entry in real.read_dir().map_err(|cause| unreadable(shown, &cause))? {
            self.looked_at += 1;
            if self.looked_at > NAMES_MAX {
                let text = format!("Invalid Input Error: the pattern \"{}\" looks at too many files", self.pattern);
                return Err(error(QueryErrorKind::User, text));
            }
            let entry = entry.map_err(|cause| unreadable(shown, &cause))?;
            if let Ok(name) = entry.file_name().into_string() {
                entries.push((folder.join(&name), name));
            }
        }
        Ok(entries)
    }

    /// Goes on with the rest of the names at a path.
    fn step(&mut self, path: &Path, shown: String, rest: &[&str]) -> Result<(), QueryError> {
        if rest.is_empty() {
            return self.take(path, &shown);
        }
        self.below(path, &format!("{shown}/"), rest)
    }

    /// Takes what is at a path, if it is a file.
    fn take(&mut self, path: &Path, shown: &str) -> Result<(), QueryError> {
        let Some(real) = self.folder.resolved(path, shown)? else { return Ok(()) };
        let metadata = match real.metadata() {
            Ok(metadata) => metadata,
            Err(cause) if is_missing(&cause) => return Ok(()),
            Err(cause) => return Err(unreadable(shown, &cause)),
        };
        if metadata.is_file() {
            let found = FoundFile {
                name: shown.to_owned(),
                path: real,
                bytes: metadata.len(),
                modified: metadata.modified().ok(),
            };
            self.found.insert(shown.to_owned(), found);
        }
        Ok(())
    }
}
