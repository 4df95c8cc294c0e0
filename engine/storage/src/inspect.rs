//! Prints what stands in a file of a data directory, for whoever wants to see or mend it.
//!
//! It goes as far as the bytes allow and says where they are damaged; formats stay private to their modules, each of which describes its own
//! files on a [`Page`]. It takes no lock: of a directory in use the newest log file may look different a moment later.
//!
//! **Invariants**
//! 1. Nothing is changed, and no bytes make it panic, hang, or allocate more than the files hold.
//! 2. Damage is both printed and returned: `Ok` means that every byte that was looked at is good.

use std::fmt::Arguments;
use std::io::Write;

use crate::commit::{Change, CommitInfo, Merge};
use crate::delete_vector;
use crate::error::{Error, ErrorKind, Result};
use crate::io::Disk;
use crate::key_index;
use crate::log::{self, Replayed};
use crate::manifest::{self, Manifest, SEGMENT_FOLDER, segment_path};
use crate::segment;
use crate::value::Value;
use crate::write::LoggedCommit;

#[cfg(test)]
mod tests;

/// Characters of a text that are shown: enough to recognise a value, too few to give away a key or a hash.
const SHOWN_CHARACTERS: usize = 16;

/// First bytes of a file, enough to tell its format.
const MAGIC_BYTES: usize = 8;

/// Where a description is written; remembers the first damage, and the first failure to write.
pub(crate) struct Page<'a> {
    out: &'a mut dyn Write,
    indent: usize,
    damage: Option<Error>,
    damaged: usize,
    failure: Option<std::io::Error>,
}

impl<'a> Page<'a> {
    fn new(out: &'a mut dyn Write) -> Self {
        Self { out, indent: 0, damage: None, damaged: 0, failure: None }
    }

    /// One line.
    pub(crate) fn line(&mut self, text: Arguments<'_>) {
        if self.failure.is_none() {
            self.failure = writeln!(self.out, "{:1$}{text}", "", self.indent).err();
        }
    }

    /// Lines that belong to the one before.
    pub(crate) fn indented(&mut self, write: impl FnOnce(&mut Self)) {
        self.indent += 2;
        write(self);
        self.indent -= 2;
    }

    /// Says what is wrong here, if it is, and goes on.
    pub(crate) fn check<T>(&mut self, outcome: Result<T>) -> Option<T> {
        match outcome {
            Ok(value) => Some(value),
            Err(error) => {
                self.line(format_args!("DAMAGED: {error}"));
                self.damaged += 1;
                self.damage.get_or_insert(error);
                None
            }
        }
    }

    /// # Errors
    /// The first damage, with how many more there are; `Internal` if not all could be written.
    fn finish(self) -> Result<()> {
        match (self.damage, self.failure) {
            (Some(first), _) if self.damaged > 1 => {
                let more = self.damaged - 1;
                Err(Error::new(first.kind(), format!("{} (and {more} more)", first.message())))
            }
            (Some(only), _) => Err(only),
            (None, Some(failure)) => Err(Error::with_source(ErrorKind::Internal, "cannot print", failure)),
            (None, None) => Ok(()),
        }
    }
}

/// Describes one file, by its path in the directory of `disk`.
///
/// # Errors
/// `NotFound` without such a file; `Unsupported` if it is none of ours or of a later format; `Corrupt` naming the first damage, which is printed in
/// its place as well; `Internal` for failed reads and writes.
pub fn inspect_file(disk: &dyn Disk, path: &str, out: &mut dyn Write) -> Result<()> {
    let mut page = Page::new(out);
    let outcome = describe(disk, path, &mut page);
    page.check(outcome);
    page.finish()
}

/// Describes a data directory: its manifest, and in a few lines each of its files.
///
/// # Errors
/// `NotFound` if it holds no database; else as for [`inspect_file`].
pub fn inspect_directory(disk: &dyn Disk, out: &mut dyn Write) -> Result<()> {
    let mut page = Page::new(out);
    let names = list(disk, "")?;
    let manifests: Vec<&String> = names.iter().filter(|name| manifest::is_manifest(name)).collect();
    let (logs, segments) = (list(disk, log::FOLDER)?, list(disk, SEGMENT_FOLDER)?);
    if manifests.is_empty() && logs.is_empty() && segments.is_empty() {
        return Err(Error::new(ErrorKind::NotFound, "the directory holds no database"));
    }
    if manifests.is_empty() {
        let found = format_args!("{} files of a log and {} of segments", logs.len(), segments.len());
        let missing = Error::corrupt("MANIFEST-*", 0, "a manifest", found);
        page.check(Err::<(), _>(missing));
    }
    for name in manifests {
        let outcome = describe(disk, name, &mut page);
        page.check(outcome);
    }
    let outcome = manifest::store::load(disk);
    let manifest = match page.damage {
        None => page.check(outcome).flatten(),
        // What is wrong with it was said above.
        Some(_) => outcome.ok().flatten(),
    };
    describe_log(disk, manifest.as_ref(), &mut page);
    describe_segments(disk, &segments, manifest.as_ref(), &mut page);
    page.finish()
}

