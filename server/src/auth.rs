//! Who is asking, and what they may do.
//!
//! **Invariants**
//! 1. Secrets are compared in constant time; what is kept of them in memory is a keyed hash.
//! 2. argon2 runs at most once per credential and process, off the reactor, and never more than `HASHING_MAX` at a time.
//! 3. A user with Basic credentials and an API key are the same thing: a [`Principal`] with a role.
//! 4. Nothing here logs or returns any part of a credential.
//!
//! It knows no dialect: each renders [`Denied`] in its own shape.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, general_purpose};
use hmac::{Hmac, Mac};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use parking_lot::RwLock;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;

pub mod store;
#[cfg(test)]
mod tests;

use crate::config::Config;
use crate::secret::{self, SECRET_BYTES};
use store::{Kind, Stored};

/// argon2 computations at a time: each takes 19 MiB and some 30 ms of a core.
const HASHING_MAX: usize = 2;

/// Header values whose outcome is remembered; past it the memory starts afresh.
const REMEMBERED_MAX: usize = 8_192;

/// Longest `Authorization` value that is looked at.
const HEADER_BYTES_MAX: usize = 4_096;

/// Standard alphabet, padding optional.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

type Digest = [u8; 32];

/// What somebody may do; each role includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Ask.
    Read,
    /// Also write rows, create and drop tables.
    Write,
    /// Also manage the server.
    Admin,
}

impl Role {
    /// As spelled in `--role` and in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }

    /// The role of that name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Read, Self::Write, Self::Admin].into_iter().find(|role| role.name() == text)
    }
}

/// Somebody whose credential was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Unique: `user:` or `key:` and the name.
    pub id: String,
    /// What they may do.
    pub role: Role,
}

/// Why somebody is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// No credential, or not a known one: 401.
    Unauthorized,
    /// Known, but the role does not allow it: 403.
    Forbidden,
}

/// A credential as sent.
#[derive(PartialEq, Eq)]
enum Credential<'a> {
    Basic { user: String, password: String },
    Key(&'a str),
}

/// Checks credentials.
pub struct Auth {
    open: Option<Arc<Principal>>,
    keyed: Hmac<Sha256>,
    users: Vec<(String, Digest)>,
    keys: Vec<Digest>,
    stored: Arc<Vec<Stored>>,
    remembered: RwLock<HashMap<Digest, Option<Arc<Principal>>>>,
    hashing: Semaphore,
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Auth").field("users", &self.users.len()).field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

impl Auth {
    /// Accepts the configured credentials and these stored ones.
    pub fn new(config: &Config, stored: Vec<Stored>) -> Self {
        // Without randomness the hash is merely unkeyed; the remembered digests never leave the process.
        let mut key = [0; SECRET_BYTES];
        if let Err(error) = getrandom::fill(&mut key) {
            tracing::warn!(%error, "no randomness from the system");
        }
        let keyed = secret::keyed(&key);
        let users = config.users.iter().map(|(name, password)| (name.clone(), digest(&keyed, password.0.as_bytes())));
        let open = config.insecure_no_auth.then(|| Arc::new(Principal { id: "anybody".to_owned(), role: Role::Admin }));
        Self {
            open,
            users: users.collect(),
            keys: config.api_keys.iter().map(|key| digest(&keyed, key.0.as_bytes())).collect(),
            keyed,
            stored: Arc::new(stored),
            remembered: RwLock::default(),
            hashing: Semaphore::new(HASHING_MAX),
        }
    }

    /// Whether nobody at all could be let in.
    pub fn is_hopeless(&self) -> bool {
        self.open.is_none() && self.users.is_empty() && self.keys.is_empty() && self.stored.is_empty()
    }

    /// Who sent these headers, if they may act in this role.
    ///
    /// # Errors
    /// [`Denied`].
    pub async fn check(&self, headers: &HeaderMap, role: Role) -> Result<Arc<Principal>, Denied> {
        let principal = match &self.open {
            Some(anybody) => Arc::clone(anybody),
            None => self.known(headers).await.ok_or(Denied::Unauthorized)?,
        };
        if principal.role >= role { Ok(principal) } else { Err(Denied::Forbidden) }
    }

