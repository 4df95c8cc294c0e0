//! Bit rot: damages one place of a disk at rest, and says whether the engine answers for it as it must.
//!
//! Either something reports the damage and names the file, or it has no effect. Rows that are not what was written are never shown.

use std::io::IoSlice;
use std::sync::Arc;

use fastrand::Rng;
use siltstone_storage::io::Disk;
use siltstone_storage::io::sim::SimDisk;
use siltstone_storage::{Engine, Error, ErrorKind, Options, verify};

use super::read::{Unread, chain};
use super::{Fault, Model, check};

/// What became of the damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reported {
    /// The engine refuses to open.
    AtOpen,
    /// It opens, and a read reports it.
    AtRead,
    /// Everything reads as it must.
    Harmless,
}

/// Damages a copy of a disk whose engine was closed in good order, and reads everything.
///
/// # Errors
/// If wrong rows are shown, another file is blamed, or `verify` overlooks what a reader meets.
pub fn probe(disk: &SimDisk, model: &Model, options: &Options, random: &mut Rng) -> Result<(String, Reported), Fault> {
    let damaged = disk.fork();
    let (path, what) = damage(&damaged, random).map_err(|error| format!("cannot damage the disk: {error}"))?;
    let verified = verify(&damaged.fork());
    let reported = read(&damaged, model, options, random, &path).map_err(|fault| format!("{what}: {fault}"))?;
    match verified {
        Ok(_) if reported != Reported::Harmless => {
            return Err(format!("{what}: verify finds nothing, and a reader does"));
        }
        Ok(_) => {}
        Err(error) => blames(&error, &path).map_err(|fault| format!("{what}: verify: {fault}"))?,
    }
    Ok((what, reported))
}

/// Flips a bit of some file, or zeroes a sector of a segment; says where.
fn damage(disk: &SimDisk, random: &mut Rng) -> std::io::Result<(String, String)> {
    let mut files: Vec<(String, u64)> = disk.files().into_iter().filter(|(_, bytes)| *bytes > 0).collect();
    // Most files are spare or segments: the few others deserve their share.
    let rare: Vec<(String, u64)> = files.iter().filter(|(path, _)| !path.ends_with(".segment")).cloned().collect();
    if random.bool() {
        files = rare;
    }
    let (path, bytes) = files[random.usize(..files.len())].clone();
    // Headers and footers are small and matter most.
    let offset = match random.u8(..4) {
        0 => random.u64(..bytes.min(64)),
        1 => bytes - 1 - random.u64(..bytes.min(256)),
        2 if path.starts_with("log/") => (4096 + random.u64(..256)).min(bytes - 1),
        _ => random.u64(..bytes),
    };
    if path.starts_with("segments/") && random.u8(..4) == 0 {
        let start = offset / 512 * 512;
        let zeros = vec![0; (bytes - start).min(512) as usize];
        disk.open(&path)?.write_at(start, &[IoSlice::new(&zeros)])?;
        return Ok((path.clone(), format!("sector of {path} at {start} zeroed")));
    }
    let bit = random.u8(..8);
    disk.flip_bit(&path, offset, bit)?;
    Ok((path.clone(), format!("bit {bit} of byte {offset} of {path} flipped")))
}

fn read(disk: &SimDisk, model: &Model, options: &Options, random: &mut Rng, path: &str) -> Result<Reported, Fault> {
    let engine = match Engine::open(Arc::new(disk.clone()), options.clone()) {
        Ok(engine) => engine,
        Err(error) => return blames(&error, path).map(|()| Reported::AtOpen),
    };
    let snapshot = engine.snapshot();
    let mut checked = check::recovered(&snapshot, model.newest(), &[]).map(|_| ());
    for _ in 0..4 {
        let then = model.at(random.u64(..=model.newest().id));
        for table in model.newest().tables() {
            checked = checked.and_then(|()| check::past(&snapshot, then, table.id));
        }
    }
    match checked {
        Ok(()) => Ok(Reported::Harmless),
        Err(Unread::Refused(error)) => blames(&error, path).map(|()| Reported::AtRead),
        Err(Unread::Wrong(fault)) => Err(format!("wrong rows are shown: {fault}")),
    }
}

/// Whether an error says that this very file is damaged.
fn blames(error: &Error, path: &str) -> Result<(), Fault> {
    let text = chain(error);
    let kind = matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported);
    if kind && text.contains(path) { Ok(()) } else { Err(format!("the damage is reported as {text}")) }
}