fn list(disk: &dyn Disk, folder: &str) -> Result<Vec<String>> {
    disk.list(folder).map_err(|error| Error::io("list", folder, error))
}

/// Finds out what a file is by its first bytes, or else by its name, and describes all of it.
fn describe(disk: &dyn Disk, path: &str, page: &mut Page<'_>) -> Result<()> {
    let file = disk.open(path).map_err(|error| Error::io("open", path, error))?;
    let bytes = file.len().map_err(|error| Error::io("measure", path, error))?;
    let mut magic = [0; MAGIC_BYTES];
    let known = (bytes as usize).min(MAGIC_BYTES);
    file.read_at(0, &mut magic[..known]).map_err(|error| Error::io("read", path, error))?;
    let map = || file.map().map_err(|error| Error::io("map", path, error));
    let named = |ending: &str| path.ends_with(ending);
    page.line(format_args!("{path}: {bytes} bytes"));
    if magic == manifest::MAGIC || (path.rsplit('/').next().is_some_and(manifest::is_manifest)) {
        manifest::describe(path, &map()?, page)
    } else if magic == segment::HEADER.magic || named(".segment") {
        segment::describe(path, map()?, page)
    } else if magic == delete_vector::MAGIC || named(".deletes") {
        delete_vector::describe(path, &map()?, page)
    } else if magic == key_index::MAGIC || named(".keys") {
        key_index::describe(path, &map()?, page)
    } else if named(".spare") || named(".new") {
        page.line(format_args!("a file kept for the log; its contents mean nothing"));
        Ok(())
    } else if magic == log::MAGIC || named(".log") {
        let whole = log::Walk { path, after: None, next_base: None };
        log::walk(disk, &whole, &mut |found| print_found(found, page))
    } else {
        Err(Error::new(ErrorKind::Unsupported, format!("not a file of ours: file={path}, first_bytes={magic:02x?}")))
    }
}

/// One line per log file, and one per damage.
fn describe_log(disk: &dyn Disk, manifest: Option<&Manifest>, page: &mut Page<'_>) {
    let outcome = log::files(disk);
    let Some(files) = page.check(outcome) else { return };
    for (at, file) in files.iter().enumerate() {
        let next_base = files.get(at + 1).map(|next| next.base);
        let after = manifest.map(|manifest| manifest.checkpoint);
        if next_base.is_some() && next_base <= after {
            page.line(format_args!("{}: not needed any more", file.path));
            continue;
        }
        let (mut commits, mut end) = (0, None);
        let outcome = log::walk(disk, &log::Walk { path: &file.path, after, next_base }, &mut |found| {
            match found {
                log::Found::Header { .. } => {}
                log::Found::Commit { record, .. } => {
                    commits += 1;
                    LoggedCommit::decode(&record)?;
                }
                log::Found::Passed => commits += 1,
                log::Found::Close { .. } => end = Some("closed"),
                log::Found::End { .. } => end = Some("not closed"),
            }
            Ok(())
        });
        let (path, base) = (&file.path, file.base);
        let end = end.unwrap_or("goes on in the next file");
        page.line(format_args!("{path}: {commits} commits after snapshot {base}, {end}"));
        page.indented(|page| {
            page.check(outcome);
        });
    }
}

/// One line per file of the folder of segments.
fn describe_segments(disk: &dyn Disk, names: &[String], manifest: Option<&Manifest>, page: &mut Page<'_>) {
    let mut silent = std::io::sink();
    for name in names {
        let path = format!("{SEGMENT_FOLDER}/{name}");
        let named = manifest.map(|manifest| manifest.files().any(|(file, _)| file == path));
        let note = match named {
            _ if name.ends_with(".keys") => ", can be made again",
            Some(true) => "",
            Some(false) => ", not named by the manifest",
            None => ", without a manifest",
        };
        let outcome = inspect_file(disk, &path, &mut silent);
        let state = if outcome.is_ok() { "whole" } else { "damaged" };
        page.line(format_args!("{path}: {state}{note}"));
        page.indented(|page| {
            page.check(outcome);
        });
    }
    for (path, bytes) in manifest.iter().flat_map(|manifest| manifest.files()) {
        if !names.iter().any(|name| path.ends_with(name)) {
            let missing = Error::corrupt(&path, 0, format_args!("a file of {bytes} bytes"), "none");
            page.check(Err::<(), _>(missing));
        }
    }
}

