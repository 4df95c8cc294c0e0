//! Whole files of any format, as `inspect` sees them.
//!
//! It knows where the files of a data directory lie, not what is in them.

use std::io::IoSlice;

use super::{FILE, REPAIR};
use crate::delete_vector;
use crate::error::ErrorKind;
use crate::inspect::{inspect_directory, inspect_file};
use crate::io::Disk;
use crate::io::sim::SimDisk;
use crate::manifest::SEGMENT_FOLDER;
use crate::{key_index, log, manifest, segment};

/// Paths of files, by what an input says that it is.
const PATHS: [&str; 7] = [
    "MANIFEST-0000000000000001",
    "log/0000000001.log",
    "segments/0000000000000001.segment",
    "segments/0000000000000001.deletes",
    "segments/0000000000000001.keys",
    "log/0000000002.spare",
    FILE,
];

/// An input is a set of flags, which of [`PATHS`] it is, and the file; [`REPAIR`] puts right its checksums.
pub fn inspect(bytes: &[u8]) {
    let [flags, kind, rest @ ..] = bytes else { return };
    let kind = usize::from(*kind) % PATHS.len();
    let file = match (flags & REPAIR > 0, kind) {
        (true, 0) => manifest::fuzzing::framed_body(rest),
        (true, 1) => log::fuzzing::repaired(rest),
        (true, 2) => segment::fuzzing::repaired(rest),
        (true, 3) => delete_vector::fuzzing::framed(rest),
        (true, 4) => match key_index::fuzzing::repaired_file(rest) {
            Some(file) => file,
            None => return,
        },
        _ => rest.to_vec(),
    };
    let path = PATHS[kind];
    let disk = disk_of(path, &file).expect("a disk without faults");
    check_described(path, &disk);
}

fn disk_of(path: &str, bytes: &[u8]) -> std::io::Result<SimDisk> {
    let disk = SimDisk::new(1);
    disk.create_dir(log::FOLDER)?;
    disk.create_dir(SEGMENT_FOLDER)?;
    disk.create(path)?.write_at(0, &[IoSlice::new(bytes)])?;
    Ok(disk)
}

/// What is wrong is printed where it is, and returned.
fn check_described(path: &str, disk: &SimDisk) {
    let mut text = Vec::new();
    let outcome = inspect_file(disk, path, &mut text);
    let text = String::from_utf8(text).expect("a description is text");
    assert!(text.starts_with(path), "a description begins with the name of the file");
    if let Err(error) = outcome {
        assert!(matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported), "{error}");
        assert!(text.contains("DAMAGED: "), "what is returned is printed: {error}");
    }
    let outcome = inspect_directory(disk, &mut std::io::sink());
    let kinds = [ErrorKind::Corrupt, ErrorKind::Unsupported, ErrorKind::NotFound];
    assert!(outcome.is_ok() || outcome.is_err_and(|error| kinds.contains(&error.kind())));
}

/// Every file of the other checks' seeds that is one as a whole, and what is none.
#[cfg(test)]
pub(super) fn seeds() -> Vec<Vec<u8>> {
    let files = [
        (0, manifest::fuzzing::seeds()),
        (2, segment::fuzzing::segment_seeds().into_iter().step_by(17).collect()),
        (3, delete_vector::fuzzing::seeds()),
    ];
    let mut inputs: Vec<Vec<u8>> = files
        .into_iter()
        .flat_map(|(kind, files)| files.into_iter().map(move |file| [&[file[0], kind], &file[1..]].concat()))
        .collect();
    inputs.extend(log::fuzzing::file_seeds().into_iter().map(|file| [&[0, 1], &file[..]].concat()));
    inputs.extend(key_index::fuzzing::file_seeds().into_iter().map(|file| [&[0, 4], &file[..]].concat()));
    inputs.push([&[0, 5][..], b"spare"].concat());
    inputs.push([&[0, 6][..], b"what is this"].concat());
    inputs
}
