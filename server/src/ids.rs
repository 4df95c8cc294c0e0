//! Short random names for requests, and 128-bit ids in UUIDv7 form.
//!
//! **Invariants**: ids are unpredictable enough never to repeat by chance, and cost no system call each.

use std::cell::Cell;
use std::time::{SystemTime, UNIX_EPOCH};

use uuid::Uuid;

/// Letters of short ids.
const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";

/// Letters after the prefix: 36^12 is 2^62.
pub const SHORT_ID_LETTERS: usize = 12;

thread_local! {
    /// State of a splitmix64 generator, seeded from the system; zero before the first use.
    static STATE: Cell<u64> = const { Cell::new(0) };
}

/// A random number, not for secrets.
pub fn random() -> u64 {
    STATE.with(|cell| {
        let mut state = cell.get();
        if state == 0 {
            // The clock is a poor seed, but a server that cannot ask the system for randomness still needs request ids.
            state = getrandom::u64().unwrap_or_else(|_| now_ms()) | 1;
        }
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        cell.set(state);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    })
}

/// `prefix` and [`SHORT_ID_LETTERS`] letters and digits that spell `number`.
pub fn short_id(prefix: &str, mut number: u64) -> String {
    let mut id = String::with_capacity(prefix.len() + SHORT_ID_LETTERS);
    id.push_str(prefix);
    for _ in 0..SHORT_ID_LETTERS {
        id.push(ALPHABET[(number % 36) as usize] as char);
        number /= 36;
    }
    id
}

/// Milliseconds since 1970.
pub fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// A UUIDv7 of this time with these 74 bits in place of randomness.
pub fn uuid_v7(unix_ms: u64, bits: u128) -> Uuid {
    let high = (u128::from(unix_ms) & 0xffff_ffff_ffff) << 80;
    let version = 7u128 << 76;
    let a = ((bits >> 62) & 0xfff) << 64;
    let variant = 0b10u128 << 62;
    let b = bits & ((1 << 62) - 1);
    Uuid::from_u128(high | version | a | variant | b)
}

/// A fresh UUIDv7.
pub fn new_uuid() -> Uuid {
    uuid_v7(now_ms(), (u128::from(random()) << 64) | u128::from(random()))
}
