//! What happened, for people and for tests: a readable trace, a fingerprint, and counts of what was exercised.

use std::collections::BTreeMap;

/// How often each thing happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage(pub BTreeMap<String, u64>);

impl Coverage {
    /// Adds another's counts.
    pub fn add(&mut self, other: &Self) {
        for (what, count) in &other.0 {
            *self.0.entry(what.clone()).or_default() += count;
        }
    }

    /// How often this happened.
    pub fn of(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or(0)
    }
}

/// Listens to one simulation.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// `None` unless a person wants to read along.
    lines: Option<Vec<String>>,
    /// What was counted.
    pub coverage: Coverage,
    /// Depends on everything that was marked, in order.
    pub fingerprint: u64,
}

impl Trace {
    /// A trace with or without text.
    pub fn new(readable: bool) -> Self {
        Self { lines: readable.then(Vec::new), ..Self::default() }
    }

    /// Writes a line, if anybody reads.
    pub fn say(&mut self, line: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            lines.push(line());
        }
    }

    /// Counts that something happened.
    pub fn count(&mut self, what: &str) {
        match self.coverage.0.get_mut(what) {
            Some(count) => *count += 1,
            None => drop(self.coverage.0.insert(what.to_owned(), 1)),
        }
    }

    /// Takes a number into the fingerprint.
    pub fn mark(&mut self, number: u64) {
        self.fingerprint = (self.fingerprint.rotate_left(5) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    /// The text so far.
    pub fn text(&self) -> String {
        self.lines.as_ref().map(|lines| lines.join("\n")).unwrap_or_default()
    }
}
