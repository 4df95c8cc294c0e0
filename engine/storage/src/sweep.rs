//! Removes files that the manifest does not name: leftovers of failed flushes and compactions, of dropped tables, of replaced segments and
//! delete vectors.
//!
//! A reader that still shows such rows keeps its maps: the bytes stay until it lets go.

use std::collections::{BTreeSet, HashSet};

use crate::error::{Error, Result};
use crate::ids::SegmentId;
use crate::io::Disk;
use crate::manifest::{Manifest, SEGMENT_FOLDER, deletes_name, segment_name};

/// Key indexes are not in the manifest; they go with the segment whose id they begin with.
const KEY_INDEX_SUFFIX: &str = ".keys";

/// Removes them. `unfinished` are segments that are being written.
///
/// # Errors
/// If the folder cannot be listed or a file not removed; what is left is swept next time.
pub(crate) fn sweep(disk: &dyn Disk, manifest: &Manifest, unfinished: &BTreeSet<SegmentId>) -> Result<()> {
    let mut named: HashSet<String> = unfinished.iter().map(|id| segment_name(*id)).collect();
    let mut prefixes: HashSet<String> = unfinished.iter().map(|id| key_index_prefix(*id)).collect();
    for segment in &manifest.segments {
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

fn key_index_prefix(segment: SegmentId) -> String {
    format!("{:016x}", segment.0)
}
