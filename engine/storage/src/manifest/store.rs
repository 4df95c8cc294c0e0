//! Publishes manifests and loads the last one.
//!
//! **Invariants**
//! 1. A manifest is written under another name, synced, and renamed to `MANIFEST-<generation>`: one that has its name is whole.
//! 2. The one before is removed only after the new name is durable.

use std::io::IoSlice;

use super::{Manifest, codec};
use crate::error::{Error, ErrorKind, Result};
use crate::io::Disk;

const PREFIX: &str = "MANIFEST-";
const DRAFT: &str = "manifest.draft";

/// Makes `manifest` the durable truth.
///
/// # Errors
/// `Exhausted` when the disk is full; the one before then still stands.
pub(crate) fn publish(disk: &dyn Disk, manifest: &Manifest) -> Result<()> {
    write_draft(disk, manifest)?;
    make_draft_stand(disk, manifest)
}

/// The first half of [`publish`]: a failure leaves the manifest before, for sure.
pub(crate) fn write_draft(disk: &dyn Disk, manifest: &Manifest) -> Result<()> {
    if disk.list("").map_err(|error| Error::io("list", "", error))?.iter().any(|name| name == DRAFT) {
        disk.remove(DRAFT).map_err(|error| Error::io("remove", DRAFT, error))?;
    }
    let bytes = codec::encode(manifest);
    let draft = disk.create(DRAFT).map_err(|error| Error::io("create", DRAFT, error))?;
    draft.write_at(0, &[IoSlice::new(&bytes)]).map_err(|error| Error::io("write", DRAFT, error))?;
    draft.sync().map_err(|error| Error::io("sync", DRAFT, error))
}

/// The second half: after a failure either may stand.
pub(crate) fn make_draft_stand(disk: &dyn Disk, manifest: &Manifest) -> Result<()> {
    let name = file_name(manifest.generation);
    disk.rename(DRAFT, &name).map_err(|error| Error::io("rename", DRAFT, error))?;
    disk.sync_dir("").map_err(|error| Error::io("sync the folder of", &name, error))?;
    // The new one stands; an older one that cannot be removed now goes with the next.
    drop(remove_older(disk, manifest.generation));
    Ok(())
}

/// The last published manifest; `None` in a new directory.
///
/// # Errors
/// `Corrupt` or `Unsupported` if it cannot be read: an older one is never taken in its place.
pub(crate) fn load(disk: &dyn Disk) -> Result<Option<Manifest>> {
    let Some(generation) = generations(disk)?.into_iter().max() else { return Ok(None) };
    let name = file_name(generation);
    let file = disk.open(&name).map_err(|error| Error::io("open", &name, error))?;
    let length = file.len().map_err(|error| Error::io("measure", &name, error))?;
    let mut bytes = vec![0; length as usize];
    file.read_at(0, &mut bytes).map_err(|error| Error::io("read", &name, error))?;
    let manifest = codec::decode(&name, &bytes)?;
    if manifest.generation != generation {
        return Err(Error::corrupt(&name, 0, format_args!("generation {generation}"), manifest.generation));
    }
    Ok(Some(manifest))
}

fn remove_older(disk: &dyn Disk, newest: u64) -> Result<()> {
    for generation in generations(disk)?.into_iter().filter(|generation| *generation < newest) {
        let name = file_name(generation);
        disk.remove(&name).map_err(|error| Error::io("remove", &name, error))?;
    }
    Ok(())
}

fn generations(disk: &dyn Disk) -> Result<Vec<u64>> {
    let names = disk.list("").map_err(|error| Error::io("list", "", error))?;
    names
        .iter()
        .filter_map(|name| name.strip_prefix(PREFIX))
        .map(|digits| {
            u64::from_str_radix(digits, 16)
                .map_err(|_| Error::new(ErrorKind::Corrupt, format!("file of unknown meaning: file={PREFIX}{digits}")))
        })
        .collect()
}

/// Whether a file of this name is a manifest.
pub(crate) fn is_manifest(name: &str) -> bool {
    name.starts_with(PREFIX)
}

fn file_name(generation: u64) -> String {
    format!("{PREFIX}{generation:016x}")
}
