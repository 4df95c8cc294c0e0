//! Which calls of a simulated disk go wrong, and the random numbers that say how.

use std::collections::BTreeSet;
use std::io::{Error, ErrorKind, Result};

use super::SimCounts;

/// SplitMix64.
#[derive(Clone, Debug)]
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn coin(&mut self) -> bool {
        self.next() & 1 == 1
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }
}

/// Which counter a call moves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    Read,
    Write,
    Sync,
    Other,
}

/// What strikes a call that was let through.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Strike {
    None,
    /// The injected failure of this call.
    Fail,
    /// Power goes off in the middle of it.
    PowerCut,
}

/// Calls that will fail, by their number since the disk was made.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    pub(super) crash_at_call: Option<u64>,
    pub(super) calls: BTreeSet<u64>,
    pub(super) sync: Option<u64>,
    pub(super) write: Option<u64>,
    pub(super) read: Option<u64>,
}

impl Faults {
    /// Counts a call and says what strikes it.
    pub(super) fn strike(&self, counts: &mut SimCounts, call: Call) -> Strike {
        counts.calls += 1;
        let (counter, fault) = match call {
            Call::Read => (&mut counts.reads, self.read),
            Call::Write => (&mut counts.writes, self.write),
            Call::Sync => (&mut counts.syncs, self.sync),
            Call::Other => (&mut 0, None),
        };
        *counter += 1;
        let here = fault == Some(*counter) || self.calls.contains(&counts.calls);
        let strike = match self.crash_at_call {
            Some(number) if number == counts.calls => Strike::PowerCut,
            _ if here => Strike::Fail,
            _ => Strike::None,
        };
        counts.faults += u64::from(strike != Strike::None);
        strike
    }
}

impl Strike {
    /// The error of a call that was struck, whatever it did.
    pub(super) fn outcome(self) -> Result<()> {
        match self {
            Self::None => Ok(()),
            Self::Fail => Err(injected()),
            Self::PowerCut => Err(power_is_off()),
        }
    }
}

pub(super) fn power_is_off() -> Error {
    Error::other("simulated power cut")
}

pub(super) fn injected() -> Error {
    Error::other("simulated input/output error")
}

/// A read that got fewer bytes than were asked for.
pub(super) fn short_read() -> Error {
    Error::new(ErrorKind::UnexpectedEof, "simulated short read")
}
