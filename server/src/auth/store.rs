//! Stored users and keys: rows of `system.main.credentials`, folded to the newest.
//!
//! **Invariants**
//! 1. A secret is stored as an argon2id hash and nowhere else.
//! 2. A key's text starts with its id, so that one hash is computed to check it, not one per stored key.

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use siltstone_storage::{Engine, Error, ErrorKind, Result};

use super::{Principal, Role};
use crate::{ids, system};

/// What every key we make starts with.
const KEY_PREFIX: &str = "slt_";
/// Letters of a key's secret part: 40 of 36 possible ones are 206 bits.
const KEY_SECRET_LETTERS: usize = 40;

/// A hash that no password has, checked when a name is unknown so that the answer takes as long. Made with the same parameters.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c2lsdHN0b25lLW5vYm9keQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// What a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Name and password.
    User,
    /// An API key.
    Key,
}

impl Kind {
    /// As stored, and as in `siltstone user` and `siltstone key`.
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Key => "key",
        }
    }
}

/// A user or key that exists.
#[derive(Clone, Debug)]
pub struct Stored {
    /// User or key.
    pub kind: Kind,
    /// Unique within its kind.
    pub name: String,
    /// Of a key: the id its text starts with.
    pub key_id: Option<String>,
    /// What it allows.
    pub role: Role,
    hash: String,
}

/// The users and keys that exist, in the order in which they were added.
///
/// # Errors
/// Those of reading; `Corrupt` for a row that was not written here.
pub fn load(engine: &Engine) -> Result<Vec<Stored>> {
    let mut found: Vec<Stored> = Vec::new();
    for row in system::rows(engine, system::CREDENTIALS)? {
        let [kind, name, key_id, role, hash, state] =
            <[Option<String>; 6]>::try_from(row).map_err(|_| unreadable("columns"))?;
        let kind = match kind.as_deref() {
            Some("user") => Kind::User,
            Some("key") => Kind::Key,
            _ => return Err(unreadable("kind")),
        };
        let name = name.ok_or_else(|| unreadable("name"))?;
        found.retain(|stored| stored.kind != kind || stored.name != name);
        if state.as_deref() == Some("active") {
            let role = role.as_deref().and_then(Role::parse).ok_or_else(|| unreadable("role"))?;
            let hash = hash.ok_or_else(|| unreadable("hash"))?;
            found.push(Stored { kind, name, key_id, role, hash });
        }
    }
    Ok(found)
}

fn unreadable(what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("unreadable credential: table=system.main.credentials, column={what}"))
}

/// Stores a user, replacing one of the same name. Blocks.
///
/// # Errors
/// Those of hashing and writing.
pub fn add_user(engine: &Engine, name: &str, password: &str, role: Role) -> Result<()> {
    append(engine, Kind::User, name, None, Some((role, &hash(password)?)))
}

/// Makes and stores a key, replacing one of the same name; its text is returned and never known again. Blocks.
///
/// # Errors
/// Those of hashing and writing.
pub fn add_key(engine: &Engine, name: &str, role: Role) -> Result<String> {
    let id = letters(ids::SHORT_ID_LETTERS)?;
    let text = format!("{KEY_PREFIX}{id}_{}", letters(KEY_SECRET_LETTERS)?);
    append(engine, Kind::Key, name, Some(&id), Some((role, &hash(&text)?)))?;
    Ok(text)
}

/// Removes a user or key. Blocks.
///
/// # Errors
/// `NotFound` if there is none of that name; those of writing.
pub fn remove(engine: &Engine, kind: Kind, name: &str) -> Result<()> {
    if !load(engine)?.iter().any(|stored| stored.kind == kind && stored.name == name) {
        let kind = kind.name();
        return Err(Error::new(ErrorKind::NotFound, format!("{kind} does not exist: {kind}={name}")));
    }
    append(engine, kind, name, None, None)
}

fn append(engine: &Engine, kind: Kind, name: &str, key_id: Option<&str>, given: Option<(Role, &str)>) -> Result<()> {
    let (role, hash) = given.unzip();
    let state = if given.is_some() { "active" } else { "removed" };
    let row = [Some(kind.name()), Some(name), key_id, role.map(Role::name), hash, Some(state)];
    system::append(engine, system::CREDENTIALS, &[&row])
}

/// A password nobody has to remember.
///
/// # Errors
/// `Internal` if the system gives no randomness.
pub fn new_password() -> Result<String> {
    letters(24)
}

/// Letters and digits from the system's randomness, each of the 36 equally likely.
fn letters(count: usize) -> Result<String> {
    let mut text = String::with_capacity(count);
    while text.len() < count {
        let mut bytes = [0; 64];
        getrandom::fill(&mut bytes)
            .map_err(|error| Error::new(ErrorKind::Internal, format!("no randomness from the system: {error}")))?;
        // 252 is the largest multiple of 36 in a byte; the rest would favour the first letters.
        let fair = bytes
            .iter()
            .filter(|byte| **byte < 252)
            .map(|byte| b"abcdefghijklmnopqrstuvwxyz0123456789"[usize::from(byte % 36)] as char);
        text.extend(fair.take(count - text.len()));
    }
    Ok(text)
}

fn hash(secret: &str) -> Result<String> {
    let hash = Argon2::default()
        .hash_password(secret.as_bytes())
        .map_err(|error| Error::new(ErrorKind::Internal, format!("cannot hash a secret: {error}")))?;
    Ok(hash.to_string())
}

/// The id inside a key that we made.
pub fn key_id(key: &str) -> Option<&str> {
    key.strip_prefix(KEY_PREFIX)?.split_once('_').map(|(id, _)| id)
}

/// Checks a password or key against the stored hash; `lookup` is a user's name or a key's id. Takes some 30 ms of CPU.
pub fn verify(stored: &[Stored], kind: Kind, lookup: &str, secret: &str) -> Option<Principal> {
    let found = stored.iter().find(|stored| {
        let name = if kind == Kind::Key { stored.key_id.as_deref() } else { Some(stored.name.as_str()) };
        stored.kind == kind && name == Some(lookup)
    });
    let hash = PasswordHash::new(found.map_or(NOBODY, |stored| &stored.hash)).ok()?;
    Argon2::default().verify_password(secret.as_bytes(), &hash).ok()?;
    found.map(|stored| Principal { id: format!("{}:{}", stored.kind.name(), stored.name), role: stored.role })
}
