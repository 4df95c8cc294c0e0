//! The server's own secret: signs ids that clients bring back, so that nothing has to be remembered about them.
//!
//! **Invariants**: made once per data directory and stored there, so signed ids survive restarts; never shown.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Bytes of a secret.
pub const SECRET_BYTES: usize = 32;

/// A key for message authentication codes.
#[derive(Clone)]
pub struct Secret {
    keyed: Hmac<Sha256>,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

impl Secret {
    /// A secret from its bytes.
    pub fn new(bytes: &[u8; SECRET_BYTES]) -> Self {
        // The state after the key block is kept: a code then costs two compressions.
        Self { keyed: keyed(bytes) }
    }

    /// The first 64 bits of the code of these parts; each is preceded by its length, so that no two lists sound alike.
    pub fn code(&self, parts: &[&[u8]]) -> u64 {
        let mut mac = self.keyed.clone();
        for part in parts {
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part);
        }
        let code = mac.finalize().into_bytes();
        code.iter().take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte))
    }
}

/// An HMAC with this key, which is extended with zeros to SHA-256's block of 64 bytes as the algorithm says.
pub fn keyed(key: &[u8; SECRET_BYTES]) -> Hmac<Sha256> {
    let mut block = [0; 64];
    block[..SECRET_BYTES].copy_from_slice(key);
    <Hmac<Sha256> as KeyInit>::new(&block.into())
}
