//! What held and what did not, by kind of failure.

use std::collections::BTreeMap;
use std::fmt;

use sqllogictest::{TestError, TestErrorKind};

/// Longest part of a failure's text that tells its kind, in characters.
const KIND_CHARS: usize = 160;

/// Outcomes of records.
#[derive(Debug, Default)]
pub struct Report {
    /// Answered as written.
    pub held: usize,
    /// Meant for other databases.
    pub skipped: usize,
    /// By kind: how many, and one of them.
    failures: BTreeMap<String, (usize, String)>,
}

impl Report {
    /// Counts a failure.
    pub fn fail(&mut self, error: &TestError) {
        let kind = kind(&error.kind());
        let example = format!("{}: {}", error.location(), error.kind());
        let (count, _) = self.failures.entry(kind).or_insert((0, example));
        *count += 1;
    }

    /// Takes over what another one counted.
    pub fn add(&mut self, other: Self) {
        self.held += other.held;
        self.skipped += other.skipped;
        for (kind, (count, example)) in other.failures {
            let (counted, _) = self.failures.entry(kind).or_insert((0, example));
            *counted += count;
        }
    }

    fn failed(&self) -> usize {
        self.failures.values().map(|(count, _)| count).sum()
    }

    /// Percentage of the records that held, of those that were not skipped.
    pub fn percent(&self) -> f64 {
        100.0 * self.held as f64 / (self.held + self.failed()).max(1) as f64
    }

    /// The numbers alone.
    pub fn summary(&self) -> String {
        let failed = self.failed();
        format!("{} held, {failed} failed, {} skipped: {:.3} %", self.held, self.skipped, self.percent())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut failures: Vec<_> = self.failures.iter().collect();
        failures.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
        for (kind, (count, example)) in failures {
            writeln!(f, "{count} x {kind}\n    {}", example.replace('\n', "\n    "))?;
        }
        write!(f, "all: {}", self.summary())
    }
}

/// A failure's text without what differs from record to record: numbers and quoted names.
fn kind(error: &TestErrorKind) -> String {
    let text = match error {
        TestErrorKind::Fail { err, .. } | TestErrorKind::ErrorMismatch { err, .. } => err.to_string(),
        TestErrorKind::Ok { .. } => "succeeded".to_owned(),
        TestErrorKind::QueryResultMismatch { .. } => "other rows".to_owned(),
        other => other.to_string(),
    };
    let mut kind = String::new();
    for c in text.chars().take(KIND_CHARS) {
        match c {
            '0'..='9' if kind.ends_with('#') => {}
            '0'..='9' => kind.push('#'),
            '\n' => kind.push(' '),
            _ => kind.push(c),
        }
    }
    kind
}
