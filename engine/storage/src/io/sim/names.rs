//! The folders of a simulated disk: names readers see, durable names, and the changes between.
//!
//! **Invariants**: changes that share a name become durable in their order, by a sync as by a crash; a rename is one
//! change, durable in both folders or in neither.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{ErrorKind, Result};
use std::sync::Arc;

use parking_lot::Mutex;

use super::Inode;
use super::contents::Contents;
use super::faults::Random;

/// One change of a folder.
#[derive(Clone, Debug)]
pub(super) enum Change {
    CreateDir { folder: String },
    Create { path: String, inode: Inode },
    Rename { from: String, to: String, inode: Inode },
    Remove { path: String },
}

impl Change {
    /// The one or two paths it is about.
    fn paths(&self) -> [&str; 2] {
        match self {
            Self::CreateDir { folder } => [folder, folder],
            Self::Create { path, .. } | Self::Remove { path } => [path, path],
            Self::Rename { from, to, .. } => [from, to],
        }
    }

    /// The paths that must be settled before it: its own and their folders.
    fn touches(&self, names: &BTreeSet<String>) -> bool {
        self.paths().iter().any(|path| names.contains(*path) || names.contains(folder_of(path)))
    }

    fn hold(&self, names: &mut BTreeSet<String>) {
        names.extend(self.paths().map(str::to_owned));
    }
}

fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Folders and files at one moment.
#[derive(Clone, Debug, Default)]
struct Tree {
    folders: BTreeSet<String>,
    files: BTreeMap<String, Inode>,
}

impl Tree {
    fn apply(&mut self, change: &Change) {
        match change {
            Change::CreateDir { folder } => {
                self.folders.insert(folder.clone());
            }
            Change::Create { path, inode } => {
                self.files.insert(path.clone(), Arc::clone(inode));
            }
            Change::Rename { from, to, inode } => {
                self.files.remove(from);
                self.files.insert(to.clone(), Arc::clone(inode));
            }
            Change::Remove { path } => {
                self.files.remove(path);
            }
        }
    }

    fn has_folder(&self, folder: &str) -> bool {
        folder.is_empty() || self.folders.contains(folder)
    }
}

/// A change that is not durable yet, and the folders whose sync it waits for.
#[derive(Clone, Debug)]
struct Pending {
    change: Change,
    unsynced: BTreeSet<String>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    current: Tree,
    durable: Tree,
    pending: Vec<Pending>,
}

impl Names {
    pub(super) fn get(&self, path: &str) -> Result<&Inode> {
        Ok(self.current.files.get(path).ok_or(ErrorKind::NotFound)?)
    }

    pub(super) fn list(&self, folder: &str) -> Vec<String> {
        let inside = self.current.files.keys().filter(|path| folder_of(path) == folder);
        inside.map(|path| path.rsplit('/').next().unwrap_or(path).to_owned()).collect()
    }

    /// Every file readers see, with its length.
    pub(super) fn files(&self) -> Vec<(String, u64)> {
        self.current.files.iter().map(|(path, inode)| (path.clone(), inode.lock().len())).collect()
    }

    /// The same names, each with a copy of its file.
    pub(super) fn fork(&self) -> Self {
        let mut copies: BTreeMap<*const Mutex<Contents>, Inode> = BTreeMap::new();
        let mut copy = |inode: &Inode| {
            let made = copies.entry(Arc::as_ptr(inode)).or_insert_with(|| Arc::new(Mutex::new(inode.lock().clone())));
            Arc::clone(made)
        };
        let mut tree = |tree: &Tree| Tree {
            folders: tree.folders.clone(),
            files: tree.files.iter().map(|(path, inode)| (path.clone(), copy(inode))).collect(),
        };
        let (current, durable) = (tree(&self.current), tree(&self.durable));
        let pending = self.pending.iter().map(|pending| {
            let change = match &pending.change {
                Change::Create { path, inode } => Change::Create { path: path.clone(), inode: copy(inode) },
                Change::Rename { from, to, inode } => {
                    Change::Rename { from: from.clone(), to: to.clone(), inode: copy(inode) }
                }
                other => other.clone(),
            };
            Pending { change, unsynced: pending.unsynced.clone() }
        });
        let pending = pending.collect();
        Self { current, durable, pending }
    }

    /// Bytes of all files readers see.
    pub(super) fn bytes(&self) -> u64 {
        self.current.files.values().map(|inode| inode.lock().len()).sum()
    }

    pub(super) fn create_dir(&mut self, folder: &str) {
        if !self.current.has_folder(folder) {
            self.push(Change::CreateDir { folder: folder.to_owned() });
        }
    }

    /// Fails with `NotFound` if a folder it needs is missing.
    pub(super) fn change(&mut self, change: Change) -> Result<()> {
        if !change.paths().iter().all(|path| self.current.has_folder(folder_of(path))) {
            return Err(ErrorKind::NotFound.into());
        }
        self.push(change);
        Ok(())
    }

    fn push(&mut self, change: Change) {
        self.current.apply(&change);
        let unsynced = change.paths().map(|path| folder_of(path).to_owned()).into();
        self.pending.push(Pending { change, unsynced });
    }

    pub(super) fn sync_dir(&mut self, folder: &str) -> Result<()> {
        if !self.current.has_folder(folder) {
            return Err(ErrorKind::NotFound.into());
        }
        let mut waiting = BTreeSet::new();
        for mut pending in std::mem::take(&mut self.pending) {
            pending.unsynced.remove(folder);
            let behind = pending.change.paths().iter().any(|path| waiting.contains(*path));
            if pending.unsynced.is_empty() && !behind {
                self.durable.apply(&pending.change);
            } else {
                pending.change.hold(&mut waiting);
                self.pending.push(pending);
            }
        }
        Ok(())
    }

    /// The names after a power cut, each file with what is left of it.
    pub(super) fn crash(&self, random: &mut Random) -> Self {
        let mut tree = self.durable.clone();
        let mut dropped = BTreeSet::new();
        for pending in &self.pending {
            if !pending.change.touches(&dropped) && random.coin() {
                tree.apply(&pending.change);
            } else {
                pending.change.hold(&mut dropped);
            }
        }
        let folders = tree.folders;
        let mut files = BTreeMap::new();
        for (path, inode) in tree.files {
            let folder = folder_of(&path);
            if folder.is_empty() || folders.contains(folder) {
                files.insert(path, Arc::new(Mutex::new(inode.lock().crash(random))));
            }
        }
        let tree = Tree { folders, files };
        Self { current: tree.clone(), durable: tree, pending: Vec::new() }
    }
}