fn print_found(found: log::Found, page: &mut Page<'_>) -> Result<()> {
    match found {
        log::Found::Header { generation, base, file_bytes } => {
            page.line(format_args!("log file {generation} after snapshot {base}, {file_bytes} bytes"));
        }
        log::Found::Commit { record, synced } => {
            let (_, offset) = record.place();
            page.line(format_args!(
                "offset {offset}: snapshot {} at {}, {} of {} bytes, synced before it: {synced}",
                record.snapshot,
                utc(record.time_us),
                record.stored_bytes(),
                record.raw_bytes(),
            ));
            page.indented(|page| print_commit(&record, page));
        }
        log::Found::Passed => {}
        log::Found::Close { offset, snapshot } => {
            page.line(format_args!("offset {offset}: closed after snapshot {snapshot}"));
        }
        log::Found::End { offset, expected, found } => {
            page.line(format_args!("offset {offset}: the end; expected {expected}, found {found}"));
        }
    }
    Ok(())
}

fn print_commit(record: &Replayed, page: &mut Page<'_>) {
    let Some(logged) = page.check(LoggedCommit::decode(record)) else { return };
    let CommitInfo { author, message, extra } = &logged.commit().info;
    for (what, text) in [("author", author), ("message", message), ("extra", extra)] {
        if let Some(text) = text {
            page.line(format_args!("{what}: {text:?}"));
        }
    }
    logged.commit().changes.iter().for_each(|change| print_change(change, page));
    for (table, deleted) in logged.deleted() {
        for (segment, positions) in &deleted.segments {
            page.line(format_args!("delete {} rows of segment {segment} of table {table}", positions.len()));
        }
        if !deleted.memory.is_empty() {
            page.line(format_args!("delete {} rows in memory of table {table}", deleted.memory.len()));
        }
    }
}

fn print_change(change: &Change, page: &mut Page<'_>) {
    match change {
        Change::CreateDatabase { name } => page.line(format_args!("create database {name}")),
        Change::DropDatabase { name } => page.line(format_args!("drop database {name}")),
        Change::CreateSchema { database, name } => page.line(format_args!("create schema {database}.{name}")),
        Change::DropSchema { database, name, .. } => page.line(format_args!("drop schema {database}.{name}")),
        Change::CreateTable { id, name, schema } => {
            page.line(format_args!("create table {id}: {name}, {} columns", schema.columns().len()));
        }
        Change::DropTable { id } => page.line(format_args!("drop table {id}")),
        Change::RenameTable { id, name } => page.line(format_args!("rename table {id} to {name}")),
        Change::SetSchema { id, schema } => {
            page.line(format_args!("table {id} gets schema {}, {} columns", schema.version(), schema.columns().len()));
        }
        Change::CreateView { view, .. } => page.line(format_args!("create view {}: {:?}", view.name, view.query)),
        Change::DropView { name } => page.line(format_args!("drop view {name}")),
        Change::Comment { on, text } => page.line(format_args!("comment on {on:?}: {text:?}")),
        Change::SetLayout { id, layout } => page.line(format_args!("table {id} gets {layout:?}")),
        Change::Append(batch) | Change::Merge(Merge { batch, .. }) => {
            let columns: Vec<String> = batch.columns().iter().map(|(id, _)| id.to_string()).collect();
            let (rows, table) = (batch.rows(), batch.table());
            page.line(format_args!("append {rows} rows to table {table}, columns {}", columns.join(" ")));
        }
        Change::Load(loaded) => {
            let (rows, table) = (loaded.rows(), loaded.table());
            let files: Vec<String> = loaded.entries().map(|entry| segment_path(entry.id)).collect();
            page.line(format_args!("load {rows} rows into table {table}: {}", files.join(" ")));
        }
        Change::Delete(rows) => page.line(format_args!("delete {} rows of table {}", rows.rows(), rows.table())),
    }
}

/// A time in microseconds since 1970 as people write it.
pub(crate) fn utc(time_us: i64) -> String {
    const DAY_US: i64 = 86_400_000_000;
    let (day, rest) = (time_us.div_euclid(DAY_US), time_us.rem_euclid(DAY_US));
    // Days are counted in eras of 400 years that begin on March 1, so that the leap day is the last of its year.
    let shifted = day + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    let (seconds, micros) = (rest / 1_000_000, rest % 1_000_000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day_of_month:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

/// A value, shortened.
pub(crate) fn shown(value: Option<&Value>) -> String {
    let cut = |text: String| match text.char_indices().nth(SHOWN_CHARACTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    };
    match value {
        None => "unknown".to_owned(),
        Some(Value::Bool(value)) => value.to_string(),
        Some(Value::Int(value)) => value.to_string(),
        Some(Value::UInt(value)) => value.to_string(),
        Some(Value::Decimal(value)) => format!("{value} unscaled"),
        Some(Value::Float(value)) => value.to_string(),
        Some(Value::Text(value)) => cut(format!("{value:?}")),
        Some(Value::Bytes(value)) => cut(format!("{value:02x?}")),
        Some(Value::Interval { months, days, nanos }) => format!("{months} months {days} days {nanos} ns"),
    }
}
