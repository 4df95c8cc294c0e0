//! The bytes of one simulated file: what readers see, what is durable, and the writes between.
//!
//! **Invariants**
//! 1. Durable bytes plus all pending and lost writes, in order, are what readers see.
//! 2. A lost write (one whose sync failed) is never made durable by a later sync; a crash may still keep it.

use std::io::{ErrorKind, Result};

use super::faults::Random;

/// The disk keeps or drops aligned units of this size whole.
const UNIT_BYTES: u64 = 512;

/// What a write puts down.
#[derive(Clone, Debug)]
pub(super) enum Data {
    Bytes(Vec<u8>),
    /// Zeros of this length, from an allocation.
    Zeros(u64),
}

impl Data {
    fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Zeros(count) => *count,
        }
    }
}

#[derive(Clone, Debug)]
struct Write {
    offset: u64,
    data: Data,
    /// Its sync failed.
    lost: bool,
}

impl Write {
    fn end(&self) -> u64 {
        self.offset + self.data.len()
    }

    fn apply(&self, bytes: &mut Vec<u8>) {
        self.apply_range(bytes, self.offset, self.end());
    }

    /// Puts down the part between two file offsets.
    fn apply_range(&self, bytes: &mut Vec<u8>, from: u64, to: u64) {
        grow(bytes, to);
        let target = &mut bytes[from as usize..to as usize];
        match &self.data {
            Data::Bytes(source) => {
                target.copy_from_slice(&source[(from - self.offset) as usize..(to - self.offset) as usize]);
            }
            Data::Zeros(_) => target.fill(0),
        }
    }

    /// The parts before and after a range of the file.
    fn outside(&self, from: u64, to: u64) -> impl Iterator<Item = Self> {
        let before = (self.offset, self.end().min(from));
        let after = (self.offset.max(to), self.end());
        [before, after].into_iter().filter(|(start, end)| start < end).map(|(start, end)| {
            let data = match &self.data {
                Data::Bytes(bytes) => {
                    Data::Bytes(bytes[(start - self.offset) as usize..(end - self.offset) as usize].to_vec())
                }
                Data::Zeros(_) => Data::Zeros(end - start),
            };
            Self { offset: start, data, lost: self.lost }
        })
    }

    /// What a crash leaves of it: all, nothing, or some of its units.
    fn crash(&self, bytes: &mut Vec<u8>, random: &mut Random) {
        let keep_all = random.coin();
        let tear = random.coin();
        if keep_all && !tear {
            return self.apply(bytes);
        }
        let mut from = self.offset;
        while tear && from < self.end() {
            let to = ((from / UNIT_BYTES + 1) * UNIT_BYTES).min(self.end());
            if random.coin() {
                self.apply_range(bytes, from, to);
            }
            from = to;
        }
        // The new length may be on disk where the bytes are not.
        if random.coin() {
            grow(bytes, self.end());
        }
    }
}

fn grow(bytes: &mut Vec<u8>, len: u64) {
    if bytes.len() < len as usize {
        bytes.resize(len as usize, 0);
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Contents {
    current: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Write>,
}

impl Contents {
    fn settled(bytes: Vec<u8>) -> Self {
        Self { current: bytes.clone(), durable: bytes, pending: Vec::new() }
    }

    pub(super) fn len(&self) -> u64 {
        self.current.len() as u64
    }

    pub(super) fn current(&self) -> &[u8] {
        &self.current
    }

    pub(super) fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let end = offset.checked_add(buffer.len() as u64).filter(|end| *end <= self.len());
        let end = end.ok_or(ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(&self.current[offset as usize..end as usize]);
        Ok(())
    }

    pub(super) fn write(&mut self, offset: u64, data: Data) {
        let write = Write { offset, data, lost: false };
        write.apply(&mut self.current);
        self.pending.push(write);
    }

    pub(super) fn sync(&mut self) {
        for write in std::mem::take(&mut self.pending) {
            if write.lost {
                self.pending.push(write);
                continue;
            }
            write.apply(&mut self.durable);
            // What was lost below it can no longer come back.
            self.pending = self.pending.iter().flat_map(|lost| lost.outside(write.offset, write.end())).collect();
        }
    }

    pub(super) fn fail_sync(&mut self) {
        for write in &mut self.pending {
            write.lost = true;
        }
    }

    pub(super) fn flip_bit(&mut self, offset: u64, bit: u8) -> Result<()> {
        let index = usize::try_from(offset).map_err(|_| ErrorKind::UnexpectedEof)?;
        *self.current.get_mut(index).ok_or(ErrorKind::UnexpectedEof)? ^= 1 << (bit % 8);
        if let Some(byte) = self.durable.get_mut(index) {
            *byte ^= 1 << (bit % 8);
        }
        Ok(())
    }

    pub(super) fn crash(&self, random: &mut Random) -> Self {
        let mut bytes = self.durable.clone();
        for write in &self.pending {
            write.crash(&mut bytes, random);
        }
        Self::settled(bytes)
    }
}
