//! Removes files that the manifest does not name: leftovers of failed flushes and of dropped tables.
//!
//! A reader that still shows a dropped table keeps its maps: the bytes stay until it lets go.

use std::collections::HashSet;

use crate::error::{Error, Result};
use crate::io::Disk;
use crate::manifest::{Manifest, SEGMENT_FOLDER, segment_name};

/// Runs only where no segment is being written: at open, and at the end of a flush.
///
/// # Errors
/// If the folder cannot be listed or a file not removed; what is left is swept next time.
pub(crate) fn sweep(disk: &dyn Disk, manifest: &Manifest) -> Result<()> {
    let named: HashSet<String> = manifest.segments.iter().map(|segment| segment_name(segment.id)).collect();
    let found = disk.list(SEGMENT_FOLDER).map_err(|error| Error::io("list", SEGMENT_FOLDER, error))?;
    for name in found.iter().filter(|name| !named.contains(*name)) {
        let path = format!("{SEGMENT_FOLDER}/{name}");
        disk.remove(&path).map_err(|error| Error::io("remove", &path, error))?;
    }
    Ok(())
}
