//! Removes files that no manifest names: leftovers of failed flushes and compactions, of dropped tables, of replaced segments and
//! delete vectors.
//!
//! A reader that still shows such rows keeps its maps: the bytes stay until it lets go.

use std::collections::{BTreeSet, HashSet};
use std::ops::Range;

use crate::error::{Error, Result};
use crate::ids::SegmentId;
use crate::io::Disk;
use crate::manifest::{Manifest, SEGMENT_FOLDER, deletes_name, segment_name};

/// Key indexes are not in the manifest; they go with the segment whose id they begin with.
const KEY_INDEX_SUFFIX: &str = ".keys";

/// Removes them. `manifests` are the one that stands and those of which a backup is copying the files, `unfinished` segments that are
/// being written.
///
/// # Errors
/// If the folder cannot be listed or a file not removed; what is left is swept next time.
pub(crate) fn sweep<'a>(
    disk: &dyn Disk,
    manifests: impl IntoIterator<Item = &'a Manifest>,
    unfinished: &BTreeSet<SegmentId>,
) -> Result<()> {
    let mut named: HashSet<String> = unfinished.iter().map(|id| segment_name(*id)).collect();
    let mut prefixes: HashSet<String> = unfinished.iter().map(|id| key_index_prefix(*id)).collect();
    for segment in manifests.into_iter().flat_map(|manifest| &manifest.segments) {
        named.insert(segment_name(segment.id));
        named.extend(segment.deletes.as_ref().map(|deletes| deletes_name(segment.id, deletes.file)));
        prefixes.insert(key_index_prefix(segment.id));
    }
    let is_named = |name: &String| {
        let index = name.strip_suffix(KEY_INDEX_SUFFIX).and_then(|stem| stem.split_once('-'));
        named.contains(name) || index.is_some_and(|(segment, _)| prefixes.contains(segment))
    };
    let found = disk.list(SEGMENT_FOLDER).map_err(|error| Error::io("list", SEGMENT_FOLDER, error))?;
    for name in found.iter().filter(|name| !is_named(name)) {
        let path = format!("{SEGMENT_FOLDER}/{name}");
        disk.remove(&path).map_err(|error| Error::io("remove", &path, error))?;
    }
    Ok(())
}

/// Removes the files that were made under these ids, whatever the manifest says: of segments, and of delete vectors.
///
/// # Errors
/// As [`sweep`].
pub(crate) fn remove_written(disk: &dyn Disk, ids: Range<SegmentId>) -> Result<()> {
    let found = disk.list(SEGMENT_FOLDER).map_err(|error| Error::io("list", SEGMENT_FOLDER, error))?;
    for name in found.iter().filter(|name| written_as(name).is_some_and(|id| ids.contains(&id))) {
        let path = format!("{SEGMENT_FOLDER}/{name}");
        disk.remove(&path).map_err(|error| Error::io("remove", &path, error))?;
    }
    Ok(())
}

/// The id that a file was made under: its own for a delete vector, else that of its segment.
fn written_as(name: &str) -> Option<SegmentId> {
    let (stem, kind) = name.split_once('.')?;
    let (segment, other) = stem.split_once('-').unwrap_or((stem, stem));
    let id = if kind == "deletes" { other } else { segment };
    u64::from_str_radix(id, 16).ok().map(SegmentId)
}

fn key_index_prefix(segment: SegmentId) -> String {
    format!("{:016x}", segment.0)
}
