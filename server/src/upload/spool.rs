//! Request bodies as files: written as they arrive, decompressed if need be.
//!
//! **Invariants**
//! 1. A body over the limit is refused as soon as that is known: by its declared length before a byte is read.
//! 2. The files are unlinked before anything is in them.
//! 3. Writing stops before the disk has less free space than the database needs for itself.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use http::HeaderMap;
use sha2::{Digest, Sha256};
use siltstone_ingest::FileBytes;
use siltstone_storage::io::{Disk, OsDisk};
use tokio::sync::mpsc;

use crate::body::{self, BodyFault, Coding};

/// Pieces of a body that wait for the disk.
const PIECES_WAITING: usize = 16;
/// Bytes copied at a time.
const STEP_BYTES: usize = 256 << 10;
/// Bytes between two looks at the free space.
const LOOK_EVERY_BYTES: u64 = 64 << 20;

/// First bytes of compressed data.
const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];
const ZSTD_MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// Why a body could not be spooled.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The body itself.
    #[error("{0}")]
    Body(#[from] BodyFault),
    /// Larger than files may be, on the wire or decompressed.
    #[error("the file is larger than {0} bytes")]
    TooLarge(u64),
    /// There is no space for it.
    #[error("the disk has no room for the file")]
    DiskFull,
    /// The disk failed.
    #[error("the file cannot be spooled")]
    Disk(#[source] std::io::Error),
}

/// Where bodies are spooled to.
#[derive(Clone, Debug)]
pub struct Spool {
    folder: PathBuf,
    bytes_max: u64,
    disk_reserve_bytes: u64,
}

/// A body as a file.
#[derive(Clone, Debug)]
pub struct Spooled {
    file: Arc<File>,
    length: u64,
}

impl Spooled {
    /// Its length.
    pub fn bytes(&self) -> u64 {
        self.length
    }

    /// A hash of its bytes. Blocks.
    ///
    /// # Errors
    /// Those of reading.
    pub fn digest(&self) -> std::io::Result<[u8; 32]> {
        let mut hash = Sha256::new();
        let mut buffer = vec![0; STEP_BYTES];
        let mut offset = 0;
        while offset < self.length {
            let read = self.file.read_at(&mut buffer, offset)?;
            if read == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            hash.update(&buffer[..read]);
            offset += read as u64;
        }
        Ok(hash.finalize().into())
    }

    /// The same for whoever reads it.
    pub fn shared(&self) -> Arc<dyn FileBytes> {
        Arc::new(self.clone())
    }
}

impl FileBytes for Spooled {
    fn length(&self) -> u64 {
        self.length
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.file.read_at(buffer, offset)
    }
}

impl Spool {
    /// Into this folder, files of so many bytes at most, leaving so much of the disk free.
    pub fn new(folder: PathBuf, bytes_max: u64, disk_reserve_bytes: u64) -> Self {
        Self { folder, bytes_max, disk_reserve_bytes }
    }

    /// Reads a whole body. Codings that its headers declare are undone, then a gzip or zstd wrapping that they do not.
    ///
    /// # Errors
    /// [`SpoolError`]; what was not read is discarded in the background.
    pub async fn read(&self, headers: &HeaderMap, mut body: Body) -> Result<Spooled, SpoolError> {
        let outcome = match body::codings(headers) {
            Ok(codings) => self.read_wire(headers, &mut body).await.map(|wire| (wire, codings)),
            Err(fault) => Err(fault.into()),
        };
        let (wire, codings) = match outcome {
            Ok(found) => found,
            Err(error) => {
                body::discard(headers, body);
                return Err(error);
            }
        };
        let spool = self.clone();
        let work = tokio::task::spawn_blocking(move || spool.decompressed(wire, codings));
        work.await.unwrap_or(Err(SpoolError::Body(BodyFault::Incomplete)))
    }

    async fn read_wire(&self, headers: &HeaderMap, body: &mut Body) -> Result<Spooled, SpoolError> {
        if body::declared_length(headers).is_some_and(|length| length > self.bytes_max) {
            return Err(SpoolError::TooLarge(self.bytes_max));
        }
        let (pieces, mut arriving) = mpsc::channel::<Bytes>(PIECES_WAITING);
        let spool = self.clone();
        let writing = tokio::task::spawn_blocking(move || {
            let mut target = Target::create(&spool)?;
            while let Some(piece) = arriving.blocking_recv() {
                target.write(&piece)?;
            }
            Ok(target.finish())
        });
        let arrived = async {
            while let Some(piece) = body::next(body).await? {
                // The writer went away: it has the reason.
                if pieces.send(piece).await.is_err() {
                    break;
                }
            }
            Ok::<(), BodyFault>(())
        };
        let arrived = arrived.await;
        drop(pieces);
        let written = writing.await.unwrap_or(Err(SpoolError::Body(BodyFault::Incomplete)))?;
        arrived?;
        Ok(written)
    }

    fn decompressed(&self, wire: Spooled, codings: Vec<Coding>) -> Result<Spooled, SpoolError> {
        let plain = match codings.is_empty() {
            true => wire,
            false => self.expanded(&wire, &codings)?,
        };
        let mut start = [0; 4];
        let read = plain.read_at(0, &mut start).map_err(SpoolError::Disk)?;
        match &start[..read] {
            start if start.starts_with(GZIP_MAGIC) => self.expanded(&plain, &[Coding::Gzip]),
            start if start.starts_with(ZSTD_MAGIC) => self.expanded(&plain, &[Coding::Zstd]),
            _ => Ok(plain),
        }
    }

    fn expanded(&self, input: &Spooled, codings: &[Coding]) -> Result<Spooled, SpoolError> {
        let invalid = || BodyFault::InvalidEncoding(codings.first().copied().map_or("compressed", Coding::name));
        if input.length == 0 {
            return Err(invalid().into());
        }
        let mut file: &File = &input.file;
        file.seek(SeekFrom::Start(0)).map_err(SpoolError::Disk)?;
        let mut reader: Box<dyn Read + '_> = Box::new(file);
        for coding in codings {
            reader = coding.decoder(BufReader::with_capacity(STEP_BYTES, reader)).map_err(|_| invalid())?;
        }
        let mut target = Target::create(self)?;
        let mut step = vec![0; STEP_BYTES];
        loop {
            match reader.read(&mut step).map_err(|_| invalid())? {
                0 => return Ok(target.finish()),
                read => target.write(&step[..read])?,
            }
        }
    }
}

/// A file that is being written.
struct Target {
    file: File,
    disk: OsDisk,
    length: u64,
    bytes_max: u64,
    disk_reserve_bytes: u64,
    /// The length at which to look at the free space again.
    look_at: u64,
}

impl Target {
    fn create(spool: &Spool) -> Result<Self, SpoolError> {
        let disk = OsDisk::open(&spool.folder).map_err(failed)?;
        let file = tempfile::tempfile_in(&spool.folder).map_err(failed)?;
        Ok(Self {
            file,
            disk,
            length: 0,
            bytes_max: spool.bytes_max,
            disk_reserve_bytes: spool.disk_reserve_bytes,
            look_at: 0,
        })
    }

    fn write(&mut self, piece: &[u8]) -> Result<(), SpoolError> {
        let length = self.length + piece.len() as u64;
        if length > self.bytes_max {
            return Err(SpoolError::TooLarge(self.bytes_max));
        }
        if length > self.look_at {
            self.look_at = length + LOOK_EVERY_BYTES;
            let needed = self.disk_reserve_bytes.saturating_add(piece.len() as u64);
            if self.disk.free_bytes().map_err(SpoolError::Disk)? < needed {
                return Err(SpoolError::DiskFull);
            }
        }
        self.file.write_all(piece).map_err(failed)?;
        self.length = length;
        Ok(())
    }

    fn finish(self) -> Spooled {
        Spooled { file: Arc::new(self.file), length: self.length }
    }
}

fn failed(error: std::io::Error) -> SpoolError {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => SpoolError::DiskFull,
        _ => SpoolError::Disk(error),
    }
}