    async fn known(&self, headers: &HeaderMap) -> Option<Arc<Principal>> {
        let value = headers.get(AUTHORIZATION)?.as_bytes();
        if value.len() > HEADER_BYTES_MAX {
            return None;
        }
        let seen = digest(&self.keyed, value);
        if let Some(outcome) = self.remembered.read().get(&seen) {
            return outcome.clone();
        }
        let outcome = self.verify(std::str::from_utf8(value).ok()?).await;
        let mut remembered = self.remembered.write();
        if remembered.len() >= REMEMBERED_MAX {
            remembered.clear();
        }
        remembered.insert(seen, outcome.clone());
        outcome
    }

    async fn verify(&self, header: &str) -> Option<Arc<Principal>> {
        for credential in credentials(header) {
            let found = match &credential {
                Credential::Basic { user, password } => match self.configured_user(user, password) {
                    Some(principal) => Some(principal),
                    None => self.stored(Kind::User, user, password).await,
                },
                Credential::Key(key) => match self.configured_key(key) {
                    Some(principal) => Some(principal),
                    None => match store::key_id(key) {
                        Some(id) => self.stored(Kind::Key, id, key).await,
                        None => None,
                    },
                },
            };
            if let Some(principal) = found {
                return Some(Arc::new(principal));
            }
        }
        None
    }

    fn configured_user(&self, name: &str, password: &str) -> Option<Principal> {
        let given = digest(&self.keyed, password.as_bytes());
        let matches = |(known, expected): &&(String, Digest)| {
            (known.as_bytes().ct_eq(name.as_bytes()) & expected.ct_eq(&given)).into()
        };
        self.users.iter().find(matches).map(|_| Principal { id: format!("user:{name}"), role: Role::Admin })
    }

    fn configured_key(&self, key: &str) -> Option<Principal> {
        let given = digest(&self.keyed, key.as_bytes());
        let position = self.keys.iter().position(|expected| expected.ct_eq(&given).into())?;
        Some(Principal { id: format!("key:configured-{position}"), role: Role::Admin })
    }

    async fn stored(&self, kind: Kind, lookup: &str, password: &str) -> Option<Principal> {
        if self.stored.is_empty() {
            return None;
        }
        let _turn = self.hashing.acquire().await.ok()?;
        let (stored, lookup, password) = (Arc::clone(&self.stored), lookup.to_owned(), password.to_owned());
        let task = tokio::task::spawn_blocking(move || store::verify(&stored, kind, &lookup, &password));
        task.await.ok().flatten()
    }
}

fn digest(keyed: &Hmac<Sha256>, bytes: &[u8]) -> Digest {
    let mut mac = keyed.clone();
    mac.update(bytes);
    mac.finalize().into_bytes().into()
}

/// The ways in which an `Authorization` value can be read, likeliest first: `Basic` pair, `Bearer` key, `Bearer` with the `Basic`
/// pair's text, bare key.
fn credentials(header: &str) -> Vec<Credential<'_>> {
    let header = header.trim();
    let Some((scheme, rest)) = header.split_once(' ') else {
        return if header.is_empty() { Vec::new() } else { vec![Credential::Key(header)] };
    };
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("basic") {
        basic(rest).into_iter().collect()
    } else if scheme.eq_ignore_ascii_case("bearer") && !rest.is_empty() {
        [Some(Credential::Key(rest)), basic(rest)].into_iter().flatten().collect()
    } else {
        Vec::new()
    }
}

fn basic(text: &str) -> Option<Credential<'static>> {
    let bytes = BASE64.decode(text).or_else(|_| general_purpose::URL_SAFE_NO_PAD.decode(text)).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (user, password) = text.split_once(':')?;
    Some(Credential::Basic { user: user.to_owned(), password: password.to_owned() })
}
