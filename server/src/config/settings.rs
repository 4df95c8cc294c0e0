//! The tables of settings: key, what it takes, what it does, and how its text becomes a value.

mod ingest;
mod query;
mod server;
mod storage;

use super::{Config, Hidden};

/// How many values a setting takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arity {
    /// One; the last one given counts.
    One,
    /// Any number: a repeated flag, a comma list in the environment, an array in the file.
    Many,
    /// A flag without a value; `true` or `false` elsewhere.
    Switch,
}

/// One setting.
pub struct Setting {
    /// Key in the file, dots for tables.
    pub key: &'static str,
    /// Flag without the dashes.
    pub flag: &'static str,
    /// What the value is, for the help text.
    pub value: &'static str,
    /// Unit, default and effect.
    pub help: &'static str,
    /// How many values.
    pub arity: Arity,
    /// Whether the value must never be shown.
    pub secret: bool,
    /// Whether the file may hold it (all but the file's own path).
    pub in_file: bool,
    /// Sets it; the error says what was expected.
    pub apply: fn(&mut Config, &[String]) -> Result<(), String>,
}

impl std::fmt::Debug for Setting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.key)
    }
}

impl Setting {
    /// The environment variable.
    pub fn variable(&self) -> String {
        format!("SILTSTONE_{}", self.key.replace('.', "_").to_ascii_uppercase())
    }
}

type Apply = fn(&mut Config, &[String]) -> Result<(), String>;

const fn one(key: &'static str, flag: &'static str, value: &'static str, help: &'static str, apply: Apply) -> Setting {
    Setting { key, flag, value, help, arity: Arity::One, secret: false, in_file: true, apply }
}

const fn many(key: &'static str, flag: &'static str, value: &'static str, help: &'static str, apply: Apply) -> Setting {
    Setting { arity: Arity::Many, ..one(key, flag, value, help, apply) }
}

const fn switch(key: &'static str, flag: &'static str, help: &'static str, apply: Apply) -> Setting {
    Setting { arity: Arity::Switch, ..one(key, flag, "BOOL", help, apply) }
}

/// The tables, in the order of the help text.
const TABLES: [&[Setting]; 4] = [server::SETTINGS, ingest::SETTINGS, query::SETTINGS, storage::SETTINGS];

/// Every setting, in the order of the help text.
pub fn settings() -> impl Iterator<Item = &'static Setting> {
    TABLES.into_iter().flatten()
}

const NAME: &str = "a name of 1 to 255 characters";

fn last<'a>(values: &'a [String], expected: &str) -> Result<&'a str, String> {
    values.last().map(String::as_str).filter(|text| !text.is_empty()).ok_or_else(|| expected.to_owned())
}

fn user(text: &str) -> Result<(String, Hidden), String> {
    match text.split_once(':') {
        Some((name, password)) if !name.is_empty() && !password.is_empty() => {
            Ok((name.to_owned(), Hidden(password.to_owned())))
        }
        _ => Err("NAME:PASSWORD".to_owned()),
    }
}

fn name(text: &str) -> Result<String, String> {
    let reserved = text.eq_ignore_ascii_case(crate::system::DATABASE);
    let fits = !text.is_empty() && text.chars().count() <= 255 && !text.contains('\0');
    if fits && !reserved { Ok(text.to_owned()) } else { Err(format!("{NAME}, other than `system`")) }
}

fn boolean(values: &[String]) -> Result<bool, String> {
    match last(values, "true or false")?.to_ascii_lowercase().as_str() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err("true or false".to_owned()),
    }
}

fn number<T: std::str::FromStr>(values: &[String]) -> Result<T, String> {
    last(values, "a whole number")?.parse().map_err(|_| "a whole number".to_owned())
}

fn positive(values: &[String]) -> Result<usize, String> {
    number(values).ok().filter(|n| *n > 0).ok_or_else(|| "a whole number above 0".to_owned())
}

fn bytes(values: &[String]) -> Result<usize, String> {
    bytes_or_zero(values).and_then(|n| if n > 0 { Ok(n) } else { Err("a size above 0, such as 64MiB".to_owned()) })
}

/// `4096`, `64KiB`, `10MiB`, `2GiB`.
fn bytes_or_zero(values: &[String]) -> Result<usize, String> {
    const EXPECTED: &str = "a size such as 4096, 64KiB, 10MiB or 2GiB";
    let text = last(values, EXPECTED)?;
    let (digits, shift) = [("KiB", 10), ("MiB", 20), ("GiB", 30)]
        .into_iter()
        .find_map(|(suffix, shift)| text.strip_suffix(suffix).map(|digits| (digits, shift)))
        .unwrap_or((text, 0));
    let count: usize = digits.trim_end().parse().map_err(|_| EXPECTED.to_owned())?;
    count.checked_mul(1 << shift).filter(|bytes| *bytes <= 1 << 50).ok_or_else(|| EXPECTED.to_owned())
}
